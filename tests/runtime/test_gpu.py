"""Readings of the cards. No real card was at hand when this was written, so nothing here is a recording:
NVML is played by a stand-in with pynvml's names, types and errors, nvidia-smi by text in its documented form.
"""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.runtime import gpu
from core.runtime.gpu import MIB, DriverLost, NvmlBackend, SmiBackend, nvidia_smi_output, parse_number, parse_query


class FakeNvml:
    """As much of pynvml as the backend asks for; ``broken`` maps a function's name to the error it raises."""

    class NVMLError(Exception):
        pass

    class NVMLError_NotSupported(NVMLError):
        pass

    class NVMLError_GpuIsLost(NVMLError):
        pass

    class NVMLError_Uninitialized(NVMLError):
        pass

    class NVMLError_DriverNotLoaded(NVMLError):
        pass

    NVML_DEVICE_MIG_ENABLE = 1
    NVML_TEMPERATURE_GPU = 0
    NVML_CLOCK_SM = 1
    NVML_CLOCK_MEM = 2

    def __init__(self, cards: int = 1, mig: bool = False) -> None:
        self.broken: dict[str, type[Exception]] = {}
        self._answers: dict[str, Any] = {
            "nvmlInit": None,
            "nvmlSystemGetDriverVersion": "580.65.06",
            "nvmlSystemGetCudaDriverVersion": 13000,
            "nvmlDeviceGetCount": cards,
            "nvmlDeviceGetHandleByIndex": "handle",
            "nvmlDeviceGetName": "NVIDIA Test",
            "nvmlDeviceGetMigMode": [int(mig), int(mig)],
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=0, memory=12),
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=512 * MIB, total=8192 * MIB),
            "nvmlDeviceGetEncoderUtilization": [3, 1000],
            "nvmlDeviceGetDecoderUtilization": [4, 1000],
            "nvmlDeviceGetPowerUsage": 71_500,
            "nvmlDeviceGetEnforcedPowerLimit": 250_000,
            "nvmlDeviceGetTemperature": 41,
            "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=os.getpid(), usedGpuMemory=100 * MIB)],
            "nvmlDeviceGetGraphicsRunningProcesses": [SimpleNamespace(pid=2**22 + 1, usedGpuMemory=None)],
        }

    def __getattr__(self, name: str) -> Any:
        def answer(*arguments: Any) -> Any:
            if name in self.broken:
                raise self.broken[name](name)
            if name == "nvmlDeviceGetClockInfo":
                return {self.NVML_CLOCK_SM: 1980, self.NVML_CLOCK_MEM: 2619}[arguments[1]]
            return self._answers[name]

        return answer


def test_every_field_of_a_card() -> None:
    (card,) = NvmlBackend(FakeNvml()).read()
    assert (card.name, card.driver, card.cuda) == ("NVIDIA Test", "580.65.06", "13.0")
    assert (card.utilization_gpu, card.utilization_memory) == (0.0, 12.0), "an idle card's 0 is a reading"
    assert (card.encoder, card.decoder) == (3.0, 4.0)
    assert (card.memory_used_mib, card.memory_total_mib) == (512.0, 8192.0)
    assert (card.temperature_c, card.power_w, card.power_limit_w) == (41.0, 71.5, 250.0)
    assert (card.clock_sm_mhz, card.clock_memory_mhz) == (1980.0, 2619.0)
    assert card.why_no_utilization is None
    own, gone = card.processes
    assert own.pid == os.getpid()
    assert own.memory_mib == 100.0
    assert own.name != "–"
    assert (gone.name, gone.memory_mib) == ("–", None)


@pytest.mark.parametrize(
    ("function", "field"),
    [
        ("nvmlDeviceGetPowerUsage", "power_w"),
        ("nvmlDeviceGetEnforcedPowerLimit", "power_limit_w"),
        ("nvmlDeviceGetEncoderUtilization", "encoder"),
        ("nvmlDeviceGetTemperature", "temperature_c"),
        ("nvmlDeviceGetMemoryInfo", "memory_used_mib"),
        ("nvmlDeviceGetClockInfo", "clock_sm_mhz"),
        ("nvmlDeviceGetUtilizationRates", "utilization_gpu"),
    ],
)
def test_a_field_that_a_card_lacks_takes_no_other_with_it(function: str, field: str) -> None:
    nvml = FakeNvml()
    nvml.broken[function] = FakeNvml.NVMLError_NotSupported
    (card,) = NvmlBackend(nvml).read()
    assert getattr(card, field) is None
    assert card.name == "NVIDIA Test"
    others = {"power_w", "encoder", "temperature_c", "memory_used_mib", "clock_sm_mhz"} - {field}
    assert all(getattr(card, other) is not None for other in others)


