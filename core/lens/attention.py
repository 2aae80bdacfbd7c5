"""Attention: the types that everything about it shares.

``attention_reading`` computes the weights, ``attention_forms`` makes other matrices of them (words, rollout …),
``attention_heads`` says what each head does, ``attention_trace`` gives the vectors behind them,
``attention_hiding`` tries what happens without a token.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["encoder", "decoder", "cross"]

# Longest input of the page: 12 layers × 12 heads × 512² float32 weights take 151 MB.
MAX_TOKENS: Final = 512


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

    def __post_init__(self) -> None:
        """Checks the shape: a matrix beside the wrong tokens would be believed."""
        if self.weights.ndim != 4 or self.weights.shape[2:] != (len(self.rows), len(self.columns)):
            raise ValueError(f"weights {self.weights.shape} for {len(self.rows)} × {len(self.columns)} tokens")

    @property
    def layers(self) -> int:
        """How many layers."""
        return int(self.weights.shape[0])

    @property
    def heads(self) -> int:
        """How many heads a layer."""
        return int(self.weights.shape[1])


def word_groups(tokens: tuple[Token, ...]) -> list[tuple[int, ...]]:
    """The indexes of the tokens of each word, in order; a special token stands alone."""
    groups: list[list[int]] = []
    last: tuple[int, int] | None = None
    for index, token in enumerate(tokens):
        word = None if token.special else (token.segment, token.word)
        if word is not None and word == last:
            groups[-1].append(index)
        else:
            groups.append([index])
        last = word
    return [tuple(group) for group in groups]
