"""Many requests at once, in the background: with progress, a way to stop, and nothing lost.

The job goes on while its page reruns. Whoever shows it calls ``state()``; when nobody has for a while, the
visitor is gone and the job ends itself.
"""

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from core.errors import TallerError
from core.i18n import get_language, set_language
from core.runtime.caller import Caller, Withdrawn, calling, current_caller
from core.runtime.engine import Engine, Outcome
from core.runtime.task import Task

Req = TypeVar("Req", bound=Hashable)
Res = TypeVar("Res")

ABANDONED_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class BatchState:
    """How a job stands.

    Attributes:
        done: requests that are answered, or failed.
        total: all requests.
        running: whether it goes on.
        seconds: since it began, until it ended.
        message: why it ended before its time, in the language of whoever began it; empty otherwise.
    """

    done: int
    total: int
    running: bool
    seconds: float
    message: str

    @property
    def seconds_left(self) -> float | None:
        """At the speed so far; ``None`` while that is not known."""
        if not self.running or not self.done:
            return None
        return self.seconds / self.done * (self.total - self.done)


class BatchJob(Generic[Req, Res]):
    """Answers many requests, the shortest first, equal ones once.

    Texts of like length go through the model together, so that little is computed for padding.

    Args:
        engine: what runs the task.
        task: what to do.
        requests: on what; hashable.
        model: key of the model.
        size: a request's length, by which they are sorted.
        abandoned_s: seconds without a look at it after which it ends.
    """

    def __init__(
        self,
        engine: Engine,
        task: Task[Req, Res],
        requests: Sequence[Req],
        *,
        model: str,
        size: Callable[[Req], int],
        abandoned_s: float = ABANDONED_S,
    ) -> None:
        self._engine = engine
        self._task = task
        self._model = model
        self._abandoned_s = abandoned_s
        self._language = get_language()
        caller = current_caller()
        self._caller = None if caller is None else Caller(caller.id, self._look)
        self._places: dict[Req, list[int]] = {}
        for place, request in enumerate(requests):
            self._places.setdefault(request, []).append(place)
        self._order = sorted(self._places, key=size)
        self._results: list[Outcome[Res] | TallerError | None] = [None] * len(requests)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._seen = self._began = time.monotonic()
        self._ended: float | None = None
        self._message = ""
        self._done = 0
        self._thread = threading.Thread(target=self._work, name="batch", daemon=True)
        self._thread.start()

    def state(self) -> BatchState:
        """How it stands; this also tells the job that somebody is looking."""
        self._seen = time.monotonic()
        end = self._ended
        seconds = (end if end is not None else time.monotonic()) - self._began
        return BatchState(self._done, len(self._results), end is None, seconds, self._message)

    def results(self) -> list[Outcome[Res] | TallerError | None]:
        """One outcome or error a request, in order; ``None`` for those that were not reached."""
        return list(self._results)

    def cancel(self) -> None:
        """Ends it after the piece that is being computed; what is done stays."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for its end; false if it goes on still."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _cancelled(self) -> bool:
        return self._stop.is_set() or time.monotonic() - self._seen > self._abandoned_s

    def _keep(self, requests: Sequence[Req], answers: Sequence[Outcome[Any] | TallerError]) -> None:
        with self._lock:
            for request, outcome in zip(requests, answers, strict=False):
                for place in self._places[request]:
                    self._results[place] = outcome
                    self._done += 1

    def _look(self) -> None:
        if self._cancelled():
            raise Withdrawn

    def _work(self) -> None:
        size = max(1, self._task.max_batch)
        parts = iter([self._order[start : start + size] for start in range(0, len(self._order), size)])
        others = [
            threading.Thread(target=self._answer, args=(parts,), name="batch", daemon=True)
            for _n in range(self._engine.at_once - 1)
        ]
        try:
            for other in others:
                other.start()
            self._answer(parts)
        finally:
            for other in others:
                other.join()
            self._ended = time.monotonic()

    def _answer(self, parts: Iterator[Sequence[Req]]) -> None:
        set_language(self._language)
        try:
            with calling(self._caller):
                while not self._cancelled():
                    with self._lock:
                        part = next(parts, None)
                    if part is None:
                        return
                    self._keep(part, self._engine.run_batch(self._task, part, model=self._model))
        except Withdrawn:
            pass  # the piece that waited is not computed
        except TallerError as error:
            self._message = str(error)
            self._stop.set()
