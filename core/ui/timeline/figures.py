"""Views "Parámetros" and "Cómputo": how large models became, and what training them takes."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import pandas as pd
import streamlit as st

from core.catalog import entries
from core.course.timeline import Event, computes, event, events, tours
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.ui.downloads import csv_bytes, json_bytes
from core.ui.glossary import glossary_marks
from core.ui.share import Download, share_row
from core.ui.timeline.card import amount, choose_event, show_card
from core.ui.timeline.charts import FAMILY_NAMES, Point, against_time
from core.ui.timeline.form import EVENT, STATE

# Before the transformer there is little to compare with, and far away.
_FROM: Final = 2017
_SECONDS_A_DAY: Final = 86_400
_DIGITS: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
SIZES_CODE: Final = """from core.course.timeline import events

for event in events():
    for size in event.sizes:
        print(size.day, size.name, size.parameters, event.family, event.url, sep=" · ")
"""
COMPUTE_CODE: Final = """from core.course.timeline import computes

for item in computes():
    days = item.flop / 1e15 / 86400
    kind = "6ND" if item.estimated else "stated"
    print(item.day, item.name, f"{item.flop:.2e} FLOP", f"{days:.3g} petaflop/s-day", kind, item.source, sep=" · ")
"""


# Events of the guided paths: their labels come first.
_TOLD: Final = frozenset(stop.event for tour in tours().values() for stop in tour.stops)


def power(value: float) -> str:
    """``3.14e23`` as «3,14 × 10²³»."""
    mantissa, exponent = f"{value:.2e}".split("e")
    digits = mantissa.rstrip("0").rstrip(".")
    if get_language() == "es":
        digits = digits.replace(".", ",")
    return f"{digits} × 10{str(int(exponent)).translate(_DIGITS)}"


def size_points() -> list[Point]:
    """Every model whose size is public, from 2017 on, and those that ship with this app, as of today."""
    points = [
        Point(
            size.name,
            size.day,
            size.parameters,
            amount(size.parameters),
            item.family or "other",
            item.id,
            told=item.id in _TOLD,
        )
        for item in events()
        for size in item.sizes
        if size.day.year >= _FROM
    ]
    for entry in entries().values():
        # An adapter is a small change to a model that is here already.
        if entry.tier == "workshop" and entry.weights and not entry.weights.base:
            # Without the language that it reads: a star's label has little room.
            name, count = entry.name(get_language()).partition(" (")[0], entry.weights.parameters
            own = Point(name, date.today(), count, amount(count), entry.architecture, here=True)
            if own not in points:  # one shape learnt in two languages is one star
                points.append(own)
    return points


def compute_points() -> list[Point]:
    """Every model whose training compute is known."""
    return [
        Point(
            item.name,
            item.day,
            item.flop,
            _flop(item.flop),
            event(item.event).family or "other",
            item.event,
            open=item.estimated,
            told=item.event in _TOLD,
        )
        for item in computes()
    ]


def _flop(value: float) -> str:
    days = value / 1e15 / _SECONDS_A_DAY
    return _("{flop} operaciones; {days} petaflop/s-día").format(flop=power(value), days=_round(days))


def _round(value: float) -> str:
    return format_number(value, 0 if value >= 100 else 1 if value >= 1 else 3)


def _plot(points: Sequence[Point], title: str, ticks: Sequence[tuple[float, str]], key: str) -> None:
    figure, alt = against_time(points, title, ticks)
    state: Any = st.plotly_chart(
        figure,
        key=key,
        on_select="rerun",
        selection_mode="points",
        alt=alt,
        config={"scrollZoom": True, "displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"]},
    )
    picked = [point["customdata"][0] for point in state.selection.points if point.get("customdata")]
    seen = f"_{key}_seen"
    # The selection stays with the plot; it must not undo what is chosen in the field afterwards.
    if picked != st.session_state.get(seen, []):
        st.session_state[seen] = picked
        if picked and picked[0]:
            st.session_state[EVENT] = picked[0]
    st.caption(_("Toca un punto para abrir su ficha. Arrastra para mover y usa la rueda o los botones para acercar."))


def _open_card(owners: Sequence[Event]) -> None:
    opened = choose_event(owners)
    if opened:
        show_card(opened)


def show_sizes() -> None:
    """The whole view "Parámetros"."""
    points = size_points()
    st.markdown(
        _(
            "Cada raya horizontal es **diez veces** la anterior. Al final, como estrellas, los modelos que vienen con "
            "esta aplicación, los que responden sin internet. Faltan los modelos que no publicaron su tamaño."
        )
    )
    units = {6: _("{n} M"), 9: _("{n} mil M"), 12: _("{n} billón")}
    ticks = [(10.0**n, units[n - n % 3].format(n=10 ** (n % 3))) for n in range(6, 13)]
    _plot(points, _("parámetros (M: millones)"), ticks, "tl_sizes_plot")
    _open_card([item for item in events() if item.sizes])
    rows = [
        (_("hoy") if point.here else str(point.day.year), point.name, point.words, _(FAMILY_NAMES[point.family]))
        for point in points
    ]
    header = [_("Fecha"), _("Modelo"), _("Parámetros"), _("Familia")]
    with st.expander(_("Los mismos datos, en una tabla"), icon=":material/table:"):
        st.dataframe(pd.DataFrame(rows, columns=header), hide_index=True)
    data = [
        {"name": p.name, "date": str(p.day), "parameters": int(p.value), "family": p.family, "embedded": p.here}
        for p in points
    ]
    _share(SIZES_CODE, "sizes", data)
    glossary_marks("three-families", "foundation-model", "distillation", key="g_sizes")


def show_compute() -> None:
    """The whole view "Cómputo"."""
    st.markdown(
        _(
            "Cuántas operaciones costó entrenar cada modelo, donde se sabe. Relleno: la cifra de la fuente. "
            "Hueco: calculado aquí con **6 · N · D**, los parámetros que trabajan en cada token por los tokens leídos."
        )
    )
    points = compute_points()
    ticks = [(10.0**n, "10" + str(n).translate(_DIGITS)) for n in range(17, 27)]
    _plot(points, _("operaciones (FLOP)"), ticks, "tl_compute_plot")
    owners = list(dict.fromkeys(item.event for item in computes()))
    _open_card([item for item in events() if item.id in owners])
    st.latex(r"C \approx 6 \, N \, D")
    st.markdown(
        _(
            "La regla es de [Kaplan et al. (2020)](https://arxiv.org/abs/2001.08361): unas 2 operaciones por parámetro "
            "y token hacia delante y unas 4 hacia atrás. GPT-3 sirve de prueba: 6 · 175 mil millones · 300 mil "
            "millones de tokens da 3,15 × 10²³, y su artículo dice 3,14 × 10²³."
        )
    )
    with st.expander(_("Cada cifra y su fuente"), icon=":material/table:"):
        rows = [
            (
                item.day.year,
                item.name,
                power(item.flop),
                _round(item.flop / 1e15 / _SECONDS_A_DAY),
                _("calculado aquí") if item.estimated else _("de la fuente"),
                item.source,
                item.url,
            )
            for item in computes()
        ]
        header = [_("Año"), _("Modelo"), "FLOP", _("petaflop/s-día"), _("Cifra"), _("Fuente"), _("Enlace")]
        st.dataframe(
            pd.DataFrame(rows, columns=header),
            hide_index=True,
            column_config={_("Enlace"): st.column_config.LinkColumn()},
        )
    data = [
        {"name": i.name, "date": str(i.day), "flop": i.flop, "estimated": i.estimated, "source": i.source, "url": i.url}
        for i in computes()
    ]
    _share(COMPUTE_CODE, "compute", data)
    glossary_marks("flop-and-petaflop-day", "gpu-and-tpu", key="g_compute")


def _share(code: str, name: str, data: list[dict[str, Any]]) -> None:
    def table() -> bytes:
        return csv_bytes(list(data[0]), (list(row.values()) for row in data))

    share_row(
        STATE,
        code=code,
        downloads=(
            Download(_("Tabla (CSV)"), f"{name}.csv", "text/csv", table),
            Download(_("Todo (JSON)"), f"{name}.json", "application/json", lambda: json_bytes(data)),
        ),
        key=f"tl_{name}",
    )
