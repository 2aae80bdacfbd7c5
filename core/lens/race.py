"""Why transformers run in parallel: one LSTM layer against one transformer layer with as many parameters.

Both read the same random vectors. An LSTM (Hochreiter & Schmidhuber 1997) needs the state of the token before to
compute the next one; self-attention (Vaswani et al. 2017) computes all at once, at the price of n² scores.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from core.runtime.device import Device, cores

WIDTH: Final = 256
HEADS: Final = 4
BATCH: Final = 4
LENGTHS: Final = (16, 32, 64, 128, 256, 512)
LONGER: Final = (1024, 2048)
_REPEATS: Final = 7
# Enough repeats of one point, in seconds.
_POINT_S: Final = 0.4
# The whole race ends after about this long, with the lengths that it came to.
_BUDGET_S: Final = 25.0

Runner = Literal["lstm", "transformer"]
Direction = Literal["forward", "backward"]


@dataclass(frozen=True, slots=True)
class Lap:
    """One measurement: the fastest of ``repeats`` runs, in milliseconds for the whole batch: what else the
    machine does can only make a run slower.

    ``direction`` ``"backward"`` is forward and backward together, as one step of training needs them.
    """

    runner: Runner
    direction: Direction
    length: int
    milliseconds: float
    repeats: int


@dataclass(frozen=True, slots=True)
class Race:
    """All laps, and what ran.

    Attributes:
        laps: in the order of measuring.
        parameters: exact, by runner.
        device: ``"cpu"`` or ``"cuda:0"`` …
        threads: of PyTorch on the CPU.
        seconds: how long it took.
        complete: false where time ran out or it was stopped.
    """

    laps: tuple[Lap, ...]
    parameters: dict[Runner, int]
    device: str
    threads: int
    seconds: float
    complete: bool


def _inner(width: int) -> int:
    """The feed-forward width at which the two layers have as many parameters as can be.

    An LSTM has 8d² + 8d; the transformer layer 4d² + 4d (attention), 2df + f + d (feed-forward) and 4d (norms).
    """
    return round((4 * width * width - width) / (2 * width + 1))


def build(width: int = WIDTH) -> dict[Runner, Any]:
    """The two layers, as ``torch.nn`` has them, without dropout."""
    from torch import nn

    return {
        "lstm": nn.LSTM(width, width, batch_first=True),
        "transformer": nn.TransformerEncoderLayer(width, HEADS, _inner(width), dropout=0.0, batch_first=True),
    }


def _parameters(module: Any) -> int:
    return sum(tensor.numel() for tensor in module.parameters())


def _once(module: Any, x: Any, direction: Direction, wait: Callable[[], None]) -> float:
    import torch

    wait()
    began = time.perf_counter()
    if direction == "forward":
        with torch.no_grad():
            module(x)
    else:
        out = module(x)
        out = out[0] if isinstance(out, tuple) else out
        out.sum().backward()
        module.zero_grad(set_to_none=True)
    wait()
    return (time.perf_counter() - began) * 1000


def _threads() -> int:
    """Sets PyTorch's threads in this thread to what is fastest now, all cores or one, and says how many that is.

    Where others keep the cores busy, the threads of one product wait for one another, and two are slower than one.
    """
    import torch

    x = torch.randn(512, WIDTH)
    weight = torch.randn(WIDTH, 4 * WIDTH)
    took: dict[int, float] = {}
    for count in dict.fromkeys((cores(), 1)):
        torch.set_num_threads(count)
        x @ weight
        began = time.perf_counter()
        for _run in range(40):
            x @ weight
        took[count] = time.perf_counter() - began
    best = min(took, key=lambda count: took[count])
    torch.set_num_threads(best)
    return best


def run_race(
    device: Device,
    *,
    lengths: tuple[int, ...] | None = None,
    budget_s: float = _BUDGET_S,
    progress: Callable[[tuple[Lap, ...], int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Race:
    """Measures both layers on growing lengths.

    Args:
        device: where.
        lengths: in tokens; on a GPU longer ones than on a CPU by default.
        budget_s: seconds after which no further length is begun.
        progress: called after each lap with the laps so far and how many there will be at most.
        cancelled: asked before each lap.
    """
    import torch

    began = time.perf_counter()
    place = torch.device(device.name)
    lengths = lengths or (LENGTHS if device.kind == "cpu" else LENGTHS + LONGER)
    torch.manual_seed(0)
    threads = _threads() if device.kind == "cpu" else torch.get_num_threads()
    runners = {name: module.to(place).train() for name, module in build().items()}

    def wait() -> None:
        if device.kind == "cuda":
            torch.cuda.synchronize(place)
        elif device.kind == "mps":
            torch.mps.synchronize()

    laps: list[Lap] = []
    total = len(lengths) * 4
    complete = True
    # The page's other work runs in inference mode; gradients are needed here.
    with torch.inference_mode(False), torch.enable_grad():
        for length in lengths:
            x = torch.randn(BATCH, length, WIDTH, device=place)
            for direction in ("forward", "backward"):
                for name, module in runners.items():
                    if (cancelled is not None and cancelled()) or time.perf_counter() - began > budget_s:
                        complete = False
                        break
                    _once(module, x, direction, wait)  # the first run chooses kernels and takes memory
                    times: list[float] = []
                    while len(times) < 2 or (len(times) < _REPEATS and sum(times) < _POINT_S * 1000):
                        times.append(_once(module, x, direction, wait))
                    laps.append(Lap(name, direction, length, min(times), len(times)))
                    if progress is not None:
                        progress(tuple(laps), total)
                if not complete:
                    break
            if not complete:
                break
    return Race(
        tuple(laps),
        {name: _parameters(module) for name, module in runners.items()},
        device.name,
        threads,
        time.perf_counter() - began,
        complete,
    )
