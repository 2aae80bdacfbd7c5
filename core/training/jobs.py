"""The queue of runs: who may begin, in which order, and what happens when a process dies.

The folders are the truth, so a restart of the app loses nothing: a run whose worker still lives goes on and is
watched, one whose worker died goes on from its checkpoint, and those that waited wait in the same order. Durations
are measured with the monotonic clock, and the order is a number: a clock that jumps changes neither.

Where there is a cluster (``TALLER_RAY_ADDRESS``), its machines work on the runs and this queue sends them there one by
one (``away.py``). A lost cluster is waited for ``TALLER_TRAINING_CLUSTER_WAIT`` seconds; then this machine goes on from
the run's checkpoint, as it does at once where the cluster doesn't see the folder.
"""

import json
import logging
import os
import secrets
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from core.catalog import ModelEntry
from core.errors import InputInvalid, QueueFull, TallerError
from core.i18n import format_duration, format_number
from core.i18n import gettext as _
from core.runtime.cluster_line import Line, Lost
from core.runtime.events import Event, events
from core.settings import Settings
from core.training.away import AwayRun, ClusterDesk, Connection, Ending, wait_for
from core.training.data import DataSet
from core.training.run import OVER, About, RunFolder, State, Status, Turn, owner_hash
from core.training.tuned import key_of, tuned_entry
from core.training.tuning.forecast import Forecast
from core.training.tuning.request import TuningRequest, check
from core.training.worker import AGAIN, DONE, ELSEWHERE, REASONS, TAKEN

_LOOK_EVERY_S: Final = 0.5
_TIDY_EVERY_S: Final = 60.0
# A process that dies this often without getting any further will not get further the next time.
_MOST_DEATHS: Final = 2
_UNKNOWN_S: Final = 120.0
_FORECAST_S: Final = 180.0
WORKER_ENVIRONMENT: Final = {
    # Threads that wait for work would otherwise spin, and take from the pages what they don't use.
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    # Each length of a batch has its own matrix products, of which oneDNN keeps a thousand, with copies of weights.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16",
}
_PROJECT: Final = Path(__file__).resolve().parents[2]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as its owner sees it.

    Attributes:
        id: its folder's name.
        about: name, forecast, owner.
        state: how it stands.
        ahead: runs that come before it; ``None`` unless it waits.
        wait_s: about how long until it begins, in seconds; ``None`` unless it waits.
        turn: whose turn it is.
    """

    id: str
    about: About
    state: State
    ahead: int | None = None
    wait_s: float | None = None
    turn: Turn = field(default_factory=Turn)


def command(run: RunFolder, *more: str) -> list[str]:
    """The worker's command line."""
    return [sys.executable, "-m", "core.training.worker", *more, str(run.path)]


