"""The pool: one copy, one load, a budget that holds, nothing in use taken away, memory given back."""

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.catalog import ModelEntry
from core.errors import ModelUnavailable, OutOfMemory
from core.runtime import pool as pools
from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU, Device
from core.runtime.events import EventLog
from core.runtime.loading import load_bundle
from core.runtime.pool import MIB, ModelPool
from core.settings import Settings
from tests.conftest import ROOT
from tests.runtime.models import tiny_entry, write_model

GPU = Device("cuda")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(models_dir=tmp_path, offline=True, device="cpu", memory_fraction=0.5)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> EventLog:
    log = EventLog()
    monkeypatch.setattr(pools, "events", lambda: log)
    return log


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, ModelEntry]:
    """Four tiny models on disk, a to d, and a broken one."""
    known = {key: tiny_entry(key) for key in "abcd"}
    for key in known:
        write_model(tmp_path / "test" / key)
    known["gone"] = tiny_entry("gone")
    monkeypatch.setattr(pools, "entries", lambda: known)
    return known


class Loader:
    """``load_bundle`` with a count, a pause, and errors on demand; each model pretends to weigh 100 MiB."""

    def __init__(self, weight: int = 100 * MIB) -> None:
        self.loads: list[str] = []
        self.pause = 0.0
        self.error: Callable[[Device], BaseException | None] = lambda device: None
        self.weight = weight

    def __call__(self, entry: ModelEntry, settings: Settings, device: Device) -> ModelBundle:
        self.loads.append(f"{entry.key} {device.name}")
        time.sleep(self.pause)
        error = self.error(device)
        if error is not None:
            raise error
        return replace(load_bundle(entry, settings, CPU), device=device, bytes=self.weight)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[Device, int]:
    """Free memory as the test says: 2,000 MiB on each device to begin with."""
    memory = {CPU: 2000 * MIB, GPU: 2000 * MIB}
    monkeypatch.setattr(pools, "free_bytes", lambda device: memory[device])
    monkeypatch.setattr(pools, "expected_bytes", lambda entry, size: 100 * MIB)
    monkeypatch.setattr(pools, "bytes_per_number", lambda device: 4)
    return memory


def test_sixteen_first_requests_load_once(settings: Settings, catalogue: object, free: object, log: EventLog) -> None:
    loader = Loader()
    loader.pause = 0.2
    pool = ModelPool(settings, CPU, loader)
    start = threading.Barrier(16)

    def ask(_n: int) -> int:
        start.wait()
        with pool.use("a") as bundle:
            return id(bundle.model)

    with ThreadPoolExecutor(16) as threads:
        models = set(threads.map(ask, range(16)))
    assert len(models) == 1
    assert loader.loads == ["a cpu"]
    (model,) = pool.loaded()
    assert (model.uses, model.in_use, model.bytes) == (16, 0, 100 * MIB)
    assert model.load_s >= 0.2
    assert [(e.kind, e.label, e.bytes) for e in log.since()] == [("load", "a", 100 * MIB)]


def test_a_failed_load_reaches_all_who_wait_and_is_tried_again(
    settings: Settings, catalogue: object, free: object
) -> None:
    loader = Loader()
    loader.pause = 0.2
    loader.error = lambda device: ModelUnavailable("roto")
    pool = ModelPool(settings, CPU, loader)
    start = threading.Barrier(8)

    def ask(_n: int) -> str:
        start.wait()
        try:
            with pool.use("a"):
                return "loaded"
        except ModelUnavailable as error:
            return str(error)

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(8))) == {"roto"}
    assert len(loader.loads) == 1
    assert pool.state("a") == "failed" and pool.failure("a") == "roto"
    loader.error = lambda device: None
    with pool.use("a"):
        assert pool.state("a") == "ready" and pool.failure("a") is None
    assert len(loader.loads) == 2


def test_an_unforeseen_error_does_not_lock_the_model(settings: Settings, catalogue: object, free: object) -> None:
    loader = Loader()
    loader.error = lambda device: ZeroDivisionError("bug")
    pool = ModelPool(settings, CPU, loader)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), pool.use("a"):
            pass
    assert len(loader.loads) == 2
    assert pool.state("a") == "failed"


