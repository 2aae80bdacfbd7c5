"""Fine-tuning under a real Ray cluster on this machine: whatever is killed, a run ends as it would have here."""

import importlib.util
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.runtime.cluster_line import Line
from core.settings import get_settings
from core.training.jobs import TrainingJobs
from core.training.run import RunFolder, Turn
from tests.cluster.servers import SECRET, Cluster
from tests.conftest import free_port
from tests.training.away import ME, same, status, steps, submit, until, workers

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install -r requirements-ray.txt"
)


def actor(cluster: Cluster) -> psutil.Process:
    """The process that holds the worker."""
    (found,) = (part for part in cluster.parts() if "TrainerActor" in " ".join(part.cmdline()))
    return found


@pytest.fixture(scope="module")
def cluster(machine: Path) -> Iterator[Cluster]:
    made = Cluster(free_port())
    yield made
    made.kill()


@pytest.fixture
def jobs(cluster: Cluster) -> Iterator[TrainingJobs]:
    changes = {"ray_address": f"http://127.0.0.1:{cluster.port}", "ray_secret": SECRET}
    made = TrainingJobs(get_settings().model_copy(update=changes | {"training_cluster_wait": 600.0}))
    until(lambda: Line(made._settings).probe() is None)
    made.begin()
    yield made
    made.end()


def test_who_holds_the_worker_is_killed_and_the_run_goes_on_there(
    cluster: Cluster, jobs: TrainingJobs, local: RunFolder
) -> None:
    run = submit(jobs)
    until(lambda: steps(run) > 5)
    (worker,) = workers(run)
    os.kill(actor(cluster).pid, signal.SIGKILL)
    until(lambda: not worker.is_running())
    # It goes on, and while it does the app is restarted.
    until(lambda: run.turn.number == 2 and workers(run))
    jobs.end()
    again = TrainingJobs(jobs._settings)
    again.begin()
    try:
        until(lambda: status(run) == "done")
        assert same(run, local)
        assert run.turn.place == "cluster" and run.turn.number == 2 and not again._own
        assert run.state is not None and run.state.tries == 2
    finally:
        again.end()


def test_who_was_asked_to_start_it_is_killed_and_that_is_nothing_to_the_run(
    cluster: Cluster, jobs: TrainingJobs, local: RunFolder
) -> None:
    # There is room for one run: what the last one held is free again.
    run, other = submit(jobs), submit(jobs)
    until(lambda: steps(run))
    assert run.turn == Turn(1, "cluster", open=True) and not jobs._own
    os.kill(cluster.replica().pid, signal.SIGKILL)
    until(lambda: status(run) == "done")
    assert run.turn.number == 1 and run.state is not None and run.state.tries == 1
    assert same(run, local)
    until(lambda: steps(other) > 5)
    jobs.cancel(ME, other.id)
    until(lambda: status(other) == "cancelled")
    assert (other.path / "checkpoint.pt").is_file() and other.turn.place == "cluster"