def start_worker(run: RunFolder, *more: str, tied: bool = False) -> "subprocess.Popen[bytes]":
    """Starts a worker; what it prints goes to ``log.txt``.

    Args:
        run: its folder.
        more: options of its command line.
        tied: it ends with this process; otherwise it outlives it.
    """
    with (run.path / "log.txt").open("ab") as log:
        return subprocess.Popen(
            command(run, *more, *(("--tied",) if tied else ())),
            cwd=_PROJECT,
            env={**os.environ, **WORKER_ENVIRONMENT},
            stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


class TrainingJobs:
    """The process's queue. Several app processes may share a folder: one of them starts the workers.

    Args:
        settings: where the folders are, and how many may run and wait.
        start: starts a worker (tests give another).
        gone: called with the id of a run that was deleted.
    """

    def __init__(
        self,
        settings: Settings,
        start: "Callable[..., subprocess.Popen[bytes]]" = start_worker,
        gone: Callable[[str], None] = lambda _id: None,
    ) -> None:
        self._settings = settings
        self._start = start
        self._gone = gone
        self.folder = settings.training_folder
        self._lock = threading.RLock()
        self._measuring = threading.Lock()
        self._own: dict[str, subprocess.Popen[bytes]] = {}
        self._away: dict[str, AwayRun] = {}
        self._clustered = settings.ray_address is not None
        self._cluster = ClusterDesk(Line(settings) if self._clustered else None)
        self._connection = Connection(self._cluster)
        self._over: dict[str, tuple[About, State]] = {}
        self._over_marks: dict[str, object] = {}
        self._seen_over: dict[str, float] = {}
        self._told: set[str] = set()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._desk = FileLock(self.folder / "desk.lock", thread_local=False)

    # --- the thread that starts workers -------------------------------------------------------------------

    def begin(self) -> None:
        """Begins to start workers, unless it has begun already."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._end.clear()
                self._thread = threading.Thread(target=self._loop, name="training-queue", daemon=True)
                self._thread.start()

    def end(self) -> None:
        """Starts no more workers; those that run go on, and the next app process watches them."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(5)
        self._cluster.close()
        with suppress(OSError):
            self._desk.release(force=True)

    def _loop(self) -> None:
        tidied = time.monotonic()
        while not self._end.wait(_LOOK_EVERY_S):
            try:
                self.tick()
                if time.monotonic() - tidied > _TIDY_EVERY_S:
                    tidied = time.monotonic()
                    self.tidy()
            except Exception:  # the queue must outlive whatever one run does
                _log.exception("the training queue stumbled")

    def _in_charge(self) -> bool:
        """Whether this process is the one that starts workers."""
        if self._desk.is_locked:
            return True
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._desk.acquire(timeout=0)
            return True
        except (Timeout, OSError):
            return False

    def tick(self) -> None:
        """Looks at every run once: notes those that ended, and starts as many as may run."""
        if not self._in_charge():
            return
        with self._lock:
            running = 0
            waiting: list[tuple[About, RunFolder, State]] = []
            for run, about, state in self._runs():
                if state.status == "running":
                    if self._still_runs(run):
                        running += 1
                    elif (now := run.state) is not None and now.status == "waiting":
                        waiting.append((about, run, now))  # it keeps its place: before those that came later
                elif state.status == "waiting":
                    if self._starts_away(run):
                        running += 1
                    elif (now := run.state) is None or now.status != "waiting":
                        continue  # it has ended meanwhile
                    elif run.cancelled:
                        run.put(replace(state, status="cancelled"))
                    elif run.id in self._own and self._own[run.id].poll() is None:
                        running += 1  # it was started, and hasn't said so yet
                    else:
                        self._reap(run)
                        waiting.append((about, run, state))
            for _about, run, state in sorted(waiting, key=lambda item: item[0].place):
                if running >= self._settings.training_at_once:
                    break
                running += self._begin_run(run, state)

    def _runs(self) -> list[tuple[RunFolder, About, State]]:
        found = []
        with suppress(OSError):
            paths = sorted(self.folder.iterdir())
            # Another process of the app may have deleted some that were over, or let them go on.
            for id_ in set(self._over) - {path.name for path in paths}:
                self._forget(id_)
            for path in paths:
                run = RunFolder(path)
                if path.name in self._over:
                    if run.state_mark == self._over_marks.get(path.name):
                        continue
                    self._forget(path.name)
                if not path.is_dir() or path.name.startswith("."):
                    continue
                mark = run.state_mark
                about, state = run.about, run.state
                if about is None or state is None:
                    continue
                if state.status in OVER:
                    self._over[run.id] = (about, state)
                    self._over_marks[run.id] = mark
                    self._reap(run)
                    if (away := self._away.pop(run.id, None)) is not None:
                        away.end()
                        self._close_turn(run)
                found.append((run, about, state))
        return found

    def _reap(self, run: RunFolder) -> int | None:
        """The exit code of our own worker that ended; ``None`` if there was none."""
        process = self._own.get(run.id)
        if process is None or process.poll() is None:
            return None
        del self._own[run.id]
        return process.returncode

    def _begin_run(self, run: RunFolder, state: State) -> bool:
        if run.busy():  # another app's worker has it
            return True
        if run.id not in self._told:
            self._told.add(run.id)
            # By its key: everybody sees the curves, and its name is the owner's.
            events().add(Event("training", key_of(run.id)))
        turn = run.turn
        why, wait = self._connection.why_not(self._settings.training_cluster_wait) if self._clustered else ("", False)
        if wait:
            if (turn.place, turn.why) != ("cluster", why):
                run.put_turn(replace(turn, place="cluster", open=False, why=why))
            return True  # its place in the queue is kept: those behind it wait, too
        try:
            if self._clustered and not why:
                run.put_turn(Turn(turn.number + 1, "cluster", open=True))
                self._away[run.id] = self._sent_away(run, turn.number + 1, start=True)
                return True
            if self._clustered or turn.number:
                run.put_turn(Turn(turn.number + 1, "local", why=why))
            self._own[run.id] = self._start(run)
        except OSError as error:
            _log.warning("no worker for %s: %s", run.id, error)
            with suppress(OSError):
                run.put(replace(state, status="failed", reason="disk" if error.errno == 28 else "other"))
            return False
        return True

    def _away_run(self, run: RunFolder) -> AwayRun | None:
        """The turn on the cluster that this run has; one that an earlier process of the app gave is watched, too."""
        away = self._away.get(run.id)
        if away is None and run.id not in self._own and (turn := run.turn).open and turn.place == "cluster":
            away = self._away[run.id] = self._sent_away(run, turn.number, start=False)
        return away

    def _sent_away(self, run: RunFolder, turn: int, *, start: bool, options: tuple[str, ...] = ()) -> AwayRun:
        wait_s = self._settings.training_cluster_wait
        return AwayRun(run, turn, self._cluster, start=start, wait_s=wait_s, options=options)

    def _starts_away(self, run: RunFolder) -> bool:
        """Whether the cluster was told to begin with a waiting run, and may still do so."""
        away = self._away_run(run)
        if away is None:
            return False
        if run.cancelled:
            away.end()
        elif (ending := away.poll()) is None:
            self._tell(run, away)
            return True
        else:
            self._note_ending(ending)
            if not ending.full and ending.trouble is None and ending.code not in (DONE, TAKEN, AGAIN, ELSEWHERE):
                # It ended before it began: a cluster that lacks something is no better than one that is away.
                self._connection.lost("broken")
        del self._away[run.id]
        self._close_turn(run)
        return False

    def _note_ending(self, ending: Ending) -> None:
        if ending.code == ELSEWHERE:
            _log.warning("the cluster doesn't see %s: runs are trained on this machine", self.folder)
            self._connection.elsewhere()
        if ending.full:
            _log.warning("the cluster has no room: runs are trained on this machine")
            self._connection.full()
        elif ending.trouble is not None:
            _log.warning("the cluster is lost (%s): its runs wait for it", ending.trouble)
            self._connection.lost(ending.trouble)

    @staticmethod
    def _tell(run: RunFolder, away: AwayRun) -> None:
        """Notes what a page says of the cluster."""
        why = away.trouble or ("pending" if away.pending else "")
        if (turn := run.turn).why != why:
            run.put_turn(replace(turn, why=why))

    @staticmethod
    def _close_turn(run: RunFolder) -> None:
        with suppress(OSError):
            run.put_turn(replace(run.turn, open=False))

    def _still_runs(self, run: RunFolder) -> bool:
        """Whether a running run has a process; if not, notes why, or lets it wait for the next one."""
        process = self._own.get(run.id)
        if process is not None and process.poll() is None:
            return True
        code = self._reap(run)
        ending = None
        if (away := self._away_run(run)) is not None:
            ending = away.poll()
            if away.beating:
                self._connection.works()
            if ending is None:
                self._tell(run, away)
                return True
            self._note_ending(ending)
            del self._away[run.id]
            self._close_turn(run)
            code = ending.code
        elif run.busy():
            return True
        # It may have written its end between our look and its death.
        fresh = run.state
        if fresh is None or fresh.status != "running":
            return False
        if run.cancelled:
            run.put(replace(fresh, status="cancelled"))
        elif code is not None and code in REASONS:
            run.put(replace(fresh, status="failed", reason=REASONS[code]))
        elif ending is not None and (ending.full or ending.trouble is not None):
            run.put(replace(fresh, status="waiting", tries=fresh.tries - 1))  # it wasn't the run's fault
        elif fresh.tries > _MOST_DEATHS and self._step(run) <= fresh.reached:
            run.put(replace(fresh, status="failed", reason="killed"))
        elif code not in (TAKEN, AGAIN):
            _log.warning("the worker of %s died (%s); it goes on from its checkpoint", run.id, code)
            run.put(replace(fresh, status="waiting"))
        return False

    @staticmethod
    def _step(run: RunFolder) -> int:
        return max((line.get("step", 0) for line in run.progress() if line.get("kind") == "step"), default=0)

    def tidy(self) -> None:
        """Deletes runs that have been over for long. Counted from when this process first saw it, by its own clock."""
        now = time.monotonic()
        for id_ in list(self._over):
            seen = self._seen_over.setdefault(id_, now)
            if now - seen > 3600 * self._settings.training_keep_hours:
                self._forget(id_)
                RunFolder(self.folder / id_).delete()
                self._gone(id_)
        with suppress(OSError):
            for path in self.folder.glob(".forecast-*"):
                seen = self._seen_over.setdefault(path.name, now)
                if now - seen > 2 * _FORECAST_S:
                    self._seen_over.pop(path.name, None)
                    RunFolder(path).delete()

    def _forget(self, id_: str) -> None:
        self._over.pop(id_, None)
        self._over_marks.pop(id_, None)
        self._seen_over.pop(id_, None)
        self._told.discard(id_)

    # --- what a visitor does ------------------------------------------------------------------------------

    def submit(
        self, owner: str, request: TuningRequest, data: DataSet, *, name: str, forecast: Forecast | None = None
    ) -> str:
        """Puts a run at the end of the queue.

        Args:
            owner: the visitor's secret.
            request: what to do.
            data: what to learn from.
            name: for people.
            forecast: what three steps said, if somebody measured them.

        Returns:
            The run's id.

        Raises:
            InputInvalid: the request or the data can't be used.
            QueueFull: this visitor, or all together, have as many runs as there may be.
            TallerError: the folder can't be written.
        """
        check(request)
        if request.task != data.task:
            raise InputInvalid(_("Estos datos son de otra tarea. Elige los de la tarea, o cambia de tarea."))
        with self._lock:
            self._make_room(owner)
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with FileLock(self.folder / "place.lock", timeout=10, thread_local=False):
                    run = RunFolder.create(
                        self.folder / secrets.token_hex(8),
                        request,
                        data,
                        name=name,
                        owner=owner,
                        place=self._next_place(),
                    )
                if forecast is not None:
                    run.note_forecast(forecast.seconds, forecast.memory_mib)
            except (OSError, Timeout) as error:
                _log.warning("a run can't be written to %s: %s", self.folder, error)
                raise TallerError(
                    _(
                        "No se puede escribir en la carpeta de los entrenamientos: el disco está lleno o no deja "
                        "escribir. Borra entrenamientos viejos o avisa a quien administra la aplicación."
                    )
                ) from error
        return run.id

    def _next_place(self) -> int:
        file = self.folder / "place"
        try:
            last = int(file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            last = max((about.place for _run, about, _state in self._all()), default=0)
        file.write_text(str(last + 1), encoding="ascii")
        return last + 1

    def _make_room(self, owner: str) -> None:
        active = [(about, state) for _run, about, state in self._all() if state.status not in OVER]
        own = sum(about.owner == owner_hash(owner) for about, _state in active)
        if own >= self._settings.training_per_session:
            raise QueueFull(
                _(
                    "Ya tienes {n} entrenamientos en marcha o en espera, y no se puede más. Espera a que acabe uno o "
                    "cancélalo; tu formulario sigue aquí."
                ).format(n=format_number(own))
            )
        if len(active) >= self._settings.training_queue + self._settings.training_at_once:
            raise QueueFull(
                _(
                    "Hay {n} entrenamientos en la fila y no caben más. Tu formulario sigue aquí: vuelve a intentarlo "
                    "en unos minutos."
                ).format(n=format_number(len(active)))
            )

    def _all(self) -> list[tuple[RunFolder, About, State]]:
        found = self._runs()
        seen = {run.id for run, _about, _state in found}
        over = [
            (RunFolder(self.folder / id_), about, state)
            for id_, (about, state) in list(self._over.items())
            if id_ not in seen
        ]
        return [*over, *found]

    def counts(self) -> tuple[int, int]:
        """How many runs train and how many wait, all visitors' together."""
        states = [state.status for _run, _about, state in self._all()]
        return states.count("running"), states.count("waiting")

    def _owned(self, owner: str, id_: str) -> RunFolder:
        # An id comes from a browser; ours are 16 hexadecimal digits, and nothing else is ever a path here.
        known = len(id_) == 16 and all(letter in "0123456789abcdef" for letter in id_)
        run = RunFolder(self.folder / id_) if known else None
        about = run.about if run is not None else None
        if run is None or about is None or not secrets.compare_digest(about.owner, owner_hash(owner)):
            raise InputInvalid(
                _("Este entrenamiento no existe o es de otra persona. Los tuyos están en «Mis entrenamientos».")
            )
        return run

    def run(self, owner: str, id_: str) -> RunFolder:
        """The folder of one of the visitor's runs.

        Raises:
            InputInvalid: there is no such run, or it is somebody else's.
        """
        return self._owned(owner, id_)

    def views(self, owner: str) -> list[RunView]:
        """The visitor's runs, the newest first."""
        with self._lock:
            found = self._all()
        mine = [item for item in found if item[1].owner == owner_hash(owner)]
        mine.sort(key=lambda item: -item[1].place)
        return [self._view(item, found) for item in mine]

    def view(self, owner: str, id_: str) -> RunView:
        """One of the visitor's runs.

        Raises:
            InputInvalid: there is no such run, or it is somebody else's.
        """
        self._owned(owner, id_)
        for view in self.views(owner):
            if view.id == id_:
                return view
        raise InputInvalid(_("Este entrenamiento ya no está."))

    def models(self, owner: str) -> list[ModelEntry]:
        """The models of the visitor's finished runs, the newest first."""
        done = (view for view in self.views(owner) if view.state.status == "done")
        found = (tuned_entry(RunFolder(self.folder / view.id)) for view in done)
        return [item for item in found if item is not None]

    def _view(
        self, item: tuple[RunFolder, About, State], everyone: Sequence[tuple[RunFolder, About, State]]
    ) -> RunView:
        run, about, state = item
        turn = run.turn
        if state.status != "waiting":
            return RunView(run.id, about, state, turn=turn)
        before = [
            other
            for other in everyone
            if other[2].status == "running" or (other[2].status == "waiting" and other[1].place < about.place)
        ]
        seconds = sum(self._left_s(*other) for other in before) / self._settings.training_at_once
        return RunView(run.id, about, state, len(before), seconds, turn)

    def _left_s(self, run: RunFolder, about: About, state: State) -> float:
        whole = about.forecast_s or self._typical_s()
        if state.status != "running":
            return whole
        lines = [line for line in run.progress() if "left_s" in line]
        return float(lines[-1]["left_s"]) if lines else whole

    def _typical_s(self) -> float:
        """What runs take here, from those that are over."""
        known = [
            float(result["seconds"])
            for id_ in list(self._over)[-10:]
            if (result := RunFolder(self.folder / id_).result) is not None
        ]
        return statistics.median(known) if known else _UNKNOWN_S

    def cancel(self, owner: str, id_: str) -> None:
        """Ends a run; one that works writes a checkpoint first and can go on later.

        Raises:
            InputInvalid: there is no such run, or it is somebody else's.
        """
        run = self._owned(owner, id_)
        with suppress(OSError):
            run.cancel()
        with self._lock:
            process = self._own.get(id_)
            state = run.state
            if process is not None and process.poll() is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGTERM)
            elif state is not None and state.status == "waiting" and not run.turn.open and not run.busy():
                run.put(replace(state, status="cancelled"))

    def go_on(self, owner: str, id_: str) -> None:
        """Lets a run that failed or was cancelled go on from its checkpoint.

        Raises:
            InputInvalid: there is no such run, or it is somebody else's.
            QueueFull: as ``submit``.
        """
        run = self._owned(owner, id_)
        with self._lock:
            state = run.state
            if state is None or state.status not in ("failed", "cancelled"):
                return
            self._make_room(owner)
            run.forget_cancel()
            self._forget(id_)
            run.put(State())

    def delete(self, owner: str, id_: str) -> None:
        """Takes a run and all its files away; one that works is ended first.

        Raises:
            InputInvalid: there is no such run, or it is somebody else's.
        """
        run = self._owned(owner, id_)
        self.cancel(owner, id_)
        with self._lock:
            process = self._own.pop(id_, None)
        if process is not None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            if process.poll() is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)
        self._end_away(run)
        with self._lock:
            self._away.pop(id_, None)
            self._forget(id_)
            run.delete()
        self._gone(id_)

    def _end_away(self, run: RunFolder) -> None:
        """Ends whoever works on a run on the cluster; one that can't be told leaves when the folder is gone."""
        turn = run.turn
        if turn.open and turn.place == "cluster":
            told = self._sent_away(run, turn.number, start=False).end()
            with suppress(Lost, TimeoutError, CancelledError):
                told.result(5)

    def forecast(self, request: TuningRequest, data: DataSet) -> Forecast:
        """Measures three steps in a process of their own; one measure at a time, the others wait.

        Raises:
            TallerError: it can't be run, or the measure failed.
        """
        check(request)
        with self._measuring:
            run = None
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                path = self.folder / f".forecast-{secrets.token_hex(8)}"
                run = RunFolder.create(path, request, data, name="", owner=secrets.token_hex(16), place=0)
                code = self._measure_away(run) if self._clustered else None
                if not (run.path / "forecast.json").is_file():
                    code = self._measure_here(run)
                found: dict[str, Any] = {}
                with suppress(OSError, ValueError):
                    found = json.loads((run.path / "forecast.json").read_text(encoding="utf-8"))
                if "seconds" in found:
                    return Forecast(**found)
                raise TallerError(
                    found.get("message")
                    or failure_text(found.get("reason") or REASONS.get(code if code is not None else -1, "other"))
                )
            except OSError as error:
                raise TallerError(failure_text("disk" if error.errno == 28 else "other")) from error
            finally:
                if run is not None:
                    run.delete()

    def _measure_here(self, run: RunFolder) -> int | None:
        process = self._start(run, "--forecast")
        try:
            process.wait(_FORECAST_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)
        return process.returncode

    def _measure_away(self, run: RunFolder) -> int | None:
        """Measures on the cluster; where that can't be, nothing is written, and this machine measures."""
        if self._connection.why_not(0.0)[0]:
            return None
        run.put_turn(Turn(1, "cluster", open=True))
        away = self._sent_away(run, 1, start=True, options=("--forecast",))
        ending = wait_for(away.poll, _FORECAST_S)
        away.end()
        if ending is None:
            return None
        self._note_ending(ending)
        return ending.code


