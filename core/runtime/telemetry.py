"""The machine's readings over time: one sampler for all sessions, ten minutes of history."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import psutil

from core.i18n import gettext as _
from core.runtime.gpu import MIB, Backend, DriverLost, GpuSample, open_backend

Source = Literal["nvml", "nvidia-smi", "none"]

# How long to leave a driver alone that has gone away, in seconds.
REOPEN_AFTER_S: Final = 15.0
_CGROUP_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HostSample:
    """The machine and this process at one moment.

    Attributes:
        cpu_percent: use of all cores together, 0–100.
        cores: use of each core, 0–100.
        load_1m: programs that wanted to run, on average over the last minute.
        memory_used_mib: memory in use, in MiB.
        memory_total_mib: memory in all, or the container's limit if that is lower, in MiB.
        process_rss_mib: memory of this process, in MiB.
        process_cpu_percent: this process's use of the processor; 100 is one whole core.
    """

    cpu_percent: float
    cores: tuple[float, ...]
    load_1m: float
    memory_used_mib: float
    memory_total_mib: float
    process_rss_mib: float
    process_cpu_percent: float


@dataclass(frozen=True, slots=True)
class Sample:
    """All readings at one moment.

    Attributes:
        time: seconds since 1970.
        host: the machine.
        gpus: the cards; empty without any.
        source: where the cards' readings come from.
    """

    time: float
    host: HostSample
    gpus: tuple[GpuSample, ...]
    source: Source

    @property
    def why_no_gpu(self) -> str:
        """A sentence for the reader where there is no card to show, else an empty string."""
        if self.gpus:
            return ""
        return _("No se ve ninguna tarjeta NVIDIA: falta la tarjeta o su controlador, así que se trabaja con la CPU.")


def container_limit(files: tuple[Path, ...] = _CGROUP_LIMITS) -> int | None:
    """The memory limit that a container's control group sets, in bytes; ``None`` without one."""
    for file in files:
        with suppress(OSError, ValueError):
            return int(file.read_text(encoding="ascii").strip())  # "max" means none, and is no number
    return None


def read_host(process: psutil.Process) -> HostSample:
    """Reads the machine; the percentages are since the last call in this process."""
    memory = psutil.virtual_memory()
    limit = container_limit()
    cores = tuple(psutil.cpu_percent(percpu=True))
    with process.oneshot():
        rss, own = process.memory_info().rss, process.cpu_percent()
    return HostSample(
        cpu_percent=sum(cores) / len(cores) if cores else 0.0,
        cores=cores,
        load_1m=psutil.getloadavg()[0],
        memory_used_mib=(memory.total - memory.available) / MIB,
        memory_total_mib=min(memory.total, limit or memory.total) / MIB,
        process_rss_mib=rss / MIB,
        process_cpu_percent=own,
    )


class Telemetry:
    """Samples the machine once a second, however many people look.

    Args:
        interval_s: seconds between samples.
        keep_s: seconds of history.
        open_gpus: opens a way to read the cards; called again when one was lost.
    """

    def __init__(
        self,
        interval_s: float = 1.0,
        keep_s: float = 600.0,
        open_gpus: Callable[[], Backend | None] = open_backend,
    ) -> None:
        self._interval_s = interval_s
        self._open_gpus = open_gpus
        self._history: deque[Sample] = deque(maxlen=max(1, round(keep_s / interval_s)))
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._backend: Backend | None = None
        self._opened_at: float | None = None
        self._process = psutil.Process()

    def start(self) -> None:
        """Begins to sample, unless it has begun already."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._stop.clear()
                self._thread = threading.Thread(target=self._loop, name="telemetry", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Ends the sampling and waits for its thread."""
        self._stop.set()
        thread = self._thread
        if thread is not None:
            thread.join(timeout=10)

    def latest(self) -> Sample:
        """The newest sample; the very first call takes one itself."""
        with self._lock:
            if self._history:
                return self._history[-1]
        return self._take()

    def history(self) -> list[Sample]:
        """All samples that are kept, oldest first."""
        with self._lock:
            return list(self._history)

    def _loop(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            try:
                self._take()
            except Exception:  # a reading that fails must not end the sampling for everybody
                _log.exception("a reading of the machine failed")
            # Counted from the beginning, so that the samples don't drift.
            due = max(due + self._interval_s, time.monotonic())
            self._stop.wait(due - time.monotonic())

    def _take(self) -> Sample:
        host = read_host(self._process)
        gpus, source = self._read_gpus()
        sample = Sample(time.time(), host, gpus, source)
        with self._lock:
            self._history.append(sample)
        return sample

    def _read_gpus(self) -> tuple[tuple[GpuSample, ...], Source]:
        now = time.monotonic()
        if self._backend is None and (self._opened_at is None or now - self._opened_at >= REOPEN_AFTER_S):
            self._opened_at = now
            self._backend = self._open_gpus()
        if self._backend is None:
            return (), "none"
        try:
            source: Source = "nvml" if self._backend.source == "nvml" else "nvidia-smi"
            return self._backend.read(), source
        except DriverLost as error:
            _log.warning("the graphics driver went away: %s", error)
            self._backend = None
            return (), "none"
