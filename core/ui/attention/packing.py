"""An ``AttentionMap`` as the bytes that travel to the browser: a JSON header and planes of whole numbers.

Layout: four bytes (``<I``) with the header's length, the header (JSON in UTF-8), zeros up to a multiple of four,
and the planes one after the other, each beginning at a multiple of four. ``header["planes"]`` says of each one
what it is, its shape, its type and where it begins, counted from the end of the padded header.

A weight w in [0, 1] is stored as ``round(m * sqrt(w))`` with m = 255 or 65535: the square root spends the levels
where attention lives (at 512 tokens an even head gives 0.002 to each, less than half a linear step of 1/255).
0 means exactly 0, that is, masked: no other weight is stored as 0. ``levels`` and ``weights_of`` undo each other
within ``step``.
"""

import hashlib
import json
import re
import struct
import weakref
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.lens.attention import AttentionMap, Token

Levels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

# Side of a thumbnail, in cells; a longer matrix is reduced to it, each cell the maximum of its block.
THUMBNAIL: Final = 48
# What a message holds besides its first layer: as many more layers as fit.
BUDGET: Final = 900_000
# A layer of at most this many bytes travels with sixteen bits a weight, a longer one with eight.
FINE_LIMIT: Final = 420_000
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
FINE: Final = 65_535
COARSE: Final = 255


def levels(weights: npt.NDArray[np.float32], top: int = COARSE) -> Levels:
    """``round(top * sqrt(w))`` of each weight, at least 1 where the weight isn't 0; same shape."""
    roots = np.sqrt(np.clip(weights, 0.0, 1.0, dtype=np.float32))
    roots *= top
    np.rint(roots, out=roots)
    whole: Levels = roots.astype(np.uint8 if top <= COARSE else np.uint16)
    # A weight too small for the scale stays apart from a masked one.
    np.maximum(whole, weights > 0, out=whole)
    return whole


def weights_of(whole: Levels, top: int = COARSE) -> npt.NDArray[np.float32]:
    """The weights that ``levels`` stand for, as the browser computes them."""
    return ((whole.astype(np.float64) / top) ** 2).astype(np.float32)


def step(weights: npt.NDArray[np.float32], top: int = COARSE) -> npt.NDArray[np.float64]:
    """Largest difference that quantizing may make at each weight."""
    half = np.sqrt(np.asarray(weights, dtype=np.float64)) / top + 0.25 / top**2
    return np.maximum(half, 1.0 / top**2)


