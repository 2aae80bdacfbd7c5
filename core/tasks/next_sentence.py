"""Next sentence: whether B was written after A, or comes from elsewhere (Devlin et al. 2018).

RoBERTa (Liu et al. 2019) showed that BERT loses nothing without this exercise: the negatives, sentences of
another document, can be told by topic alone. So the probability says more about topic than about order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from core.runtime.bundle import ModelBundle
from core.tasks.common import Clock, Timing, require_text
from core.tasks.extractive_summary import split_sentences


@dataclass(frozen=True, slots=True)
class NextSentenceRequest:
    """Two texts."""

    first: str
    second: str


@dataclass(frozen=True, slots=True)
class NextSentenceResult:
    """Probability that the second follows the first, the tokens of both together, and the time."""

    follows: float
    tokens: int
    timing: Timing


Kind = Literal["true", "random", "reversed"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sentences and where they come from: neighbours, of two texts, or neighbours in the wrong order."""

    kind: Kind
    first: str
    second: str


def pairs_from(texts: Sequence[str], each: int) -> tuple[Pair, ...]:
    """True, random and reversed pairs, up to ``each`` of a kind, always the same.

    As in BERT's training, a true pair are two neighbours, and a random one takes its second sentence from another
    text. Reversed pairs are no part of that training: there topic says yes and order says no.

    Args:
        texts: at least two, each with two sentences or more.
        each: how many pairs of each kind.
    """
    split = [[text[start:end] for start, end in split_sentences(text)] for text in texts]
    neighbours = [(own, place) for own, sentences in enumerate(split) for place in range(len(sentences) - 1)]
    # Evenly from all the texts.
    chosen = neighbours[:: max(1, -(-len(neighbours) // each))][:each]
    found: list[Pair] = []
    for own, place in chosen:
        first, second = split[own][place], split[own][place + 1]
        other = split[(own + 1) % len(split)]
        found.append(Pair("true", first, second))
        found.append(Pair("random", first, other[(place + 1) % len(other)]))
        found.append(Pair("reversed", second, first))
    return tuple(found)


class NextSentence:
    """The task."""

    name = "next-sentence"
    attention = False
    max_batch = 16

    def run(self, bundle: ModelBundle, requests: Sequence[NextSentenceRequest]) -> list[NextSentenceResult]:
        """Judges each pair.

        Raises:
            InputInvalid: one of the two is empty.
            InputTooLong: together they have more tokens than the model reads.
        """
        clock = Clock()
        with clock.part("tokenize"):
            firsts = [require_text(request.first) for request in requests]
            seconds = [require_text(request.second) for request in requests]
            encoded = bundle.encode(firsts, seconds)
            inputs = {name: value.to(bundle.device.name) for name, value in encoded.items()}
        with clock.part("model"):
            out: Any = bundle.model(**inputs)
            logits = out.seq_relationship_logits if hasattr(out, "seq_relationship_logits") else out.logits
            # Class 0 is "follows": transformers keeps BERT's order, which surprises people.
            chances = logits.float().softmax(-1)[:, 0].cpu().tolist()
        tokens = encoded["attention_mask"].sum(-1).tolist()
        timing = clock.timing()
        return [NextSentenceResult(chance, size, timing) for chance, size in zip(chances, tokens, strict=True)]


TASK: Final = NextSentence()
