"""The masking test beside the lines: hide what a word looks at, run again, and compare."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import streamlit as st

from core.catalog import ModelEntry
from core.errors import InputInvalid
from core.i18n import format_number, format_percent
from core.i18n import gettext as _
from core.lens.attention_hiding import MAX_WORDS, Hiding, agreement
from core.lens.attention_inputs import TextPair
from core.lens.attention_reading import Reading
from core.ui import charts
from core.ui.attention_page import readings
from core.ui.attention_page.state import Chosen
from core.ui.attention_page.words import group_text, numbered
from core.ui.messages import plain

_ROW: Final = "at_hide_row"
_COLUMN: Final = "at_hide_column"
_WHERE: Final = "at_hide_where"
_BARS: Final = 16


def _most_looked_at(
    read: Reading, now: Chosen, row: Sequence[int], columns: Sequence[tuple[int, ...]], heads: bool
) -> np.ndarray:
    """Attention of a word to each word: of the chosen heads, or the mean over the layer's."""
    chosen = list(now.heads) if heads else list(range(read.map.heads))
    chosen = [head for head in chosen if head < read.map.heads] or [0]
    rows = read.map.weights[min(now.layer, read.map.layers - 1), chosen][:, list(row)].mean((0, 1))
    return np.array([float(rows[list(group)].sum()) for group in columns])


def show_hiding(
    item: ModelEntry,
    wanted: TextPair,
    read: Reading,
    now: Chosen,
    rows: Sequence[tuple[int, ...]],
    columns: Sequence[tuple[int, ...]],
    *,
    heads: bool,
) -> None:
    """The test for the word that is chosen in the drawing, or another one.

    Args:
        item: the model.
        wanted: the texts.
        read: what it looked at.
        now: what is chosen in the drawing.
        rows: the tokens behind each row that is drawn.
        columns: the tokens behind each column.
        heads: whether single heads are drawn.
    """
    st.markdown("## " + _("Prueba: tapar y volver a calcular"))
    session = st.session_state
    names = numbered(read.map.rows, rows), numbered(read.map.columns, columns)
    row = _default_row(read, rows, now)
    _follow(_ROW, row, len(rows))
    left, right = st.columns(2)
    row = left.selectbox(_("Quién mira"), range(len(rows)), format_func=names[0].__getitem__, key=_ROW)
    attention = _most_looked_at(read, now, rows[row], columns, heads)
    able = [_can(read, rows[row], column) for column in columns]
    if not any(able):
        st.info(_("Este token no mira a ningún otro que se pueda tapar. Elige uno que venga después."))
        return
    best = int(np.where(able, attention, -1.0).argmax())
    column = now.column if now.column is not None and now.column < len(columns) and able[now.column] else best
    _follow(_COLUMN, column, len(columns), (row, now.column, now.layer, now.heads))
    offered = [index for index, can in enumerate(able) if can]
    if session[_COLUMN] not in offered:
        session[_COLUMN] = column
    column = right.selectbox(_("A quién tapamos"), offered, format_func=names[1].__getitem__, key=_COLUMN)
    only = None
    if heads and read.map.heads * read.map.layers > 1:
        where = st.radio(
            _("Dónde se tapa"),
            ["all", "head"],
            format_func=lambda key: {
                "all": _("en todas las cabezas"),
                "head": _("solo en la capa {layer}, cabeza {head}").format(layer=now.layer + 1, head=now.heads[0] + 1),
            }[key],
            key=_WHERE,
            horizontal=True,
        )
        only = (now.layer, now.heads[0]) if where == "head" else None
    try:
        found = readings.hiding(item.key, wanted, rows[row], tuple(columns), column, only)
    except InputInvalid as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    _verdict(read, found, rows[row], columns[column], float(attention[column]))
    if found.guesses:
        figure, alt = charts.two_shares(
            [guess.text for guess in found.guesses],
            [guess.before for guess in found.guesses],
            [guess.after for guess in found.guesses],
            (_("con todo a la vista"), _("con el token tapado")),
        )
        st.plotly_chart(figure, key="at_hide_plot", alt=alt, config={"displayModeBar": False})
    _against_all(read, found, columns, attention)


