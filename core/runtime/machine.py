"""What machine the app runs on: processor, graphics cards and library versions. Imports no torch."""

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from core.runtime.gpu import DriverLost, open_backend

_LIBRARIES = ("streamlit", "torch", "transformers", "tokenizers", "sentence-transformers")


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
        system: operating system and release.
        python: Python's version.
        gpus: the NVIDIA cards; empty without a driver.
        libraries: name → installed version.
    """

    processor: str
    cores: int
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
    backend = open_backend()
    with suppress(DriverLost):
        if backend is not None:
            return tuple(Gpu(g.name, (g.memory_total_mib or 0.0) / 1024, g.driver) for g in backend.read())
    return ()


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
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        gpus=_gpus(),
        libraries=_versions(),
    )
