"""What models take on the disk, also where the cache is damaged or not there."""

from pathlib import Path

import pytest
from huggingface_hub import constants

from core.runtime.processes import own_processes
from core.runtime.storage import stores
from core.settings import Settings


def make_repository(cache: Path, name: str, size: int) -> None:
    """A model as the hub's library lays it out."""
    folder = cache / f"models--{name.replace('/', '--')}"
    commit = "0" * 40
    for part in ("blobs", f"snapshots/{commit}", "refs"):
        (folder / part).mkdir(parents=True)
    (folder / "blobs/abc").write_bytes(b"x" * size)
    (folder / "refs/main").write_text(commit)
    (folder / f"snapshots/{commit}/model.safetensors").symlink_to("../../blobs/abc")


def test_all_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, models = tmp_path / "cache", tmp_path / "models"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    make_repository(cache, "org/large", 5000)
    make_repository(cache, "org/small", 200)
    (models / "acme/mine").mkdir(parents=True)
    (models / "acme/mine/model.safetensors").write_bytes(b"x" * 300)
    (models / "acme/mine/again.safetensors").symlink_to(models / "acme/mine/model.safetensors")
    shipped, folder, hub = stores(Settings(models_dir=models))
    assert shipped.kind == "shipped" and "wordpiece-es" in dict(shipped.models) and shipped.bytes > 100_000
    assert folder.kind == "models_dir" and folder.models[0][0] == "acme/mine"
    # The link itself is a few bytes; what it points to is counted once.
    assert 300 <= folder.bytes < 300 + 300
    assert hub.kind == "hub_cache" and hub.models == (("org/large", 5000), ("org/small", 200))
    assert hub.bytes == 5200 and hub.free_bytes > 0 and hub.damaged == 0


def test_a_damaged_cache_is_said_and_the_rest_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    make_repository(cache, "org/good", 700)
    (cache / "models--org--bad").mkdir()
    hub = stores(Settings(models_dir=None))[-1]
    assert hub.models == (("org/good", 700),) and hub.damaged == 1


def test_no_cache_and_no_folder_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "nothing/here"))
    folder, hub = stores(Settings(models_dir=tmp_path / "neither"))[1:]
    assert folder.bytes == hub.bytes == 0 and hub.free_bytes > 0


def test_own_processes_name_what_runs_and_no_arguments() -> None:
    import subprocess
    import sys

    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()", "secret"], stdin=subprocess.PIPE)
    try:
        found = {one.pid: one for one in own_processes()}
        assert child.pid in found and "secret" not in found[child.pid].name
        assert max(one.memory_mib for one in found.values()) > 20
    finally:
        child.communicate()
