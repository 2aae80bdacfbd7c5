"""Runs on a cluster, for the tests of both kinds: behind a plain web server and under Ray."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from core.settings import get_settings
from core.training.jobs import TrainingJobs
from core.training.run import RunFolder
from core.training.tuning.request import TuningRequest
from core.training.worker import work
from tests.training import tiny

ME = "a" * 32
# Some seconds on a quiet machine, so that there is a middle to be killed in.
REQUEST = TuningRequest(
    "classification", tiny.BASE, "full", epochs=60, learning_rate=3e-3, batch=8, max_length=32, seed=3
)


@contextmanager
def tuning_machine(folder: Path) -> Iterator[Path]:
    """Several machines in one: the environment of the app and of the cluster, which share the folder of the runs."""
    tiny.write_encoder(folder / "hub")
    with pytest.MonkeyPatch.context() as patch:
        values = {"MODELS_DIR": folder / "hub", "TRAINING_DIR": folder / "runs", "DEVICE": "cpu", "OFFLINE": 1}
        for name, value in values.items():
            patch.setenv(f"TALLER_{name}", str(value))
        get_settings.cache_clear()
        yield folder
    get_settings.cache_clear()


def until(condition: Callable[[], Any], seconds: float = 400.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.1)
    return found


def whole(folder: Path) -> RunFolder:
    """The run, on this machine and never cut."""
    run = RunFolder.create(folder, REQUEST, tiny.colours(), name="una", owner=ME, place=1)
    assert work(run) == 0
    return run


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """``tuning_machine`` for the tests of a module."""
    with tuning_machine(tmp_path_factory.mktemp("machine")) as folder:
        yield folder


@pytest.fixture(scope="module")
def local(machine: Path) -> RunFolder:
    """``whole`` on that machine."""
    return whole(machine / "whole")


def submit(jobs: TrainingJobs) -> RunFolder:
    return jobs.run(ME, jobs.submit(ME, REQUEST, tiny.colours(), name="una"))


def status(run: RunFolder) -> str:
    state = run.state
    return state.status if state is not None else ""


def steps(run: RunFolder) -> int:
    return max((line["step"] for line in run.progress() if line.get("kind") == "step"), default=0)


def same(run: RunFolder, other: RunFolder) -> bool:
    """Whether both learnt the same to the last bit, and told the same of it."""
    from safetensors.torch import load_file

    one, two = (load_file(each.path / "model/model.safetensors") for each in (run, other))
    told = [
        {line["step"]: line["loss"] for line in each.progress() if line.get("kind") == "step"} for each in (run, other)
    ]
    return told[0] == told[1] and one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def workers(run: RunFolder) -> list[psutil.Process]:
    """The processes that work on it, on this machine."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "core.training.worker" in line and str(run.path) in line:
            found.append(process)
    return found


def kill_worker(run: RunFolder) -> None:
    (process,) = workers(run)
    os.kill(process.pid, signal.SIGKILL)