def test_the_budget_evicts_what_was_used_longest_ago(
    settings: Settings, catalogue: object, free: dict[Device, int], log: EventLog
) -> None:
    free[CPU] = 600 * MIB  # half of it may be taken: three models
    pool = ModelPool(settings, CPU, Loader())
    for key in ("a", "b", "c", "a", "d"):
        with pool.use(key):
            pass
    assert {m.key for m in pool.loaded()} == {"a", "c", "d"}
    assert pool.used_bytes() == pool.budget_bytes() == 300 * MIB
    assert [(e.kind, e.label) for e in log.since()][-2:] == [("evict", "b"), ("load", "d")]


def test_a_model_in_use_is_never_evicted(settings: Settings, catalogue: object, free: dict[Device, int]) -> None:
    free[CPU] = 600 * MIB
    pool = ModelPool(settings, CPU, Loader())
    with pool.use("a"), pool.use("b"), pool.use("c"):
        with pytest.raises(OutOfMemory, match="300 MiB, de los que 300 están en uso"), pool.use("d"):
            pass
        assert {m.key for m in pool.loaded()} == {"a", "b", "c"}
        assert not pool.unload("a")
    with pool.use("d"):
        assert "a" not in {m.key for m in pool.loaded()}


def test_a_model_larger_than_the_whole_budget(settings: Settings, catalogue: object, free: dict[Device, int]) -> None:
    free[CPU] = 150 * MIB
    loader = Loader()
    pool = ModelPool(settings, CPU, loader)
    with pytest.raises(OutOfMemory, match=r"a necesita 100 MiB .* 75 MiB"), pool.use("a"):
        pass
    assert loader.loads == []


def test_memory_that_others_took_counts(settings: Settings, catalogue: object, free: dict[Device, int]) -> None:
    pool = ModelPool(settings, CPU, Loader())
    for key in ("a", "b"):
        with pool.use(key):
            pass
    free[CPU] = 50 * MIB  # another program grew; nothing that we evict helps
    with pytest.raises(OutOfMemory), pool.use("c"):
        pass
    assert pool.loaded() == []
    free[CPU] = 2000 * MIB
    with pool.use("c"):
        pass


def test_unloading_lets_the_weights_go(settings: Settings, catalogue: object, free: object, log: EventLog) -> None:
    pool = ModelPool(settings, CPU, Loader())
    with pool.use("a", attention=True) as view, pool.use("a") as bundle:
        weights = weakref.ref(next(iter(bundle.model.parameters())))
        assert next(iter(view.model.parameters())) is weights()
        del view, bundle
    assert weights() is not None
    assert pool.unload("a")
    gc.collect()
    assert weights() is None
    assert not pool.unload("a")
    assert pool.state("a") == "absent"
    assert [e.bytes for e in log.since()] == [100 * MIB, -100 * MIB]


def test_replaced_files_are_loaded_for_the_next_who_asks(
    settings: Settings, catalogue: object, free: object, tmp_path: Path
) -> None:
    loader = Loader()
    pool = ModelPool(settings, CPU, loader)
    assert pool.revision("no such model") == ""
    first = pool.revision("a")
    with pool.use("a") as old:
        assert pool.revision("a") == first != ""
        write_model(tmp_path / "test" / "a", hidden_size=16)
        second = pool.revision("a")
        assert second not in ("", first)
        with pool.use("a") as new:
            assert (old.model.config.hidden_size, new.model.config.hidden_size) == (32, 16)
        with pool.use("a") as again:
            assert again.model is new.model
    assert loader.loads == ["a cpu"] * 2
    (model,) = pool.loaded()
    assert (model.uses, model.in_use) == (2, 0)
    # Somebody is just copying: what is in memory is whole, and goes on answering.
    (tmp_path / "test" / "a" / "config.json").unlink()
    assert pool.revision("a") == second
    with pool.use("a") as kept:
        assert kept.model is new.model


def test_a_full_card_falls_back_to_the_cpu(settings: Settings, catalogue: object, free: object, log: EventLog) -> None:
    loader = Loader()
    loader.error = lambda device: torch.OutOfMemoryError("CUDA out of memory") if device == GPU else None
    pool = ModelPool(settings, GPU, loader)
    with pool.use("a") as bundle:
        assert bundle.device == CPU
        assert "no cabe ahora en la memoria de la tarjeta" in bundle.note
    with pool.use("a") as again:
        assert again.model is bundle.model
    assert loader.loads == ["a cuda:0", "a cpu"]
    assert [e.kind for e in log.since()] == ["fallback", "load"]
    assert pool.used_bytes(GPU) == 0 and pool.used_bytes(CPU) == 100 * MIB
    # Once it was evicted the card has its chance again.
    loader.error = lambda device: None
    pool.unload("a")
    with pool.use("a") as bundle:
        assert bundle.device == GPU and bundle.note == ""


