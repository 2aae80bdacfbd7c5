"""Twenty simultaneous sentiment requests, one after another against together, as the engine answers visitors."""

import random
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from core.runtime.engine import Engine
from core.runtime.pool import ModelPool
from core.settings import Settings
from core.tasks.classification import TASK, ClassificationRequest

VISITORS = 20
REPEATS = 9
MODEL = "sentiment-en"
STORY = (
    "the film was a long and quiet story about two brothers who never said what they felt until it was too late "
    "and I loved every minute of it although the music did not help at all"
)


def texts(least: int, most: int, seed: int) -> list[str]:
    """A sentence a visitor, all different, of ``least`` to ``most`` words."""
    chance, words = random.Random(seed), STORY.split()
    return [" ".join(chance.choices(words, k=chance.randint(least, most))) for _visitor in range(VISITORS)]


def _row(engine: Engine, name: str, least: int, most: int) -> dict[str, Any]:
    alone_ms, together_ms, ratios, same, furthest = [], [], [], 0, 0.0
    for turn in range(REPEATS):  # in turns, so that a busy machine slows both
        requests = [ClassificationRequest(text) for text in texts(least, most, turn)]
        began = time.perf_counter()
        alone = [engine.run(TASK, request, model=MODEL).result.labels for request in requests]
        alone_ms.append((time.perf_counter() - began) * 1000)
        gate = threading.Barrier(VISITORS + 1)

        def visitor(request: ClassificationRequest, gate: threading.Barrier = gate) -> Any:
            gate.wait()
            return engine.run(TASK, request, model=MODEL).result.labels

        with ThreadPoolExecutor(VISITORS) as threads:
            waiting = [threads.submit(visitor, request) for request in requests]
            gate.wait()
            began = time.perf_counter()
            together = [one.result() for one in waiting]
            together_ms.append((time.perf_counter() - began) * 1000)
        ratios.append(alone_ms[-1] / together_ms[-1])
        for one, other in zip(alone, together, strict=True):
            same += [label.name for label in one] == [label.name for label in other]
            furthest = max(furthest, *(abs(a.probability - b.probability) for a, b in zip(one, other, strict=True)))
    assert same == VISITORS * REPEATS and furthest < 1e-5
    return {
        "name": f"{VISITORS} simultaneous sentiment requests, {name} (probabilities within {furthest:.0e})",
        "ours_ms": statistics.median(together_ms),
        "baseline": "the same requests one after another",
        "baseline_ms": statistics.median(alone_ms),
        "ratio": statistics.median(ratios),
        "target": "≥ 3, one after another by together",
    }


def run() -> list[dict[str, Any]]:
    """The rows."""
    settings = Settings(offline=True, device="cpu")
    engine = Engine(ModelPool(settings), settings)
    for text in texts(5, 15, 99):
        engine.run(TASK, ClassificationRequest(text), model=MODEL)
    return [_row(engine, "5 to 15 words each", 5, 15), _row(engine, "5 to 30 words each", 5, 30)]


if __name__ == "__main__":
    for row in run():
        print(row)
