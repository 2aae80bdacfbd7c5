"""View "Ahora": gauges, what happened, the processes, what nvidia-smi prints, and what each number means."""

import time
from typing import Any

import pandas as pd
import streamlit as st

from core.i18n import format_number
from core.i18n import gettext as _
from core.runtime.events import events
from core.runtime.gpu import GpuSample, nvidia_smi_output
from core.runtime.processes import own_processes
from core.runtime.telemetry import Sample
from core.ui.downloads import csv_bytes, json_bytes
from core.ui.gauges import SPAN_S
from core.ui.glossary import glossary_marks
from core.ui.language import fragment
from core.ui.readings import draw_gauges, event_text, with_unit
from core.ui.resources import telemetry
from core.ui.share import Download, share_row
from core.ui.state import PageState

CODE = """from core.runtime.telemetry import Telemetry

sample = Telemetry().latest()
host = sample.host
print(f"CPU {host.cpu_percent:.0f} %, {host.memory_used_mib:.0f} of {host.memory_total_mib:.0f} MiB")
for gpu in sample.gpus:
    print(gpu.name, gpu.utilization_gpu, gpu.memory_used_mib, gpu.memory_total_mib)
if not sample.gpus:
    print(sample.why_no_gpu)
"""
_FIELDS = ("time", "cpu_percent", "memory_used_mib", "memory_total_mib", "process_rss_mib")
_GPU_FIELDS = (
    "index",
    "name",
    "utilization_gpu",
    "utilization_memory",
    "memory_used_mib",
    "memory_total_mib",
    "temperature_c",
    "power_w",
)


def ago(moment: float) -> str:
    """A past moment (seconds since 1970) for the reader."""
    seconds = max(0.0, time.time() - moment)
    if seconds < 60:
        return _("hace {n} s").format(n=format_number(seconds))
    if seconds < 5400:
        return _("hace {n} min").format(n=format_number(seconds / 60))
    return _("hace {n} h").format(n=format_number(seconds / 3600))


def _rows(samples: list[Sample]) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for sample in samples:
        host = [sample.time, *(getattr(sample.host, name) for name in _FIELDS[1:])]
        cards: tuple[GpuSample | None, ...] = sample.gpus or (None,)
        rows += [[*host, *(getattr(gpu, name, None) for name in _GPU_FIELDS)] for gpu in cards]
    return rows


def _csv() -> bytes:
    return csv_bytes([*_FIELDS, *(f"gpu_{name}" for name in _GPU_FIELDS)], _rows(telemetry().history()))


def _json() -> bytes:
    happened = [{"time": e.time, "kind": e.kind, "label": e.label, "bytes": e.bytes} for e in events().since()]
    names = [*_FIELDS, *(f"gpu_{name}" for name in _GPU_FIELDS)]
    samples = [dict(zip(names, row, strict=True)) for row in _rows(telemetry().history())]
    return json_bytes({"samples": samples, "events": happened})


@fragment()
def _show_live_part() -> None:
    """All that changes by itself; the gauges ask for the next time, while somebody sees them."""
    draw_gauges(key="system_gauges")
    if not telemetry().latest().gpus:
        st.info(telemetry().latest().why_no_gpu, icon=":material/info:")
    st.header(_("Qué pasó"))
    happened = events().since(time.time() - SPAN_S)[::-1]
    if happened:
        table = pd.DataFrame(
            [(ago(event.time), event_text(event)) for event in happened[:12]], columns=[_("Cuándo"), _("Qué")]
        )
        st.table(table.set_index(_("Cuándo")))
    else:
        st.caption(_("Nada en los últimos diez minutos: no se cargó ni se quitó ningún modelo."))
    st.header(_("Procesos"))
    sample = telemetry().latest()
    if sample.gpus:
        rows = [
            (f"GPU {gpu.index}", one.pid, one.name, with_unit(one.memory_mib, "MiB"))
            for gpu in sample.gpus
            for one in gpu.processes
        ]
        columns = [_("Tarjeta"), "PID", _("Programa"), _("Memoria de la tarjeta")]
        if rows:
            st.dataframe(pd.DataFrame(rows, columns=columns), hide_index=True)
        else:
            st.caption(_("Ningún programa usa la tarjeta en este momento."))
    own = [
        (one.pid, one.name, with_unit(one.memory_mib, "MiB"), with_unit(one.cpu_s, "s", 1)) for one in own_processes()
    ]
    st.dataframe(
        pd.DataFrame(own, columns=["PID", _("Programa"), _("Memoria"), _("Tiempo de procesador")]), hide_index=True
    )
    st.caption(_("Los procesos de esta aplicación: el servidor y lo que él arranca, como un entrenamiento."))