def test_no_memory_at_all_is_a_message(settings: Settings, catalogue: object, free: object) -> None:
    loader = Loader()
    loader.error = lambda device: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
    pool = ModelPool(settings, CPU, loader)
    with pytest.raises(OutOfMemory, match="elige uno más pequeño"), pool.use("a"):
        pass


def test_a_model_that_is_not_here(settings: Settings, catalogue: object) -> None:
    pool = ModelPool(settings, CPU)
    with pytest.raises(ModelUnavailable, match="«test/gone»"), pool.use("gone"):
        pass
    with pytest.raises(ModelUnavailable, match="no está en el catálogo"), pool.use("otro/modelo"):
        pass


def test_free_ids_need_the_option(settings: Settings, catalogue: object, tmp_path: Path) -> None:
    write_model(tmp_path / "otro/modelo", "MaskedLM")
    with pytest.raises(ModelUnavailable, match="TALLER_ALLOW_ANY_MODEL"), ModelPool(settings, CPU).use("otro/modelo"):
        pass
    open_pool = ModelPool(settings.model_copy(update={"allow_any_model": True}), CPU)
    with open_pool.use("otro/modelo#MaskedLM") as bundle:
        assert type(bundle.model).__name__ == "BertForMaskedLM"
    with open_pool.use("otro/modelo") as bundle:
        assert type(bundle.model).__name__ == "BertModel"


def test_no_free_id_leaves_the_folder_of_models(settings: Settings, tmp_path: Path) -> None:
    write_model(tmp_path / "secret/model")
    inside = settings.model_copy(update={"allow_any_model": True, "models_dir": tmp_path / "models"})
    for attempt in ("../secret/model", "x/../../secret/model", "/" + str(tmp_path / "secret/model")):
        with pytest.raises(ModelUnavailable), ModelPool(inside, CPU).use(attempt):
            pass


def test_warm_up_goes_on_after_a_failure(settings: Settings, catalogue: object) -> None:
    pool = ModelPool(settings, CPU)
    pool.warm_up(["gone", "a"]).join(timeout=60)
    assert pool.state("a") == "ready" and pool.state("gone") == "failed"


def test_attention_views_are_made_once(settings: Settings, catalogue: object) -> None:
    pool = ModelPool(settings, CPU)
    with pool.use("a", attention=True) as one, pool.use("a", attention=True) as two, pool.use("a") as plain:
        assert one.model is two.model is not plain.model
    assert len(pool.loaded()) == 1


def test_eviction_gives_the_memory_back_to_the_system() -> None:
    # In a process of its own: here, other tests' garbage would be counted, too.
    code = """
import psutil, torch
from core.runtime.pool import ModelPool
from core.runtime.device import CPU
from core.settings import Settings
pool, process = ModelPool(Settings(), CPU), psutil.Process()
def rss(): return process.memory_info().rss / 2**20
def once():
    with pool.use("minilm") as bundle, torch.inference_mode():
        bundle.model(**bundle.encode(["a first sentence"]))
        sum(float(weight.sum()) for weight in bundle.model.parameters())  # files are mapped: touch every page
once(); pool.unload("minilm")   # libraries and allocator are warm from here on
before = rss(); once(); loaded = rss(); pool.unload("minilm"); after = rss()
print(loaded - before, after - before)
"""
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    taken, kept = map(float, out.stdout.split())
    assert taken > 80
    assert kept < 0.1 * taken


def test_a_model_of_somebodys_own_goes_when_it_is_deleted(
    settings: Settings, catalogue: dict[str, ModelEntry], free: object, log: EventLog
) -> None:
    own = {"mine": catalogue.pop("a")}

    def more(key: str) -> ModelEntry | None:
        if key == "mine" and not own:
            raise ModelUnavailable("deleted")
        return own.get(key)

    pool = ModelPool(settings, CPU, Loader(), more)
    with pool.use("mine"):
        own.clear()
        # Somebody computes with it still; nobody new gets it.
        with pytest.raises(ModelUnavailable, match="deleted"), pool.use("mine"):
            pass
        assert pool.state("mine") == "absent"
    assert pool.used_bytes() == 0
    with pytest.raises(ModelUnavailable, match="catálogo"), pool.use("nobody's"):
        pass