def test_cards_without_mig_mode_are_read_like_any_other() -> None:
    nvml = FakeNvml()
    nvml.broken["nvmlDeviceGetMigMode"] = FakeNvml.NVMLError_NotSupported
    (card,) = NvmlBackend(nvml).read()
    assert not card.mig
    assert card.utilization_gpu == 0.0


def test_under_mig_there_is_no_utilization_and_it_says_why() -> None:
    (card,) = NvmlBackend(FakeNvml(mig=True)).read()
    assert card.mig
    assert card.utilization_gpu is None
    assert card.why_no_utilization is not None
    assert "MIG" in card.why_no_utilization
    assert card.memory_total_mib == 8192.0


def test_several_cards() -> None:
    assert [card.index for card in NvmlBackend(FakeNvml(cards=3)).read()] == [0, 1, 2]


@pytest.mark.parametrize("error", [FakeNvml.NVMLError_GpuIsLost, FakeNvml.NVMLError_Uninitialized])
def test_a_driver_that_goes_away_in_mid_run(error: type[Exception]) -> None:
    nvml = FakeNvml()
    backend = NvmlBackend(nvml)
    nvml.broken["nvmlDeviceGetMemoryInfo"] = error
    with pytest.raises(DriverLost):
        backend.read()


def test_no_driver_at_the_start() -> None:
    nvml = FakeNvml()
    nvml.broken["nvmlInit"] = FakeNvml.NVMLError_DriverNotLoaded
    with pytest.raises(DriverLost):
        NvmlBackend(nvml)


QUERY = """\
0, NVIDIA Test A, 580.65.06, 37, 12, 1024, 81559, 45, 118.32, 700.00, 1980, 2619, Disabled
1, "Card, with comma", 580.65.06, [N/A], [N/A], 2048, 40960, [N/A], [Not Supported], [Unknown Error], 210, 405, Enabled
not a line of the table
"""


def test_the_programs_table() -> None:
    first, second = parse_query(QUERY)
    assert (first.name, first.utilization_gpu, first.power_w, first.mig) == ("NVIDIA Test A", 37.0, 118.32, False)
    assert second.name == "Card, with comma"
    assert second.utilization_gpu is None
    assert second.why_no_utilization is not None
    assert (second.power_w, second.power_limit_w, second.temperature_c) == (None, None, None)
    assert (second.memory_used_mib, second.mig) == (2048.0, True)


@pytest.mark.parametrize(
    ("text", "number"), [(" 12.5 ", 12.5), ("0", 0.0), ("[N/A]", None), ("N/A", None), ("", None), ("12 W", None)]
)
def test_parse_number(text: str, number: float | None) -> None:
    assert parse_number(text) == number


def program(folder: Path, body: str) -> str:
    file = folder / "nvidia-smi"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return str(file)


def test_the_program_is_asked_and_read(tmp_path: Path) -> None:
    table = tmp_path / "table"
    table.write_text(QUERY)
    path = program(tmp_path, f'case "$1" in --query-gpu=index,*) cat {table};; *) exit 2;; esac')
    assert len(SmiBackend(path).read()) == 2


@pytest.mark.parametrize("body", ["exec sleep 30", "exit 9", "echo 'NVIDIA-SMI has failed' >&2; exit 1"])
def test_a_program_that_hangs_or_fails_is_given_up(tmp_path: Path, body: str) -> None:
    with pytest.raises(DriverLost):
        SmiBackend(program(tmp_path, body), timeout_s=0.5).read()


def test_the_literal_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(gpu.shutil, "which", lambda name: None)
    assert nvidia_smi_output() is None
    path = program(tmp_path, "echo '| NVIDIA-SMI 580.65.06 |'")
    monkeypatch.setattr(gpu.shutil, "which", lambda name: path)
    assert nvidia_smi_output() == "| NVIDIA-SMI 580.65.06 |\n"
