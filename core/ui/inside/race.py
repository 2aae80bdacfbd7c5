"""View "La carrera": an LSTM against a transformer layer of as many parameters, measured here and now."""

import threading

import streamlit as st

from core.errors import ModelUnavailable
from core.i18n import format_number
from core.i18n import gettext as _
from core.lens.race import BATCH, HEADS, LENGTHS, WIDTH, Direction, Race, run_apart
from core.runtime.device import pick_device
from core.settings import get_settings
from core.ui.downloads import csv_bytes
from core.ui.glossary import glossary_marks
from core.ui.inside import charts
from core.ui.inside.state import STATE
from core.ui.jobs import Job
from core.ui.language import fragment
from core.ui.messages import errors_shown, plain
from core.ui.share import Download, share_row


class RaceTrack:
    """One race at a time for the whole process; whoever looks sees the same one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._job: Job[Race] | None = None
        self._progress: tuple[int, int] = (0, 1)

    def start(self) -> None:
        """Starts a race unless one is on."""
        with self._lock:
            if self._job is not None and self._job.running:
                return
            self._stop.clear()
            self._progress = (0, 1)

            def step(done: int, total: int) -> None:
                self._progress = (done, total)

            self._job = Job(lambda: run_apart(pick_device(get_settings()), progress=step, cancelled=self._stop.is_set))

    def stop(self) -> None:
        """Ends the race after the lap that it is in."""
        self._stop.set()

    @property
    def running(self) -> bool:
        """Whether one is on."""
        return self._job is not None and self._job.running

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        done, total = self._progress
        return min(1.0, done / max(1, total))

    def result(self) -> Race | None:
        """The last race; ``None`` before the first.

        Raises:
            BaseException: what went wrong in it.
        """
        job = self._job
        return None if job is None or job.running else job.result()


@st.cache_resource(show_spinner=False)
def track() -> RaceTrack:
    """The process's race."""
    return RaceTrack()


CODE = f"""import time
import torch
from torch import nn

width, batch = {WIDTH}, {BATCH}
lstm = nn.LSTM(width, width, batch_first=True)
# The width of the feed-forward layer that makes both as large as can be.
inner = round((4 * width * width - width) / (2 * width + 1))
transformer = nn.TransformerEncoderLayer(width, {HEADS}, inner, dropout=0.0, batch_first=True)
for name, layer in (("lstm", lstm), ("transformer", transformer)):
    print(name, sum(tensor.numel() for tensor in layer.parameters()), "parameters")
for length in (16, 64, 256):
    x = torch.randn(batch, length, width)
    for name, layer in (("lstm", lstm), ("transformer", transformer)):
        times = []
        for _ in range(4):
            began = time.perf_counter()
            with torch.no_grad():
                layer(x)
            times.append((time.perf_counter() - began) * 1000)
        print(name, length, f"{{min(times):.2f}} ms")
"""


def laps_bytes(race: Race) -> bytes:
    """All laps as CSV."""
    return csv_bytes(
        ["layer", "direction", "tokens", "batch", "milliseconds", "runs", "parameters", "device"],
        (
            [
                lap.runner,
                lap.direction,
                lap.length,
                BATCH,
                round(lap.milliseconds, 4),
                lap.repeats,
                race.parameters[lap.runner],
                race.device,
            ]
            for lap in race.laps
        ),
    )


def verdict(race: Race, direction: Direction) -> str:
    """Who was faster at the longest text that both ran, in a sentence; ``""`` if there is none."""
    times = {(lap.runner, lap.length): lap.milliseconds for lap in race.laps if lap.direction == direction}
    lengths = sorted(
        {length for _runner, length in times if ("lstm", length) in times and ("transformer", length) in times}
    )
    if not lengths:
        return ""
    longest = lengths[-1]
    slow, fast = times["lstm", longest], times["transformer", longest]
    if fast <= slow:
        return _("Con {n} tokens, la capa de transformer tarda {fast} y la LSTM {slow}: {times} veces más.").format(
            n=longest,
            fast=charts.milliseconds(fast),
            slow=charts.milliseconds(slow),
            times=format_number(slow / fast, 1),
        )
    return _("Con {n} tokens, la LSTM tarda {slow} y la capa de transformer {fast}: aquí gana la LSTM.").format(
        n=longest, fast=charts.milliseconds(fast), slow=charts.milliseconds(slow)
    )


