"""Devices: which is picked, what is free, and what a setting that can't be met says."""

from pathlib import Path

import psutil
import pytest
import torch

from core.errors import ModelUnavailable
from core.runtime import device as devices
from core.runtime.device import CPU, Device, bytes_per_number, cores, dtype_for, free_bytes, pick_device, total_bytes
from core.settings import Settings


def test_the_first_of_cuda_mps_cpu_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device(Settings(device="auto")) == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device(Settings(device="auto")) == Device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: ([5, 9, 7][index], 10))
    assert pick_device(Settings(device="auto")) == Device("cuda", 1)
    assert pick_device(Settings(device="cpu")) == CPU


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelUnavailable, match="TALLER_DEVICE=cpu"):
        pick_device(Settings(device="cuda"))


def test_cores_mind_what_openmp_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: set(range(6)), raising=False)
    found = {}
    for told in ("", "1", "4", "64", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", told)
        found[told] = cores()
    assert found == {"": 6, "1": 1, "4": 4, "64": 6, "0": 6, "many": 6}


def test_names_are_torchs() -> None:
    assert [Device("cuda", 2).name, Device("mps").name, CPU.name] == ["cuda:2", "mps", "cpu"]
    for name in ("cuda:2", "mps", "cpu"):
        torch.device(name)


def test_the_format_of_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dtype_for(CPU) == torch.float32 and bytes_per_number(CPU) == 4
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert dtype_for(Device("cuda")) == torch.bfloat16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert dtype_for(Device("cuda")) == torch.float16 and bytes_per_number(Device("cuda")) == 2


def test_a_containers_limit_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices, "container_limit", lambda: 1000)
    monkeypatch.setattr(devices, "_CGROUP_USE", tmp_path / "use")
    monkeypatch.setattr(devices, "_CGROUP_STAT", tmp_path / "stat")
    (tmp_path / "use").write_text("700\n")
    (tmp_path / "stat").write_text("anon 5\ninactive_file 200\n")
    # 700 in use, of which 200 are cached files that the kernel drops at need.
    assert free_bytes(CPU) == 500
    assert total_bytes(CPU) == 1000
    monkeypatch.setattr(devices, "container_limit", lambda: None)
    assert 1000 < free_bytes(CPU) <= psutil.virtual_memory().total == total_bytes(CPU)
