"""The home page's link, and its description of the machine."""

from typing import Final

import streamlit as st

from core.i18n import format_number, ngettext
from core.i18n import gettext as _
from core.runtime.gpu import nvidia_smi_output
from core.runtime.machine import describe
from core.settings import get_settings
from core.ui.readings import live_gauges
from core.ui.resources import telemetry
from core.ui.state import PageState

# Nothing to choose here: the link says the page and the language.
STATE: Final = PageState("home", ())


def show_now() -> None:
    """What the machine is doing at this moment; renewed by itself, without running the page again."""
    live_gauges(key="home_gauges", compact=True)
    sample = telemetry().latest()
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