def reduced(whole: npt.NDArray[np.uint8], side: int = THUMBNAIL) -> npt.NDArray[np.uint8]:
    """Matrices reduced to at most ``side`` × ``side`` cells, each the maximum of its block.

    Args:
        whole: ``(…, rows, columns)``.
        side: most cells a side.

    Returns:
        ``(…, min(rows, side), min(columns, side))``. Block k of n cells begins at ``k * n // side``.
    """
    rows, columns = whole.shape[-2:]
    if columns > side:
        whole = np.maximum.reduceat(whole, np.arange(side) * columns // side, axis=-1)
    if rows > side:
        whole = np.maximum.reduceat(whole, np.arange(side) * rows // side, axis=-2)
    return whole


@dataclass(slots=True)
class _Prepared:
    """What is computed once for an array of weights."""

    crc: int
    thumbnails: npt.NDArray[np.uint8]
    layers: dict[int, bytes] = field(default_factory=dict)


# By the array's id; an entry leaves when its array does, so an id can't come back as another array's.
_prepared: dict[int, _Prepared] = {}


def _prepare(weights: npt.NDArray[np.float32]) -> _Prepared:
    found = _prepared.get(id(weights))
    if found is None:
        # One layer at a time: the whole of 12 × 12 × 512² would take 600 MB on the way.
        small = np.stack([reduced(levels(layer)) for layer in weights])  # type: ignore[arg-type]
        crc = 0
        for layer in weights:
            crc = zlib.crc32(np.ascontiguousarray(layer).data, crc)
        found = _Prepared(crc, small)
        _prepared[id(weights)] = found
        weakref.finalize(weights, _prepared.pop, id(weights), None)
    return found


def _top(weights: npt.NDArray[np.float32]) -> int:
    _layers, heads, rows, columns = weights.shape
    return FINE if 2 * heads * rows * columns <= FINE_LIMIT else COARSE


def _layer_bytes(weights: npt.NDArray[np.float32], layer: int) -> bytes:
    prepared = _prepare(weights)
    if layer not in prepared.layers:
        while len(prepared.layers) > 3:
            prepared.layers.pop(next(iter(prepared.layers)), None)
        whole = levels(weights[layer], _top(weights))
        prepared.layers[layer] = whole.astype(whole.dtype.newbyteorder("<"), copy=False).tobytes()
    return prepared.layers[layer]


def identity(amap: AttentionMap) -> str:
    """A name for a map's content: the same tokens and weights have the same one."""
    prepared = _prepare(amap.weights)
    digest = hashlib.blake2b(digest_size=12)
    digest.update(repr((amap.model, amap.kind, amap.weights.shape, prepared.crc)).encode())
    digest.update(repr((amap.rows, amap.columns)).encode("utf-8", "backslashreplace"))
    digest.update(prepared.thumbnails.data)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Have:
    """What a browser says it holds of a map already.

    Attributes:
        id: the map's ``identity``; everything else counts for that map alone.
        thumbnails: whether it has them.
        layers: the layers it has whole.
        wants: the layer it asks for, if any.
        vectors: ``(layer, head)`` of the query and key vectors it has, if any.
    """

    id: str = ""
    thumbnails: bool = False
    layers: frozenset[int] = frozenset()
    wants: int | None = None
    vectors: tuple[int, int] | None = None


class Planes:
    """Collects arrays behind a header, each at a multiple of four bytes."""

    def __init__(self) -> None:
        self.index: list[dict[str, Any]] = []
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, kind: str, raw: bytes, dtype: str, shape: Sequence[int], **facts: Any) -> None:
        """Adds raw bytes of a type (``u1``, ``u2`` or ``f4``, little-endian)."""
        self.index.append({"kind": kind, "type": dtype, "shape": list(shape), "at": self.size, **facts})
        padding = -len(raw) % 4
        self.parts += [raw, b"\0" * padding]
        self.size += len(raw) + padding

    def floats(self, kind: str, values: npt.ArrayLike, **facts: Any) -> None:
        """Adds numbers as they are, with 32 bits."""
        array = np.ascontiguousarray(values, dtype="<f4")
        self.add(kind, array.tobytes(), "f4", array.shape, **facts)

    def behind(self, header: Mapping[str, Any]) -> bytes:
        """The whole message."""
        text = json.dumps({**header, "planes": self.index}, ensure_ascii=True, separators=(",", ":")).encode()
        return b"".join([struct.pack("<I", len(text)), text, b"\0" * (-len(text) % 4), *self.parts])


def add_map(
    planes: Planes,
    amap: AttentionMap,
    *,
    layer: int,
    have: Have,
    row: int | None = None,
    layers: Iterable[int] | None = None,
) -> None:
    """Adds what a browser needs to show ``layer`` of a map and doesn't have.

    Args:
        planes: where it is added.
        amap: the map.
        layer: the layer that is shown.
        have: what the browser has of this map (``id`` has been compared).
        row: a row whose weights of ``layer`` are sent unrounded as well.
        layers: exactly these layers whatever they weigh; ``None`` for ``layer`` and what fits beside it.
    """
    weights = amap.weights
    count, heads, rows, columns = weights.shape
    top = _top(weights)
    each = heads * rows * columns * (2 if top == FINE else 1)
    chosen: list[int] = []
    if layers is not None:
        chosen = list(layers)
    else:
        missing = [n for n in range(count) if n not in have.layers]
        room = BUDGET - (0 if have.thumbnails else _prepare(weights).thumbnails.size)
        # The next layers first: that is where the play button goes.
        for n in sorted(missing, key=lambda n: (n - layer) % count):
            if n == layer or each <= room:
                chosen.append(n)
                room -= each
    if not have.thumbnails and len(chosen) < count:
        small = _prepare(weights).thumbnails
        planes.add("thumbnails", small.tobytes(), "u1", small.shape)
    for n in chosen:
        dtype = "u2" if top == FINE else "u1"
        planes.add("layer", _layer_bytes(weights, n), dtype, (heads, rows, columns), layer=n)
    if row is not None and top != FINE:
        planes.floats("row", weights[layer, :, row, :], layer=layer, row=row)


def token_lists(tokens: Sequence[Token]) -> list[list[Any]]:
    """``[text, segment, special, word, continues]`` of each token; a lone surrogate becomes U+FFFD."""
    return [[_SURROGATE.sub("\ufffd", t.text), t.segment, int(t.special), t.word, int(t.continues)] for t in tokens]
