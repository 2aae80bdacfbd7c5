"""One replica of a Ray cluster on this machine against two, each with a core: the batch tab, and twenty mixed users.

Twenty people ask at once, each five things of three tasks one after the other; the batch tab classifies five hundred
rows. Both are asked as the app asks, over HTTP. Needs Ray: ``pip install -r requirements-ray.txt``.
"""

import importlib.util
import random
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from core.runtime.batch import BatchJob
from core.runtime.device import CPU
from core.runtime.engine import Engine
from core.runtime.pool import ModelPool
from core.runtime.ray_engine import RayEngine
from core.settings import Settings
from core.tasks import classification, entities, fill_mask
from core.tasks.classification import ClassificationRequest
from core.tasks.entities import EntitiesRequest
from core.tasks.fill_mask import FillMaskRequest
from tests.bench.bench_tasks import THREE_HUNDRED
from tests.bench.bench_together import texts
from tests.cluster.servers import Cluster, make
from tests.conftest import free_port

USERS = 20
TURNS = 5
ROWS = 500
REPEATS = 3


def _asks(user: int, seed: int) -> list[tuple[Any, Any, str]]:
    """What a user asks: task, request, model; nobody asks what another has asked."""
    found: list[tuple[Any, Any, str]] = []
    for turn, text in enumerate(texts(8, 20, 1000 * seed + user)[:TURNS]):
        kind = (user + turn) % 3
        if kind == 0:
            found.append((classification.TASK, ClassificationRequest(text), "sentiment-en"))
        elif kind == 1:
            found.append((entities.TASK, EntitiesRequest(text), "entities-en"))
        else:
            found.append((fill_mask.TASK, FillMaskRequest(f"{text} [MASK]."), "mini-bert"))
    return found


def _users(engine: Engine, seed: int) -> float:
    """Seconds until all users have all their answers."""

    def one(user: int) -> None:
        for task, request, model in _asks(user, seed):
            engine.run(task, request, model=model)

    with ThreadPoolExecutor(USERS) as threads:
        began = time.perf_counter()
        list(threads.map(one, range(USERS)))
        return time.perf_counter() - began


def _requests(seed: int) -> list[ClassificationRequest]:
    chance = random.Random(seed)
    words = THREE_HUNDRED.replace(".", "").split()
    return [ClassificationRequest(" ".join(chance.choices(words, k=chance.randint(2, 60)))) for _row in range(ROWS)]


def _batch(engine: Engine, requests: Sequence[ClassificationRequest]) -> tuple[float, list[dict[str, float]]]:
    """Rows a second, and the probabilities of each row's labels."""
    began = time.perf_counter()
    job = BatchJob(
        engine,
        classification.TASK,
        requests,
        model="sentiment-en",
        size=lambda request: len(request.text),
        abandoned_s=3600,
    )
    job.wait()
    took = time.perf_counter() - began
    found: list[dict[str, float]] = []
    for outcome in job.results():
        result: Any = getattr(outcome, "result", None)
        assert result is not None, (outcome, job.state().message)
        found.append({label.name: label.probability for label in result.labels})
    return len(requests) / took, found


def _measured(replicas: int) -> tuple[float, float, list[dict[str, float]]]:
    """Rows a second of the batch tab, answers a second to the users, and the batch's probabilities."""
    cluster = Cluster(free_port(), replicas)
    try:
        engine: RayEngine = make(cluster.port, timeout=60)
        try:
            for seed in (101, 102, 103):  # every replica loads what is asked for
                _users(engine, seed)
            speeds = [_batch(engine, _requests(1)) for _turn in range(REPEATS)]
            users = [USERS * TURNS / _users(engine, seed) for seed in range(REPEATS)]
            assert engine.state().local == 0, "this machine answered in the cluster's place"
        finally:
            engine.close()
    finally:
        cluster.kill()
    return statistics.median(speed for speed, _found in speeds), statistics.median(users), speeds[0][1]


def run() -> list[dict[str, Any]]:
    """The rows.

    Raises:
        RuntimeError: Ray is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise RuntimeError("Ray is not installed: pip install -r requirements-ray.txt")
    one, two = _measured(1), _measured(2)
    settings = Settings(offline=True, device="cpu")
    _speed, here = _batch(Engine(ModelPool(settings, CPU), settings), _requests(1))
    furthest = max(
        abs(own[name] - other[name])
        for found in (one[2], two[2])
        for own, other in zip(here, found, strict=True)
        for name in own
    )
    assert furthest < 1e-5, furthest

    def row(name: str, ours: float, theirs: float) -> dict[str, Any]:
        return {
            "name": name,
            "ours_ms": ours,
            "baseline": "one replica of one core",
            "baseline_ms": theirs,
            "ratio": ours / theirs,
            "target": "> 1; 2 is what two cores allow",
            "unit": "a second",
        }

    return [
        row(
            f"two replicas of one core, batch tab, {ROWS} rows (within {furthest:.0e} of this machine)", two[0], one[0]
        ),
        row(f"two replicas of one core, {USERS} users, {TURNS} questions each, three tasks", two[1], one[1]),
    ]


if __name__ == "__main__":
    for found in run():
        print(found)
