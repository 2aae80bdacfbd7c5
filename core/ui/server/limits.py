"""How much one address may have open, and how fast it may open more."""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Limit = Literal["sessions", "openings"]

# Addresses whose haste is remembered. Whoever has more of them than this needs a wall of another kind.
_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class _Bucket:
    left: float
    when: float


class Visitors:
    """Counts open pages and openings by address; safe to use from any thread.

    Args:
        at_once: most pages that one address may have open; 0 for any number.
        a_minute: most openings in a minute, spread evenly once they are used up; 0 for any number.
        clock: seconds that never go back.
    """

    def __init__(self, at_once: int, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._at_once = at_once
        self._a_minute = a_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    @property
    def sessions(self) -> int:
        """Pages that are open now."""
        with self._lock:
            return self._open.total()

    @property
    def addresses(self) -> int:
        """Addresses that have a page open."""
        with self._lock:
            return len(self._open)

    def full(self, who: str) -> bool:
        """Whether ``who`` has as many pages open as it may."""
        with self._lock:
            return self._is_full(who)

    def _is_full(self, who: str) -> bool:
        return bool(self._at_once) and self._open[who] >= self._at_once

    def hasty(self, who: str) -> bool:
        """Counts an opening; whether it was one too many."""
        if not self._a_minute:
            return False
        with self._lock:
            now = self._clock()
            bucket = self._buckets.pop(who, None) or _Bucket(float(self._a_minute), now)
            bucket.left = min(self._a_minute, bucket.left + (now - bucket.when) * self._a_minute / 60)
            bucket.when = now
            self._buckets[who] = bucket
            while len(self._buckets) > _REMEMBERED:
                self._buckets.popitem(last=False)
            if bucket.left < 1:
                return True
            bucket.left -= 1
            return False

    def enter(self, who: str) -> Limit | None:
        """Opens a page for ``who``; what stands in the way, or ``None`` if it is open. Then ``leave`` must follow."""
        if self.hasty(who):
            return "openings"
        with self._lock:
            if self._is_full(who):
                return "sessions"
            self._open[who] += 1
            return None

    def leave(self, who: str) -> None:
        """Closes a page that ``enter`` opened."""
        with self._lock:
            self._open[who] -= 1
            if self._open[who] <= 0:
                del self._open[who]