def _default_row(read: Reading, rows: Sequence[tuple[int, ...]], now: Chosen) -> int:
    """The row chosen in the drawing, else the last one that is a word of the text."""
    if now.row is not None and now.row < len(rows):
        return now.row
    words = [
        index
        for index, group in enumerate(rows)
        if any(letter.isalnum() for letter in group_text(read.map.rows, group)) and not read.map.rows[group[0]].special
    ]
    return words[-1] if words else len(rows) - 1


def _follow(key: str, value: int, count: int, also: object = None) -> None:
    """Sets a field when what it follows has changed; else what the reader chose in it stays."""
    session = st.session_state
    seen = (value, count, also)
    if session.get(f"{key}_seen") != seen or not isinstance(session.get(key), int) or session[key] >= count:
        session[key] = value
        session[f"{key}_seen"] = seen


def _can(read: Reading, row: Sequence[int], column: Sequence[int]) -> bool:
    if read.map.kind == "cross":
        return True
    return not set(row) & set(column) and (read.map.kind == "encoder" or min(column) < max(row))


def _verdict(read: Reading, found: Hiding, row: Sequence[int], column: Sequence[int], weight: float) -> None:
    names = {
        "row": group_text(read.map.rows, row),
        "column": group_text(read.map.columns, column),
        "n": format_number(weight, 2),
    }
    if found.measure == "vector":
        text = _(
            "«{row}» mira a «{column}» con {n}. Al taparlo, su vector final se mueve un {effect} de su longitud. "
            "(Este modelo no predice palabras: se mide cuánto cambia lo que sabe de «{row}».)"
        ).format(effect=format_percent(found.effect), **names)
    else:
        what = (
            _("la predicción para el hueco de «{row}»")
            if found.measure == "gap"
            else _("lo que vendría después de «{row}»")
        ).format(row=names["row"])
        first = found.guesses[0].text
        best = max(found.guesses, key=lambda guess: guess.after).text
        change = (
            _("la primera opción pasa de «{before}» a «{after}»").format(before=first, after=best)
            if found.changed
            else _("la primera opción sigue siendo «{before}»").format(before=first)
        )
        text = _(
            "«{row}» mira a «{column}» con {n}. Al taparlo, en {what} se mueve el {effect} de la probabilidad: "
            "{change}."
        ).format(what=what, effect=format_percent(found.effect), change=change, **names)
    st.markdown(plain(text))


def _against_all(read: Reading, found: Hiding, columns: Sequence[tuple[int, ...]], attention: np.ndarray) -> None:
    """Attention and effect of all words side by side, and whether they agree."""
    if not found.effects.size:
        st.caption(_("Con más de {n} palabras se tapa solo la elegida, no cada una por turno.").format(n=MAX_WORDS))
        return
    tau = agreement(attention.tolist(), found.effects.tolist())
    places = [index for index in range(len(columns)) if not np.isnan(found.effects[index])]
    places = sorted(sorted(places, key=lambda index: -max(attention[index], found.effects[index]))[:_BARS])
    names = numbered(read.map.columns, columns)
    with st.expander(_("¿Lo más mirado es lo que más importa?"), expanded=True):
        figure, alt = charts.two_shares(
            [names[index] for index in places],
            [float(attention[index]) for index in places],
            [float(found.effects[index]) for index in places],
            (_("cuánto lo mira"), _("cuánto cambia al taparlo")),
        )
        st.plotly_chart(figure, key="at_hide_all", alt=alt, config={"displayModeBar": False})
        if tau is not None:
            st.markdown(
                plain(
                    _(
                        "Acuerdo entre los dos órdenes: τ de Kendall = {tau} (1: el mismo orden; 0: ninguna relación; "
                        "−1: el contrario)."
                    ).format(tau=format_number(tau, 2))
                )
            )
