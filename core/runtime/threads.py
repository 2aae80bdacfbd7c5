"""Threads that never come to life: whoever began one would wait for it forever, and here that may be the server's loop.

``Thread.start`` waits until the new thread says that it runs. Where memory lacks in that very moment, it ends without a
word (CPython 3.11 to 3.14), and the wait has no end: every visitor's page stands still, also when there is memory
again. A watch looks for such threads, and lets ``start`` fail with ``MemoryError``, as when there is no room for a
thread at all.
"""

import ctypes
import logging
import sys
import threading
import time
from typing import Any, Final

# A machine with too much to do begins a thread late, but not so late.
PATIENCE_S: Final = 15.0

_log = logging.getLogger(__name__)


def waiting_for(thread: threading.Thread) -> int | None:
    """The identity of the thread that waits in ``start`` for ``thread`` to begin; ``None`` if nobody does."""
    for identity, frame in sys._current_frames().items():
        at: Any = frame
        while at is not None:
            if at.f_code is threading.Thread.start.__code__ and at.f_locals.get("self") is thread:
                return identity
            at = at.f_back
    return None


def give_up(thread: threading.Thread) -> bool:
    """Lets whoever waits for ``thread`` to begin go on, with ``MemoryError``; says whether somebody did."""
    waiter = waiting_for(thread)
    if waiter is None or thread._started.is_set():  # type: ignore[attr-defined]
        return False
    # Raised as soon as the wait ends, which it does now.
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(waiter), ctypes.py_object(MemoryError))
    thread._started.set()  # type: ignore[attr-defined]
    threading._limbo.pop(thread, None)  # type: ignore[attr-defined]
    return True


class Watch:
    """Looks from time to time for threads that were begun and never came to life.

    Args:
        patience: seconds that a thread may take to begin.
    """

    def __init__(self, patience: float = PATIENCE_S) -> None:
        self._patience = patience
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch-threads", daemon=True)

    def begin(self) -> None:
        """Begins to look."""
        self._thread.start()

    def end(self) -> None:
        """Looks no more."""
        self._end.set()

    def _work(self) -> None:
        since: dict[threading.Thread, float] = {}
        while not self._end.wait(self._patience / 3):
            now = time.monotonic()
            # Those that were begun and have not said that they run; they stay there for ever if they never do.
            beginning = list(threading._limbo)  # type: ignore[attr-defined]
            since = {thread: since.get(thread, now) for thread in beginning}
            for thread, seen in since.items():
                if now - seen >= self._patience and give_up(thread):
                    _log.error("thread %s never began, as where memory lacks: gave it up", thread.name)
