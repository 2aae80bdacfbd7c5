"""For whom something is computed: limits count by it, and whoever no longer waits gives up their place in the queue.

It is a context variable, as the language is: engines read it where they need it, and tasks never see it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

# How often whoever waits looks whether they still want to, in seconds.
LOOK_S: Final = 0.1


class Withdrawn(Exception):  # not an error: somebody wanted it
    """Whoever asked wants no answer any more."""


def _still_there() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        id: tells one visitor's session from another's; it is compared, never shown or logged.
        check: called every ``LOOK_S`` seconds while a request waits; to give up, it raises what shall be raised there.
    """

    id: str
    check: Callable[[], None] = _still_there


_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


@contextmanager
def calling(caller: Caller | None) -> Iterator[None]:
    """In its body, requests are ``caller``'s."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def current_caller() -> Caller | None:
    """Whose requests those of this context are; ``None`` for the app's own."""
    return _caller.get()
