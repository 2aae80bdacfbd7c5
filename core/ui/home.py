"""The home page's description of the machine."""

import streamlit as st

from core.i18n import format_number, format_percent, ngettext
from core.i18n import gettext as _
from core.runtime.gpu import nvidia_smi_output
from core.runtime.machine import describe
from core.settings import get_settings
from core.ui.language import fragment
from core.ui.messages import plain
from core.ui.resources import telemetry


def _gauge(label: str, value: str, share: float | None) -> None:
    """A bar with its label and value; without a share, the words alone."""
    text = f"**{plain(label)}** {plain(value)}"
    if share is None:
        st.markdown(text)
    else:
        st.progress(min(1.0, max(0.0, share)), text=text)


def _of(used: float | None, total: float | None) -> str:
    if used is None or total is None:
        return "N/A"
    return _("{used} de {total} GiB").format(used=format_number(used / 1024, 1), total=format_number(total / 1024, 1))


@fragment(run_every=2.0)
def show_now() -> None:
    """What the machine is doing at this moment; renewed by itself, without running the page again."""
    sample = telemetry().latest()
    host = sample.host
    _gauge(_("Procesador"), format_percent(host.cpu_percent / 100, 0), host.cpu_percent / 100)
    used, total = host.memory_used_mib, host.memory_total_mib
    _gauge(_("Memoria"), _of(used, total), used / total)
    for gpu in sample.gpus:
        utilization = gpu.utilization_gpu
        if utilization is None:
            _gauge(gpu.name, gpu.why_no_utilization or "N/A", None)
        else:
            _gauge(gpu.name, format_percent(utilization / 100, 0), utilization / 100)
        used_mib, total_mib = gpu.memory_used_mib, gpu.memory_total_mib
        share = used_mib / total_mib if used_mib is not None and total_mib else None
        _gauge(_("Memoria de la tarjeta"), _of(used_mib, total_mib), share)
    if not sample.gpus:
        st.caption(sample.why_no_gpu)


def show_machine() -> None:
    """Processor, graphics cards, versions and where models come from, as a short list."""
    machine = describe()
    cores = ngettext("{n} núcleo", "{n} núcleos", machine.cores).format(n=machine.cores)
    settings = get_settings()
    if settings.models_dir:
        models = _("los del taller, una carpeta de modelos local y el hub")
    elif settings.offline:
        models = _("los del taller (trabaja sin conexión)")
    else:
        models = _("los del taller y, si hay internet, los del hub")
    rows = [
        (_("Procesador"), f"{machine.processor} · {cores}"),
        *((_("Tarjeta gráfica"), f"{g.name} · {format_number(g.memory_gib)} GiB · {g.driver}") for g in machine.gpus),
        (_("Sistema"), machine.system),
        (_("Modelos"), models),
        (
            _("Versiones"),
            " · ".join([f"Python {machine.python}", *(f"{k} {v}" for k, v in machine.libraries.items())]),
        ),
    ]
    for label, value in rows:
        name, text = st.columns([1, 5])
        name.markdown(f"**{label}**")
        text.text(value)
    # Only where there is a card: the program takes a moment, and hangs where a driver is broken.
    if machine.gpus and st.toggle(_("Ver lo que imprime nvidia-smi"), key="home_smi"):
        st.code(nvidia_smi_output() or _("nvidia-smi no está instalado o no responde."), language=None)
