"""What each head does, in numbers: entropy, distance, where its attention goes, and the pattern that this makes it.

After Clark et al. 2019, "What Does BERT Look at?", section 3, and Kovaleva et al. 2019, "Revealing the Dark Secrets
of BERT". Rows of special tokens don't count: they are nobody's words, and look mostly at themselves. Nor does the
first row of a decoder, which sees nothing but itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from core.lens.attention import AttentionMap

Doubles = npt.NDArray[np.float64]
Pattern = Literal["previous", "next", "itself", "first", "separators", "near", "broad", "mixed"]

# A head belongs to a place (previous, next, itself, first, separators) that gets at least this share of its attention.
PLACE_SHARE: Final = 0.5
# Else it looks broadly if its entropy is this share of the most there can be.
BROAD_EVENNESS: Final = 0.8
# Else it looks near if tokens at most NEAR_DISTANCE away, itself included, get this share.
NEAR_SHARE: Final = 0.75
NEAR_DISTANCE: Final = 2
# A token is a sink if it gets this share of all attention …
SINK_SHARE: Final = 0.15
# … and as many times what it would get if attention were spread evenly.
SINK_TIMES: Final = 3.0

PATTERNS: Final[tuple[Pattern, ...]] = (
    "previous", "next", "itself", "first", "separators", "broad", "near", "mixed",
)  # fmt: skip
_PLACES: Final[tuple[Pattern, ...]] = ("previous", "next", "itself", "first", "separators")


@dataclass(frozen=True)
class HeadStatistics:
    """Numbers of all heads; each array has the shape ``(layers, heads)``.

    Attributes:
        entropy: of a row's weights, in bits, the mean over rows.
        evenness: entropy over the most there can be, log₂ of the tokens in sight, from 0 to 1.
        distance: |i - j| weighted by attention, in tokens, the mean over rows; 0 for cross-attention.
        itself: share that goes to the token itself, from 0 to 1; 0 for cross-attention.
        previous: to the token before.
        next: to the token after.
        first: to the first token of all if it is a special one ([CLS], <s>), or if the stack is a decoder.
        separators: to the other special tokens ([SEP], </s>).
        near: to tokens at most ``NEAR_DISTANCE`` away, itself included.
        rows: how many rows the means are over (one number).
    """

    entropy: Doubles
    evenness: Doubles
    distance: Doubles
    itself: Doubles
    previous: Doubles
    next: Doubles
    first: Doubles
    separators: Doubles
    near: Doubles
    rows: int

    def pattern(self, layer: int, head: int) -> tuple[Pattern, float]:
        """The class of a head, and the number that makes it so."""
        places = {name: float(getattr(self, name)[layer, head]) for name in _PLACES}
        best = max(places, key=places.__getitem__)
        if places[best] >= PLACE_SHARE:
            return best, places[best]
        near, even = float(self.near[layer, head]), float(self.evenness[layer, head])
        if even >= BROAD_EVENNESS:
            return "broad", even
        if near >= NEAR_SHARE:
            return "near", near
        return "mixed", places[best]


def _rows_that_count(amap: AttentionMap) -> list[int]:
    everything = list(range(1 if amap.kind == "decoder" and len(amap.rows) > 1 else 0, len(amap.rows)))
    return [index for index in everything if not amap.rows[index].special] or everything


def head_statistics(amap: AttentionMap) -> HeadStatistics:
    """Measures all heads on one text."""
    chosen = _rows_that_count(amap)
    whole = amap.weights.astype(np.float64)
    rows = whole[:, :, chosen]  # (layers, heads, own rows, columns)
    bits = -np.where(rows > 0, rows * np.log2(np.where(rows > 0, rows, 1.0)), 0.0).sum(-1)
    columns = np.arange(len(amap.columns))
    self_attention = amap.kind != "cross"
    seen = np.array(chosen) + 1 if amap.kind == "decoder" else np.full(len(chosen), len(columns))
    several = seen > 1
    evenness = (bits[..., several] / np.log2(seen[several])).mean(-1) if several.any() else np.zeros(rows.shape[:2])
    zeros = np.zeros(rows.shape[:2])
    first = zeros
    if amap.columns[0].special or amap.kind == "decoder":
        first = rows[..., 0].mean(-1)
    marks = [index for index, token in enumerate(amap.columns) if token.special and index]
    separators = rows[..., marks].sum(-1).mean(-1) if marks else zeros
    if not self_attention:
        return HeadStatistics(
            bits.mean(-1), evenness, zeros, zeros, zeros, zeros, first, separators, zeros, len(chosen)
        )
    gaps = np.abs(columns[None, :] - np.array(chosen)[:, None])  # (own rows, columns)

    def at(offset: int) -> Doubles:
        places = [(row, index + offset) for row, index in enumerate(chosen) if 0 <= index + offset < len(columns)]
        if not places:
            return zeros
        which, where = zip(*places, strict=True)
        mean: Doubles = rows[:, :, list(which), list(where)].mean(-1)
        return mean

    return HeadStatistics(
        entropy=bits.mean(-1),
        evenness=evenness,
        distance=(rows * gaps).sum(-1).mean(-1),
        itself=at(0),
        previous=at(-1),
        next=at(1),
        first=first,
        separators=separators,
        near=(rows * (gaps <= NEAR_DISTANCE)).sum(-1).mean(-1),
        rows=len(chosen),
    )


def pooled(parts: Sequence[HeadStatistics]) -> HeadStatistics:
    """The means over several texts, each text counting by its rows."""
    total = sum(part.rows for part in parts)
    means = {
        item.name: sum(getattr(part, item.name) * (part.rows / total) for part in parts)
        for item in fields(HeadStatistics)
        if item.name != "rows"
    }
    return HeadStatistics(**means, rows=total)


# --- looking for heads ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeadLink:
    """How much one head links two words: there, from the row to the column, and back (0 where it can't see it)."""

    layer: int
    head: int
    there: float
    back: float

    @property
    def most(self) -> float:
        """The stronger of the two."""
        return max(self.there, self.back)


def rank_heads(amap: AttentionMap, row: Sequence[int], column: Sequence[int]) -> list[HeadLink]:
    """All heads, from the one that most links two words to the one that least does.

    Args:
        amap: the weights.
        row: the tokens of the first word, as indexes of the rows.
        column: the tokens of the second, as indexes of the columns.

    Returns:
        For each head the attention from one word to the other, both ways where both are rows and columns: the mean
        over the looking word's pieces of the sum over the other's.
    """
    there = amap.weights[:, :, list(row)][..., list(column)].sum(-1).mean(-1)
    back = np.zeros_like(there)
    if amap.kind != "cross":
        back = amap.weights[:, :, list(column)][..., list(row)].sum(-1).mean(-1)
    links = [
        HeadLink(layer, head, float(there[layer, head]), float(back[layer, head]))
        for layer in range(amap.layers)
        for head in range(amap.heads)
    ]
    return sorted(links, key=lambda link: -link.most)


@dataclass(frozen=True, slots=True)
class Sink:
    """A token that takes much of the attention of all.

    Attributes:
        column: its index.
        share: of all attention, the mean over layers, heads and rows, from 0 to 1.
        even: what it would get if each row spread its attention evenly over what it sees.
        heads: in how many heads it gets more than half.
    """

    column: int
    share: float
    even: float
    heads: int


def sinks(amap: AttentionMap) -> list[Sink]:
    """The attention sinks of a text, the largest first (Xiao et al. 2024, "Efficient Streaming Language Models").

    A sink gets at least ``SINK_SHARE`` of all attention, ``SINK_TIMES`` its even part, and some row that is not
    itself can see it. In short texts, where the even part is large, there may be none.
    """
    chosen = _rows_that_count(amap)
    rows = amap.weights[:, :, chosen].astype(np.float64)
    each = rows.mean(2)  # (layers, heads, columns)
    share = each.mean((0, 1))
    count = len(amap.columns)
    even = np.full(count, 1 / count)
    if amap.kind == "decoder":
        visible = np.tril(np.ones((len(amap.rows), count)))
        even = (visible / visible.sum(-1, keepdims=True))[chosen].mean(0)
    found = [
        Sink(column, float(share[column]), float(even[column]), int((each[..., column] > 0.5).sum()))
        for column in range(count)
        if share[column] >= SINK_SHARE and share[column] >= SINK_TIMES * even[column]
    ]
    return sorted(found, key=lambda sink: -sink.share)
