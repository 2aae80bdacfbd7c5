"""Attention of any model of the catalogue: what it looked at when it read one or two texts."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["encoder", "decoder", "cross"]


@dataclass(frozen=True, slots=True)
class Token:
    """One row or column of an attention matrix.

    Attributes:
        text: as shown: the piece without its marker; special tokens as they are.
        piece: the piece as the vocabulary writes it.
        start: first code point in its text; 0 for special tokens.
        end: code point after the last one; 0 for special tokens.
        segment: 0 for the first text, 1 for the second.
        special: whether the model's format added it (``[CLS]``, ``</s>`` …).
        word: index of its word within its segment; -1 for special tokens.
        continues: whether it goes on with the word of the token before.
    """

    text: str
    piece: str
    start: int
    end: int
    segment: int
    special: bool
    word: int
    continues: bool


@dataclass(frozen=True, slots=True)
class AttentionMap:
    """The attention weights of all layers and heads of one stack.

    Attributes:
        model: catalogue key.
        kind: self-attention of an encoder, masked self-attention of a decoder, or cross-attention.
        rows: the queries: who looks.
        columns: the keys: who is looked at; the same tuple as ``rows`` but in ``"cross"``.
        weights: ``(layers, heads, rows, columns)``; each row sums to 1, and what is masked is exactly 0.
    """

    model: str
    kind: Kind
    rows: tuple[Token, ...]
    columns: tuple[Token, ...]
    weights: npt.NDArray[np.float32]
