"""How alike positions are: learnt vectors, the sines and cosines of the first transformer, and RoPE's turns.

Wang & Chen 2020, "What Do Position Embeddings Learn?", draw the cosine of every two position vectors: models that
learnt them have a bright diagonal, near positions resembling one another. Vaswani et al. 2017, section 3.5, give the
fixed vectors; Su et al. 2021, "RoFormer", the rotation that needs none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.lens.embeddings import PositionKind, anatomy, as_array
from core.runtime.bundle import ModelBundle


@dataclass(frozen=True, slots=True)
class PositionRequest:
    """How many positions, from the first; models with fewer give all they have."""

    count: int


@dataclass(frozen=True, slots=True)
class PositionVectors:
    """The position vectors of a model, or the turns that it uses instead.

    Attributes:
        kind: how the model knows the order.
        vectors: ``(positions, width)``; empty for models without.
        frequencies: RoPE's angle per position of each pair of dimensions, in radians; empty for all others.
        table: rows and columns of the table; ``(0, 0)`` without one.
        first_row: the row of the first position.
        path: attributes that lead from the stack to the table; empty without one.
        paired: whether the stack is the encoder of an encoder-decoder.
    """

    kind: PositionKind
    vectors: npt.NDArray[np.float32]
    frequencies: npt.NDArray[np.float32]
    table: tuple[int, int]
    first_row: int
    path: str
    paired: bool


def sinusoids(count: int, width: int) -> npt.NDArray[np.float32]:
    """The fixed vectors of Vaswani et al. 2017: ``(count, width)``, sine in even dimensions, cosine in odd ones."""
    rates = 10000.0 ** (-2 * np.arange((width + 1) // 2) / width)
    angles = np.arange(count)[:, None] * rates
    vectors = np.zeros((count, width))
    vectors[:, 0::2] = np.sin(angles)
    vectors[:, 1::2] = np.cos(angles[:, : width // 2])
    return vectors.astype(np.float32)


def cosines(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The cosine of every two rows: ``(n, width)`` → ``(n, n)``; a row of zeros is like nothing, not even itself."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    found: npt.NDArray[np.float32] = np.clip(unit @ unit.T, -1, 1).astype(np.float32)
    return found


def rotary_similarity(frequencies: npt.NDArray[np.float32], distances: Sequence[int]) -> npt.NDArray[np.float64]:
    """What RoPE leaves of the product of two equal vectors, by how far apart they stand.

    For vectors whose pairs of dimensions are all of one length it is the mean of cos(mθᵢ): 1 at distance 0 (Su et
    al. 2021, section 3.4.3, of which this is the case of equal vectors).
    """
    apart = np.asarray(distances, dtype=np.float64)
    left: npt.NDArray[np.float64] = np.cos(apart[:, None] * frequencies.astype(np.float64)).mean(axis=1)
    return left


class ReadPositions:
    """The task."""

    name = "position-vectors"
    attention = False
    max_batch = 8

    def run(self, bundle: ModelBundle, requests: Sequence[PositionRequest]) -> list[PositionVectors]:
        """The position vectors of each request.

        Raises:
            ModelUnavailable: a family that isn't known here.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: PositionRequest) -> PositionVectors:
        found = anatomy(bundle)
        empty = np.zeros((0, 0), dtype=np.float32)
        paired = bool(getattr(bundle.model.config, "is_encoder_decoder", False))
        if found.position is None:
            turns = np.zeros(0, dtype=np.float32)
            if found.position_kind == "rotary":
                rotary: Any = found.stack.rotary_emb
                turns = as_array(rotary.inv_freq)
            return PositionVectors(found.position_kind, empty, turns, (0, 0), 0, "", paired)
        padding = getattr(found.holder, "padding_idx", None)
        counted = hasattr(found.holder, "create_position_ids_from_input_ids") and padding is not None
        first = int(padding) + 1 if counted and padding is not None else found.offset
        weight = found.position.weight
        return PositionVectors(
            found.position_kind,
            as_array(weight[first : first + request.count]),
            np.zeros(0, dtype=np.float32),
            (int(weight.shape[0]), int(weight.shape[1])),
            first,
            found.paths["position"],
            paired,
        )


TASK: Final = ReadPositions()
