"""What was computed, kept for all visitors up to so many bytes."""

import threading
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast

import cachetools
import numpy as np

from core.lens.attention import AttentionMap
from core.lens.attention_reading import Reading
from core.lens.attention_trace import HeadVectors

T = TypeVar("T")


def _size(value: Any) -> int:
    if isinstance(value, Reading):
        return _size(value.map)
    if isinstance(value, AttentionMap):
        return int(value.weights.nbytes) + 4096
    inner = getattr(value, "values", None)
    if isinstance(inner, np.ndarray):
        return int(inner.nbytes) + 4096
    if isinstance(value, HeadVectors):
        return int(value.query.nbytes + value.key.nbytes) + (0 if value.bias is None else int(value.bias.nbytes))
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    held = [getattr(value, field.name) for field in fields(value)] if is_dataclass(value) else []
    return 16_384 + sum(int(item.nbytes) for item in held if isinstance(item, np.ndarray))


class Shelf:
    """A cache in bytes; whoever asks for what another is computing waits for it."""

    def __init__(self, limit: int) -> None:
        self._kept: cachetools.LRUCache[Hashable, Any] = cachetools.LRUCache(limit, getsizeof=_size)
        self._lock = threading.Lock()
        self._busy: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was kept under ``key``, or what ``make`` gives. An error is not kept."""
        with self._lock:
            if key in self._kept:
                return cast(T, self._kept[key])
            own = self._busy.setdefault(key, threading.Lock())
        with own:
            with self._lock:
                if key in self._kept:
                    return cast(T, self._kept[key])
            try:
                made = make()
                with self._lock:
                    if _size(made) <= self._kept.maxsize:
                        self._kept[key] = made
                return made
            finally:
                with self._lock:
                    self._busy.pop(key, None)
