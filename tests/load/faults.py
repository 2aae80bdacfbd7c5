"""What breaks while people work: ``python -m tests.load.faults --rounds 20``.

Some visitors ask models without a pause and fine-tuning runs follow one another, all in one app. Each round ends a
process at a random moment as if the power had gone: the server, which is started again as a host's supervisor would,
or the worker that trains. Then it is looked whether anything was lost or wrong:

- every run ends, and with the very weights of a run that nobody touched;
- every answer is that of a quiet server, and no page holds another visitor's text;
- how long it takes until a visitor has a right answer again, or until the run gets further again.

What the visitors see of a server's death (a page that is cut off) is counted, too: their browsers come back by
themselves, and so do these visitors.
"""

import argparse
import asyncio
import hashlib
import json
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import psutil

from core.training.data import DataSet
from core.training.jobs import TrainingJobs
from core.training.run import OVER, RunFolder
from core.training.tuning.request import TuningRequest
from tests.browser.conftest import serve_app
from tests.conftest import free_port
from tests.load.mixed import name, p95, server_of
from tests.load.visitors import Visit, in_a_loop, visit
from tests.training import tiny

Kind = Literal["server", "worker"]
KINDS: Final[tuple[Kind, ...]] = ("server", "worker")

_OWNER: Final = "f" * 32
_TURNS: Final = 2
# What a page says instead of an answer.
_TOLD: Final = re.compile(r'alert \{\s+body: "([^"]*)"')
# Points of a per cent: requests that are computed together are padded, which moves the sixth digit.
_SAME: Final = 0.01
_PAGE_S: Final = 180.0
_PATIENCE_S: Final = 420.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much goes on.

    Attributes:
        visitors: people who ask.
        epochs: of a run.
        batch: its examples a step; fewer take longer.
        pause_s: longest time in a round before something is killed.
    """

    visitors: int
    epochs: int
    batch: int
    pause_s: float


SMALL: Final = Size(visitors=2, epochs=30, batch=8, pause_s=0.5)
LONG: Final = Size(visitors=3, epochs=100, batch=2, pause_s=8.0)


@dataclass(slots=True)
class Report:
    """What came of it.

    Attributes:
        kills: by kind.
        recovery: seconds until things went on, by kind.
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
            times = self.recovery[kind]
            rows.append((f"{kind} killed", f"{self.kills[kind]}"))
            if times:
                middle = sorted(times)[len(times) // 2]
                rows.append((f"recovery, {kind}: p50 / p95", f"{middle:.1f} s / {p95(times):.1f} s"))
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


# --- visitors ---------------------------------------------------------------------------------------------


def question(number: int, turn: int) -> dict[str, str]:
    """What a visitor asks: a judgement or a missing word, of a sentence with a word of their own."""
    who, turn = name(number), turn % _TURNS
    if number % 2:
        return {"task": "fill-mask", "tl": "es", "text": f"{who} vive en una [MASK] grande con {turn + 2} ventanas."}
    return {"task": "sentiment", "tl": "en", "text": f"Visitor {who} liked the film of turn {turn}."}


def answer(one: Visit) -> tuple[tuple[str, float], ...]:
    """The bars of a page: each with its label and its length in per cent."""
    from google.protobuf.text_encoding import CUnescape

    found: list[tuple[str, float]] = []
    for line in one.sent.splitlines():
        if line.lstrip().startswith('spec: "'):
            for trace in json.loads(CUnescape(line.strip()[len('spec: "') : -1]))["data"]:
                found += zip((label.strip() for label in trace["y"]), trace["x"], strict=True)
    return tuple(found)


def same(one: tuple[tuple[str, float], ...], other: tuple[tuple[str, float], ...]) -> bool:
    """Whether two answers say the same."""
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
        self._people = size.visitors
        self._report = report
        self._quiet: dict[tuple[int, int], tuple[tuple[str, float], ...]] = {}
        self._end = threading.Event()
        self._thread = ThreadPoolExecutor(1, "people")
        self._asking: Future[None] | None = None
        # When the question was asked that was answered rightly last, for each of them.
        self.served: dict[int, float] = dict.fromkeys(range(self._people), -1.0)

    def listen(self) -> None:
        """Notes what a quiet server answers."""
        for number in range(self._people):
            for turn in range(_TURNS):
                one = in_a_loop(visit(self._address, "tasks", _PAGE_S, **question(number, turn)))
                self._quiet[number, turn] = answer(one)
                if not one.finished or not self._quiet[number, turn]:
                    raise RuntimeError(f"no answer from a quiet server to {question(number, turn)}")

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
                one = await visit(self._address, "tasks", _PAGE_S, **question(number, turn))
            except (OSError, EOFError, WebSocketException):
                await asyncio.sleep(0.2)  # as a browser, which tries again
                continue
            self._judge(one, number, turn % _TURNS, asked)
            turn += one.finished

    def _judge(self, one: Visit, number: int, turn: int, asked: float) -> None:
        others = set(range(self._people)) - {number}
        if any(name(other) in one.sent for other in others):
            self._report.foreign += 1
        if not one.finished:
            self._report.cut += 1
        elif not answer(one) and "vuelve a intentarlo" in one.sent.lower():
            self._report.waited += 1
        elif not same(answer(one), self._quiet[number, turn]):
            told = _TOLD.findall(one.sent)
            self._report.wrong.append(f"{question(number, turn)}: {answer(one)} {told} for {self._quiet[number, turn]}")
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
    """The process that trains a run and has got further than the one before it, or ``None``.

    The app gives a run up when process after process dies at the same step: that is its promise, and no loss.
    """
    state = run.state
    if state is None or state.status != "running" or steps(run) <= max(0, state.reached):
        return None
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = process.cmdline()
            if "core.training.worker" in command and str(run.path) in command:
                return process
    return None


# --- rounds -------------------------------------------------------------------------------------------------


class Site:
    """The app on one port, whatever happens to it."""

    def __init__(self, **environment: str) -> None:
        self._environment = environment
        self._port = free_port()
        self.address = f"http://127.0.0.1:{self._port}"
        self._start()

    def _start(self) -> None:
        self._serving = serve_app(port=self._port, **self._environment)
        self._serving.__enter__()

    def kill(self) -> None:
        """Ends it at once."""
        server_of(self.address).kill()
        self._serving.__exit__(None, None, None)

    def restart(self) -> None:
        """As a supervisor does."""
        self._start()

    def stop(self) -> None:
        """Ends it."""
        self._serving.__exit__(None, None, None)


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


def _worker_dies(runs: Runs) -> Callable[[], bool] | None:
    def found() -> tuple[RunFolder, psutil.Process] | None:
        run = runs.current()
        process = worker(run)
        return (run, process) if process is not None else None

    here = until(found)
    if here is None:
        return None
    run, process = here
    with suppress(psutil.NoSuchProcess):  # it may have ended in this very moment, and well
        process.kill()
    told = (run.path / "progress.jsonl").stat().st_size

    def goes_on() -> bool:
        state = run.state
        return (run.path / "progress.jsonl").stat().st_size > told or (state is not None and state.status in OVER)

    return goes_on


@contextmanager
def _busy_site(size: Size, folder: Path, report: Report) -> Iterator[tuple[Site, People, Runs, str]]:
    tiny.write_encoder(folder / "hub")
    runs = Runs(folder / "hub", folder / "runs", size)
    site = Site(
        TALLER_OFFLINE="1",
        TALLER_WARM_UP="0",
        TALLER_DEVICE="cpu",
        TALLER_MODELS_DIR=str(folder / "hub"),
        TALLER_TRAINING_DIR=str(folder / "runs"),
    )
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


def run_rounds(
    rounds: int,
    size: Size,
    folder: Path,
    *,
    seed: int = 1,
    kinds: tuple[Kind, ...] = (),
    minutes: float = 60.0,
) -> Report:
    """Runs them all, or as many as there is time for.

    Args:
        rounds: how many.
        size: how much goes on.
        folder: for models and runs; empty.
        seed: of what is killed when.
        kinds: what is killed, in this order; at random where it is empty.
        minutes: after which no round begins.
    """
    report, chance, end = Report(), random.Random(seed), time.monotonic() + 60 * minutes
    with _busy_site(size, folder, report) as (site, people, runs, expected):
        for number in range(rounds):
            if time.monotonic() > end:
                break
            runs.current()
            time.sleep(chance.uniform(0, size.pause_s))
            kind = kinds[number % len(kinds)] if kinds else chance.choice(KINDS)
            began = time.monotonic()
            if kind == "server":
                goes_on: Callable[[], bool] | None = _server_dies(site, people)
            else:
                goes_on = _worker_dies(runs)
                began = time.monotonic()  # it may have waited for one that it could kill
            report.kills[kind] += goes_on is not None
            if goes_on is None or not until(goes_on):
                report.stuck += 1
            else:
                report.recovery[kind].append(time.monotonic() - began)
            print(f"{number + 1}/{rounds} {kind} {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
        for run in runs.all:
            until(lambda run=run: run.state is not None and run.state.status in OVER)
    report.runs = len(runs.all)
    report.resumed = sum(line.get("kind") == "resumed" for run in runs.all for line in run.progress())
    report.lost = [f"{run.id}: {found}" for run in runs.all if (found := outcome(run)) != expected]
    return report


def main() -> int:
    """The command line; 1 if anything was lost, wrong or stuck."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.faults", description="Kill things while people work.")
    parser.add_argument("--rounds", type=int, default=20, help="how often something is killed (20)")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no round after so many minutes (60)")
    parser.add_argument("--seed", type=int, default=1, help="of what is killed when (1)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run_rounds(chosen.rounds, LONG, Path(folder), seed=chosen.seed, minutes=chosen.minutes)
    print(report.table())
    for words in (*report.wrong, *report.lost):
        print(words)
    return int(bool(report.wrong or report.lost or report.foreign or report.stuck))


if __name__ == "__main__":
    sys.exit(main())
