"""A cluster of several hosts, one of which is cut off or killed in mid-request and in mid-training."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.runtime.device import CPU
from core.runtime.engine import Engine
from core.runtime.pool import ModelPool
from core.runtime.ray_engine import RayEngine, why_local
from core.settings import Settings, get_settings
from core.tasks import generation
from core.tasks.generation import GenerationRequest
from core.training.jobs import TrainingJobs
from core.training.run import RunFolder
from tests.cluster.asking import ask, ended, read, same_answers, without_times, writing
from tests.cluster.hosts import Host, Network, network, wait_for, why_not
from tests.cluster.servers import SECRET
from tests.training.away import same, status, steps, submit, until, workers

pytestmark = pytest.mark.skipif(bool(reason := why_not()), reason=reason)

# Seconds of silence after which the app gives the cluster up, and what a busy machine may need more until it says so.
TIMEOUT = 8.0
BUSY = 40.0
TOKENS = 150
# Until Ray has given a host up and started what ran there on another.
MOVED = 240.0


@pytest.fixture(scope="module")
def hosts(machine: Path) -> Iterator[Network]:
    with network(machine / "hosts") as made, made.app.entered():
        yield made


@pytest.fixture(scope="module")
def pool() -> ModelPool:
    return ModelPool(Settings(), CPU)


@pytest.fixture
def engine(hosts: Network, pool: ModelPool) -> Iterator[RayEngine]:
    settings = Settings(ray_address=hosts.address, ray_secret=SECRET, ray_timeout=TIMEOUT)
    made = RayEngine(pool, settings, pause_s=0.2)
    back(made, hosts)
    yield made
    made.close()


def back(engine: RayEngine, hosts: Network) -> None:
    """Waits until the cluster answers."""
    wait_for(lambda: ask(engine).engine == "ray", MOVED, lambda: f"{engine.state()}\n{hosts.logs()}")


def own_text(pool: ModelPool) -> Any:
    request = GenerationRequest("En un lugar de la", tokens=TOKENS)
    return Engine(pool, Settings()).run(generation.TASK, request, model="mini-gpt").result


def told(run: RunFolder) -> dict[int, float]:
    """The loss of each step that a run has reported."""
    return {line["step"]: line["loss"] for line in run.progress() if line.get("kind") == "step"}


def test_the_answers_of_another_host_are_those_of_this_one(engine: RayEngine, pool: ModelPool) -> None:
    same_answers(engine, pool, together=8)


@pytest.mark.parametrize("which", ["head", "worker"])
def test_a_host_that_is_cut_off_while_it_writes(which: str, hosts: Network, engine: RayEngine, pool: ModelPool) -> None:
    lost = hosts.head if which == "head" else hosts.host_of("ServeReplica")
    stream, thread, outcomes = writing(engine, TOKENS)
    read(stream, thread, 3)
    lost.cut()
    try:
        began = time.monotonic()
        wait_for(lambda: stream.poll() and engine.state().trouble is not None, TIMEOUT + BUSY)
        assert time.monotonic() - began > TIMEOUT / 2  # it was silence that was noticed, and not an end
        ended(stream, thread)
        assert (outcomes[0].engine, outcomes[0].note) == ("local", why_local("silent"))
        assert outcomes[0].result.steps == own_text(pool).steps
        if which == "head":
            # While it is away nobody waits for it.
            again = ask(engine)
            assert again.engine == "local" and again.note in (why_local("silent"), why_local("away"))
        else:
            # Another host takes its place while it is still cut off.
            back(engine, hosts)
            assert hosts.other(lost).processes("ServeReplica")
    finally:
        lost.mend()
    back(engine, hosts)
    assert without_times(ask(engine)) == without_times(ask(Engine(pool, Settings())))


def test_a_host_that_is_killed_while_it_writes(hosts: Network, engine: RayEngine, pool: ModelPool) -> None:
    lost = hosts.host_of("ServeReplica")
    stream, thread, outcomes = writing(engine, TOKENS)
    read(stream, thread, 3)
    lost.kill()
    try:
        ended(stream, thread)
        assert outcomes[0].engine == "local"
        assert outcomes[0].note in (why_local("broken"), why_local("silent"))
        assert outcomes[0].result.steps == own_text(pool).steps == tuple(stream.poll())
        back(engine, hosts)
        assert hosts.other(lost).processes("ServeReplica")
    finally:
        lost.start()


@pytest.fixture
def jobs(hosts: Network, engine: RayEngine) -> Iterator[TrainingJobs]:
    changes = {"ray_address": hosts.address, "ray_secret": SECRET, "training_cluster_wait": 600.0}
    made = TrainingJobs(get_settings().model_copy(update=changes))
    made.begin()
    yield made
    made.end()


def on_its_second_turn(hosts: Network, jobs: TrainingJobs) -> tuple[RunFolder, Host]:
    """A run that has a checkpoint and is further than that, and the host that trains it."""
    run = submit(jobs)
    until(lambda: steps(run) > 5)
    (worker,) = workers(run)
    os.kill(worker.pid, signal.SIGTERM)
    until(lambda: run.turn.number == 2 and (run.path / "checkpoint.pt").is_file())
    reached = steps(run)
    until(lambda: steps(run) > reached + 5)
    return run, hosts.host_of("core.training.worker")


@pytest.mark.parametrize("how", ["killed", "cut off"])
def test_a_host_that_is_lost_while_it_trains(how: str, hosts: Network, jobs: TrainingJobs, local: RunFolder) -> None:
    run, lost = on_its_second_turn(hosts, jobs)
    if how == "killed":
        lost.kill()
    else:
        lost.cut(storage=jobs.folder)
    try:
        before = told(run)
        until(lambda: status(run) == "done")
    finally:
        if how == "killed":
            lost.start()
        else:
            lost.mend()
    assert run.turn.number == 3 and run.turn.place == "cluster" and not jobs._own
    assert [line["kind"] for line in run.progress()].count("resumed") == 2
    assert before.items() <= told(run).items()
    assert same(run, local)
