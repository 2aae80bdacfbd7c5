"""What was computed, kept for all visitors up to so many bytes; what several want at once is computed once."""

import sys
import threading
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import fields, is_dataclass
from typing import Any, Final, TypeVar, cast

import cachetools

from core.errors import TallerError, TooManyOfYours
from core.runtime.caller import LOOK_S, Withdrawn, current_caller
from core.runtime.metrics import kept, looked_up

T = TypeVar("T")

# What the tables of a cache take for an entry, besides what it holds.
_ENTRY_BYTES: Final = 512


def size_of(value: Any) -> int:
    """About how many bytes of memory ``value`` holds: arrays and tensors by their data, all else by its parts."""
    seen: set[int] = set()
    todo = [value]
    total = 0
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        data = getattr(one, "nbytes", None)
        # An array's own size counts its data only where it owns them.
        total += 256 + data if isinstance(data, int) else sys.getsizeof(one, 64)
        if isinstance(one, Mapping):
            todo += [*one.keys(), *one.values()]
        elif isinstance(one, (list, tuple, set, frozenset)):
            todo += one
        elif is_dataclass(one) and not isinstance(one, type):
            todo += [getattr(one, field.name) for field in fields(one)]
    return total


class Shelf:
    """A cache in bytes; what was used longest ago goes first. Safe to use from any thread.

    Whoever asks for what another is computing waits for it. An error is told to all who wait and is not kept; but
    if it concerns alone the one who computes (they left, or have too much waiting), the next of them computes.

    Args:
        limit: most bytes that it keeps.
        name: under which its look-ups are counted.
    """

    def __init__(self, limit: int, name: str = "readings") -> None:
        self._kept: cachetools.LRUCache[Hashable, tuple[Any, int]] = cachetools.LRUCache(
            limit, getsizeof=lambda pair: pair[1]
        )
        self._name = name
        self._lock = threading.Lock()
        self._pending: dict[Hashable, Future[Any]] = {}

    @property
    def bytes(self) -> int:
        """What is kept takes so many."""
        with self._lock:
            return int(self._kept.currsize)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was kept under ``key``, or what ``make`` gives.

        Args:
            key: what it is known by.
            make: computes it.

        Raises:
            BaseException: what ``make`` raised, here or where it was called for another.
        """
        caller = current_caller()
        while True:
            with self._lock:
                pair = self._kept.get(key)
                pending = self._pending.get(key)
                mine = pair is None and pending is None
                if mine:
                    pending = self._pending[key] = Future()
            if pair is not None:
                looked_up(self._name, True)
                return cast(T, pair[0])
            assert pending is not None
            if mine:
                looked_up(self._name, False)
                return self._make(key, make, pending)
            while True:
                try:
                    shared = pending.result(None if caller is None else LOOK_S)
                except NotYet:
                    assert caller is not None
                    caller.check()
                    continue
                except Exception as error:
                    if isinstance(error, (Withdrawn, TooManyOfYours)):
                        break
                    if isinstance(error, TallerError):
                        # One error in several threads would gather all their frames.
                        raise type(error)(*error.args) from None
                    raise
                except BaseException:  # the script of whoever computes was ended
                    break
                looked_up(self._name, True)
                return cast(T, shared)

    def _make(self, key: Hashable, make: Callable[[], T], pending: "Future[Any]") -> T:
        try:
            made = make()
            size = size_of(made) + size_of(key) + _ENTRY_BYTES
            with self._lock:
                before = int(self._kept.currsize)
                if size <= self._kept.maxsize:
                    self._kept[key] = (made, size)
                kept(self._name, int(self._kept.currsize) - before)
        except BaseException as error:
            with self._lock:
                del self._pending[key]
            pending.set_exception(error)
            raise
        with self._lock:
            del self._pending[key]
        pending.set_result(made)
        return made
