"""Attention maps made by hand, of a known size and pattern, for the tests and benchmarks of the attention view."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.lens.attention import AttentionMap, Kind, Token

SENTENCE = "The animal didn't cross the street because it was too tired"


def tokens_of(words: list[str], special: bool = True, segment: int = 0) -> list[Token]:
    """One token a word, between [CLS] and [SEP] if wanted; a word that begins with ## continues the one before."""
    out = [Token("[CLS]", "[CLS]", 0, 0, segment, True, -1, False)] if special and not segment else []
    start, number = 0, -1
    for word in words:
        joined = word.startswith("##")
        number += not joined
        text = word.removeprefix("##")
        out.append(Token(text, word, start, start + len(text), segment, False, number, joined))
        start += len(text) + (not joined)
    if special:
        out.append(Token("[SEP]", "[SEP]", 0, 0, segment, True, -1, False))
    return out


def weights_of_vectors(query: Any, key: Any, causal: bool) -> npt.NDArray[np.float32]:
    """The softmax of scaled products, over the last axis."""
    scores = query @ np.swapaxes(key, -1, -2) / np.sqrt(query.shape[-1])
    if causal:
        scores = np.where(np.tri(scores.shape[-2], scores.shape[-1], dtype=bool), scores, -np.inf)
    scores -= scores.max(-1, keepdims=True)
    powers = np.exp(scores)
    return (powers / powers.sum(-1, keepdims=True)).astype(np.float32)


def vectors(layers: int, heads: int, rows: int, columns: int, size: int = 32) -> tuple[Any, Any]:
    """Queries and keys whose heads look back, ahead, at themselves, at the first token, or all over the place."""
    rng = np.random.default_rng(7)
    places = rng.normal(size=(max(rows, columns) + 4, size))
    query = np.empty((layers, heads, rows, size))
    key = np.empty((layers, heads, columns, size))
    for layer in range(layers):
        for head in range(heads):
            shift = (0, -1, 1, -2)[(layer + head) % 4]
            sharp = (0.4, 1.4, 2.2)[(layer * 5 + head) % 3]
            own = np.roll(places, -shift, axis=0)
            query[layer, head] = sharp * own[:rows] + 0.5 * rng.normal(size=(rows, size))
            key[layer, head] = sharp * places[:columns] + 0.5 * rng.normal(size=(columns, size))
            if head % 5 == 3:
                key[layer, head, 0] = query[layer, head].mean(0) * 6
    return query.astype(np.float32), key.astype(np.float32)


def demo_map(
    words: str = "",
    tokens: str = "",
    layers: str = "4",
    heads: str = "12",
    kind: Kind = "encoder",
    pair: str = "",
) -> AttentionMap:
    """A map from the strings of an address: words apart by spaces, or so many tokens of the example sentence."""
    chosen = words.split(" ") if words else SENTENCE.split(" ")
    special = kind != "decoder"
    if tokens:
        wanted = int(tokens) - (2 if special else 0)
        chosen = (chosen * (wanted // len(chosen) + 1))[:wanted]
    rows = tokens_of(chosen, special)
    if pair:
        rows += tokens_of(pair.split(" "), special, 1)
    columns = tokens_of(["Das", "Tier", "war", "müde"]) if kind == "cross" else rows
    query, key = vectors(int(layers), int(heads), len(rows), len(columns))
    shared = tuple(rows)
    return AttentionMap(
        "demo",
        kind,
        shared,
        shared if columns is rows else tuple(columns),
        weights_of_vectors(query, key, kind == "decoder"),
    )


def random_map(layers: int, heads: int, tokens: int) -> AttentionMap:
    """A map of random weights whose rows sum to 1."""
    raw = np.random.default_rng(0).random((layers, heads, tokens, tokens), dtype=np.float32)
    raw /= raw.sum(-1, keepdims=True)
    shared = tuple(tokens_of([f"tok{n}" for n in range(tokens)], special=False))
    return AttentionMap("random", "encoder", shared, shared, raw)


@dataclass(frozen=True)
class VectorsOfDemo:
    """The vectors that a ``demo_map`` was made of."""

    amap: AttentionMap
    layer: int
    head: int

    @property
    def _both(self) -> tuple[Any, Any]:
        layers, heads, rows, columns = self.amap.weights.shape
        return vectors(layers, heads, rows, columns)

    @property
    def query(self) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = self._both[0][self.layer, self.head]
        return found

    @property
    def key(self) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = self._both[1][self.layer, self.head]
        return found

    @property
    def scale(self) -> float:
        return float(1 / np.sqrt(self.query.shape[1]))

    @property
    def bias(self) -> npt.NDArray[np.float32] | None:
        if self.amap.kind != "decoder":
            return None
        size = len(self.amap.rows)
        return np.where(np.tri(size, dtype=bool), 0, -np.inf).astype(np.float32)


def captions_for(amap: AttentionMap, language: str = "es") -> list[list[str]]:
    """A sentence a head: how much it looks at the token before."""
    before = np.diagonal(amap.weights, -1, -2, -1).mean(-1)
    text = "mira al token anterior: {}" if language == "es" else "looks at the previous token: {}"
    return [[text.format(f"{value:.2f}") for value in layer] for layer in before]
