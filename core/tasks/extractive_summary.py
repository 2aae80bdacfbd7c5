"""Extractive summaries: the sentences of a text that stand nearest to all of it, without repeating one another.

Each sentence gets a vector; its weight is the centrality of LexRank (Erkan & Radev 2004): the stationary
distribution of a walk that goes from sentence to sentence by their likeness. Sentences are then taken by weight,
less their likeness to what was taken before (maximal marginal relevance; Carbonell & Goldstein 1998).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import regex

from core.errors import InputInvalid
from core.i18n import gettext as _
from core.runtime.bundle import ModelBundle
from core.tasks.common import Clock, Timing, require_text
from core.tasks.similarity import sentence_vectors

if TYPE_CHECKING:
    import torch

# Likeness below this is noise between any two sentences of one language.
_FLOOR: Final = 0.1
_DAMPING: Final = 0.85
_STEPS: Final = 50
# How much nearness to the whole counts against likeness to what was taken.
_RELEVANCE: Final = 0.6
# A stop, or a line's end; not after an initial, a short abbreviation or between digits.
_END: Final = regex.compile(
    r"(?<=[.!?…]['\")»”\]]*)(?<!\b(?:\p{Lu}|Sr|Sra|Dr|Dra|Prof|St|Mr|Mrs|Ms|etc|pág|núm|vol|art|EE|UU)\.)\s+(?=[\p{Lu}¿¡«“\"'(\d—-])|\n+"
)


@dataclass(frozen=True, slots=True)
class SummaryRequest:
    """A text of at least three sentences, and how many to keep."""

    text: str
    sentences: int = 3


@dataclass(frozen=True, slots=True)
class ScoredSentence:
    """A sentence, where it stands (code points), its weight (all add up to 1), and its rank if it was taken."""

    text: str
    start: int
    end: int
    weight: float
    rank: int | None


@dataclass(frozen=True, slots=True)
class SummaryResult:
    """All sentences in order, those that were taken with their rank, and the time."""

    sentences: tuple[ScoredSentence, ...]
    timing: Timing

    @property
    def text(self) -> str:
        """The summary: what was taken, in the text's order."""
        return " ".join(sentence.text for sentence in self.sentences if sentence.rank is not None)


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Where each sentence stands, in code points; white space around it is left out."""
    cuts = [0, *(match.end() for match in _END.finditer(text)), len(text)]
    found = []
    for start, end in itertools.pairwise(cuts):
        body = text[start:end]
        if body.strip():
            found.append((start + len(body) - len(body.lstrip()), start + len(body.rstrip())))
    return found


def centrality(likeness: "torch.Tensor") -> "torch.Tensor":
    """LexRank's weights ``(n,)`` from a matrix of likenesses ``(n, n)``; they add up to 1."""
    import torch

    n = len(likeness)
    graph = likeness.clamp(min=0).where(likeness > _FLOOR, torch.zeros_like(likeness))
    graph = graph.fill_diagonal_(0) + 1e-6
    steps = graph / graph.sum(1, keepdim=True)
    weights = torch.full((n,), 1 / n)
    for _turn in range(_STEPS):
        weights = (1 - _DAMPING) / n + _DAMPING * (weights @ steps)
    return weights / weights.sum()


def choose(likeness: "torch.Tensor", weights: "torch.Tensor", count: int) -> list[int]:
    """Numbers of the sentences to take, the first first."""
    relevance = weights / weights.max()
    taken: list[int] = []
    while len(taken) < min(count, len(weights)):
        best, value = -1, float("-inf")
        for index in range(len(weights)):
            if index not in taken:
                again = max((float(likeness[index, other]) for other in taken), default=0.0)
                score = _RELEVANCE * float(relevance[index]) - (1 - _RELEVANCE) * again
                if score > value:
                    best, value = index, score
        taken.append(best)
    return taken


class ExtractiveSummary:
    """The task."""

    name = "summarization"
    attention = False
    max_batch = 2

    def run(self, bundle: ModelBundle, requests: Sequence[SummaryRequest]) -> list[SummaryResult]:
        """Sums up each text.

        Raises:
            InputInvalid: an empty text, or one with no more sentences than are wanted.
            InputTooLong: more than 50,000 characters.
        """
        found = []
        for request in requests:
            clock = Clock()
            text = require_text(request.text)
            spans = split_sentences(text)
            if len(spans) <= max(1, request.sentences):
                raise InputInvalid(_("El texto es demasiado corto para resumirlo: hacen falta más frases."))
            vectors, _cut = sentence_vectors(bundle, [text[start:end] for start, end in spans], "mean", clock)
            with clock.part("decode"):
                likeness = vectors @ vectors.T
                weights = centrality(likeness)
                ranks = {index: rank for rank, index in enumerate(choose(likeness, weights, request.sentences), 1)}
            sentences = tuple(
                ScoredSentence(text[start:end], start, end, float(weights[index]), ranks.get(index))
                for index, (start, end) in enumerate(spans)
            )
            found.append(SummaryResult(sentences, clock.timing()))
        return found


TASK: Final = ExtractiveSummary()
