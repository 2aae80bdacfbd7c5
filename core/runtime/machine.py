"""What machine the app runs on: processor, memory, GPUs and library versions. Imports no torch."""

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

_LIBRARIES = ("streamlit", "torch", "transformers", "tokenizers", "sentence-transformers")
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Gpu:
    """One graphics card: its name and memory in GiB, and the driver's version."""

    name: str
    memory_gib: float
    driver: str


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine.

    Attributes:
        processor: its name as the system gives it.
        cores: logical cores that this process may use.
        memory_gib: total memory in GiB (the container's limit is not considered).
        system: operating system and release.
        python: Python's version.
        gpus: the NVIDIA cards that NVML reports; empty without a driver.
        libraries: name → installed version.
    """

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    gpus: tuple[Gpu, ...]
    libraries: dict[str, str]


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpus() -> tuple[Gpu, ...]:
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no package, no library or no driver: all mean "no NVIDIA card to show"
        return ()
    try:
        driver = str(pynvml.nvmlSystemGetDriverVersion())
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return tuple(
            Gpu(
                name=str(pynvml.nvmlDeviceGetName(handle)),
                memory_gib=pynvml.nvmlDeviceGetMemoryInfo(handle).total / GIB,
                driver=driver,
            )
            for handle in handles
        )
    except Exception:  # a driver that answers half is, for this line on the home page, no driver
        return ()
    finally:
        with suppress(Exception):
            pynvml.nvmlShutdown()


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for library in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[library] = version(library)
    return found


@cache
def describe() -> Machine:
    """Reads the machine once a process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return Machine(
        processor=_processor(),
        cores=cores,
        memory_gib=psutil.virtual_memory().total / GIB,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        gpus=_gpus(),
        libraries=_versions(),
    )
