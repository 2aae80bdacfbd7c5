"""Downloads of whole models, against a hub of our own that fails in every way."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from core.errors import DownloadFailed
from core.i18n import set_language
from core.runtime import downloads as module
from core.runtime.device import CPU
from core.runtime.downloads import DownloadManager, DownloadState, missing_entries
from core.runtime.loading import load_bundle, locate_model
from core.settings import Settings
from tests.conftest import ROOT
from tests.hub_server import Hub, serve
from tests.runtime.models import tiny_entry, write_model

FILES = ("config.json", "vocab.txt", "tokenizer_config.json", "model*.safetensors")
WEIGHTS = "model.safetensors"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and a library that believes it is online."""
    cache = tmp_path / "hub-cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return cache


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Hub]:
    folder = write_model(tmp_path / "made", hidden_size=64, intermediate_size=256)
    with serve() as running:
        running.repos["test/tiny"] = {file.name: file.read_bytes() for file in folder.iterdir()}
        # What many repositories hold besides, and nobody asked for.
        running.repos["test/tiny"]["train-data.json"] = b"x" * 3_000_000
        running.repos["test/tiny"]["tf_model.h5"] = b"x" * 1_000_000
        yield running


TINY = tiny_entry("tiny")
TINY = replace(TINY, weights=replace(TINY.weights, files=FILES))


def settings(**options: object) -> Settings:
    return Settings(**{"hub_timeout": 2.0, "models_dir": None, **options})  # type: ignore[arg-type]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def size(server: Hub) -> int:
    return sum(
        len(server.repos["test/tiny"][name]) for name in ("config.json", "vocab.txt", "tokenizer_config.json", WEIGHTS)
    )


def test_a_model_is_fetched_and_every_program_finds_it(server: Hub) -> None:
    manager = DownloadManager(settings(), server.url)
    assert manager.state(TINY) == DownloadState("idle", TINY)
    plan = manager.plan(TINY)
    assert plan.total_bytes == plan.missing_bytes == size(server)
    assert plan.free_disk_bytes > 0
    manager.start(TINY)
    state = manager.wait(TINY, 30)
    assert (state.status, state.done_bytes, state.total_bytes) == ("done", size(server), size(server))
    assert "train-data.json" not in server.served and "tf_model.h5" not in server.served
    found = locate_model(TINY, settings())
    assert found is not None and found.source == "hub_cache"
    assert load_bundle(TINY, settings(), CPU).model.config.hidden_size == 64
    # In the layout of the hub's own library: it finds the model without the network.
    from huggingface_hub import scan_cache_dir, snapshot_download

    assert Path(snapshot_download("test/tiny", local_files_only=True)) == found.folder
    (repository,) = scan_cache_dir(constants.HF_HUB_CACHE).repos
    assert repository.size_on_disk == size(server)
    assert DownloadManager(settings(), server.url).plan(TINY).missing_bytes == 0


def test_progress_only_grows_and_speed_is_told(server: Hub) -> None:
    server.piece, server.pause = 20_000, 0.02
    manager = DownloadManager(settings(), server.url)
    manager.start(TINY)
    seen: list[DownloadState] = []
    while manager.state(TINY).active:
        seen.append(manager.state(TINY))
        time.sleep(0.005)
    amounts = [state.done_bytes for state in seen if state.status == "running"]
    assert amounts == sorted(amounts) and len(set(amounts)) > 3
    assert any(state.bytes_per_second > 0 and state.seconds_left is not None for state in seen)
    assert "MiB" in next(state for state in seen if state.status == "running").message


def test_sixteen_ask_and_each_byte_comes_once(server: Hub) -> None:
    server.piece, server.pause = 50_000, 0.01
    manager = DownloadManager(settings(), server.url)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _n: manager.start(TINY), range(16)))
    assert manager.wait(TINY, 30).status == "done"
    assert server.served[WEIGHTS] == len(server.repos["test/tiny"][WEIGHTS])


def test_a_cut_connection_is_taken_up_where_it_broke(server: Hub) -> None:
    server.cut_after = 70_000  # each answer ends early; the next one begins there
    manager = DownloadManager(settings(), server.url)
    manager.start(TINY)
    assert manager.wait(TINY, 60).status == "done"
    assert server.served[WEIGHTS] == len(server.repos["test/tiny"][WEIGHTS])


def test_a_server_without_ranges_begins_anew(server: Hub, own_cache: Path) -> None:
    manager = DownloadManager(settings(), server.url)
    content = server.repos["test/tiny"][WEIGHTS]
    blobs = own_cache / "models--test--tiny/blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hashlib.sha256(content).hexdigest()}.partial").write_bytes(content[:100_000])
    server.ranges = False
    manager.start(TINY)
    assert manager.wait(TINY, 30).status == "done"
    assert locate_model(TINY, settings()) is not None


