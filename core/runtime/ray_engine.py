"""The second engine: a Ray cluster answers (``core/cluster``), and this machine where the cluster can't.

It is asked over HTTP and not as a member of the cluster: a member's process ends with its cluster, and the app must
not. While a cluster computes it gives a sign of life twice a second. One that is silent for ``TALLER_RAY_TIMEOUT``
seconds, refuses, or breaks off is left alone, this machine answers, and a thread looks every few seconds whether the
cluster is back (a circuit breaker; Nygard, *Release It!*, 2007).
"""

import http.client
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar
from urllib.parse import quote

from core.catalog import entries
from core.errors import ModelUnavailable, OutOfMemory, QueueFull, TallerError
from core.i18n import get_language
from core.i18n import gettext as _
from core.runtime import metrics, wire
from core.runtime.cluster_line import Line, Lost, Passed, Trouble, busy, check, exactly, lost
from core.runtime.engine import Engine, Outcome
from core.runtime.pool import ModelPool
from core.runtime.stream import Stopped, Stream
from core.runtime.task import Task
from core.settings import Settings

Req = TypeVar("Req")
Res = TypeVar("Res")

# Single requests may break off, as when one node of many is lost; so many in a row are the cluster's.
_BROKEN_IN_A_ROW: Final = 3
# Of a table's rows; a cluster adds a replica for every few requests.
_PIECES: Final = 8
_LONGEST_PAUSE_S: Final = 60.0
# A model as small as those that ship is loaded in less than a second: any replica may answer, the one with least to
# do. Ray sends a larger one's requests where it is in memory already, though others stand idle.
_SMALL_PARAMETERS: Final = 50_000_000
# Tasks of these modules are of the app's process itself, such as the question for its health.
_OF_THE_APP: Final = ("core.ui.", "__main__")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClusterState:
    """How the cluster stands.

    Attributes:
        up: whether it is asked.
        trouble: why it isn't; ``None`` while it is.
        since: of that, in seconds since 1970.
        answered: requests that it answered since the app began.
        local: those that this machine answered in its place.
    """

    up: bool
    trouble: Trouble | None
    since: float
    answered: int
    local: int


def _loads_anywhere(model: str) -> bool:
    """Whether a model is so small that requests need not look for a replica that holds it."""
    found = entries().get(model)
    return found is not None and found.weights is not None and found.weights.parameters <= _SMALL_PARAMETERS


