"""From a vector for each token to one for the sentence: [CLS], the mean, the last token, or no layers at all.

Measured as search: each sentence has to find its paraphrase among those of all others. Reimers & Gurevych 2019,
"Sentence-BERT", section 4: BERT without fine-tuning does worse on similarity than averaged GloVe vectors,
[CLS] worst of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from core.errors import InputInvalid, InputTooLong
from core.i18n import format_number
from core.i18n import gettext as _
from core.lens.attention_inputs import read_source
from core.lens.embeddings import anatomy, as_array, hidden_states
from core.runtime.bundle import ModelBundle

Pooling = Literal["mean", "cls", "last", "static"]
POOLINGS: Final[tuple[Pooling, ...]] = ("mean", "cls", "last", "static")
MAX_PAIRS: Final = 40


@dataclass(frozen=True, slots=True)
class PoolingRequest:
    """Pairs of sentences that mean the same."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How well one way to pool finds the paraphrases.

    Attributes:
        pooling: which way.
        matrix: ``(pairs, pairs)``: cosine of the first sentence of pair i and the second of pair j.
        ranks: the place of each true partner among all candidates; 1 is found at once.
        first: share of sentences whose partner is the nearest (recall@1).
        reciprocal: mean of 1/rank (MRR).
        pairs: mean cosine of the pairs.
        others: mean cosine of all that are none.
        above: chance that a pair is nearer than one that is none (area under the ROC curve); 0.5 is guessing.
    """

    pooling: Pooling
    matrix: npt.NDArray[np.float32]
    ranks: tuple[int, ...]
    first: float
    reciprocal: float
    pairs: float
    others: float
    above: float


def retrieval(pooling: Pooling, queries: npt.NDArray[np.float32], answers: npt.NDArray[np.float32]) -> Retrieval:
    """Measures the search for row i of ``answers`` with row i of ``queries``; both ``(pairs, width)``."""
    unit_q = queries / np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-12)
    unit_a = answers / np.maximum(np.linalg.norm(answers, axis=1, keepdims=True), 1e-12)
    matrix = np.clip(unit_q @ unit_a.T, -1, 1).astype(np.float32)
    own = matrix.diagonal()
    # A tie counts against: what can't be told apart wasn't found.
    ranks = tuple(int((row >= row[at]).sum()) for at, row in enumerate(matrix))
    rest = matrix[~np.eye(len(matrix), dtype=bool)]
    above = float((own[:, None] > rest[None]).mean() + 0.5 * (own[:, None] == rest[None]).mean())
    return Retrieval(
        pooling,
        matrix,
        ranks,
        float(np.mean([rank == 1 for rank in ranks])),
        float(np.mean([1 / rank for rank in ranks])),
        float(own.mean()),
        float(rest.mean()),
        above,
    )


class ComparePooling:
    """The task."""

    name = "pooling"
    attention = False
    max_batch = 1

    def run(self, bundle: ModelBundle, requests: Sequence[PoolingRequest]) -> list[tuple[Retrieval, ...]]:
        """One measurement a way to pool that the model has, for each request.

        Raises:
            InputInvalid: fewer than three pairs, or an empty sentence.
            InputTooLong: more than ``MAX_PAIRS``, or a sentence with too many tokens.
            ModelUnavailable: a family that isn't known here.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: PoolingRequest) -> tuple[Retrieval, ...]:
        if len(request.pairs) < 3:
            raise InputInvalid(_("Hacen falta al menos tres parejas de frases, una pareja por línea."))
        if len(request.pairs) > MAX_PAIRS:
            raise InputTooLong(
                _("Hay {n} parejas y aquí caben {limit}. Quita algunas.").format(
                    n=format_number(len(request.pairs)), limit=format_number(MAX_PAIRS)
                )
            )
        found = anatomy(bundle)
        sides: dict[Pooling, list[list[npt.NDArray[np.float32]]]] = {}
        for pair in request.pairs:
            for side, sentence in enumerate(pair):
                tokens, ids, segments = read_source(bundle, sentence)
                last = as_array(hidden_states(found, ids, segments)[-1][0])  # (tokens, hidden)
                weight = found.word.weight
                words = as_array(weight[ids[0].to(weight.device)])
                plain = [at for at, token in enumerate(tokens) if not token.special] or list(range(len(tokens)))
                vectors: dict[Pooling, npt.NDArray[np.float32]] = {"mean": last.mean(0), "static": words[plain].mean(0)}
                if bundle.entry.architecture == "encoder" and tokens[0].special:
                    vectors["cls"] = last[0]
                if bundle.entry.architecture == "decoder":
                    vectors["last"] = last[-1]
                for name, vector in vectors.items():
                    sides.setdefault(name, [[], []])[side].append(vector)
        return tuple(
            retrieval(name, np.stack(sides[name][0]), np.stack(sides[name][1])) for name in POOLINGS if name in sides
        )


TASK: Final = ComparePooling()
