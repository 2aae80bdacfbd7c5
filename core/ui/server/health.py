"""Whether the app does what it is for: a model answers, not just a web server."""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Literal

from core.errors import QueueFull
from core.runtime.bundle import ModelBundle
from core.runtime.task import Task
from core.tasks.fill_mask import MASK, FillMaskRequest, FillMaskResult
from core.tasks.fill_mask import TASK as FILL_MASK
from core.ui.resources import engine

Status = Literal["ready", "starting", "busy", "failing"]

# A model that ships and that the start warms up: asking it needs nothing that the app wouldn't load by itself.
MODEL: Final = "mini-beto"
KEEP_S: Final = 10.0

_log = logging.getLogger(__name__)


class _Health:
    """Fill-mask under a name of its own, so that the metrics tell these questions from visitors'."""

    name = "health"
    attention = FILL_MASK.attention
    max_batch = 1

    def run(self, bundle: ModelBundle, requests: Sequence[FillMaskRequest]) -> list[FillMaskResult]:
        return FILL_MASK.run(bundle, requests)


_TASK: Final[Task[Any, Any]] = _Health()


def ask_a_model() -> None:
    """Has a model fill a gap.

    Raises:
        TallerError: it can't be asked now.
        RuntimeError: what it says can't be right.
    """
    result: FillMaskResult = (
        engine().run(_TASK, FillMaskRequest(f"El sol sale por la {MASK}.", top=3), model=MODEL).result
    )
    found = [candidate.probability for gap in result.gaps for candidate in gap.candidates]
    if len(found) != 3 or not all(math.isfinite(chance) and 0 < chance <= 1 for chance in found):
        raise RuntimeError("the model's probabilities are none")


@dataclass(frozen=True, slots=True)
class Health:
    """How the app is.

    Attributes:
        status: ``ready``: a model has answered; ``starting``: the first answer is on its way; ``busy``: the queue is
            full, or the answer takes longer than we wait; ``failing``: it went wrong.
        took_ms: how long the answer took, in milliseconds; ``None`` without one.
    """

    status: Status
    took_ms: float | None = None


class Probe:
    """Asks a model at most once in ``keep_s`` seconds, however many want to know, and one question at a time.

    Args:
        ask: asks; raises if there is no good answer.
        keep_s: seconds for which an answer is kept.
        clock: seconds that never go back.
    """

    def __init__(
        self, ask: Callable[[], None], keep_s: float = KEEP_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._keep_s = keep_s
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: Future[Health] | None = None
        self._last: Health | None = None
        self._at = 0.0
        self._answered = False

    def look(self) -> "Future[Health]":
        """What is known or, if that is old, what is being asked; one thread asks while all who look wait for it."""
        with self._lock:
            if self._pending is not None:
                return self._pending
            if self._last is not None and self._clock() - self._at < self._keep_s:
                known: Future[Health] = Future()
                known.set_result(self._last)
                return known
            pending: Future[Health] = Future()
            self._pending = pending
        threading.Thread(target=self._work, args=(pending,), name="health", daemon=True).start()
        return pending

    def late(self) -> Health:
        """What to say when the answer does not come in time."""
        return Health("busy" if self._answered else "starting")

    def _work(self, pending: "Future[Health]") -> None:
        began = self._clock()
        try:
            self._ask()
            found = Health("ready", round((self._clock() - began) * 1000, 1))
        except QueueFull:
            found = Health("busy")
        except Exception:  # whatever it is, the app does not do its work
            _log.exception("the model that was asked for its health did not answer")
            found = Health("failing")
        with self._lock:
            self._answered = self._answered or found.status == "ready"
            self._last, self._at, self._pending = found, self._clock(), None
        pending.set_result(found)