def test_cancel_keeps_what_came_and_the_next_start_goes_on(server: Hub) -> None:
    server.piece, server.pause = 20_000, 0.05
    manager = DownloadManager(settings(), server.url)
    manager.start(TINY)
    until(lambda: server.served[WEIGHTS] >= 60_000)
    manager.cancel(TINY)
    assert manager.state(TINY).status == "cancelled"
    assert manager.wait(TINY, 30).status == "cancelled"
    assert locate_model(TINY, settings()) is None
    plan = manager.plan(TINY)
    assert 0 < plan.missing_bytes < plan.total_bytes
    server.pause = 0.0
    manager.start(TINY)
    assert manager.wait(TINY, 30).status == "done"
    # What was on its way when it was stopped may have come twice, no more.
    assert server.served[WEIGHTS] < len(server.repos["test/tiny"][WEIGHTS]) * 1.9
    assert locate_model(TINY, settings()) is not None


_PROGRAM = """
import sys
from dataclasses import replace
from core.runtime.downloads import DownloadManager
from core.settings import Settings
from tests.runtime.test_downloads import TINY
manager = DownloadManager(Settings(hub_timeout=5), sys.argv[1])
manager.start(TINY)
print(manager.wait(TINY, 60).status)
"""


def _process(server: Hub, cache: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", _PROGRAM, server.url]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def test_two_processes_share_one_download(server: Hub, own_cache: Path) -> None:
    server.piece, server.pause = 20_000, 0.05
    processes = [_process(server, own_cache) for _ in range(2)]
    assert [process.communicate(timeout=90)[0].strip() for process in processes] == ["done", "done"]
    assert server.served[WEIGHTS] == len(server.repos["test/tiny"][WEIGHTS])
    assert locate_model(TINY, settings()) is not None


def test_a_killed_process_leaves_nothing_that_looks_whole(server: Hub, own_cache: Path) -> None:
    server.piece, server.pause = 20_000, 0.05
    process = _process(server, own_cache)
    until(lambda: server.served[WEIGHTS] >= 60_000)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert locate_model(TINY, settings()) is None
    sent, server.pause = server.served[WEIGHTS], 0.0
    manager = DownloadManager(settings(), server.url)
    manager.start(TINY)
    assert manager.wait(TINY, 30).status == "done"
    again = server.served[WEIGHTS] - sent
    assert again < len(server.repos["test/tiny"][WEIGHTS])
    assert load_bundle(TINY, settings(), CPU).model.config.hidden_size == 64


def test_content_that_is_not_what_was_announced(server: Hub) -> None:
    server.garbled.add(WEIGHTS)
    manager = DownloadManager(settings(), server.url)
    manager.start(TINY)
    state = manager.wait(TINY, 30)
    assert (state.status, state.reason) == ("failed", "corrupt")
    assert WEIGHTS in state.message
    assert locate_model(TINY, settings()) is None
    server.garbled.clear()
    manager.start(TINY)
    assert manager.wait(TINY, 30).status == "done"


def test_downloading_again_repairs_a_damaged_cache(server: Hub) -> None:
    manager = DownloadManager(settings(), server.url)
    manager.start(TINY)
    manager.wait(TINY, 30)
    found = locate_model(TINY, settings())
    assert found is not None
    blob = (found.folder / WEIGHTS).resolve()
    content = blob.read_bytes()
    blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    manager.start(TINY)
    assert manager.wait(TINY, 30).status == "done"
    assert (found.folder / WEIGHTS).read_bytes() == content


def test_a_disk_without_room_is_told_before(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=64 * 2**20)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    manager = DownloadManager(settings(), server.url)
    manager.start(TINY)
    state = manager.wait(TINY, 30)
    assert (state.status, state.reason) == ("failed", "disk")
    assert "quedan libres 64 MiB" in state.message
    assert server.served == {}


def test_a_disk_that_fills_up_on_the_way(server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this process may not mount a small disk")
    try:
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(disk / "hub"))
        # Somebody else fills the disk after it was looked at.
        monkeypatch.setattr(DownloadManager, "_check_disk", lambda *_: None)
        manager = DownloadManager(settings(), server.url)
        manager.start(TINY)
        state = manager.wait(TINY, 30)
        assert (state.status, state.reason) == ("failed", "disk")
        assert "Libera espacio" in state.message
        assert locate_model(TINY, settings()) is None
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        sent = server.served[WEIGHTS]
        manager.start(TINY)
        assert manager.wait(TINY, 30).status == "done"
        # It went on from what the full disk had kept.
        assert server.served[WEIGHTS] - sent < len(server.repos["test/tiny"][WEIGHTS])
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("break_it", "reason", "words"),
    [
        (lambda server: server.repos.clear(), "not_found", "ya no tiene"),
        (lambda server: setattr(server, "gated", True), "gated", "cuenta"),
        (lambda server: server.repos["test/tiny"].pop(WEIGHTS), "incomplete", "safetensors"),
        (lambda server: server.repos["test/tiny"].pop("vocab.txt"), "incomplete", "tokenizer.json"),
        (lambda server: setattr(server, "delay", 6.0), "unreachable", "no responde"),
    ],
)
def test_what_the_hub_can_do_wrong(server: Hub, break_it: Callable[[Hub], object], reason: str, words: str) -> None:
    break_it(server)
    manager = DownloadManager(settings(hub_timeout=1.0), server.url)
    manager.start(TINY)
    state = manager.wait(TINY, 60)
    assert (state.status, state.reason) == ("failed", reason)
    assert words in state.message
    assert locate_model(TINY, settings()) is None
    if "vocab" not in str(server.repos.get("test/tiny", {}).keys()) and reason == "incomplete":
        return
    with pytest.raises(DownloadFailed, match=words):
        manager.plan(TINY)


