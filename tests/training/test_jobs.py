"""Runs on disk, the worker and the queue: killed anywhere, restarted, full disks, other people's runs."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import InputInvalid, OutOfMemory, QueueFull, TallerError
from core.settings import Settings, get_settings
from core.training import worker
from core.training.jobs import TrainingJobs, failure_text, start_worker, state_text
from core.training.run import RunFolder, State, owner_hash
from core.training.tuning.request import TuningRequest
from core.training.tuning.tune import tune
from tests.conftest import ROOT
from tests.fresh import run_fresh
from tests.training import tiny

ME, OTHER = "a" * 32, "b" * 32
REQUEST = TuningRequest(
    "classification", tiny.BASE, "full", epochs=3, learning_rate=3e-3, batch=8, max_length=32, seed=3
)
# What a worker does that ends where a stage is reached for the n-th time, as if the power had gone.
KILLED = """
import os, signal, sys
from pathlib import Path
from core.training import worker
from core.training.run import RunFolder
from core.training.recipes import loop

stage, left = sys.argv[2], int(sys.argv[3])

def reached(name):
    global left
    if name == stage:
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

if stage == "half-a-checkpoint":
    import torch
    whole = torch.save
    def half(state, out):
        out.write(b"PK half of a checkpoint")
        out.flush()
        reached(stage)
        out.seek(0)
        out.truncate()
        whole(state, out)
    torch.save = half
sys.exit(worker.work(RunFolder(Path(sys.argv[1])), reached=reached, checkpoint_every_s=0.0))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    tiny.write_encoder(folder)
    return folder


