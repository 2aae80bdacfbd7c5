"""One word in several sentences: its static vector, which is always the same, and its contextual ones, layer by layer.

Ethayarajh 2019, "How Contextual are Contextualized Word Representations?": the cosine of a word's vectors in
different sentences has to be read against that of any two tokens of the same layer, as upper layers squeeze all
vectors into a narrow cone (anisotropy). Both are measured here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from core.errors import InputInvalid, InputTooLong
from core.i18n import format_number
from core.i18n import gettext as _
from core.lens.attention import Token, word_groups
from core.lens.attention_inputs import read_source
from core.lens.embeddings import anatomy, as_array, hidden_states
from core.lens.embeddings_positions import cosines
from core.runtime.bundle import ModelBundle

MAX_SENTENCES: Final = 24
_MOST_TOKENS: Final = 600

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ContextRequest:
    """A word, and sentences that hold it."""

    word: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the word stands: the sentence, its text there, and its tokens as places in ``ContextVectors.tokens``."""

    sentence: int
    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ContextVectors:
    """All vectors of some sentences.

    Attributes:
        places: each occurrence of the word, in the order of the sentences.
        tokens: of all sentences, one after the other.
        sentence_of: the sentence of each token.
        static: ``(tokens, width)``: the row of the vocabulary's table.
        layers: ``(layers + 1, tokens, hidden)``: the input of the first layer, and the output of each.
        causal: whether a token sees only what stands before it.
    """

    places: tuple[Place, ...]
    tokens: tuple[Token, ...]
    sentence_of: tuple[int, ...]
    static: Matrix
    layers: Matrix
    causal: bool

    def at(self, layer: int | None) -> Matrix:
        """The word's vectors, ``(occurrences, width)``, a mean over its pieces; ``None`` for the static ones."""
        table = self.static if layer is None else self.layers[layer]
        return np.stack([table[list(place.tokens)].mean(axis=0) for place in self.places])

    def background(self, layer: int | None) -> float:
        """The mean cosine of two tokens of different sentences that are different pieces: what "alike" begins at."""
        table = self.static if layer is None else self.layers[layer]
        plain = [at for at, token in enumerate(self.tokens) if not token.special]
        between = cosines(table[plain])
        sentence = np.array([self.sentence_of[at] for at in plain])
        piece = np.array([self.tokens[at].piece for at in plain])
        apart = (sentence[:, None] != sentence[None]) & (piece[:, None] != piece[None])
        return float(between[apart].mean()) if apart.any() else 0.0


@dataclass(frozen=True, slots=True)
class Separation:
    """How well the vectors of one layer tell senses apart.

    Attributes:
        same: mean cosine of two occurrences of one sense; ``nan`` if there are no such pairs.
        different: mean cosine of two occurrences of different senses.
        nearest: share of occurrences whose nearest other one (by cosine) has the same sense, among those that have
            another of their sense.
    """

    same: float
    different: float
    nearest: float


def separation(vectors: Matrix, senses: Sequence[str]) -> Separation:
    """Measures how vectors ``(n, width)`` group by sense."""
    between = cosines(vectors).astype(np.float64)
    labels = np.array(senses)
    alike = labels[:, None] == labels[None]
    upper = np.triu(np.ones_like(alike), 1).astype(bool)
    same, different = between[alike & upper], between[~alike & upper]
    np.fill_diagonal(between, -np.inf)
    # Static vectors are all equal: of those that tie, each counts its part, so that this gives what chance gives.
    hits = []
    for at in np.flatnonzero(alike.sum(axis=1) > 1):
        tied = between[at] > between[at].max() - 1e-6
        hits.append(float(alike[at][tied].mean()))
    mean = float(np.mean(hits)) if hits else float("nan")
    return Separation(
        float(same.mean()) if same.size else float("nan"),
        float(different.mean()) if different.size else float("nan"),
        mean,
    )


class ReadContexts:
    """The task."""

    name = "contextual-vectors"
    attention = False
    max_batch = 1

    def run(self, bundle: ModelBundle, requests: Sequence[ContextRequest]) -> list[ContextVectors]:
        """The vectors of each request.

        Raises:
            InputInvalid: no word, fewer than two sentences, or one without the word.
            InputTooLong: more than ``MAX_SENTENCES``, or too many tokens in one or in all.
            ModelUnavailable: a family that isn't known here.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: ContextRequest) -> ContextVectors:
        word = request.word.strip().casefold()
        if not word:
            raise InputInvalid(_("Escribe la palabra que quieres seguir de frase en frase."))
        if len(request.sentences) < 2:
            raise InputInvalid(_("Escribe al menos dos frases con la palabra, una por línea."))
        if len(request.sentences) > MAX_SENTENCES:
            raise InputTooLong(
                _("Hay {n} frases y aquí caben {limit}. Quita algunas.").format(
                    n=format_number(len(request.sentences)), limit=format_number(MAX_SENTENCES)
                )
            )
        found = anatomy(bundle)
        places: list[Place] = []
        tokens: list[Token] = []
        sentence_of: list[int] = []
        static: list[Matrix] = []
        layers: list[Matrix] = []
        missing: list[str] = []
        for number, sentence in enumerate(request.sentences):
            read, ids, segments = read_source(bundle, sentence)
            base = len(tokens)
            groups = [group for group in word_groups(read) if not read[group[0]].special]
            here = [
                (group, sentence[read[group[0]].start : read[group[-1]].end].strip())
                for group in groups
                if sentence[read[group[0]].start : read[group[-1]].end].strip().casefold() == word
            ]
            if not here:
                missing.append(str(number + 1))
            places += [Place(number, text, tuple(base + at for at in group)) for group, text in here]
            tokens += read
            if len(tokens) > _MOST_TOKENS:
                raise InputTooLong(
                    _("Entre todas, las frases pasan de {limit} tokens. Acórtalas o quita algunas.").format(
                        limit=format_number(_MOST_TOKENS)
                    )
                )
            sentence_of += [number] * len(read)
            weight = found.word.weight
            static.append(as_array(weight[ids[0].to(weight.device)]))
            layers.append(np.stack([as_array(state[0]) for state in hidden_states(found, ids, segments)]))
        if missing:
            raise InputInvalid(
                _(
                    "La palabra «{word}» no está, tal cual y entera, en estas frases: {numbers}. Cámbialas o quítalas."
                ).format(word=request.word.strip(), numbers=", ".join(missing))
            )
        return ContextVectors(
            tuple(places),
            tuple(tokens),
            tuple(sentence_of),
            np.concatenate(static),
            np.concatenate(layers, axis=1),
            bundle.entry.architecture == "decoder",
        )


TASK: Final = ReadContexts()