def test_a_hub_that_is_not_there(server: Hub) -> None:
    with serve() as gone:
        url = gone.url
    manager = DownloadManager(settings(), url)
    manager.start(TINY)
    assert manager.wait(TINY, 60).reason == "unreachable"


def test_offline_means_no_request(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    for manager in (DownloadManager(settings(offline=True), server.url), DownloadManager(settings(), server.url)):
        manager.start(TINY)
        state = manager.wait(TINY, 30)
        assert (state.status, state.reason) == ("failed", "offline")
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        break
    assert server.requests == []
    manager = DownloadManager(settings(), server.url)
    with pytest.raises(DownloadFailed, match="HF_HUB_OFFLINE"):
        manager.plan(TINY)
    assert server.requests == []


def test_the_hub_stops_in_mid_file(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRIES", 2)
    server.cut_after = 50_000
    manager = DownloadManager(settings(), server.url)
    manager.start(TINY)
    until(lambda: server.served[WEIGHTS] >= 50_000)
    server.cut_after = 0
    state = manager.wait(TINY, 60)
    assert (state.status, state.reason) == ("failed", "unreachable")
    assert 0 < state.done_bytes < state.total_bytes
    assert "continúa desde ahí" in state.message
    server.cut_after = None
    sent = server.served[WEIGHTS]
    manager.start(TINY)
    assert manager.wait(TINY, 30).status == "done"
    assert server.served[WEIGHTS] - sent < len(server.repos["test/tiny"][WEIGHTS]) - 40_000


def test_two_at_once_and_the_others_in_line(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.piece, server.pause = 20_000, 0.05
    models = []
    for name in "abc":
        server.repos[f"test/{name}"] = dict(server.repos["test/tiny"])
        models.append(replace(tiny_entry(name), weights=TINY.weights))
    manager = DownloadManager(settings(), server.url)
    peak = 0
    for model in models:
        manager.start(model)
    while any(state.active for state in manager.states().values()):
        peak = max(peak, sum(state.status == "running" for state in manager.states().values()))
        time.sleep(0.005)
    assert [manager.wait(model, 30).status for model in models] == ["done"] * 3
    assert peak == 2


def test_messages_follow_the_reader(server: Hub) -> None:
    server.gated = True
    manager = DownloadManager(settings(), server.url)
    manager.start(TINY)
    state = manager.wait(TINY, 30)
    assert "cuenta" in state.message
    set_language("en")
    try:
        assert "account" in state.message
    finally:
        set_language("es")


def test_what_is_missing(server: Hub, tmp_path: Path) -> None:
    here = replace(tiny_entry("here"), weights=TINY.weights)
    write_model(tmp_path / "models/test/here")
    found = missing_entries(settings(models_dir=tmp_path / "models"), [TINY, here])
    assert [entry.key for entry in found] == ["tiny"]


def test_a_new_start_waits_for_the_one_that_is_being_stopped(server: Hub) -> None:
    server.piece, server.pause = 20_000, 0.05
    manager = DownloadManager(settings(), server.url)
    manager.start(TINY)
    until(lambda: server.served[WEIGHTS] >= 20_000)
    manager.cancel(TINY)
    manager.start(TINY)
    assert manager.wait(TINY, 60).status == "done"
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "download-tiny"])
