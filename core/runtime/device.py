"""Where models run: CUDA, then Apple's MPS, then the CPU, unless ``TALLER_DEVICE`` says otherwise."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import psutil

from core.errors import ModelUnavailable
from core.i18n import gettext as _
from core.runtime.telemetry import container_limit
from core.settings import Settings

if TYPE_CHECKING:
    import torch

Kind = Literal["cuda", "mps", "cpu"]

_CGROUP_USE: Final = Path("/sys/fs/cgroup/memory.current")
_CGROUP_STAT: Final = Path("/sys/fs/cgroup/memory.stat")


@dataclass(frozen=True, slots=True)
class Device:
    """One place where models can run."""

    kind: Kind
    index: int = 0

    @property
    def name(self) -> str:
        """``"cuda:0"``, ``"mps"`` or ``"cpu"``: what ``torch.device`` takes."""
        return f"cuda:{self.index}" if self.kind == "cuda" else self.kind


CPU: Final = Device("cpu")


def cores() -> int:
    """Logical cores that this process may use: no more than ``OMP_NUM_THREADS``, which PyTorch itself minds, too."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(there, int(asked)) if asked.isdecimal() and int(asked) else there


def pick_device(settings: Settings) -> Device:
    """The device that models go to. With several GPUs it is the one with most free memory.

    Raises:
        ModelUnavailable: ``TALLER_DEVICE`` names one that this machine doesn't have.
    """
    import torch

    there: dict[Kind, bool] = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if settings.device == "auto":
        kind = next(kind for kind, present in there.items() if present)
    elif there[settings.device]:
        kind = settings.device
    else:
        raise ModelUnavailable(
            _(
                "TALLER_DEVICE pide «{device}», pero este equipo no lo tiene o PyTorch se instaló sin él. "
                "Quita esa variable o escribe TALLER_DEVICE=cpu."
            ).format(device=settings.device)
        )
    if kind != "cuda":
        return Device(kind)
    free = [torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())]
    return Device("cuda", free.index(max(free)))


def _free_in_container() -> int | None:
    """Bytes left under the container's limit; cached files count as free, as the kernel drops them at need."""
    limit = container_limit()
    if limit is None:
        return None
    with suppress(OSError, ValueError):
        used = int(_CGROUP_USE.read_text(encoding="ascii"))
        for line in _CGROUP_STAT.read_text(encoding="ascii").splitlines():
            name, _space, value = line.partition(" ")
            if name == "inactive_file":
                used -= int(value)
        return max(0, limit - used)
    return None


def free_bytes(device: Device) -> int:
    """Memory of ``device`` that is free now, in bytes, whoever uses the rest."""
    if device.kind == "cuda":
        import torch

        # What torch keeps for itself and doesn't use can be had, too.
        idle = torch.cuda.memory_reserved(device.index) - torch.cuda.memory_allocated(device.index)
        return int(torch.cuda.mem_get_info(device.index)[0]) + idle
    available = int(psutil.virtual_memory().available)
    contained = _free_in_container()
    return available if contained is None else min(available, contained)


def total_bytes(device: Device) -> int:
    """Memory of ``device`` in all, in bytes."""
    if device.kind == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device.index)[1])
    total = int(psutil.virtual_memory().total)
    return min(total, container_limit() or total)


def dtype_for(device: Device) -> "torch.dtype":
    """The number format of weights on ``device``: half precision on a GPU, single on the CPU.

    On a CPU half precision is slower in most kernels, and the results of small models drift.
    """
    import torch

    if device.kind == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float16 if device.kind == "mps" else torch.float32


def bytes_per_number(device: Device) -> int:
    """Bytes that one weight takes on ``device``."""
    return dtype_for(device).itemsize
