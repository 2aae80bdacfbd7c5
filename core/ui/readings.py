"""The machine's readings as gauges, and the compact ones of the sidebar. Imports no torch."""

import time
from collections.abc import Sequence

from core.catalog import entries
from core.i18n import format_number, format_percent, get_language, ngettext
from core.i18n import gettext as _
from core.runtime.events import Event, events
from core.runtime.gpu import GpuSample
from core.runtime.telemetry import Sample
from core.ui.gauges import SPAN_S, Gauge, Mark, gauge_view
from core.ui.language import fragment
from core.ui.resources import engine, model_pool, telemetry
from core.ui.tuned import name_for_all

MIB = 2**20
# A curve of so many points looks the same as one of 600, and is half as much to send.
_POINTS = 300


def percent(value: float | None) -> str:
    """A percentage for the reader, or N/A."""
    return "N/A" if value is None else format_percent(value / 100, 0)


def gib_of(used: float | None, total: float | None) -> str:
    """Used of total memory; both in MiB."""
    if used is None or total is None:
        return "N/A"
    return _("{used} de {total} GiB").format(used=format_number(used / 1024, 1), total=format_number(total / 1024, 1))


def with_unit(value: float | None, unit: str, digits: int = 0) -> str:
    """A number and its unit, or N/A."""
    return "N/A" if value is None else f"{format_number(value, digits)} {unit}"


def model_name(key: str) -> str:
    """What a person calls the model ``key``; the key itself if nobody knows it."""
    known = entries().get(key)
    return known.name(get_language()) if known else name_for_all(key) or key


def event_text(event: Event) -> str:
    """What happened, in a few words."""
    mib = format_number(abs(event.bytes) / MIB)
    texts = {
        "load": _("cargaste {name}: +{mib} MiB"),
        "evict": _("se quitó {name} para hacer sitio: −{mib} MiB"),
        "unload": _("quitaste {name}: −{mib} MiB"),
        "fallback": _("{name} no cabía en la tarjeta: pasa a la CPU"),
        "download": _("{name} descargado: {mib} MiB en el disco"),
        "training": _("entrenamiento: {name}"),
    }
    return texts[event.kind].format(name=model_name(event.label), mib=mib)


def _marks(happened: Sequence[Event], now: float, device: str) -> tuple[Mark, ...]:
    shown = (event for event in happened if event.device == device and event.kind != "download")
    return tuple(Mark(now - event.time, event_text(event)) for event in shown)


