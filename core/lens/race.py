"""Why transformers run in parallel: one LSTM layer against one transformer layer with as many parameters.

Both read the same random vectors. An LSTM (Hochreiter & Schmidhuber 1997) needs the state of the token before to
compute the next one; self-attention (Vaswani et al. 2017) computes all at once, at the price of n² scores.

``run_race`` measures in this process, ``run_apart`` in one of its own, which ``python -m core.lens.race`` is.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from core.errors import ModelUnavailable
from core.i18n import gettext as _
from core.runtime.device import Device, cores

WIDTH: Final = 256
HEADS: Final = 4
BATCH: Final = 4
LENGTHS: Final = (16, 32, 64, 128, 256, 512)
LONGER: Final = (1024, 2048)
# Each length comes up in several rounds, seconds apart, and in each of them both layers in turn: what else the
# machine does for a moment then spoils neither a whole point nor one layer only.
_ROUNDS: Final = 3
_REPEATS: Final = 3
# Enough repeats of one point in one round, in seconds.
_POINT_S: Final = 0.15
# Time for finding out how many threads are fastest, for each number of them: on a busy machine they crawl.
_PROBE_S: Final = 0.5
# The whole race ends after about this long, with the lengths that it came to.
_BUDGET_S: Final = 30.0

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
        laps: by length, direction and layer.
        parameters: exact, by runner.
        device: ``"cpu"`` or ``"cuda:0"`` …
        threads: of PyTorch on the CPU.
        seconds: how long it took.
        complete: false where time ran out, or it was stopped, before the last length.
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
        began, runs = time.perf_counter(), 0
        while runs < 40 and (runs == 0 or time.perf_counter() - began < _PROBE_S):
            x @ weight
            runs += 1
        took[count] = (time.perf_counter() - began) / runs
    best = min(took, key=lambda count: took[count])
    torch.set_num_threads(best)
    return best


def run_race(
    device: Device,
    *,
    lengths: tuple[int, ...] | None = None,
    budget_s: float = _BUDGET_S,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Race:
    """Measures both layers on growing lengths.

    Args:
        device: where.
        lengths: in tokens; on a GPU longer ones than on a CPU by default.
        budget_s: seconds after which no further length is begun.
        progress: called after each length and direction with how many measurements are done, and of how many.
        cancelled: asked before each length and direction.
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

    def over() -> bool:
        return (cancelled is not None and cancelled()) or time.perf_counter() - began > budget_s

    courses: list[tuple[int, Direction]] = [(length, way) for length in lengths for way in ("forward", "backward")]
    times: dict[tuple[int, Direction, Runner], list[float]] = {}
    done, total = 0, _ROUNDS * len(courses) * len(runners)
    # The page's other work runs in inference mode; gradients are needed here.
    with torch.inference_mode(False), torch.enable_grad():
        for turn in range(_ROUNDS):
            for length, direction in courses:
                if over():
                    break
                x = torch.randn(BATCH, length, WIDTH, device=place)
                if turn == 0:
                    for module in runners.values():
                        _once(module, x, direction, wait)  # the first run chooses kernels and takes memory
                spent, runs = 0.0, 0
                while runs == 0 or (runs < _REPEATS and spent < len(runners) * _POINT_S * 1000):
                    for name, module in runners.items():
                        took = _once(module, x, direction, wait)
                        times.setdefault((length, direction, name), []).append(took)
                        spent += took
                    runs += 1
                done += len(runners)
                if progress is not None:
                    progress(done, total)
    laps = [Lap(name, way, length, min(found), len(found)) for (length, way, name), found in times.items()]
    return Race(
        tuple(laps),
        {name: _parameters(module) for name, module in runners.items()},
        device.name,
        threads,
        time.perf_counter() - began,
        len(laps) == len(courses) * len(runners),
    )


def run_apart(
    device: Device,
    *,
    lengths: tuple[int, ...] | None = None,
    budget_s: float = _BUDGET_S,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Race:
    """``run_race`` in a process of its own.

    Inside the app's, a layer waits for Python's lock each time that another thread draws a page or loads a model:
    the transformer, which has more calls, up to a hundred times as long as it computes.

    Raises:
        ModelUnavailable: the process came to no result.
    """
    order = json.dumps({"kind": device.kind, "index": device.index, "lengths": lengths, "budget_s": budget_s})
    child = subprocess.Popen(
        [sys.executable, "-m", "core.lens.race", order],
        cwd=Path(__file__).resolve().parents[2],
        # Threads that wait for work would otherwise spin, and take from the pages what they don't use.
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    race: Race | None = None
    with child:
        assert child.stdout is not None
        for line in child.stdout:
            told = json.loads(line)
            if "laps" in told:
                race = Race(**{**told, "laps": tuple(Lap(**lap) for lap in told["laps"])})
            elif progress is not None:
                progress(told["done"], told["total"])
            if cancelled is not None and cancelled():
                child.send_signal(signal.SIGTERM)
    if race is None:
        raise ModelUnavailable(_("La carrera no llegó a medir nada en este equipo. Vuelve a empezarla."))
    return race


def _main(order: str) -> None:
    """Runs the race that ``order`` asks for, and prints a line of JSON a step, and the race at the end."""
    asked = json.loads(order)
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    print(json.dumps({"done": 0, "total": 1}), flush=True)
    race = run_race(
        Device(asked["kind"], asked["index"]),
        lengths=tuple(asked["lengths"]) if asked["lengths"] else None,
        budget_s=asked["budget_s"],
        progress=lambda done, total: print(json.dumps({"done": done, "total": total}), flush=True),
        cancelled=lambda: bool(stopped),
    )
    print(json.dumps(asdict(race)), flush=True)


if __name__ == "__main__":
    _main(sys.argv[1])
