"""The description of the machine."""

import platform
from importlib.metadata import version

import pytest

from core.runtime import machine
from core.runtime.gpu import DriverLost, NvmlBackend
from tests.runtime.test_gpu import FakeNvml


def test_what_is_described_is_this_machine() -> None:
    found = machine.describe()
    assert found.processor
    assert found.cores >= 1
    assert found.python == platform.python_version()
    assert found.libraries["streamlit"] == version("streamlit")


def test_cards_come_from_the_same_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "open_backend", lambda: NvmlBackend(FakeNvml(cards=2)))
    assert [(card.name, card.memory_gib) for card in machine._gpus()] == [("NVIDIA Test", 8.0)] * 2


def test_a_driver_that_fails_is_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost(NvmlBackend):
        def read(self) -> tuple[()]:
            raise DriverLost("gone")

    monkeypatch.setattr(machine, "open_backend", lambda: Lost(FakeNvml()))
    assert machine._gpus() == ()
