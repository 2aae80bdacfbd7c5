"""The home page's description of the machine."""

import streamlit as st

from core.i18n import format_number, ngettext
from core.i18n import gettext as _
from core.runtime.machine import describe
from core.settings import get_settings


def show_machine() -> None:
    """Processor, memory, graphics card, versions and where models come from, as a short list."""
    machine = describe()
    cores = ngettext("{n} núcleo", "{n} núcleos", machine.cores).format(n=machine.cores)
    if machine.gpus:
        gpu = " · ".join(f"{g.name} ({format_number(g.memory_gib)} GiB)" for g in machine.gpus)
    else:
        gpu = _("ninguna de NVIDIA; los modelos funcionan en el procesador")
    settings = get_settings()
    if settings.models_dir:
        models = _("los del taller, una carpeta de modelos local y el hub")
    elif settings.offline:
        models = _("los del taller (trabaja sin conexión)")
    else:
        models = _("los del taller y, si hay internet, los del hub")
    rows = [
        (_("Procesador"), f"{machine.processor} · {cores}"),
        (_("Memoria"), f"{format_number(machine.memory_gib, 1)} GiB"),
        (_("Tarjeta gráfica"), gpu),
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
