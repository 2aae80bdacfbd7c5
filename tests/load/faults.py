"""What breaks while people work: ``python -m tests.load.faults --rounds 20``.

Some visitors ask models without a pause and fine-tuning runs follow one another, all in one app; with ``--ray``, a Ray
cluster on this machine computes for it. Each round does one of these at a random moment:

- ``server``: the app's process ends as if the power had gone, and is started again as a host's supervisor would;
- ``worker``: the process that trains ends so;
- ``replica``, ``node``: the cluster's process that computes ends so, or all of the cluster, which is started again;
- ``disk``: the disk that holds the runs is full for a while (a small ``tmpfs``, which needs root);
- ``memory``: the process that trains gets no more memory from the system;
- ``short``: the app's own process gets none for some seconds;
- ``clock``: the app's clock jumps by up to a year, ahead or back (a library that is put before the system's, which
  needs a C compiler).

Then it is looked whether anything was lost or wrong:

- every run ends, and with the very weights of a run that nobody touched; one that failed for want of room or memory
  is told to go on, as its owner would;
- every answer is that of a quiet server, and no page holds another visitor's text; every other question is a new one,
  which no cache can answer;
- how long it takes until a visitor has a right answer again, or until the run gets further again.

What the visitors see of a server's death (a page that is cut off) is counted, too: their browsers come back by
themselves, and so do these visitors.
"""

import argparse
import asyncio
import hashlib
import html
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

import psutil

from core.runtime.device import CPU
from core.runtime.engine import Engine
from core.runtime.pool import ModelPool
from core.settings import Settings
from core.tasks import fill_mask
from core.tasks.fill_mask import FillMaskRequest
from core.training.data import DataSet
from core.training.jobs import TrainingJobs
from core.training.run import OVER, Reason, RunFolder
from core.training.tuning.request import TuningRequest
from tests.browser.conftest import serve_app
from tests.cluster.servers import SECRET, Cluster
from tests.conftest import free_port
from tests.load.mixed import metric, name, server_of
from tests.load.visitors import Visit, in_a_loop, visit
from tests.training import tiny

Kind = Literal["server", "worker", "replica", "node", "disk", "memory", "short", "clock"]
KINDS: Final[tuple[Kind, ...]] = ("server", "worker", "replica", "node", "disk", "memory", "short", "clock")

_OWNER: Final = "f" * 32
_TURNS: Final = 2
_MODEL: Final = "mini-beto"
# What a page says instead of an answer.
_TOLD: Final = re.compile(r'alert \{\s+body: "([^"]*)"')
# Points of a per cent: requests that are computed together are padded, which moves the sixth digit.
_SAME: Final = 0.01
_PAGE_S: Final = 600.0
# After so long without the end of a page, a visitor loads it again.
_RELOADS_S: Final = 120.0
# Nothing measured so far took longer than a minute to go on; what is stuck must not hold the other tests up for long.
_PATIENCE_S: Final = 300.0
_DISK_BYTES: Final = 96 * 2**20
# How long a run may take to fail.
_FAILS_S: Final = 60.0
_YEAR_S: Final = 365 * 86_400

# What the system says of the time of day, so many seconds off.
_CLOCK: Final = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const long long *ahead;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("TALLER_TEST_CLOCK");
    int file = name ? open(name, O_RDONLY) : -1;
    void *page = file < 0 ? MAP_FAILED : mmap(0, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) ahead = page;
    if (file >= 0) close(file);
}