def _curve(pairs: Sequence[tuple[float, float | None]]) -> tuple[tuple[float, float], ...]:
    """Pairs of age and percent, thinned, without what could not be read."""
    known = [(age, value) for age, value in pairs if value is not None and age <= SPAN_S]
    step = max(1, len(known) // _POINTS)
    # The newest reading must be among them: counted from the end.
    return tuple(known[::-1][::step][::-1])


def _alt(title: str, curve: Sequence[tuple[float, float]]) -> str:
    if not curve:
        return title
    values = [value for _age, value in curve]
    text = _("{title}: ahora {now}, entre {low} y {high} en los últimos {minutes} minutos")
    return text.format(
        title=title,
        now=percent(values[-1]),
        low=percent(min(values)),
        high=percent(max(values)),
        minutes=format_number(max(1, round(curve[0][0] / 60))),
    )


def _share(used: float | None, total: float | None) -> float | None:
    return used / total if used is not None and total else None


def _host_gauges(samples: Sequence[Sample], happened: Sequence[Event], now: float) -> list[Gauge]:
    host = samples[-1].host
    cpu = _curve([(now - s.time, s.host.cpu_percent) for s in samples])
    memory = _curve([(now - s.time, 100 * s.host.memory_used_mib / s.host.memory_total_mib) for s in samples])
    cores = ngettext("{n} núcleo", "{n} núcleos", len(host.cores)).format(n=len(host.cores))
    return [
        Gauge(
            title=_("Procesador"),
            value=percent(host.cpu_percent),
            share=host.cpu_percent / 100,
            curve=cpu,
            alt=_alt(_("Procesador"), cpu),
            marks=_marks([event for event in happened if event.kind == "training"], now, "cpu"),
            cores=host.cores,
            cores_alt=f"{cores}: " + ", ".join(percent(core) for core in host.cores),
            facts=(
                (_("Núcleos"), cores),
                (_("Carga del último minuto"), format_number(host.load_1m, 2)),
                (_("Esta aplicación"), percent(host.process_cpu_percent)),
            ),
        ),
        Gauge(
            title=_("Memoria"),
            value=gib_of(host.memory_used_mib, host.memory_total_mib),
            share=host.memory_used_mib / host.memory_total_mib,
            curve=memory,
            alt=_alt(_("Memoria"), memory),
            marks=_marks(happened, now, "cpu"),
            facts=((_("Esta aplicación"), with_unit(host.process_rss_mib, "MiB")),),
        ),
    ]


def _card_gauges(
    gpu: GpuSample, samples: Sequence[Sample], happened: Sequence[Event], now: float, many: bool
) -> list[Gauge]:
    name = f"GPU {gpu.index} · {gpu.name}" if many else gpu.name
    past = [(now - s.time, next((g for g in s.gpus if g.index == gpu.index), None)) for s in samples]
    busy = _curve([(age, card.utilization_gpu if card else None) for age, card in past])
    shares = [(age, _share(card.memory_used_mib, card.memory_total_mib) if card else None) for age, card in past]
    full = _curve([(age, None if share is None else 100 * share) for age, share in shares])
    memory_title = _("Memoria de {card}").format(card=f"GPU {gpu.index}" if many else _("la tarjeta"))
    device = f"cuda:{gpu.index}"
    return [
        Gauge(
            title=name,
            value=percent(gpu.utilization_gpu),
            share=None if gpu.utilization_gpu is None else gpu.utilization_gpu / 100,
            why=gpu.why_no_utilization or "",
            curve=busy,
            alt=_alt(name, busy),
            marks=_marks([event for event in happened if event.kind == "training"], now, device),
            facts=(
                (_("Controlador de memoria"), percent(gpu.utilization_memory)),
                (_("Codificador de vídeo"), percent(gpu.encoder)),
                (_("Decodificador de vídeo"), percent(gpu.decoder)),
                (_("Temperatura"), with_unit(gpu.temperature_c, "°C")),
                (_("Potencia"), f"{with_unit(gpu.power_w, 'W')} / {with_unit(gpu.power_limit_w, 'W')}"),
                (_("Reloj de cálculo"), with_unit(gpu.clock_sm_mhz, "MHz")),
                (_("Reloj de memoria"), with_unit(gpu.clock_memory_mhz, "MHz")),
                (_("Controlador (driver)"), gpu.driver),
                ("CUDA", gpu.cuda or "N/A"),
            ),
        ),
        Gauge(
            title=memory_title,
            value=gib_of(gpu.memory_used_mib, gpu.memory_total_mib),
            share=_share(gpu.memory_used_mib, gpu.memory_total_mib),
            curve=full,
            alt=_alt(memory_title, full),
            marks=_marks(happened, now, device),
        ),
    ]


def machine_gauges(samples: Sequence[Sample], happened: Sequence[Event], now: float) -> list[Gauge]:
    """All readings, the machine's first, then each card's.

    Args:
        samples: readings, oldest first; at least one.
        happened: events of the same time.
        now: seconds since 1970.
    """
    gauges = _host_gauges(samples, happened, now)
    cards = samples[-1].gpus
    for gpu in cards:
        gauges += _card_gauges(gpu, samples, happened, now, len(cards) > 1)
    return gauges


def draw_gauges(*, key: str, compact: bool = False, every_s: float = 2.0) -> None:
    """The machine now and, unless ``compact``, in the last ten minutes; for use inside a fragment."""
    sampler = telemetry()
    newest = sampler.latest()
    now = time.time()
    samples = [newest] if compact else (sampler.history() or [newest])
    gauge_view(machine_gauges(samples, events().since(now - SPAN_S), now), key=key, compact=compact, every_s=every_s)


@fragment()
def live_gauges(*, key: str, compact: bool = False) -> None:
    """``draw_gauges`` in a fragment of its own."""
    draw_gauges(key=key, compact=compact)


def models_gauge() -> Gauge | None:
    """Memory of the loaded models against their budget; ``None`` while nobody has used a model."""
    pool = model_pool()
    device = pool.known_device
    loaded = pool.loaded()
    if device is None or not loaded:
        return None
    used, budget = pool.used_bytes(device), pool.budget_bytes(device)
    waiting = engine().waiting()
    count = ngettext("{n} modelo", "{n} modelos", len(loaded)).format(n=len(loaded))
    queue = ngettext("{n} en espera", "{n} en espera", waiting).format(n=waiting)
    value = f"{count} · {format_number(used / MIB)} MiB · {queue}"
    return Gauge(_("Modelos"), value, used / budget if budget else None)


@fragment()
def compact_status(*, key: str = "status") -> None:
    """The sidebar's reading on pages that run a model: machine, models in memory, queue."""
    now = time.time()
    gauges = machine_gauges([telemetry().latest()], (), now)
    models = models_gauge()
    gauge_view([*gauges, *([models] if models else [])], key=key, compact=True, every_s=3.0)
