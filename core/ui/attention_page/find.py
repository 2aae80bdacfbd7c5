"""Part "Encuentra la cabeza": two words are picked, and all heads are ranked by how much they link them."""

from collections.abc import Sequence
from typing import Final

import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_number
from core.i18n import gettext as _
from core.lens.attention import AttentionMap, word_groups
from core.lens.attention_forms import word_places
from core.lens.attention_heads import HeadLink, rank_heads
from core.ui import charts
from core.ui.attention_page import readings
from core.ui.attention_page.code import find_code
from core.ui.attention_page.state import COLUMN, FROM, PART, PENDING, ROW, STATE, TO, choose, pair
from core.ui.attention_page.words import caption, numbered
from core.ui.downloads import csv_bytes
from core.ui.glossary import glossary_marks
from core.ui.messages import plain
from core.ui.share import Download, share_row

_LISTED: Final = 10
_OPENED: Final = 3


def _set_places(rows: Sequence[tuple[int, ...]], columns: Sequence[tuple[int, ...]], amap: AttentionMap) -> None:
    """The two words at first: those of an example, those chosen in the drawing, or the last two of the text."""
    session = st.session_state
    pending = session.pop(PENDING, None)
    if pending is not None:
        row, column = word_places(amap.rows, pending[0]), word_places(amap.columns, pending[1])
        session[FROM] = rows.index(row) if row in rows else -1
        session[TO] = columns.index(column) if column in columns else -1
        if row and column:
            session[ROW], session[COLUMN] = row[0], column[0]
    words = [index for index, group in enumerate(rows) if not amap.rows[group[0]].special]
    if not 0 <= session[FROM] < len(rows):
        chosen = [index for index, group in enumerate(rows) if session[ROW] in group]
        session[FROM] = chosen[0] if chosen else (words[-1] if words else 0)
    if not 0 <= session[TO] < len(columns):
        chosen = [index for index, group in enumerate(columns) if session[COLUMN] in group]
        session[TO] = chosen[0] if chosen else (words[0] if words and words[0] < len(columns) else 0)


def _open(link: HeadLink, row: int, column: int) -> None:
    there = link.there >= link.back
    choose("head", link.layer, (link.head,), row if there else column, column if there else row)
    st.session_state[PART] = "look"


def show_find(item: ModelEntry) -> None:
    """The whole part."""
    with st.spinner(_("Calculando…"), show_time=True):
        read = readings.reading(item.key, pair())
    amap = read.map
    rows, columns = word_groups(amap.rows), word_groups(amap.columns)
    _set_places(rows, columns, amap)
    st.markdown(_("Elige dos palabras, y la aplicación ordena todas las cabezas: primero la que más las une."))
    left, right = st.columns(2)
    names = numbered(amap.rows, rows), numbered(amap.columns, columns)
    row = left.selectbox(
        _("Una palabra"), range(len(rows)), format_func=names[0].__getitem__, key=FROM, persist_state="session"
    )
    column = right.selectbox(
        _("La otra"), range(len(columns)), format_func=names[1].__getitem__, key=TO, persist_state="session"
    )
    ranked = rank_heads(amap, rows[row], columns[column])
    numbers = readings.statistics(item.key, pair())
    header = [_("capa"), _("cabeza"), _("de la primera a la segunda"), _("de la segunda a la primera")]
    if amap.kind == "cross":
        header.pop()
    even = 1 / len(columns)
    st.markdown(
        plain(_("Repartida por igual, cada palabra recibiría cerca de {even}.").format(even=format_number(even, 3)))
    )
    for place, link in enumerate(ranked[:_OPENED], 1):
        text, button = st.columns([4, 1], vertical_alignment="center")
        said = caption(numbers, link.layer, link.head, amap.columns[0].text)
        where = _("Capa {layer}, cabeza {head}").format(layer=link.layer + 1, head=link.head + 1)
        text.markdown(f"{place}. **{where}**: {format_number(link.most, 3)}  \n:small[{plain(said)}]")
        button.button(
            _("Abrir"),
            key=f"at_find_open_{place}",
            on_click=_open,
            args=(link, rows[row][0], columns[column][0]),
            width="stretch",
        )
    table = [
        [link.layer + 1, link.head + 1, round(link.there, 4), *([] if amap.kind == "cross" else [round(link.back, 4)])]
        for link in ranked
    ]
    with st.expander(_("Las diez primeras, y todas en un mapa"), expanded=True):
        st.dataframe(
            [
                dict(zip(header, [*line[:2], *(format_number(value, 4) for value in line[2:])], strict=True))
                for line in table[:_LISTED]
            ],
            hide_index=True,
        )
        values = [[0.0] * amap.heads for _layer in range(amap.layers)]
        for link in ranked:
            values[link.layer][link.head] = link.most
        texts = [[format_number(value, 2) for value in line] for line in values]
        figure, alt = charts.head_map(values, texts, _("unión"))
        st.plotly_chart(figure, key="at_find_map", alt=alt, config={"displayModeBar": False})
    st.caption(
        _(
            "Una cabeza que une dos palabras en una frase no es todavía «la cabeza de los pronombres»: prueba otras "
            "frases, y mira el mapa de cabezas, que mide muchas."
        )
    )
    glossary_marks("attention", "multi-head-attention", "bert-144-heads", key="g_find")
    share_row(
        STATE,
        code=find_code(item, pair(), amap, read.written, rows[row], columns[column]),
        downloads=(
            Download(_("Todas las cabezas (CSV)"), "ranked-heads.csv", "text/csv", lambda: csv_bytes(header, table)),
        ),
        key="at_find",
    )
    STATE.publish()
