"""The addresses for whoever runs the app: is it alive, is it ready, what does it do."""

import asyncio
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Final

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.runtime.gpu import MIB, GpuSample
from core.runtime.metrics import REGISTRY
from core.ui.server.limits import Visitors

if TYPE_CHECKING:
    from core.ui.server.health import Probe

# How long a question for the app's health may take, in seconds; whoever asks waits no longer themselves.
WAIT_S: Final = 5.0
_NOT_STORED: Final = {"cache-control": "no-store"}


async def live(_request: Request) -> Response:
    """``/health/live``: the server answers; nothing is computed."""
    return JSONResponse({"status": "alive"}, headers=_NOT_STORED)


async def ready(_request: Request) -> Response:
    """``/health/ready``: 200 when a model has answered within the last seconds, else 503 and why."""
    probe = await asyncio.to_thread(_probe)
    asked = asyncio.wrap_future(probe.look())
    done, _pending = await asyncio.wait({asked}, timeout=WAIT_S)
    found = asked.result() if done else probe.late()
    body = {"status": found.status, **({} if found.took_ms is None else {"took_ms": found.took_ms})}
    return JSONResponse(body, 200 if found.status == "ready" else 503, headers=_NOT_STORED)


@cache
def _probe() -> "Probe":
    # Here and not above: it imports what pages need, and the server must come up before that.
    from core.ui.server.health import Probe, ask_a_model

    return Probe(ask_a_model)


def metrics(visitors: Visitors) -> Callable[[Request], Response]:
    """``/metrics`` in Prometheus's format; runs in a thread, since the machine's readings may take a moment."""
    now = CollectorRegistry()
    now.register(_State(visitors))

    def answer(_request: Request) -> Response:
        return Response(generate_latest(REGISTRY) + generate_latest(now), media_type=CONTENT_TYPE_LATEST)

    return answer


class _State(Collector):
    """What holds at the moment of asking."""

    def __init__(self, visitors: Visitors) -> None:
        self._visitors = visitors

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        from core.ui.resources import engine, model_pool, telemetry, training_jobs

        yield GaugeMetricFamily("taller_sessions", "Pages that are open now.", self._visitors.sessions)
        yield GaugeMetricFamily("taller_addresses", "Addresses that have a page open.", self._visitors.addresses)
        yield GaugeMetricFamily("taller_requests_waiting", "Requests that wait for a device.", engine().waiting())
        yield GaugeMetricFamily("taller_computations_running", "Computations that go on.", engine().running())
        training, waiting = training_jobs().counts()
        yield GaugeMetricFamily("taller_trainings_running", "Fine-tuning runs that train now.", training)
        yield GaugeMetricFamily("taller_trainings_waiting", "Fine-tuning runs that wait for their turn.", waiting)
        pool = model_pool()
        models = GaugeMetricFamily("taller_model_bytes", "Memory of a loaded model.", labels=("model", "device"))
        for model in pool.loaded():
            models.add_metric((model.key, model.device), model.bytes)
        yield models
        if pool.known_device is not None:
            budget = pool.budget_bytes(pool.known_device)
            yield GaugeMetricFamily("taller_model_budget_bytes", "Memory that models may take.", budget)
        sample = telemetry().latest()
        host = sample.host
        yield GaugeMetricFamily("taller_process_bytes", "Memory of this process.", host.process_rss_mib * MIB)
        yield GaugeMetricFamily("taller_host_used_bytes", "Memory in use.", host.memory_used_mib * MIB)
        yield GaugeMetricFamily("taller_host_total_bytes", "Memory in all.", host.memory_total_mib * MIB)
        yield GaugeMetricFamily("taller_host_cpu_ratio", "Use of all cores together.", host.cpu_percent / 100)
        yield from _cards(sample.gpus)


def _cards(cards: tuple[GpuSample, ...]) -> Iterator[Metric]:
    """The cards' readings; what a card does not report is left out rather than told as 0."""
    readings: dict[str, tuple[str, Callable[[GpuSample], float | None], float]] = {
        "taller_gpu_utilization_ratio": ("Use of a card.", lambda card: card.utilization_gpu, 0.01),
        "taller_gpu_memory_used_bytes": ("Memory in use on a card.", lambda card: card.memory_used_mib, MIB),
        "taller_gpu_memory_total_bytes": ("Memory of a card.", lambda card: card.memory_total_mib, MIB),
        "taller_gpu_temperature_celsius": ("Temperature of a card.", lambda card: card.temperature_c, 1),
        "taller_gpu_power_watts": ("Power drawn by a card.", lambda card: card.power_w, 1),
    }
    for name, (text, read, unit) in readings.items():
        family = GaugeMetricFamily(name, text, labels=("gpu", "name"))
        for card in cards:
            value = read(card)
            if value is not None:
                family.add_metric((str(card.index), card.name), value * unit)
        if family.samples:
            yield family
