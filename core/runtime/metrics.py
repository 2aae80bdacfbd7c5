"""What is counted while the app runs, for Prometheus. Nothing here holds a visitor's text or address.

The names and labels are those of the README. Labels come from us (tasks, phases), never from visitors, so that
their number is bounded. A registry of our own: the library's global one refuses a module that is loaded again.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from core.runtime.caller import Withdrawn

REGISTRY: Final = CollectorRegistry(auto_describe=True)
# From a cached look to a long text that a small machine writes, in seconds.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

REQUESTS: Final = Counter(
    "taller_requests",
    "Requests to models by task and outcome: ok, withdrawn (whoever asked left), or the name of the error.",
    ("task", "outcome"),
    registry=REGISTRY,
)
PHASES: Final = Histogram(
    "taller_phase_seconds",
    "Time of an answered request in each phase: queue, load (the model, if it wasn't in memory), compute.",
    ("task", "phase"),
    buckets=_BUCKETS,
    registry=REGISTRY,
)
BATCHES: Final = Histogram(
    "taller_batch_requests",
    "Requests that were computed together with an answered one.",
    ("task",),
    buckets=(1, 2, 4, 8, 16, 32, 64),
    registry=REGISTRY,
)
LOOKUPS: Final = Counter(
    "taller_cache_lookups",
    "Looks into what is kept (models, answers, readings) by whether it was there.",
    ("cache", "found"),
    registry=REGISTRY,
)
KEPT: Final = Gauge(
    "taller_cache_bytes",
    "About how much memory the answers and readings take that are kept.",
    ("cache",),
    registry=REGISTRY,
)
REFUSALS: Final = Counter(
    "taller_refusals",
    "Visitors turned away at the door, by the limit that was reached.",
    ("limit",),
    registry=REGISTRY,
)

ENGINES: Final = Counter(
    "taller_engine_requests",
    "Requests by who answered them, where there is a cluster: ray, or local in its place.",
    ("engine",),
    registry=REGISTRY,
)


def engine(name: str, requests: int) -> None:
    """Counts requests that were answered by ``name``: ``"ray"``, or ``"local"`` in its place."""
    ENGINES.labels(name).inc(requests)


def looked_up(cache: str, found: bool) -> None:
    """Counts a look into ``cache``."""
    LOOKUPS.labels(cache, "yes" if found else "no").inc()


def kept(cache: str, more: int) -> None:
    """Notes that ``cache`` holds ``more`` bytes than before; fewer where that is negative."""
    KEPT.labels(cache).inc(more)


def answered(task: str, phases_ms: dict[str, float], batch: int) -> None:
    """Counts an answered request.

    Args:
        task: its name.
        phases_ms: phase → its time, in milliseconds.
        batch: how many requests were computed together.
    """
    REQUESTS.labels(task, "ok").inc()
    BATCHES.labels(task).observe(batch)
    for phase, took in phases_ms.items():
        PHASES.labels(task, phase).observe(took / 1000)


def failed(task: str, error: BaseException) -> None:
    """Counts a request that was not answered, by the name of the error alone; who left before is no error."""
    left = isinstance(error, Withdrawn) or not isinstance(error, Exception)
    REQUESTS.labels(task, "withdrawn" if left else type(error).__name__).inc()