def failure_text(reason: str) -> str:
    """Why a run ended without a result, and what to do."""
    return {
        "disk": _(
            "El disco se llenó. Lo aprendido hasta el último punto guardado sigue ahí: borra entrenamientos viejos "
            "y pulsa «Seguir»."
        ),
        "memory": _(
            "No alcanzó la memoria. Baja el lote o la longitud máxima, o elige un modelo más pequeño, y empieza "
            "otra vez."
        ),
        "killed": _(
            "El sistema cerró el proceso varias veces en el mismo punto; suele ser por falta de memoria. Baja el lote "
            "o la longitud máxima y empieza otra vez."
        ),
    }.get(
        reason,
        _(
            "El entrenamiento falló de nuestro lado. Pulsa «Seguir» para intentarlo desde el último punto guardado; "
            "si vuelve a fallar, avisa a quien administra la aplicación."
        ),
    )


def state_text(view: RunView) -> str:
    """How a run stands, in a few words."""
    status: Status = view.state.status
    if status == "waiting" and view.ahead:
        return _("en espera: {n} por delante, unos {time}").format(
            n=format_number(view.ahead), time=format_duration(view.wait_s or 0.0)
        )
    return {
        "waiting": _("a punto de empezar"),
        "running": _("en marcha"),
        "done": _("terminado"),
        "cancelled": _("cancelado"),
        "failed": _("falló"),
    }[status]
