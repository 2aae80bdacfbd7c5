"""Readings of the graphics cards: what ``nvidia-smi`` shows, field by field.

NVML (the library behind ``nvidia-smi``) is asked first. Without it the CSV query of the ``nvidia-smi``
program is read. Each field stands alone: one that a card doesn't report is ``None``, shown as "N/A", and
never makes the others disappear. Under MIG NVML gives no utilization; the sample says so instead of 0.
"""

import csv
import io
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import psutil

from core.i18n import gettext as _

MIB: Final = 2**20
SMI_TIMEOUT_S: Final = 5.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A program that uses a card; memory in MiB, ``None`` where the driver doesn't tell (WSL, MIG)."""

    pid: int
    name: str
    memory_mib: float | None


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One card at one moment. ``None`` means that it doesn't report the field.

    Attributes:
        index: its number in ``nvidia-smi``.
        name: the card's name.
        driver: the driver's version.
        cuda: the newest CUDA version that the driver supports.
        utilization_gpu: share of the last moments in which some kernel ran, in percent.
        utilization_memory: share in which memory was read or written, in percent.
        encoder: use of the video encoder, in percent.
        decoder: use of the video decoder, in percent.
        memory_used_mib: memory in use, in MiB.
        memory_total_mib: memory in all, in MiB.
        temperature_c: in degrees Celsius.
        power_w: power drawn, in watts.
        power_limit_w: the limit that is in force, in watts.
        clock_sm_mhz: clock of the multiprocessors, in MHz.
        clock_memory_mhz: clock of the memory, in MHz.
        mig: the card is divided into instances (Multi-Instance GPU).
        why_no_utilization: a sentence where ``utilization_gpu`` is ``None``.
        processes: the programs that use it.
    """

    index: int
    name: str
    driver: str
    cuda: str | None
    utilization_gpu: float | None
    utilization_memory: float | None
    encoder: float | None
    decoder: float | None
    memory_used_mib: float | None
    memory_total_mib: float | None
    temperature_c: float | None
    power_w: float | None
    power_limit_w: float | None
    clock_sm_mhz: float | None
    clock_memory_mhz: float | None
    mig: bool
    why_no_utilization: str | None
    processes: tuple[GpuProcess, ...]


class DriverLost(Exception):
    """The driver no longer answers: a card fell off the bus, or the driver was unloaded."""


class Backend(Protocol):
    """A way to read the cards."""

    source: str

    def read(self) -> tuple[GpuSample, ...]:
        """Reads all cards.

        Raises:
            DriverLost: the way is closed for now; asking for a new backend may open it again.
        """
        ...


def why_no_utilization(mig: bool) -> str:
    """The sentence for a card without a utilization figure."""
    if mig:
        return _("La tarjeta está dividida en instancias (MIG), y en ese modo el controlador no mide la utilización.")
    return _("Esta tarjeta no informa de su utilización.")


# --- NVML -------------------------------------------------------------------------------------------------


class NvmlBackend:
    """Reads through NVML.

    Args:
        nvml: the ``pynvml`` module, or one that looks like it.

    Raises:
        DriverLost: the library or the driver isn't there.
    """

    source = "nvml"

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        # These mean that no question will be answered any more; every other error is about one field.
        self._lost = tuple(
            getattr(nvml, name)
            for name in ("NVMLError_GpuIsLost", "NVMLError_Uninitialized", "NVMLError_DriverNotLoaded")
        )
        try:
            nvml.nvmlInit()
            self._driver = str(nvml.nvmlSystemGetDriverVersion())
            count = int(nvml.nvmlDeviceGetCount())
            self._handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(count)]
        except nvml.NVMLError as error:
            raise DriverLost(str(error)) from error
        version = self._ask(nvml.nvmlSystemGetCudaDriverVersion)
        self._cuda = f"{version // 1000}.{version % 1000 // 10}" if version else None

    def _ask(self, question: Callable[..., T], *arguments: Any) -> T | None:
        try:
            return question(*arguments)
        except self._lost as error:
            raise DriverLost(str(error)) from error
        except self._nvml.NVMLError:
            return None

    def read(self) -> tuple[GpuSample, ...]:
        """Reads all cards; see ``Backend``."""
        return tuple(self._sample(index, handle) for index, handle in enumerate(self._handles))

    def _sample(self, index: int, handle: Any) -> GpuSample:
        nvml, ask = self._nvml, self._ask
        mode = ask(nvml.nvmlDeviceGetMigMode, handle)
        mig = bool(mode and mode[0] == nvml.NVML_DEVICE_MIG_ENABLE)
        rates = None if mig else ask(nvml.nvmlDeviceGetUtilizationRates, handle)
        memory = ask(nvml.nvmlDeviceGetMemoryInfo, handle)
        encoder = None if mig else ask(nvml.nvmlDeviceGetEncoderUtilization, handle)
        decoder = None if mig else ask(nvml.nvmlDeviceGetDecoderUtilization, handle)
        power = ask(nvml.nvmlDeviceGetPowerUsage, handle)
        limit = ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        return GpuSample(
            index=index,
            name=str(ask(nvml.nvmlDeviceGetName, handle) or "GPU"),
            driver=self._driver,
            cuda=self._cuda,
            utilization_gpu=_float(rates and rates.gpu),
            utilization_memory=_float(rates and rates.memory),
            encoder=_float(encoder and encoder[0]),
            decoder=_float(decoder and decoder[0]),
            memory_used_mib=memory.used / MIB if memory else None,
            memory_total_mib=memory.total / MIB if memory else None,
            temperature_c=_float(ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)),
            power_w=None if power is None else power / 1000,
            power_limit_w=None if limit is None else limit / 1000,
            clock_sm_mhz=_float(ask(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM)),
            clock_memory_mhz=_float(ask(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_MEM)),
            mig=mig,
            why_no_utilization=why_no_utilization(mig) if rates is None else None,
            processes=self._processes(handle),
        )

    def _processes(self, handle: Any) -> tuple[GpuProcess, ...]:
        found: dict[int, GpuProcess] = {}
        for question in (
            self._nvml.nvmlDeviceGetComputeRunningProcesses,
            self._nvml.nvmlDeviceGetGraphicsRunningProcesses,
        ):
            for process in self._ask(question, handle) or ():
                used = process.usedGpuMemory
                found[process.pid] = GpuProcess(
                    process.pid, _process_name(process.pid), None if used is None else used / MIB
                )
        return tuple(found.values())


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _process_name(pid: int) -> str:
    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return "–"


# --- the nvidia-smi program -------------------------------------------------------------------------------

_FIELDS: Final = (
    "index",
    "name",
    "driver_version",
    "utilization.gpu",
    "utilization.memory",
    "memory.used",
    "memory.total",
    "temperature.gpu",
    "power.draw",
    "power.limit",
    "clocks.sm",
    "clocks.mem",
    "mig.mode.current",
)


def parse_number(text: str) -> float | None:
    """A field of the CSV query as a number; ``"[N/A]"``, ``"[Not Supported]"`` and the like are ``None``."""
    try:
        return float(text.strip())
    except ValueError:
        return None


def parse_query(text: str) -> tuple[GpuSample, ...]:
    """The cards in what ``nvidia-smi --query-gpu=… --format=csv,noheader,nounits`` prints."""
    samples = []
    for row in csv.reader(io.StringIO(text), skipinitialspace=True):
        if len(row) != len(_FIELDS):
            continue
        field = dict(zip(_FIELDS, row, strict=True))
        index = parse_number(field["index"])
        if index is None:
            continue
        mig = field["mig.mode.current"].strip() == "Enabled"
        utilization = parse_number(field["utilization.gpu"])
        samples.append(
            GpuSample(
                index=int(index),
                name=field["name"].strip(),
                driver=field["driver_version"].strip(),
                cuda=None,
                utilization_gpu=utilization,
                utilization_memory=parse_number(field["utilization.memory"]),
                encoder=None,
                decoder=None,
                memory_used_mib=parse_number(field["memory.used"]),
                memory_total_mib=parse_number(field["memory.total"]),
                temperature_c=parse_number(field["temperature.gpu"]),
                power_w=parse_number(field["power.draw"]),
                power_limit_w=parse_number(field["power.limit"]),
                clock_sm_mhz=parse_number(field["clocks.sm"]),
                clock_memory_mhz=parse_number(field["clocks.mem"]),
                mig=mig,
                why_no_utilization=why_no_utilization(mig) if utilization is None else None,
                processes=(),
            )
        )
    return tuple(samples)


def _run(arguments: Sequence[str], timeout_s: float) -> str:
    """What a program prints.

    Raises:
        DriverLost: it isn't there, fails or takes longer than ``timeout_s``.
    """
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=timeout_s, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise DriverLost(str(error)) from error
    return done.stdout


class SmiBackend:
    """Reads through the ``nvidia-smi`` program, where NVML can't be used from Python."""

    source = "nvidia-smi"

    def __init__(self, program: str, timeout_s: float = SMI_TIMEOUT_S) -> None:
        self._program = program
        self._timeout_s = timeout_s

    def read(self) -> tuple[GpuSample, ...]:
        """Reads all cards; see ``Backend``."""
        query = [self._program, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
        return parse_query(_run(query, self._timeout_s))


def nvidia_smi_output(timeout_s: float = SMI_TIMEOUT_S) -> str | None:
    """What ``nvidia-smi`` prints, letter for letter; ``None`` where it isn't or doesn't answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    with suppress(DriverLost):
        return _run([program], timeout_s)
    return None


def open_backend() -> Backend | None:
    """The best way to read the cards on this machine; ``None`` if there is none."""
    with suppress(ImportError, DriverLost):
        import pynvml

        return NvmlBackend(pynvml)
    program = shutil.which("nvidia-smi")
    return SmiBackend(program) if program else None