int clock_gettime(clockid_t id, struct timespec *now) {
    long failed = syscall(SYS_clock_gettime, id, now);
    if (!failed && ahead && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += *ahead;
    return (int)failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec found;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &found)) return -1;
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (out) *out = found.tv_sec;
    return found.tv_sec;
}
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much goes on.

    Attributes:
        visitors: people who ask.
        epochs: of a run.
        batch: its examples a step; fewer take longer.
        pause_s: longest time in a round before something is killed.
        reads_s: how long a visitor reads an answer; without that, they take what a run needs of a small machine.
        full_s: longest time that a full disk stays full: without room, a run can't even write down that it failed.
    """

    visitors: int
    epochs: int
    batch: int
    pause_s: float
    reads_s: float
    full_s: float


SMALL: Final = Size(visitors=2, epochs=30, batch=8, pause_s=0.5, reads_s=0.5, full_s=10.0)
LONG: Final = Size(visitors=3, epochs=100, batch=2, pause_s=8.0, reads_s=0.0, full_s=60.0)
SIZES: Final = {"small": SMALL, "long": LONG}


@dataclass(slots=True)
class Report:
    """What came of it.

    Attributes:
        kills: by kind.
        recovery: seconds until things went on, by kind.
        back: seconds until a cluster that was killed and started again answered visitors.
        stuck: rounds after which nothing went on.
        answers: right ones.
        cut: pages that ended in the middle, since the server did.
        waited: pages that asked to try again, as while a model takes long to load.
        wrong: answers that differ from a quiet server's, in words.
        foreign: pages that held somebody else's text.
        runs: fine-tuning runs that were begun.
        resumed: how often one of them went on from a checkpoint.
        lost: those that didn't end as the quiet one, in words.
    """

    kills: Counter[Kind] = field(default_factory=Counter)
    recovery: dict[Kind, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    back: list[float] = field(default_factory=list)
    stuck: int = 0
    answers: int = 0
    cut: int = 0
    waited: int = 0
    wrong: list[str] = field(default_factory=list)
    foreign: int = 0
    runs: int = 0
    resumed: int = 0
    lost: list[str] = field(default_factory=list)

    def table(self) -> str:
        """The figures as a Markdown table."""
        rows = [("rounds", f"{self.kills.total()}"), ("no recovery", f"{self.stuck}")]
        for kind in KINDS:
            if self.kills[kind]:
                rows.append((f"{kind}: rounds", f"{self.kills[kind]}"))
            if self.recovery[kind]:
                rows.append((f"{kind}: recovery, p50 / worst", _times(self.recovery[kind])))
        if self.back:
            rows.append(("node: until the new cluster answers, p50 / worst", _times(self.back)))
        rows += [
            ("runs", f"{self.runs}"),
            ("went on from a checkpoint", f"{self.resumed} times"),
            ("runs lost", f"{len(self.lost)}"),
            ("right answers", f"{self.answers}"),
            ("pages cut off", f"{self.cut}"),
            ("told to try again", f"{self.waited}"),
            ("wrong answers", f"{len(self.wrong)}"),
            ("pages with another's text", f"{self.foreign}"),
        ]
        return "\n".join(["| What | How much |", "| --- | --- |", *(f"| {what} | {much} |" for what, much in rows)])


def _times(found: list[float]) -> str:
    return f"{sorted(found)[len(found) // 2]:.1f} s / {max(found):.1f} s"


# --- visitors ---------------------------------------------------------------------------------------------


def question(number: int, turn: int) -> dict[str, str]:
    """What a visitor asks, with a word of their own in it.

    Every other question is a new one, of a missing word; the others are two that come again and again.
    """
    who = name(number)
    missing_word = {"task": "fill-mask", "tl": "es", "model": _MODEL}
    if turn % 2:
        return missing_word | {"text": f"{who} vive en una [MASK] grande con {turn} ventanas."}
    turn = turn // 2 % _TURNS
    if number % 2:
        return missing_word | {"text": f"{who} come una [MASK] con {turn + 2} amigos."}
    return {"task": "sentiment", "tl": "en", "text": f"Visitor {who} liked the film of turn {turn}."}


def answer(one: Visit) -> tuple[tuple[str, float], ...]:
    """The bars of a page: each with its label and its length in per cent."""
    from google.protobuf.text_encoding import CUnescape

    found: list[tuple[str, float]] = []
    for line in one.sent.splitlines():
        if line.lstrip().startswith('spec: "'):
            for trace in json.loads(CUnescape(line.strip()[len('spec: "') : -1]))["data"]:
                found += zip((html.unescape(label).strip() for label in trace["y"]), trace["x"], strict=True)
    return tuple(found)


def same(one: tuple[tuple[str, float], ...], other: tuple[tuple[str, float], ...]) -> bool:
    """Whether two answers say the same; two words may change places that are as likely as each other."""
    one, other = tuple(sorted(one)), tuple(sorted(other))
    return [label for label, _length in one] == [label for label, _length in other] and all(
        abs(a - b) <= _SAME for (_one, a), (_other, b) in zip(one, other, strict=True)
    )


class People:
    """Visitors who ask again and again, in threads of their own.

    Args:
        address: of the app.
        size: how many they are.
        report: where they note what they see.
    """

    def __init__(self, address: str, size: Size, report: Report) -> None:
        self._address = address
        self._people, self._reads_s = size.visitors, size.reads_s
        self._report = report
        self._quiet: dict[tuple[int, int], tuple[tuple[str, float], ...]] = {}
        settings = Settings()
        self._engine = Engine(ModelPool(settings, CPU), settings)
        self._end = threading.Event()
        self._thread = ThreadPoolExecutor(1, "people")
        self._asking: Future[None] | None = None
        # When the question was asked that was answered rightly last, for each of them.
        self.served: dict[int, float] = dict.fromkeys(range(self._people), -1.0)

    def listen(self) -> None:
        """Notes what a quiet server answers."""
        for number in range(self._people):
            for turn in range(0, 2 * _TURNS, 2):
                one = in_a_loop(visit(self._address, "tasks", _PAGE_S, **question(number, turn)))
                self._quiet[number, turn] = answer(one)
                if not one.finished or not self._quiet[number, turn]:
                    raise RuntimeError(f"no answer from a quiet server to {question(number, turn)}")
        new = in_a_loop(visit(self._address, "tasks", _PAGE_S, **question(0, 1)))
        if not same(answer(new), self.right(0, 1)):
            raise RuntimeError(f"a quiet server answers {answer(new)} and not {self.right(0, 1)}")

    def right(self, number: int, turn: int) -> tuple[tuple[str, float], ...]:
        """What is to be answered: what a quiet server did, or what this process computes."""
        if not turn % 2:
            return self._quiet[number, turn % (2 * _TURNS)]
        request = FillMaskRequest(question(number, turn)["text"])
        (gap,) = self._engine.run(fill_mask.TASK, request, model=_MODEL).result.gaps
        return tuple((one.text, 100 * one.probability) for one in gap.candidates)

    def begin(self) -> None:
        """Lets them ask."""
        self._asking = self._thread.submit(lambda: asyncio.run(self._all()))

    def leave(self) -> None:
        """Lets none of them ask again."""
        self._end.set()

    def end(self) -> None:
        """Sends them home; what one of them stumbled over is raised here."""
        self.leave()
        if self._asking is not None:
            self._asking.result(2 * _PAGE_S)

    async def _all(self) -> None:
        await asyncio.gather(*(self._asks(number) for number in range(self._people)))

    async def _asks(self, number: int) -> None:
        from websockets.exceptions import WebSocketException

        turn = 0
        while not self._end.is_set():
            asked = time.monotonic()
            try:
                one = await visit(self._address, "tasks", _RELOADS_S, **question(number, turn))
            except (OSError, EOFError, WebSocketException):
                await asyncio.sleep(0.2)  # as a browser, which tries again
                continue
            await asyncio.to_thread(self._judge, one, number, turn, asked)
            turn += one.finished
            await asyncio.sleep(self._reads_s)

    def _judge(self, one: Visit, number: int, turn: int, asked: float) -> None:
        others = set(range(self._people)) - {number}
        if any(name(other) in one.sent for other in others):
            self._report.foreign += 1
        if not one.finished:
            self._report.cut += 1
        elif not answer(one) and "vuelve a intentarlo" in one.sent.lower():
            self._report.waited += 1
        elif not same(answer(one), right := self.right(number, turn)):
            said = _TOLD.findall(one.sent)
            self._report.wrong.append(f"{question(number, turn)}: {answer(one)} {said} for {right}")
            if not said:
                # Without a word, only all that came can tell what happened.
                file = Path(tempfile.gettempdir()) / f"page-{number}-{turn}.txt"
                file.write_text(one.sent, encoding="utf-8")
                self._report.wrong[-1] += f" (all of it: {file})"
            print(self._report.wrong[-1], file=sys.stderr, flush=True)
        else:
            self._report.answers += 1
            self.served[number] = asked


# --- fine-tuning runs ---------------------------------------------------------------------------------------


class Runs:
    """Fine-tuning runs, one after another, which the app's own queue trains.

    Args:
        hub: folder with the tiny encoder.
        folder: of the runs, which the app looks into, too.
        size: how long they are.
    """

    def __init__(self, hub: Path, folder: Path, size: Size) -> None:
        # It only writes orders: it never begins, and the app is in charge of the workers.
        self._queue = TrainingJobs(tiny.settings(hub, folder))
        self._request = TuningRequest(
            "classification", tiny.BASE, "full", epochs=size.epochs, learning_rate=1e-3, batch=size.batch, max_length=32
        )
        self._data: DataSet = tiny.colours()
        self.all: list[RunFolder] = []

    def order(self) -> RunFolder:
        """A new run at the end of the queue."""
        id_ = self._queue.submit(_OWNER, self._request, self._data, name="colours")
        self.all.append(RunFolder(self._queue.folder / id_))
        return self.all[-1]

    def current(self) -> RunFolder:
        """The run that trains or waits; a new one if there is none."""
        run = self.all[-1]
        state = run.state
        return run if state is not None and state.status not in OVER else self.order()

    def go_on(self, run: RunFolder) -> None:
        """As its owner does with one that failed."""
        self._queue.go_on(_OWNER, run.id)


def steps(run: RunFolder) -> int:
    """How far a run has got."""
    return max((line.get("step", 0) for line in run.progress() if line.get("kind") == "step"), default=0)


def outcome(run: RunFolder) -> str:
    """What a run ended with: its weights and figures, those about time left out; why, if it has none."""
    state, file = run.state, run.path / "model/model.safetensors"
    if state is None or state.status != "done" or not file.is_file():
        return f"{state}"
    result = run.result or {}
    figures = json.dumps([result.get("metric"), result.get("value"), result.get("n")])
    return hashlib.sha256(file.read_bytes()).hexdigest() + figures


def worker(run: RunFolder) -> psutil.Process | None:
    """The process that trains a run, or ``None``."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = process.cmdline()
            if "core.training.worker" in command and str(run.path) in command:
                return process
    return None