@fragment(run_every=1.0)
def _watch() -> None:
    here = track()
    if here.running:
        st.progress(here.share, text=_("Midiendo en este equipo…"))
        st.button(_("Detener"), icon=":material/stop:", key="in_race_stop", on_click=here.stop)
    else:
        st.rerun()


def show_race() -> None:
    """Draws the view."""
    st.header(_("¿Por qué un transformer va en paralelo?"), anchor=False)
    st.markdown(
        _(
            "Una LSTM necesita el estado del token anterior para calcular el siguiente: {n} tokens son {n} pasos, uno "
            "detrás de otro. Una capa de transformer calcula todos los tokens a la vez, a cambio de comparar "
            "cada uno con "
            "todos (n² puntuaciones). Mídelo en este equipo."
        ).format(n=LENGTHS[-1])
    )
    here = track()
    if not here.running:
        st.button(
            _("Correr la carrera"),
            type="primary",
            icon=":material/sports_score:",
            key="in_race_start",
            on_click=here.start,
            help=_("Tarda medio minuto, o más si el equipo está ocupado. Quienes miren a la vez ven la misma carrera."),
        )
    with errors_shown():
        race = here.result()
        if here.running:
            _watch()
        elif race is not None and race.laps:
            _show_result(race)
        elif race is not None:
            raise ModelUnavailable(_("La carrera se detuvo antes de la primera medida. Vuelve a empezarla."))
    glossary_marks("parallelism", "recurrent-network", "lstm", "hidden-state", key="in_race_terms")
    downloads: tuple[Download, ...] = ()
    if race is not None and race.laps:
        kept = race
        downloads = (Download(_("Los tiempos (CSV)"), "race.csv", "text/csv", lambda: laps_bytes(kept)),)
    share_row(STATE, code=CODE, downloads=downloads, key="in_race")


def _show_result(race: Race) -> None:
    columns = st.columns(2)
    for column, direction in zip(columns, ("forward", "backward"), strict=True):
        laps = [lap for lap in race.laps if lap.direction == direction]
        if not laps:
            continue
        with column:
            st.markdown("### " + _(charts.DIRECTIONS[direction]).capitalize())
            figure, alt = charts.race_lines(race, direction)  # type: ignore[arg-type]
            st.plotly_chart(figure, key=f"in_race_{direction}", alt=alt, config={"displayModeBar": False})
            told = verdict(race, direction)  # type: ignore[arg-type]
            if told:
                st.markdown(plain(told))
    st.caption(
        plain(
            _(
                "Medido en {device} (hilos de PyTorch: {threads}), con lotes de {batch} textos de vectores de {width} "
                "números; LSTM de {lstm} parámetros y capa de transformer de {transformer}. Cada punto es la mejor de "
                "varias vueltas tras una de calentamiento, en milisegundos por lote. Con poca máquina, u ocupada en "
                "otra cosa, la ventaja se encoge o se da la vuelta: el paralelismo necesita dónde correr, y por eso "
                "brilla en una GPU."
            ).format(
                device=race.device,
                threads=race.threads,
                batch=BATCH,
                width=WIDTH,
                lstm=format_number(race.parameters["lstm"]),
                transformer=format_number(race.parameters["transformer"]),
            )
        )
    )
    if not race.complete:
        st.caption(_("La carrera se cortó antes de la última longitud: por tiempo o porque alguien la detuvo."))
    st.markdown(
        _(
            "**Ojo.** Esto vale para leer y para entrenar. Al **generar**, los dos escriben un token detrás de "
            "otro: el "
            "transformer también espera al token anterior, y además mira a todos los anteriores cada vez."
        )
    )
