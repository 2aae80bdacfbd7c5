"""What a task says while it works: items that go from an engine's worker to the page, and a stop that goes back.

The reader polls. When it says stop, or has not polled for a while because the visitor left, the writer's next
``put`` raises ``Stopped``: nothing is computed for nobody.
"""

import threading
import time
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")

ABANDONED_S: Final = 10.0


class Stopped(Exception):  # not an error: somebody wanted it
    """The reader wants no more."""


class Stream(Generic[Item]):
    """A channel between two threads.

    Args:
        abandoned_s: seconds without a poll after which the reader counts as gone.
    """

    def __init__(self, abandoned_s: float = ABANDONED_S) -> None:
        self._abandoned_s = abandoned_s
        self._items: list[Item] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._seen = time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether the reader said stop, or is gone; for work that hands nothing on until its end."""
        return self._stop.is_set() or time.monotonic() - self._seen > self._abandoned_s

    def put(self, item: Item) -> None:
        """Hands an item on.

        Raises:
            Stopped: the reader said so, or is gone.
        """
        if self.stopped:
            raise Stopped
        with self._lock:
            self._items.append(item)

    def clear(self) -> None:
        """Takes back all items: whoever writes begins anew."""
        with self._lock:
            self._items.clear()

    def __reduce__(self) -> tuple[type["Stream[Item]"], tuple[float]]:
        # To another process it goes as a new one; whoever carries it there connects the two.
        return type(self), (self._abandoned_s,)

    def poll(self) -> list[Item]:
        """All items so far, and a sign of life."""
        self._seen = time.monotonic()
        with self._lock:
            return list(self._items)

    def stop(self) -> None:
        """No more, please."""
        self._stop.set()
