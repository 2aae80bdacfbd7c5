"""Runs that a cluster works on: sent, watched, cancelled, cut off, and never two workers at one run.

The cluster is a replica behind a plain web server; ``tests/cluster/test_training.py`` puts it under Ray.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from core.cluster.trainer import Trainer
from core.runtime.wire import Order, Standing
from core.settings import Settings, get_settings
from core.training import away, worker
from core.training.jobs import TrainingJobs
from core.training.run import RunFolder, State, Turn
from tests.cluster.servers import SECRET, Served
from tests.conftest import free_port
from tests.fresh import run_fresh
from tests.training import tiny
from tests.training.away import (
    ME,
    REQUEST,
    kill_worker,
    same,
    status,
    steps,
    submit,
    until,
    workers,
)


@pytest.fixture(scope="module")
def shared(machine: Path) -> Iterator[Served]:
    server = Served(free_port())
    yield server
    server.kill()


def at(port: int, wait_s: float = 600.0) -> Settings:
    changes = {"ray_address": f"http://127.0.0.1:{port}", "ray_secret": SECRET, "training_cluster_wait": wait_s}
    return get_settings().model_copy(update=changes)


@pytest.fixture
def jobs(shared: Served) -> Iterator[TrainingJobs]:
    queue = TrainingJobs(at(shared.port))
    queue.begin()
    yield queue
    queue.end()


def test_a_run_on_the_cluster_is_the_one_of_this_machine_to_the_last_bit(jobs: TrainingJobs, local: RunFolder) -> None:
    first, second = submit(jobs), submit(jobs)
    until(lambda: steps(first))
    assert not jobs._own
    view = jobs.view(ME, first.id)
    assert (view.turn, view.state.status) == (Turn(1, "cluster", open=True), "running")
    assert jobs.view(ME, second.id).ahead == 1
    until(lambda: status(first) == "done")
    assert same(first, local)
    until(lambda: not first.turn.open)
    assert first.state is not None and first.state.tries == 1
    # The other one has its turn now: cancelled, it can go on from its checkpoint, and then it is deleted while it does.
    until(lambda: steps(second) > 5)
    jobs.cancel(ME, second.id)
    until(lambda: status(second) == "cancelled")
    assert (second.path / "checkpoint.pt").is_file() and not second.busy()
    reached = steps(second)
    jobs.go_on(ME, second.id)
    until(lambda: steps(second) > reached)
    found = workers(second)
    assert found
    jobs.delete(ME, second.id)
    until(lambda: not any(process.is_running() for process in found) and not second.path.exists())


def test_a_worker_killed_over_there_goes_on_there_whichever_process_of_the_app_sees_it(
    shared: Served, local: RunFolder
) -> None:
    first = TrainingJobs(at(shared.port))
    first.begin()
    run = submit(first)
    until(lambda: steps(run))
    first.end()
    second = TrainingJobs(at(shared.port))
    second.begin()
    try:
        until(lambda: run.id in second._away)
        assert second.view(ME, run.id).state.status == "running"
        assert run.turn.number == 1 and not second._own, "nobody else was sent"
        kill_worker(run)
        until(lambda: status(run) == "done")
        assert same(run, local)
        assert (run.turn.place, run.turn.number) == ("cluster", 2)
        assert run.state is not None and run.state.tries == 2
    finally:
        second.end()


def test_the_forecast_is_measured_there(jobs: TrainingJobs) -> None:
    started: list[RunFolder] = []
    jobs._start = lambda run, *_more: started.append(run)
    found = jobs.forecast(REQUEST, tiny.colours())
    assert found.seconds > 0 and found.steps > 0 and not started


def test_a_cluster_that_says_nothing_while_its_worker_goes_on_is_left_with_the_run(
    shared: Served, local: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(away, "ASK_AFTER_S", 0.2)
    monkeypatch.setattr(away, "PATIENCE_S", 2.5)
    settings = at(shared.port, wait_s=0.0).model_copy(update={"ray_timeout": 0.5})
    jobs = TrainingJobs(settings)
    jobs.begin()
    try:
        run = submit(jobs)
        until(lambda: steps(run))
        shared.freeze()
        until(lambda: status(run) == "done")
        assert same(run, local)
        assert run.turn.number == 1 and run.state is not None and run.state.tries == 1
    finally:
        shared.thaw()
        jobs.end()


def test_a_cluster_that_dies_is_waited_for_and_at_last_this_machine_goes_on(
    machine: Path, local: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(away, "PATIENCE_S", 1.0)  # here its worker ends with it
    server = Served(free_port())
    jobs = TrainingJobs(at(server.port))
    jobs.begin()
    try:
        run = submit(jobs)
        until(lambda: steps(run) > 20)
        server.kill()
        until(lambda: not workers(run))
        until(lambda: status(run) == "waiting" and run.turn.why == "away")
        assert not jobs._own and jobs.view(ME, run.id).turn.place == "cluster"
        server = Served(server.port)
        before = until(lambda: workers(run) and steps(run))
        assert (run.turn.place, run.turn.why) == ("cluster", "")
        server.kill()
        jobs._settings = at(server.port, wait_s=1.0)
        until(lambda: status(run) == "done")
        assert same(run, local) and steps(run) > before
        assert run.turn.place == "local" and run.turn.why in ("away", "broken")
        # What the cluster did wrong isn't counted against the run.
        assert run.state is not None and run.state.tries == 1
    finally:
        server.kill()
        jobs.end()


# --- who doesn't see the folder, and who may not write any more ---------------------------------------------


def test_a_machine_that_does_not_see_the_folder_says_so(machine: Path, tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        trainer = Trainer(Order("start", "x", 1, str(folder)))
        assert trainer.standing() == Standing("ended", worker.ELSEWHERE)


def test_then_this_machine_trains_at_once(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(_desk: object, order: Order) -> "Future[Standing]":
        found: Future[Standing] = Future()
        found.set_result(Standing("ended", worker.ELSEWHERE) if order.what == "start" else Standing("none"))
        return found

    started: list[str] = []

    def start(run: RunFolder, *_more: str) -> "subprocess.Popen[bytes]":
        started.append(run.id)
        run.put(State("done"))
        return subprocess.Popen([sys.executable, "-c", ""])

    monkeypatch.setattr(away.ClusterDesk, "send", answer)
    jobs = TrainingJobs(at(free_port()).model_copy(update={"training_dir": tmp_path}), start=start)
    jobs.begin()
    try:
        first, second = submit(jobs), submit(jobs)
        until(lambda: status(first) == status(second) == "done")
        assert started == [first.id, second.id]
        assert first.turn == Turn(2, "local", why="elsewhere")
        assert second.turn == Turn(1, "local", why="elsewhere"), "the cluster isn't asked for each run anew"
    finally:
        jobs.end()


def test_a_cluster_that_takes_orders_and_never_works_counts_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[str] = []

    def answer(_desk: object, order: Order) -> "Future[Standing]":
        orders.append(order.what)
        found: Future[Standing] = Future()
        found.set_result(Standing("pending" if order.what == "start" else "none"))
        return found

    def well(_desk: object) -> "Future[None]":
        found: Future[None] = Future()
        found.set_result(None)
        return found

    def start(run: RunFolder, *_more: str) -> "subprocess.Popen[bytes]":
        run.put(State("done"))
        return subprocess.Popen([sys.executable, "-c", ""])

    monkeypatch.setattr(away.ClusterDesk, "send", answer)
    monkeypatch.setattr(away.ClusterDesk, "probe", well)
    monkeypatch.setattr(away, "ASK_AFTER_S", 0.1)
    monkeypatch.setattr(away.Connection, "_EVERY_S", 0.1)
    jobs = TrainingJobs(at(free_port(), wait_s=3.0).model_copy(update={"training_dir": tmp_path}), start=start)
    jobs.begin()
    try:
        run = submit(jobs)
        until(lambda: status(run) == "done")
        assert orders.count("start") > 1, "it was tried again while there was time"
        assert (run.turn.place, run.turn.why) == ("local", "broken")
    finally:
        jobs.end()


@pytest.mark.parametrize("stage", ["start", "train-checkpoint", "train-evaluate", "result"])
def test_a_worker_whose_turn_is_over_writes_nothing_more(machine: Path, tmp_path: Path, stage: str) -> None:
    request = replace(REQUEST, epochs=2)
    run = RunFolder.create(tmp_path / "r", request, tiny.colours(), name="", owner=ME, place=1)
    run.put_turn(Turn(3, "cluster", open=True))
    before: dict[str, bytes] = {}

    def reached(name: str) -> None:
        if name == stage and not before:
            run.put_turn(Turn(4, "local"))
            run.put(State("waiting", tries=7))
            before.update({p.name: p.read_bytes() for p in run.path.iterdir() if p.is_file()})

    assert worker.work(run, turn=3, reached=reached, checkpoint_every_s=0.0) == worker.TAKEN
    assert before
    changed = {p.name for p in run.path.iterdir() if p.is_file() and before.get(p.name) != p.read_bytes()}
    # A line of progress, or what was just being written when the turn was given away; nothing that decides anything.
    assert changed <= {"progress.jsonl", "checkpoint.pt"} | ({"result.json"} if stage == "result" else set())
    assert run.state == State("waiting", tries=7)
    assert worker.work(run, turn=3) == worker.TAKEN
    assert worker.work(run, turn=4) == worker.DONE and status(run) == "done"


def test_a_worker_that_can_give_no_sign_of_life_ends_itself(machine: Path, tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom core.training import worker\n"
        "from core.training.run import RunFolder\n"
        "worker.LEASE_S, worker._BEAT_S = 1.0, 0.1\nrun = RunFolder(Path(sys.argv[1]))\nworker._Pulse(run)\n"
        "while not run.beat:\n    time.sleep(0.05)\n"
        "(run.path / 'beat').unlink()\n(run.path / 'beat').mkdir()\ntime.sleep(60)\n"
    )
    began = time.monotonic()
    ended = run_fresh(program, str(tmp_path), alone=False)
    assert ended.returncode == worker.AGAIN, ended.stderr
    assert time.monotonic() - began < 50