def gets_on(run: RunFolder) -> bool:
    """Whether the process that trains a run has got further than the one before it.

    The app gives a run up when process after process dies at the same step: that is its promise, and no loss.
    """
    state = run.state
    return state is not None and state.status == "running" and steps(run) > max(0, state.reached)


# --- rounds -------------------------------------------------------------------------------------------------


class Site:
    """The app on one port, whatever happens to it, and its cluster.

    Args:
        folder: for the disk and the clock; empty.
        ray: let a cluster compute.
        kinds: what will happen to it.
        environment: of all its processes.
    """

    def __init__(self, folder: Path, *, ray: bool, kinds: tuple[Kind, ...], **environment: str) -> None:
        # One thread: a run must end with the same weights whoever trains it.
        self._environment = {"OMP_NUM_THREADS": "1", **environment}
        self._port = free_port()
        self.address = f"http://127.0.0.1:{self._port}"
        self.disk: Path | None = None
        self.clock: Path | None = None
        self.cluster: Cluster | None = None
        if "disk" in kinds:
            disk = folder / "disk"
            disk.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "runs", str(disk)], check=True)
            self.disk = disk
            self._environment["TALLER_TRAINING_DIR"] = str(disk / "runs")
        if ray:
            self.cluster = Cluster(free_port(), **self._environment)
            self._environment |= {
                "TALLER_RAY_ADDRESS": f"http://127.0.0.1:{self.cluster.port}",
                "TALLER_RAY_SECRET": SECRET,
                "TALLER_TRAINING_CLUSTER_WAIT": "30",
            }
        if "clock" in kinds:
            self.clock = folder / "clock"
            self.jump(0)
            (folder / "clock.c").write_text(_CLOCK, encoding="ascii")
            library = str(folder / "clock.so")
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, str(folder / "clock.c")], check=True)
            self._environment |= {"LD_PRELOAD": library, "TALLER_TEST_CLOCK": str(self.clock)}
        self._start()

    @property
    def runs(self) -> Path:
        """Where the app keeps its runs."""
        return Path(self._environment["TALLER_TRAINING_DIR"])

    def _start(self) -> None:
        self._serving = serve_app(port=self._port, **self._environment)
        self._serving.__enter__()

    def kill(self) -> None:
        """Ends the app at once."""
        server_of(self.address).kill()
        self._serving.__exit__(None, None, None)

    def restart(self, *, ended: bool = False) -> None:
        """As a supervisor does.

        Args:
            ended: it has come to its end by itself, without ``kill``.
        """
        if ended:
            self._serving.__exit__(None, None, None)
        self._start()

    def jump(self, seconds: int) -> None:
        """Lets its clock be so many seconds ahead."""
        assert self.clock is not None
        with self.clock.open("r+b" if self.clock.exists() else "wb") as file:
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))

    def from_the_cluster(self) -> float:
        """Requests that the cluster has answered since the app began."""
        return metric(self.address, 'taller_engine_requests_total{engine="ray"}')

    def stop(self) -> None:
        """Ends it all."""
        self._serving.__exit__(None, None, None)
        if self.cluster is not None:
            self.cluster.kill()

    def unmount(self) -> None:
        """Takes the small disk away; nobody may work on it any more."""
        if self.disk is not None:
            subprocess.run(["umount", "--lazy", str(self.disk)], check=True)


