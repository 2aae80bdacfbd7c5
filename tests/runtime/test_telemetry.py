"""The sampler: one for all, a bounded history, and nothing that ends it."""

import threading
import time
from pathlib import Path

import psutil
import pytest

from core.runtime import telemetry as module
from core.runtime.gpu import Backend, DriverLost, GpuSample, parse_query
from core.runtime.telemetry import Telemetry, container_limit, read_host
from tests.runtime.test_gpu import QUERY


class Cards:
    """A way to read cards that can be lost."""

    source = "nvml"

    def __init__(self) -> None:
        self.lost = False

    def read(self) -> tuple[GpuSample, ...]:
        if self.lost:
            raise DriverLost("gone")
        return parse_query(QUERY)


def none() -> Backend | None:
    return None


def test_the_machine_is_read() -> None:
    process = psutil.Process()
    read_host(process)
    time.sleep(0.1)
    host = read_host(process)
    assert 0 <= host.cpu_percent <= 100
    assert len(host.cores) == psutil.cpu_count()
    assert 0 < host.memory_used_mib < host.memory_total_mib
    assert 10 < host.process_rss_mib < host.memory_total_mib


def test_without_a_card_it_says_why() -> None:
    sample = Telemetry(open_gpus=none).latest()
    assert (sample.gpus, sample.source) == ((), "none")
    assert "NVIDIA" in sample.why_no_gpu


def test_with_cards_there_is_nothing_to_explain() -> None:
    sample = Telemetry(open_gpus=Cards).latest()
    assert (len(sample.gpus), sample.source, sample.why_no_gpu) == (2, "nvml", "")


def test_a_driver_that_goes_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REOPEN_AFTER_S", 0.0)
    opened: list[Cards] = []

    def open_gpus() -> Backend:
        opened.append(Cards())
        return opened[-1]

    sampler = Telemetry(open_gpus=open_gpus)
    assert sampler._take().gpus
    opened[0].lost = True
    assert sampler._take().gpus == ()
    assert len(sampler._take().gpus) == 2
    assert len(opened) == 2


def test_a_lost_driver_is_left_alone_for_a_while() -> None:
    opened: list[int] = []

    def open_gpus() -> Backend | None:
        opened.append(1)
        return None

    sampler = Telemetry(open_gpus=open_gpus)
    for _ in range(5):
        sampler._take()
    assert len(opened) == 1


def test_one_thread_however_many_start_it_and_a_bounded_history() -> None:
    sampler = Telemetry(interval_s=0.01, keep_s=0.05, open_gpus=none)
    before = set(threading.enumerate())
    starters = [threading.Thread(target=sampler.start) for _ in range(16)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    deadline = time.monotonic() + 10
    while len(sampler.history()) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    # Those that another test left behind may end meanwhile.
    assert len(set(threading.enumerate()) - before) == 1
    time.sleep(0.1)
    history = sampler.history()
    assert len(history) == 5
    assert [s.time for s in history] == sorted(s.time for s in history)
    sampler.stop()
    assert set(threading.enumerate()) <= before


def test_a_reading_that_fails_does_not_end_the_sampling() -> None:
    failures = [ValueError("once"), ValueError("twice")]

    class Moody(Cards):
        def read(self) -> tuple[GpuSample, ...]:
            if failures:
                raise failures.pop()
            return super().read()

    sampler = Telemetry(interval_s=0.01, open_gpus=Moody)
    sampler.start()
    deadline = time.monotonic() + 10
    while not sampler.history() and time.monotonic() < deadline:
        time.sleep(0.01)
    sampler.stop()
    assert sampler.history()[-1].gpus


@pytest.mark.parametrize(("text", "limit"), [("max\n", None), ("2147483648\n", 2**31), ("", None)])
def test_container_limit(tmp_path: Path, text: str, limit: int | None) -> None:
    file = tmp_path / "memory.max"
    file.write_text(text)
    assert container_limit((tmp_path / "absent", file)) == limit