class RayEngine(Engine):
    """Asks a cluster, and computes here what it can't.

    Args:
        pool: this machine's models, for what the cluster can't.
        settings: with ``ray_address`` and ``ray_secret``.
        pause_s: seconds between two looks whether a lost cluster is back; it doubles while that fails to last.
    """

    def __init__(self, pool: ModelPool, settings: Settings, pause_s: float = 5.0) -> None:
        super().__init__(pool, settings)
        self._line = Line(settings)
        self._shortest_pause = self._pause = pause_s
        self._guard = threading.Lock()
        self._trouble: Trouble | None = None
        self._since = time.time()
        self._came_back = False
        self._in_a_row = 0
        self._answered = 0
        self._local = 0
        self._closed = threading.Event()

    def state(self) -> ClusterState:
        """How the cluster stands, without asking it."""
        with self._guard:
            return ClusterState(self._trouble is None, self._trouble, self._since, self._answered, self._local)

    @property
    def at_once(self) -> int:
        """How many pieces of a long job are best on their way at once: so many that replicas are added for them."""
        return _PIECES if self._trouble is None else 1

    def close(self) -> None:
        """Ends the thread that looks for a lost cluster."""
        self._closed.set()

    # --- answering ----------------------------------------------------------------------------------------

    def _answer_somewhere(self, task: Task[Req, Res], requests: Sequence[Req], model: str) -> list[Outcome[Res]]:
        if type(task).__module__.startswith(_OF_THE_APP):
            return super()._answer_somewhere(task, requests, model)
        trouble = self._trouble
        note = ""
        if trouble is None:
            try:
                outcomes: list[Outcome[Res]] = self._ask(task, requests, model)
            except Lost as lost:
                self._failed(lost.trouble)
                note = why_local(lost.trouble)
            except Passed as passed:
                note = str(passed)
            else:
                self._went_well(len(outcomes))
                return outcomes
        else:
            note = why_local(trouble)
        for stream in wire.streams(requests):
            stream.clear()  # what the cluster had written comes again
        metrics.engine("local", len(requests))
        with self._guard:
            self._local += len(requests)
        return [
            replace(outcome, note=f"{note} {outcome.note}".strip())
            for outcome in super()._answer_somewhere(task, requests, model)
        ]

    def _ask(self, task: Task[Req, Res], requests: Sequence[Req], model: str) -> list[Outcome[Res]]:
        began = time.perf_counter()
        seal = wire.Seal(self._line.secret)
        try:
            message = seal.call(wire.Call(wire.pack_task(task), tuple(requests), model, get_language()))
        except Exception as error:  # pickle raises all kinds
            _log.warning("task %s can't travel: %s", task.name, type(error).__name__)
            raise Passed(_("Esto solo puede calcularlo este equipo.")) from error
        if len(message) > wire.LARGEST_CALL:
            raise Passed(_("Es demasiado grande para enviarlo al clúster: lo calculó este equipo."))
        try:
            with lost():
                outcomes = self._converse(seal, message, requests, model)
        except (ModelUnavailable, OutOfMemory) as error:
            # A visitor's tuned model may be on this machine alone. If not, it will say so itself.
            raise Passed(_("El clúster no puede con este modelo: contestó este equipo.")) from error
        except QueueFull as error:
            raise Passed(busy()) from error
        wall_ms = (time.perf_counter() - began) * 1000
        return [
            # All that was neither loading nor computing: the way there and back, and both queues.
            replace(one, queue_ms=max(0.0, wall_ms - one.compute_ms - one.load_ms), engine="ray")
            for one in outcomes
        ]

    def _converse(self, seal: wire.Seal, message: bytes, requests: Sequence[Any], model: str) -> list[Outcome[Any]]:
        streams = wire.streams(requests)
        connection = self._line.connect()
        try:
            connection.putrequest("POST", f"{self._line.path}/")
            connection.putheader(wire.CODE_HEADER, wire.code_version())
            if not _loads_anywhere(model):
                connection.putheader(wire.MODEL_HEADER, quote(model, safe=""))
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders()
            _send(connection, wire.head(wire.ANSWER, len(message)) + message)
            if not streams:
                connection.send(b"0\r\n\r\n")
            with connection.getresponse() as response:
                check(response.status)
                return self._read(connection, response, seal, streams)
        finally:
            connection.close()

    def _read(
        self,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        seal: wire.Seal,
        streams: list[Stream[Any]],
    ) -> list[Outcome[Any]]:
        stopped = False
        while True:
            kind, length = wire.read_head(exactly(response, wire.HEAD_BYTES))
            if length > wire.LARGEST_ANSWER:
                raise EOFError
            content = seal.read_frame(kind, exactly(response, length))
            if kind == wire.ANSWER:
                answer: list[Outcome[Any]] = content
                return answer
            if kind == wire.ERROR and isinstance(content, TallerError):
                raise content
            if kind == wire.FAILED:
                _log.warning("the cluster failed: %s", content)
                raise Lost("broken")
            if kind == wire.ITEMS and not stopped:
                stopped = not _hand_on(content, streams)
            if streams and not stopped and all(stream.stopped for stream in streams):
                stopped = True
            if stopped and streams:
                # The answer still comes: what was written until now.
                _send(connection, wire.STOP)
                connection.send(b"0\r\n\r\n")
                streams = []

    # --- whether it is there ------------------------------------------------------------------------------

    def _went_well(self, requests: int) -> None:
        metrics.engine("ray", requests)
        with self._guard:
            self._answered += requests
            self._in_a_row = 0

    def _failed(self, trouble: Trouble) -> None:
        with self._guard:
            self._in_a_row += 1
            if self._trouble is not None or (trouble == "broken" and self._in_a_row < _BROKEN_IN_A_ROW):
                return
            # Back only a moment ago: look less often, or every visitor would wait for it again and again.
            again = self._came_back and time.time() - self._since < _LONGEST_PAUSE_S
            self._pause = min(self._pause * 2, _LONGEST_PAUSE_S) if again else self._shortest_pause
            self._trouble, self._since = trouble, time.time()
        _log.warning("the cluster is lost (%s): this machine answers", trouble)
        threading.Thread(target=self._look_for_it, name="cluster-probe", daemon=True).start()

    def _look_for_it(self) -> None:
        while not self._closed.wait(self._pause):
            found = self.probe()
            with self._guard:
                if found is not None:
                    self._trouble = found
                    continue
                self._trouble, self._since, self._in_a_row, self._came_back = None, time.time(), 0, True
            _log.warning("the cluster is back")
            return

    def probe(self) -> Trouble | None:
        """Asks the cluster how it is; ``None`` if it is well."""
        return self._line.probe()


def why_local(trouble: Trouble) -> str:
    """A sentence for the reader: why this machine answered and not the cluster."""
    return {
        "away": _("El clúster Ray no está: contestó este equipo."),
        "silent": _("El clúster Ray tarda demasiado: contestó este equipo."),
        "broken": _("El clúster Ray se cortó a mitad de camino: contestó este equipo."),
        "other_code": _("El clúster Ray tiene otra versión de la aplicación: contestó este equipo."),
        "other_secret": _("El clúster Ray no comparte el secreto de esta aplicación: contestó este equipo."),
    }[trouble]


def _send(connection: http.client.HTTPConnection, data: bytes) -> None:
    connection.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _hand_on(batches: list[list[Any]], streams: list[Stream[Any]]) -> bool:
    """Puts on each stream what came for it; false when the reader wants no more."""
    try:
        for items, stream in zip(batches, streams, strict=True):
            for item in items:
                stream.put(item)
    except Stopped:
        return False
    return True
