"""Runs tasks on models: picks up the model, waits for its turn, computes, and says how long each part took.

Each device has a few worker threads and one queue. Requests for the same task and model that wait together
are computed together, as many as the task allows; a worker that has room left looks for a moment whether more
come. The queue is bounded: when it is full, one more request is refused at once with a message, rather than
everybody waiting longer and longer. Whoever leaves while they wait gives up their place.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeVar

from core.catalog import entries
from core.errors import OutOfMemory, QueueFull, TallerError, TooManyOfYours
from core.i18n import format_number, get_language, set_language
from core.i18n import gettext as _
from core.runtime import metrics
from core.runtime.bundle import ModelBundle
from core.runtime.caller import LOOK_S, current_caller
from core.runtime.device import CPU, Device, cores
from core.runtime.events import Event, events
from core.runtime.logs import fields
from core.runtime.pool import ModelPool, give_memory_back, is_out_of_memory
from core.runtime.task import Task
from core.settings import Settings

Req = TypeVar("Req")
Res = TypeVar("Res")

_log = logging.getLogger(__name__)

# A worker without work ends after this many seconds, and its thread's memory goes back.
_IDLE_WORKER_S: Final = 60.0
# While requests keep coming, a worker goes on looking for more of them for so many windows.
_MOST_WINDOWS: Final = 5


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Res]):
    """An answer and how it came about.

    Attributes:
        result: the answer.
        model_key: which model answered.
        note: a sentence if something was not as usual, such as a fall-back to the CPU.
        queue_ms: time in the queue, in milliseconds.
        load_ms: time until the model was in memory; 0 when it was there.
        compute_ms: time of the computation that this request was part of.
        device: where it ran.
        batch: how many requests were computed together.
        engine: who computed: this machine, or a cluster.
    """

    result: Res
    model_key: str
    note: str
    queue_ms: float
    load_ms: float
    compute_ms: float
    device: str
    batch: int
    engine: Literal["local", "ray"] = "local"


@dataclass(eq=False)
class _Ticket:
    """One request on its way through the queue."""

    task: Task[Any, Any]
    bundle: ModelBundle
    requests: Sequence[Any]
    language: str
    queued: float = field(default_factory=time.perf_counter)
    done: threading.Event = field(default_factory=threading.Event)
    results: list[Any] | None = None
    error: BaseException | None = None
    queue_ms: float = 0.0
    compute_ms: float = 0.0
    batch: int = 0

    def fits_with(self, other: "_Ticket") -> bool:
        # The language decides in which words a result or an error is told.
        return self.task is other.task and self.bundle.model is other.bundle.model and self.language == other.language


class _Desk:
    """One device's queue and its workers."""

    def __init__(self, device: Device, workers: int, max_waiting: int, window: float) -> None:
        self._device = device
        self._workers = workers
        self._max_waiting = max_waiting
        self._window = window
        self._threads = max(1, cores() // workers)
        self._queue: deque[_Ticket] = deque()
        self._changed = threading.Condition()
        self._alive = 0
        self._idle = 0
        self.running = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def answer(self, ticket: _Ticket, timeout: float) -> None:
        """Waits until ``ticket`` is computed.

        Raises:
            QueueFull: too many wait already, or its turn did not come within ``timeout`` seconds.
        """
        with self._changed:
            if self.running + len(self._queue) >= self._workers + self._max_waiting:
                raise QueueFull(
                    _(
                        "Hay {n} peticiones en espera y no caben más. Tu texto sigue aquí: vuelve a intentarlo "
                        "en unos segundos."
                    ).format(n=format_number(len(self._queue)))
                )
            self._queue.append(ticket)
            if len(self._queue) > self._idle and self._alive < self._workers:
                self._begin_worker(ticket)
            # All: one of them may be a worker that looks for others of its own kind.
            self._changed.notify_all()
        try:
            if _wait(ticket, timeout):
                return
        except BaseException:  # whatever ends the wait, of the caller's choice
            self._take_back(ticket)
            raise
        if self._take_back(ticket):
            raise QueueFull(
                _(
                    "Esperamos {s} segundos y el equipo sigue ocupado con otras peticiones. Tu texto sigue aquí: "
                    "vuelve a intentarlo."
                ).format(s=format_number(timeout))
            )

    def _begin_worker(self, ticket: _Ticket) -> None:
        """Begins one more worker; where there is no room for a thread, those that are there do without it.

        Raises:
            MemoryError: there is none at all; ``ticket`` is out of the queue again.
        """
        self._alive += 1
        try:
            threading.Thread(target=self._work, name=f"worker-{self._device.name}", daemon=True).start()
        except (RuntimeError, MemoryError) as error:  # "can't start new thread" · one that never came to life
            self._alive -= 1
            if not self._alive:
                self._queue.remove(ticket)
                raise MemoryError(str(error)) from error

    def _take_back(self, ticket: _Ticket) -> bool:
        """Takes ``ticket`` out of the queue; if it is being computed, waits for its end and says false."""
        with self._changed:
            if ticket in self._queue:
                self._queue.remove(ticket)
                return True
        # The model is held for this computation, and nobody else would let go of it.
        ticket.done.wait()
        return False

    def _next(self) -> list[_Ticket]:
        """The oldest request and those that can be computed with it; empty when the worker should end."""
        with self._changed:
            self._idle += 1
            there = self._changed.wait_for(lambda: bool(self._queue), timeout=_IDLE_WORKER_S)
            self._idle -= 1
            if not there:
                self._alive -= 1
                return []
            together = [self._queue.popleft()]
            self.running += 1
            self._gather(together)
            return together

    def _gather(self, together: list[_Ticket]) -> None:
        """Adds what waits and fits, and what comes within the window; called with the lock, which it lets go of."""
        first = together[0]
        room = first.task.max_batch - len(first.requests)
        now = time.perf_counter()
        end, last = now + self._window, now + _MOST_WINDOWS * self._window
        while room > 0:
            found = len(together)
            for other in list(self._queue):
                if len(other.requests) <= room and other.fits_with(first):
                    self._queue.remove(other)
                    together.append(other)
                    room -= len(other.requests)
            now = time.perf_counter()
            if len(together) > found:
                end = min(now + self._window, last)
            # Others that wait for this worker don't wait for company that may not come.
            if self._queue or now >= end:
                return
            self._changed.wait(end - now)

    def _work(self) -> None:
        import torch

        # PyTorch's own threads belong to the thread that calls it. With workers that last, they last too,
        # and with several workers each takes its share of the cores.
        torch.set_num_threads(self._threads)
        while together := self._next():
            try:
                _compute(together)
            finally:
                with self._changed:
                    self.running -= 1
                for ticket in together:
                    ticket.done.set()
            # Else this frame would hold the last model until the next request comes.
            together = []
            del ticket


def _wait(ticket: _Ticket, timeout: float) -> bool:
    """Waits until ``ticket`` is computed; false if that takes longer than ``timeout`` seconds.

    Raises:
        BaseException: the caller's check says that nobody wants the answer.
    """
    caller = current_caller()
    if caller is None:
        return ticket.done.wait(timeout)
    end = time.monotonic() + timeout
    while not ticket.done.wait(max(0.0, min(LOOK_S, end - time.monotonic()))):
        caller.check()
        if time.monotonic() >= end:
            return False
    return True


def _compute(together: list[_Ticket]) -> None:
    began = time.perf_counter()
    first = together[0]
    set_language(first.language)
    requests = [request for ticket in together for request in ticket.requests]
    try:
        results = _run(first, requests)
    except BaseException as error:
        if len(together) > 1:
            # One bad request must not spoil its neighbours' answers, nor a giant one take their room. By halves, so
            # that most of them are still computed together.
            if is_out_of_memory(error):
                give_memory_back()
            middle = len(together) // 2
            _compute(together[:middle])
            _compute(together[middle:])
            return
        for ticket in together:
            ticket.error = error
        results = []
    took = (time.perf_counter() - began) * 1000
    for ticket in together:
        ticket.queue_ms = (began - ticket.queued) * 1000
        ticket.compute_ms = took
        ticket.batch = len(requests)
        if ticket.error is None:
            ticket.results, results = results[: len(ticket.requests)], results[len(ticket.requests) :]


def _run(ticket: _Ticket, requests: list[Any]) -> list[Any]:
    import torch

    with torch.inference_mode():
        results = ticket.task.run(ticket.bundle, requests)
    if len(results) != len(requests):
        raise RuntimeError(f"task {ticket.task.name} gave {len(results)} results for {len(requests)} requests")
    return results


def _known(model: str) -> str:
    """A model's key for the log; where any model may be loaded, a key is what somebody typed."""
    return model if model in entries() else "other"


class Engine:
    """Runs tasks on this machine.

    Args:
        pool: where the models are.
        settings: how many workers, how many may wait and how long.
    """

    def __init__(self, pool: ModelPool, settings: Settings) -> None:
        self.pool = pool
        self._settings = settings
        self._desks: dict[Device, _Desk] = {}
        self._by_caller: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def at_once(self) -> int:
        """How many pieces of a long job are best on their way at once: one, as this machine's cores share each."""
        return 1

    def close(self) -> None:
        """Ends what goes on in the background; here, nothing does."""

    def waiting(self, device: str | None = None) -> int:
        """How many requests wait, for one device (by name) or all."""
        return sum(desk.waiting for place, desk in self._desks.items() if device in (None, place.name))

    def running(self, device: str | None = None) -> int:
        """How many computations go on now."""
        return sum(desk.running for place, desk in self._desks.items() if device in (None, place.name))

    def run(self, task: Task[Req, Res], request: Req, *, model: str) -> Outcome[Res]:
        """Answers one request.

        Args:
            task: what to do.
            request: on what.
            model: key of the model that shall do it.

        Raises:
            TallerError: what the reader should be told: ``QueueFull``, ``ModelUnavailable``, ``OutOfMemory``, or
                one of the task's own.
        """
        return self._answer(task, [request], model)[0]

    def run_together(self, task: Task[Req, Res], requests: Sequence[Req], *, model: str) -> list[Outcome[Res]]:
        """Answers requests in one computation: all of them, or none.

        Args:
            task: what to do.
            requests: on what; no more than ``task.max_batch``.
            model: key of the model.

        Raises:
            TallerError: as ``run``.
        """
        return self._answer(task, requests, model)

    def run_batch(
        self,
        task: Task[Req, Res],
        requests: Sequence[Req],
        *,
        model: str,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[Outcome[Res] | TallerError]:
        """Answers many requests, in pieces, so that others get their turn in between.

        Args:
            task: what to do.
            requests: on what.
            model: key of the model.
            progress: called with how many are done and how many there are.
            cancelled: asked before each piece; once true, what is done so far is returned.

        Returns:
            One outcome a request, in order; where a single request can't be answered, the error itself.

        Raises:
            QueueFull: nothing was answered yet and the queue is full.
        """
        done: list[Outcome[Res] | TallerError] = []
        size = max(1, task.max_batch)
        for start in range(0, len(requests), size):
            if cancelled is not None and cancelled():
                break
            piece = requests[start : start + size]
            try:
                done += self._answer(task, piece, model)
            except (QueueFull, OutOfMemory):
                if not done:
                    raise
                break
            except TallerError:
                done += [self._alone(task, request, model) for request in piece]
            if progress is not None:
                progress(len(done), len(requests))
        return done

    def _alone(self, task: Task[Req, Res], request: Req, model: str) -> "Outcome[Res] | TallerError":
        try:
            return self._answer(task, [request], model)[0]
        except TallerError as error:
            return error

    def _answer(self, task: Task[Req, Res], requests: Sequence[Req], model: str) -> list[Outcome[Res]]:
        try:
            with self._counted():
                outcomes: list[Outcome[Res]] = self._answer_somewhere(task, requests, model)
        except BaseException as error:
            metrics.failed(task.name, error)
            _log.info("not answered", extra=fields(task=task.name, model=_known(model), error=type(error).__name__))
            raise
        for outcome in outcomes:
            phases = {"queue": outcome.queue_ms, "load": outcome.load_ms, "compute": outcome.compute_ms}
            metrics.answered(task.name, phases, outcome.batch)
        one = outcomes[0]
        _log.info(
            "answered",
            extra=fields(
                task=task.name,
                model=_known(model),
                requests=len(outcomes),
                batch=one.batch,
                device=one.device,
                queue_ms=round(one.queue_ms, 1),
                load_ms=round(one.load_ms, 1),
                compute_ms=round(one.compute_ms, 1),
            ),
        )
        return outcomes

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Counts a request among its caller's while it waits or is computed.

        Raises:
            TooManyOfYours: they have as many as one may have.
        """
        caller = current_caller()
        if caller is None:
            yield
            return
        with self._lock:
            have = self._by_caller[caller.id]
            if have < self._settings.requests_per_session:
                self._by_caller[caller.id] += 1
        if have >= self._settings.requests_per_session:
            raise TooManyOfYours(
                _(
                    "Ya tienes {n} peticiones en marcha o en espera, y no puedes tener más a la vez. Tu texto sigue "
                    "aquí: espera a que termine alguna, o detenla, y vuelve a intentarlo."
                ).format(n=format_number(have))
            )
        try:
            yield
        finally:
            with self._lock:
                self._by_caller[caller.id] -= 1
                if not self._by_caller[caller.id]:
                    del self._by_caller[caller.id]

    def _answer_somewhere(self, task: Task[Req, Res], requests: Sequence[Req], model: str) -> list[Outcome[Res]]:
        try:
            return self._answer_on(None, task, requests, model, "")
        except BaseException as error:
            if not is_out_of_memory(error):
                raise
            give_memory_back()
            if self.pool.device == CPU:
                raise OutOfMemory(
                    _(
                        "No hay memoria libre para calcular esto. Vuelve a intentarlo en un momento, o prueba con un "
                        "texto más corto o un modelo más pequeño."
                    )
                ) from error
        events().add(Event("fallback", model, 0, CPU.name))
        note = _("No cabía en la memoria de la tarjeta y se calculó en la CPU, más despacio.")
        return self._answer_on(CPU, task, requests, model, note)

    def _answer_on(
        self, device: Device | None, task: Task[Req, Res], requests: Sequence[Req], model: str, note: str
    ) -> list[Outcome[Res]]:
        began = time.perf_counter()
        was_ready = self.pool.state(model) == "ready"
        metrics.looked_up("models", was_ready)
        with self.pool.use(model, attention=task.attention, device=device) as bundle:
            load_ms = 0.0 if was_ready else (time.perf_counter() - began) * 1000
            ticket = _Ticket(task, bundle, requests, get_language())
            self._desk(bundle.device).answer(ticket, self._settings.wait_timeout)
            place, note = bundle.device.name, note or bundle.note
        if ticket.error is not None:
            # A fresh traceback's frames would keep the bundle alive; the error alone doesn't.
            raise ticket.error
        assert ticket.results is not None
        return [
            Outcome(result, model, note, ticket.queue_ms, load_ms, ticket.compute_ms, place, ticket.batch)
            for result in ticket.results
        ]

    def _desk(self, device: Device) -> _Desk:
        with self._lock:
            if device not in self._desks:
                automatic = max(1, cores() // 2) if device.kind == "cpu" else 1
                workers = self._settings.workers or automatic
                self._desks[device] = _Desk(device, workers, self._settings.max_waiting, self._settings.batch_window)
            return self._desks[device]
