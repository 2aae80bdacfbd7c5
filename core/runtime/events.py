"""What happened to the machine's memory: loads, evictions, downloads, training. Marked on the resource curves."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

EventKind = Literal["load", "evict", "unload", "fallback", "download", "training"]

_KEPT: Final = 500


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: what.
        label: the model's key; of a training, that of the model to come.
        bytes: memory or disk taken, negative when it was given back.
        device: ``"cpu"``, ``"cuda:0"`` …, or ``"disk"``.
        time: seconds since 1970.
    """

    kind: EventKind
    label: str
    bytes: int = 0
    device: str = "cpu"
    time: float = field(default_factory=time.time)


class EventLog:
    """The last events, oldest first. Safe to use from any thread."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._events: deque[Event] = deque(maxlen=kept)
        self._lock = threading.Lock()

    def add(self, event: Event) -> None:
        """Notes an event."""
        with self._lock:
            self._events.append(event)

    def since(self, moment: float = 0.0) -> list[Event]:
        """The events at or after ``moment`` (seconds since 1970), oldest first."""
        with self._lock:
            return [event for event in self._events if event.time >= moment]


_LOG: Final = EventLog()


def events() -> EventLog:
    """The process's log."""
    return _LOG