def until(condition: Callable[[], Any], seconds: float = _PATIENCE_S) -> Any:
    """What ``condition`` says as soon as it is true; ``None`` if it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    return None


def _server_dies(site: Site, people: People) -> Callable[[], bool]:
    site.kill()
    killed = time.monotonic()
    site.restart()
    return lambda: max(people.served.values()) > killed


def _working(runs: Runs, ready: Callable[[RunFolder], bool] = gets_on) -> tuple[RunFolder, psutil.Process] | None:
    """A run, and the process that trains it, as soon as it is ready for what is to come."""

    def found() -> tuple[RunFolder, psutil.Process] | None:
        run = runs.current()
        process = worker(run) if ready(run) else None
        return (run, process) if process is not None else None

    here: tuple[RunFolder, psutil.Process] | None = until(found)
    return here


def _written(run: RunFolder) -> int:
    """How much of its progress a run has written, in bytes."""
    file = run.path / "progress.jsonl"
    return file.stat().st_size if file.is_file() else 0


def _gets_on(run: RunFolder) -> Callable[[], bool]:
    told = _written(run)

    def goes_on() -> bool:
        state = run.state
        return _written(run) > told or (state is not None and state.status in OVER)

    return goes_on


def _worker_dies(runs: Runs) -> Callable[[], bool] | None:
    here = _working(runs)
    if here is None:
        return None
    run, process = here
    with suppress(psutil.NoSuchProcess):  # it may have ended in this very moment, and well
        process.kill()
    return _gets_on(run)


def _replica_dies(site: Site, people: People) -> Callable[[], bool] | None:
    assert site.cluster is not None
    cluster = site.cluster

    def found() -> psutil.Process | None:
        for part in cluster.parts():
            with suppress(psutil.Error):  # others come and go
                if "ServeReplica" in " ".join(part.cmdline()):
                    return part
        return None

    replica = until(found)
    if replica is None:
        return None
    with suppress(psutil.NoSuchProcess):
        replica.kill()
    killed = time.monotonic()
    return lambda: max(people.served.values()) > killed


def _node_dies(site: Site, people: People, report: Report) -> Callable[[], bool]:
    """Kills the cluster and starts it again; it counts as back when it has answered somebody."""
    assert site.cluster is not None
    site.cluster.kill()
    killed = time.monotonic()
    if not until(lambda: max(people.served.values()) > killed):
        return lambda: False
    report.recovery["node"].append(time.monotonic() - killed)
    site.cluster.restart()
    began, before = time.monotonic(), site.from_the_cluster()

    def back() -> bool:
        if site.from_the_cluster() <= before:
            return False
        report.back.append(time.monotonic() - began)
        return True

    return back


def _fails_and_goes_on(
    runs: Runs, report: Report, run: RunFolder, reason: Reason, wait_s: float, relieve: Callable[[], None]
) -> Callable[[], bool]:
    """Waits until a run has failed, unless it gets over it by itself; relieves it, and lets it go on."""

    def over() -> bool:
        state = run.state
        return state is not None and state.status in OVER

    until(over, wait_s)
    before = _written(run)
    relieve()
    # Without room not even its failure could be written down: that comes now, or it gets on.
    until(lambda: over() or _written(run) > before, _FAILS_S)
    state = run.state
    if state is not None and state.status == "failed":
        if state.reason != reason:
            report.lost.append(f"{run.id}: {state} instead of {reason}")
        runs.go_on(run)
    return _gets_on(run)


def _disk_fills(site: Site, runs: Runs, report: Report, full_s: float) -> Callable[[], bool] | None:
    here = _working(runs)
    if here is None:
        return None
    assert site.disk is not None
    filler = site.disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return _fails_and_goes_on(runs, report, here[0], "disk", full_s, filler.unlink)


def _begun(run: RunFolder) -> bool:
    state = run.state
    return state is not None and state.status == "running"


def _memory_runs_out(runs: Runs, report: Report, chance: random.Random) -> Callable[[], bool] | None:
    # While it loads its model, or once it trains, when it may do with what it has.
    here = _working(runs, chance.choice((_begun, gets_on)))
    if here is None:
        return None
    run, process = here
    with suppress(psutil.NoSuchProcess):
        resource.prlimit(process.pid, resource.RLIMIT_AS, (0, resource.RLIM_INFINITY))
    return _fails_and_goes_on(runs, report, run, "memory", _FAILS_S, lambda: None)


def _server_runs_short(site: Site, people: People, runs: Runs, chance: random.Random) -> Callable[[], bool]:
    """Gives the app no memory beyond what it has, or little, and after some seconds all there is.

    A server that this ends is started again; a run whose process it couldn't begin is told to go on.
    """
    server = server_of(site.address)
    limit = server.memory_info().vms + chance.choice((0, 8, 32, 128)) * 2**20
    resource.prlimit(server.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    time.sleep(chance.uniform(2, 15))
    everything = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    try:
        # What it has begun meanwhile has inherited the limit.
        for process in (server, *server.children(recursive=True)):
            with suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_AS, everything)
        ended = not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        ended = True
    relieved = time.monotonic()
    if ended:
        site.restart(ended=True)
    for run in runs.all:
        state = run.state
        if state is not None and state.status == "failed" and state.reason == "memory":
            runs.go_on(run)
    return lambda: max(people.served.values()) > relieved


def _clock_jumps(site: Site, people: People, chance: random.Random) -> Callable[[], bool]:
    site.jump(chance.randint(-_YEAR_S, _YEAR_S))
    jumped = time.monotonic()
    return lambda: max(people.served.values()) > jumped


@contextmanager
def _busy_site(
    size: Size, folder: Path, report: Report, kinds: tuple[Kind, ...], ray: bool
) -> Iterator[tuple[Site, People, Runs, str]]:
    tiny.write_encoder(folder / "hub")
    site = Site(
        folder,
        ray=ray,
        kinds=kinds,
        TALLER_OFFLINE="1",
        TALLER_WARM_UP="0",
        TALLER_DEVICE="cpu",
        TALLER_MODELS_DIR=str(folder / "hub"),
        TALLER_TRAINING_DIR=str(folder / "runs"),
    )
    runs = Runs(folder / "hub", site.runs, size)
    people = People(site.address, size, report)
    try:
        people.listen()
        # The queue begins with the first look at it, which a page of tasks has had.
        quiet = runs.order()
        until(lambda: quiet.state is not None and quiet.state.status in OVER)
        expected = outcome(quiet)
        if quiet.state is None or quiet.state.status != "done":
            raise RuntimeError(f"a quiet run did not end well: {expected}")
        people.begin()
        yield site, people, runs, expected
        people.end()
    finally:
        people.leave()
        site.stop()
        for run in runs.all:
            with suppress(OSError):
                run.cancel()
        site.unmount()


def possible(*, ray: bool) -> tuple[Kind, ...]:
    """What can be done here.

    Args:
        ray: a cluster computes. Its processes keep their own clock: those that Ray is made of measure time by it.
    """
    found: list[Kind] = ["server", "worker", "memory", "short"]
    found += ["replica", "node"] if ray else []
    found += ["disk"] if os.geteuid() == 0 and shutil.which("mount") else []
    found += ["clock"] if shutil.which("cc") else []
    return tuple(kind for kind in KINDS if kind in found)


def run_rounds(
    rounds: int,
    size: Size,
    folder: Path,
    *,
    seed: int = 1,
    kinds: tuple[Kind, ...] = ("server", "worker"),
    in_order: bool = False,
    ray: bool = False,
    minutes: float = 60.0,
) -> Report:
    """Runs them all, or as many as there is time for.

    Args:
        rounds: how many.
        size: how much goes on.
        folder: for models and runs; empty.
        seed: of what happens when.
        kinds: what happens.
        in_order: the kinds follow one another; otherwise chance has it.
        ray: a cluster on this machine computes.
        minutes: after which no round begins.
    """
    report, chance, end = Report(), random.Random(seed), time.monotonic() + 60 * minutes
    with _busy_site(size, folder, report, kinds, ray) as (site, people, runs, expected):
        for number in range(rounds):
            if time.monotonic() > end:
                break
            runs.current()
            time.sleep(chance.uniform(0, size.pause_s))
            kind = kinds[number % len(kinds)] if in_order else chance.choice(kinds)
            began = time.monotonic()
            goes_on: Callable[[], bool] | None = None
            if kind == "server":
                goes_on = _server_dies(site, people)
            elif kind == "replica":
                goes_on = _replica_dies(site, people)
            elif kind == "node":
                goes_on = _node_dies(site, people, report)
            elif kind == "short":
                goes_on = _server_runs_short(site, people, runs, chance)
                began = time.monotonic()
            elif kind == "clock":
                goes_on = _clock_jumps(site, people, chance)
            else:
                if kind == "worker":
                    goes_on = _worker_dies(runs)
                elif kind == "disk":
                    goes_on = _disk_fills(site, runs, report, size.full_s)
                else:
                    goes_on = _memory_runs_out(runs, report, chance)
                began = time.monotonic()  # it may have waited for one that gets on, and for it to fail
            report.kills[kind] += goes_on is not None
            if goes_on is None or not until(goes_on):
                report.stuck += 1
            elif kind != "node":
                report.recovery[kind].append(time.monotonic() - began)
            seen = f"{report.answers} right, {len(report.wrong)} wrong, {report.foreign} of another"
            took = time.monotonic() - began
            print(f"{number + 1}/{rounds} {kind} {took:.1f} s; {seen}", file=sys.stderr, flush=True)
        for run in runs.all:
            until(lambda run=run: run.state is not None and run.state.status in OVER)
        report.runs = len(runs.all)
        report.resumed = sum(line.get("kind") == "resumed" for run in runs.all for line in run.progress())
        report.lost += [f"{run.id}: {found}" for run in runs.all if (found := outcome(run)) != expected]
    return report


def main() -> int:
    """The command line; 1 if anything was lost, wrong or stuck."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.faults", description="Break things while people work.")
    parser.add_argument("--rounds", type=int, default=20, help="how often something breaks (20)")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no round after so many minutes (60)")
    parser.add_argument("--seed", type=int, default=1, help="of what breaks when (1)")
    parser.add_argument("--ray", action="store_true", help="a Ray cluster on this machine computes, and breaks, too")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="what breaks (all that can here)")
    parser.add_argument("--size", choices=SIZES, default="long", help="visitors, length of runs and pauses (long)")
    chosen = parser.parse_args()
    if chosen.ray and find_spec("ray") is None:
        parser.error("Ray is not installed: pip install -r requirements-ray.txt")
    can = possible(ray=chosen.ray)
    if missing := set(chosen.kinds or ()) - set(can):
        parser.error(f"not here, or not without --ray: {', '.join(sorted(missing))}")
    kinds = tuple(kind for kind in can if not chosen.kinds or kind in chosen.kinds)
    with tempfile.TemporaryDirectory() as folder:
        report = run_rounds(
            chosen.rounds,
            SIZES[chosen.size],
            Path(folder),
            seed=chosen.seed,
            kinds=kinds,
            ray=chosen.ray,
            minutes=chosen.minutes,
        )
    print(report.table())
    for words in (*report.wrong[:10], *report.lost[:10]):
        print(words)
    return int(bool(report.wrong or report.lost or report.foreign or report.stuck))


if __name__ == "__main__":
    sys.exit(main())
