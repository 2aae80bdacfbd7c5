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


def test_a_download_under_way_is_counted_and_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    make_repository(tmp_path, "org/good", 700)
    (tmp_path / "models--org--good/blobs/def.incomplete").write_bytes(b"x" * 50)
    for name in ("models--org--half", "models--org--begun"):
        (tmp_path / name / "blobs").mkdir(parents=True)
    (tmp_path / "models--org--half/blobs/abc.partial").write_bytes(b"x" * 9000)
    (tmp_path / ".locks/models--org--half").mkdir(parents=True)
    (tmp_path / "version.txt").write_text("1")
    hub = stores(Settings(models_dir=None))[-1]
    assert hub.models == (("org/half", 9000), ("org/good", 750))
    assert hub.bytes == 9750 and hub.damaged == 0


def test_damaged_models_are_counted_with_what_they_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    make_repository(tmp_path, "org/good", 700)
    make_repository(tmp_path, "org/torn", 300)
    (tmp_path / "models--org--torn/snapshots" / ("0" * 40) / "config.json").symlink_to("../../blobs/gone")
    hub = stores(Settings(models_dir=None))[-1]
    assert hub.models == (("org/good", 700), ("org/torn", 300))
    assert hub.bytes == 1000 and hub.damaged == 1


def test_a_reference_that_is_no_text_does_not_hide_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    make_repository(tmp_path, "org/good", 700)
    make_repository(tmp_path, "org/odd", 300)
    (tmp_path / "models--org--odd/refs/main").write_bytes(b"\xff\xfe\x00")
    hub = stores(Settings(models_dir=None))[-1]
    assert hub.models == (("org/good", 700), ("org/odd", 300))
    assert hub.bytes == 1000 and hub.damaged == 1