def _show_smi() -> None:
    st.header("nvidia-smi")
    if not st.toggle(_("Ver lo que imprime nvidia-smi en este equipo"), key="sys_smi"):
        return
    # Behind a switch: where a driver is broken the program hangs for seconds.
    text = nvidia_smi_output()
    if text:
        st.code(text, language=None)
    else:
        st.info(
            _(
                "Aquí no hay nada que imprimir: nvidia-smi no está instalado o no responde. Viene con el controlador "
                "de las tarjetas NVIDIA; sin tarjeta, los modelos pequeños de este taller calculan en el procesador."
            )
        )


def meanings() -> list[tuple[str, str, str]]:
    """Each number: its name, what it means and how people misread it, and the command that prints it."""
    return [
        (
            _("Utilización de la GPU"),
            _(
                "Parte del último instante en que la tarjeta calculaba algo. Un 100 % no dice que esté llena: "
                "basta un solo cálculo pequeño detrás de otro."
            ),
            "nvidia-smi → GPU-Util",
        ),
        (
            _("Controlador de memoria"),
            _("Parte del tiempo en que la memoria leía o escribía. No es cuánta memoria está ocupada."),
            "nvidia-smi -q -d UTILIZATION → Memory",
        ),
        (
            _("Codificador y decodificador"),
            _("Los circuitos de vídeo de la tarjeta. Un modelo de lenguaje no los usa: deben marcar 0."),
            "nvidia-smi -q -d UTILIZATION → Encoder, Decoder",
        ),
        (
            _("Memoria de la tarjeta"),
            _(
                "Lo que ocupan pesos, resultados intermedios y la reserva de PyTorch. Si no cabe, el modelo no corre, "
                "por rápida que sea la tarjeta."
            ),
            "nvidia-smi → Memory-Usage",
        ),
        (
            _("Temperatura y potencia"),
            _("Al llegar a su límite la tarjeta baja el reloj sola: el mismo cálculo tarda más."),
            "nvidia-smi → Temp, Pwr",
        ),
        (
            _("Procesos"),
            _("Qué programa tiene cuánta memoria. Uno que nadie cerró sigue ocupándola aunque no calcule."),
            "gpustat -cp",
        ),
        (
            _("Procesador"),
            _("Parte del tiempo en que trabajaron sus núcleos, de media. Cada barra pequeña es un núcleo."),
            "top, htop",
        ),
        (
            _("Carga"),
            _("Cuántos programas querían un núcleo a la vez. Por encima del número de núcleos, hay cola."),
            "uptime",
        ),
    ]


def _show_meanings() -> None:
    st.header(_("Qué significa cada número"))
    table = pd.DataFrame(meanings(), columns=[_("Número"), _("Qué dice, y qué no"), _("Orden que lo imprime")])
    st.table(table.set_index(_("Número")))
    glossary_marks("gpu-and-tpu", key="g_system")


def show_live(state: PageState) -> None:
    """The whole view."""
    _show_live_part()
    share_row(
        state,
        code=CODE,
        downloads=(
            Download(_("Diez minutos (CSV)"), "readings.csv", "text/csv", _csv),
            Download(_("Todo (JSON)"), "readings.json", "application/json", _json),
        ),
        key="sys_live",
    )
    _show_smi()
    _show_meanings()