@pytest.fixture
def settings(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    for name, value in {"MODELS_DIR": hub, "TRAINING_DIR": tmp_path / "runs", "DEVICE": "cpu", "OFFLINE": 1}.items():
        monkeypatch.setenv(f"TALLER_{name}", str(value))
    get_settings.cache_clear()
    yield get_settings()
    get_settings.cache_clear()


def sleeper(seconds: float = 60.0, code: int = 0) -> Callable[..., "subprocess.Popen[bytes]"]:
    """Starts workers that take the run's lock, say that they run, and do nothing else."""
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom core.training.run import RunFolder, State\n"
        "run = RunFolder(Path(sys.argv[1]))\nrun.lock.acquire(timeout=5)\n"
        f"run.put(State('running', tries=1))\ntime.sleep({seconds})\nsys.exit({code})\n"
    )

    def start(run: RunFolder, *_more: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", program, str(run.path)], cwd=ROOT, start_new_session=True)

    return start


@pytest.fixture
def jobs(settings: Settings) -> Iterator[TrainingJobs]:
    queue = TrainingJobs(settings, start=sleeper())
    yield queue
    for process in list(queue._own.values()):
        process.kill()
        process.wait()
    queue.end()


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it never came about")


def new_run(folder: Path, request: TuningRequest = REQUEST) -> RunFolder:
    return RunFolder.create(folder, request, tiny.colours(), name="una", owner=ME, place=1)


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(run.path / "model/model.safetensors")


# --- the folder -------------------------------------------------------------------------------------------


def test_a_run_is_what_was_put_into_it(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    assert run.request == REQUEST
    assert run.data == tiny.colours()
    assert run.state == State()
    assert run.about is not None
    assert run.about.owner == owner_hash(ME) != ME
    assert ME not in "".join(file.read_text() for file in run.path.iterdir() if file.suffix == ".json")


def test_torn_lines_are_passed_over_and_the_newest_telling_of_a_step_counts(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    run.report({"kind": "step", "stage": "train", "step": 1, "loss": 3.0})
    run.report({"kind": "step", "stage": "train", "step": 2, "loss": 2.0})
    with (run.path / "progress.jsonl").open("ab") as file:
        file.write(b'{"kind": "step", "stage": "tra')
    run.report({"kind": "step", "stage": "train", "step": 2, "loss": 2.5})
    run.report({"kind": "step", "stage": "train", "step": 3, "loss": 1.0})
    assert [(line["step"], line["loss"]) for line in run.progress()] == [(1, 3.0), (2, 2.5), (3, 1.0)]


@pytest.mark.parametrize("name", ["state.json", "about.json", "request.json", "data.json"])
def test_a_damaged_file_is_no_crash(tmp_path: Path, name: str, settings: Settings) -> None:
    run = new_run(settings.training_folder / ("0" * 16))
    (run.path / name).write_text("{", encoding="utf-8")
    queue = TrainingJobs(settings, start=sleeper(0.1))
    queue.tick()
    queue.views(ME)
    queue.end()


# --- the worker -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "times"),
    [
        ("start", 1),
        ("train", 1),
        ("train-step", 9),
        ("half-a-checkpoint", 4),
        ("train-checkpointed", 6),
        ("evaluate", 1),
        ("result", 1),
    ],
)
def test_a_worker_killed_anywhere_loses_nothing(
    stage: str, times: int, settings: Settings, tmp_path: Path, whole: RunFolder
) -> None:
    run = new_run(tmp_path / "cut")
    ended = run_fresh(KILLED, str(run.path), stage, str(times), alone=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not run.busy()
    told = {line["step"]: line["loss"] for line in run.progress() if line.get("kind") == "step"}
    assert worker.work(run) == worker.DONE
    assert run.state is not None
    assert run.state.status == "done"
    after = {line["step"]: line["loss"] for line in run.progress() if line.get("kind") == "step"}
    # What was told before the end stands, and to the last digit.
    assert {step: after[step] for step in told} == pytest.approx(told, abs=0)
    assert all(torch.equal(a, b) for a, b in zip(weights(run).values(), weights(whole).values(), strict=True))


@pytest.fixture(scope="module")
def whole(hub: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The same run, never cut."""
    run = new_run(tmp_path_factory.mktemp("whole") / "r")
    tune(run.request, run.data, run.path, tiny.settings(hub))
    return run


def test_of_two_workers_the_second_leaves(settings: Settings, tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    other = RunFolder(run.path)
    with other.lock.acquire(timeout=1):
        assert worker.work(run) == worker.TAKEN
    assert run.state == State()


def test_cancel_leaves_a_checkpoint_from_which_it_can_go_on(settings: Settings, tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    steps = 0

    def reached(stage: str) -> None:
        nonlocal steps
        steps += stage == "train-step"
        if steps == 4:
            run.cancel()
            time.sleep(0.4)

    assert worker.work(run, reached=reached) == worker.DONE
    assert run.state is not None
    assert run.state.status == "cancelled"
    assert (run.path / "checkpoint.pt").is_file()
    run.forget_cancel()
    run.put(State())
    assert worker.work(run) == worker.DONE
    assert run.state.status == "done"


def test_sigterm_puts_the_run_back_into_the_queue(settings: Settings, tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    assert threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)

    def reached(stage: str) -> None:
        if stage == "train-step":
            os.kill(os.getpid(), signal.SIGTERM)

    try:
        assert worker.work(run, reached=reached) == worker.AGAIN
    finally:
        signal.signal(signal.SIGTERM, before)
    assert run.state is not None
    assert run.state.status == "waiting"
    assert (run.path / "checkpoint.pt").is_file()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk"),
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "memory"),
        (RuntimeError("could not create a primitive"), "memory"),
        (OutOfMemory("no cabe"), "memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:128] DefaultCPUAllocator: can't allocate memory"), "memory"),
        (InputInvalid("así no"), "request"),
        (ValueError("?"), "other"),
    ],
)
def test_each_failure_has_its_name(error: BaseException, reason: str, settings: Settings, tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")

    def reached(stage: str) -> None:
        if stage == "train-checkpoint":
            raise error

    assert worker.work(run, reached=reached, checkpoint_every_s=0.0) == worker.FAILED[reason]  # type: ignore[index]
    assert run.state is not None
    assert (run.state.status, run.state.reason) == ("failed", reason)
    assert failure_text(reason)
    assert not run.busy()


def test_no_memory_is_told_even_if_there_is_none_for_telling(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path / "r")

    def none(*_given: object) -> None:
        raise MemoryError

    def reached(stage: str) -> None:
        if stage == "train":
            monkeypatch.setattr("core.training.run.write_text", none)
            monkeypatch.setattr("core.runtime.pool.is_out_of_memory", none)
            raise RuntimeError("std::bad_alloc")

    assert worker.work(run, reached=reached) == worker.FAILED["memory"]
    monkeypatch.undo()
    assert run.state is not None
    assert run.state.status == "running"


def test_a_full_disk_is_told_even_if_nothing_can_be_written(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path / "r")

    def full(*_given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def reached(stage: str) -> None:
        if stage == "train":
            monkeypatch.setattr("core.training.run.write_text", full)
            full()

    assert worker.work(run, reached=reached) == worker.FAILED["disk"]
    monkeypatch.undo()
    assert run.state is not None
    assert run.state.status == "running"
    assert not list(run.path.glob("*.partial"))


# --- the queue --------------------------------------------------------------------------------------------


def test_runs_begin_in_their_order_and_know_their_place(jobs: TrainingJobs) -> None:
    ids = [jobs.submit(ME, REQUEST, tiny.colours(), name=str(n)) for n in range(3)]
    jobs.tick()
    until(lambda: jobs.view(ME, ids[0]).state.status == "running")
    second, third = jobs.view(ME, ids[1]), jobs.view(ME, ids[2])
    assert (second.ahead, third.ahead) == (1, 2)
    assert third.wait_s is not None
    assert second.wait_s is not None
    assert third.wait_s > second.wait_s > 0
    assert "2" in state_text(third)
    jobs.cancel(ME, ids[0])
    until(lambda: (jobs.tick(), jobs.view(ME, ids[0]).state.status == "cancelled")[1])
    jobs.tick()
    until(lambda: jobs.view(ME, ids[1]).state.status == "running")
    assert jobs.view(ME, ids[2]).ahead == 1
    assert jobs.counts() == (1, 1)


def test_a_session_and_all_together_have_their_limits(settings: Settings) -> None:
    small = settings.model_copy(update={"training_queue": 3, "training_per_session": 2})
    queue = TrainingJobs(small, start=sleeper())
    for _turn in range(2):
        queue.submit(ME, REQUEST, tiny.colours(), name="")
    with pytest.raises(QueueFull, match="Ya tienes 2"):
        queue.submit(ME, REQUEST, tiny.colours(), name="")
    for _turn in range(2):
        queue.submit(OTHER, REQUEST, tiny.colours(), name="")
    with pytest.raises(QueueFull, match="4 entrenamientos en la fila"):
        queue.submit("c" * 32, REQUEST, tiny.colours(), name="")


def test_nobody_sees_ends_or_takes_anothers_run(jobs: TrainingJobs) -> None:
    id_ = jobs.submit(ME, REQUEST, tiny.colours(), name="")
    assert jobs.views(OTHER) == []
    for act in (jobs.view, jobs.run, jobs.cancel, jobs.delete, jobs.go_on):
        with pytest.raises(InputInvalid):
            act(OTHER, id_)
        for wrong in ("", "..", "../" + id_, id_ + "/", "0" * 16, "a" * 15):
            with pytest.raises(InputInvalid):
                act(ME, wrong)
    assert jobs.view(ME, id_).state.status == "waiting"


def test_another_app_process_finds_waiting_and_orphaned_runs(settings: Settings) -> None:
    first = TrainingJobs(settings, start=sleeper())
    a, b, c = (first.submit(ME, REQUEST, tiny.colours(), name=name) for name in "abc")
    first.tick()
    until(lambda: first.view(ME, a).state.status == "running")
    worker_of_a = first._own[a]
    first.end()  # the app is gone; its worker is not
    second = TrainingJobs(settings, start=sleeper())
    second.tick()
    assert worker_of_a.poll() is None
    assert [second.view(ME, id_).state.status for id_ in (a, b, c)] == ["running", "waiting", "waiting"]
    worker_of_a.kill()
    worker_of_a.wait()
    second.tick()  # sees that nobody works on it: its next worker comes before the others'
    until(lambda: second.view(ME, a).state.status == "running")
    assert second.view(ME, b).state.status == "waiting"
    for process in second._own.values():
        process.kill()
        process.wait()
    second.end()


def test_only_one_of_two_app_processes_starts_workers(settings: Settings) -> None:
    first, second = (TrainingJobs(settings, start=sleeper()) for _turn in range(2))
    first.tick()
    id_ = second.submit(ME, REQUEST, tiny.colours(), name="")
    second.tick()
    assert not second._own
    first.tick()
    assert list(first._own) == [id_]
    first._own[id_].kill()
    first._own[id_].wait()
    first.end()
    second.tick()
    assert second._in_charge()
    second.end()


def test_a_worker_that_dies_again_and_again_at_one_step_is_given_up(settings: Settings) -> None:
    def dying(run: RunFolder, *_more: str) -> "subprocess.Popen[bytes]":
        state = run.state
        assert state is not None
        run.put(State("running", tries=state.tries + 1, reached=0))
        return subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])

    queue = TrainingJobs(settings, start=dying)
    id_ = queue.submit(ME, REQUEST, tiny.colours(), name="")
    until(lambda: (queue.tick(), queue.view(ME, id_).state.status == "failed")[1], 30)
    assert queue.view(ME, id_).state.reason == "killed"
    assert queue.view(ME, id_).state.tries == 3
    queue.end()


@pytest.mark.parametrize(("reason", "code"), [("disk", 10), ("memory", 11)])
def test_an_exit_code_says_what_could_not_be_written(settings: Settings, reason: str, code: int) -> None:
    queue = TrainingJobs(settings, start=sleeper(0.2, code))
    id_ = queue.submit(ME, REQUEST, tiny.colours(), name="")
    until(lambda: (queue.tick(), queue.view(ME, id_).state.status == "failed")[1], 30)
    assert queue.view(ME, id_).state.reason == reason
    queue.end()


def test_a_clock_that_jumps_changes_neither_order_nor_life(jobs: TrainingJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    first = jobs.submit(ME, REQUEST, tiny.colours(), name="a")
    monkeypatch.setattr(time, "time", lambda: 1.0)
    second = jobs.submit(ME, REQUEST, tiny.colours(), name="b")
    monkeypatch.setattr(time, "time", lambda: 4e9)
    third = jobs.submit(ME, REQUEST, tiny.colours(), name="c")
    assert [view.id for view in jobs.views(ME)] == [third, second, first]
    assert jobs.view(ME, third).ahead == 2
    jobs.run(ME, first).put(State("done"))
    jobs.tick()
    jobs.tidy()
    assert jobs.view(ME, first).state.status == "done"


def test_a_run_that_failed_goes_on_whichever_process_its_owner_asks(settings: Settings) -> None:
    queue = TrainingJobs(settings, start=sleeper(0.2, worker.FAILED["memory"]))
    id_ = queue.submit(ME, REQUEST, tiny.colours(), name="")
    until(lambda: (queue.tick(), queue.view(ME, id_).state.status == "failed")[1], 30)
    queue.tick()
    # The owner's session is with another process, which starts no workers.
    other = TrainingJobs(settings, start=sleeper())
    other.go_on(ME, id_)
    other.tick()
    assert not other._own and queue.view(ME, id_).state.status == "waiting"
    queue.tick()
    assert id_ in queue._own
    until(lambda: (queue.tick(), queue.view(ME, id_).state.status == "failed")[1], 30)
    other.delete(ME, id_)
    assert queue.views(ME) == [] and queue.counts() == (0, 0)
    queue.end()
    other.end()


def test_old_runs_are_tidied_away(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = TrainingJobs(settings, start=sleeper())
    id_ = queue.submit(ME, REQUEST, tiny.colours(), name="")
    queue.run(ME, id_).put(State("done"))
    queue.tick()
    queue.tidy()
    assert queue.views(ME)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 3600 * settings.training_keep_hours + 10)
    queue.tidy()
    assert not queue.views(ME)
    assert not (settings.training_folder / id_).exists()
    queue.end()


def test_delete_ends_the_worker_and_takes_the_folder(jobs: TrainingJobs) -> None:
    id_ = jobs.submit(ME, REQUEST, tiny.colours(), name="")
    jobs.tick()
    until(lambda: jobs.view(ME, id_).state.status == "running")
    process = jobs._own[id_]
    jobs.delete(ME, id_)
    assert process.poll() is not None
    assert not (jobs.folder / id_).exists()
    with pytest.raises(InputInvalid):
        jobs.view(ME, id_)


def test_a_folder_that_cannot_be_written_says_so(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    queue = TrainingJobs(settings.model_copy(update={"training_dir": tmp_path / "file"}), start=sleeper())
    with pytest.raises(TallerError, match="disco"):
        queue.submit(ME, REQUEST, tiny.colours(), name="")


def test_data_of_another_task_is_refused(jobs: TrainingJobs) -> None:
    with pytest.raises(InputInvalid, match="otra tarea"):
        jobs.submit(ME, REQUEST, tiny.animals(), name="")


def test_a_real_run_from_the_queue_to_its_result(settings: Settings) -> None:
    queue = TrainingJobs(settings, start=start_worker)
    found = queue.forecast(REQUEST, tiny.colours())
    id_ = queue.submit(ME, REQUEST, tiny.colours(), name="de verdad", forecast=found)
    queue.begin()
    try:
        until(lambda: queue.view(ME, id_).state.status == "done", 120)
    finally:
        queue.end()
    run = queue.run(ME, id_)
    assert run.result is not None
    assert run.result["seconds"] > 0
    assert run.model is not None
    assert json.loads((run.path / "about.json").read_text())["forecast_s"] == found.seconds
    assert not list(settings.training_folder.glob(".forecast-*"))


def test_a_worker_steps_back_behind_the_pages_and_its_session_with_it() -> None:
    code = "import os; from core.training import worker as w; w._step_back(); print(os.nice(0))"
    file = Path("/proc/self/autogroup")
    if file.is_file():
        code += f"; print(open({str(file)!r}).read())"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, start_new_session=True, cwd=ROOT
    )
    niceness, *group = found.stdout.split()
    assert int(niceness) >= 10
    assert not group or group[-1] == "10"
