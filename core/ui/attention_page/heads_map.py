"""Part "Mapa de cabezas": what each head does over a small corpus of ours, measured here and now."""

from typing import Any, Final

import streamlit as st

from core.catalog import ModelEntry
from core.course.attention import corpus
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.lens.attention_heads import PATTERNS, HeadStatistics, Pattern
from core.ui import charts
from core.ui.attention_page import readings
from core.ui.attention_page.code import map_code
from core.ui.attention_page.files import statistics_bytes
from core.ui.attention_page.state import CORPUS, PART, STATE, STATISTIC, STATISTICS, choose
from core.ui.attention_page.words import MARKS, caption, pattern_name, statistic_name, thresholds
from core.ui.glossary import glossary_marks
from core.ui.messages import plain
from core.ui.navigation import N_
from core.ui.share import Download, share_row

_LANGUAGES: Final = {"es": N_("en español"), "en": N_("en inglés")}
_CHART: Final = "at_map_chart"


def _patterns(numbers: HeadStatistics) -> list[list[Pattern]]:
    layers, heads = numbers.entropy.shape
    return [[numbers.pattern(layer, head)[0] for head in range(heads)] for layer in range(layers)]


def _cells(numbers: HeadStatistics, name: str) -> tuple[list[list[float]], list[list[str]]]:
    if name == "pattern":
        classes = _patterns(numbers)
        return (
            # The more a head is good for one thing, the brighter.
            [[float(len(PATTERNS) - PATTERNS.index(kind)) for kind in row] for row in classes],
            [[pattern_name(kind) for kind in row] for row in classes],
        )
    values = getattr(numbers, name).tolist()
    decimals = 1 if name in ("entropy", "distance") else 2
    return values, [[format_number(value, decimals) for value in row] for row in values]


def _open(layer: int, head: int) -> None:
    choose("head", layer, (head,), None, None)
    st.session_state[PART] = "look"


def _clicked() -> None:
    """Whoever clicks a cell wants to see that head."""
    state: Any = st.session_state.get(_CHART)
    points = state["selection"]["points"] if state else []
    for point in points:
        cell = point.get("customdata")
        if isinstance(cell, (list, tuple)) and len(cell) == 2:
            _open(int(cell[0]), int(cell[1]))
        elif isinstance(cell, dict) and {"0", "1"} <= set(cell):
            _open(int(cell["0"]), int(cell["1"]))


def show_map(item: ModelEntry) -> None:
    """The whole part."""
    session = st.session_state
    if session[CORPUS] not in _LANGUAGES:
        reader = get_language()
        session[CORPUS] = reader if reader in item.languages else item.languages[0]
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    name = left.selectbox(
        _("Qué se mide"), list(STATISTICS), format_func=statistic_name, key=STATISTIC, persist_state="session"
    )
    language = right.segmented_control(
        _("Frases de este proyecto"),
        list(_LANGUAGES),
        format_func=lambda key: _(_LANGUAGES[key]),
        key=CORPUS,
        required=True,
        persist_state="session",
    )
    with st.spinner(_("Calculando…"), show_time=True):
        found = readings.survey(item.key, corpus(language or "es"))
    numbers = found.statistics
    st.markdown(
        plain(
            _("Media sobre {texts} frases ({rows} tokens que miran), medida ahora con {name}.").format(
                texts=format_number(found.texts),
                rows=format_number(numbers.rows),
                name=item.name(get_language()),
            )
        )
    )
    values, texts = _cells(numbers, name or "pattern")
    marks = _patterns(numbers) if name == "pattern" else None
    figure, alt = charts.head_map(
        values,
        texts,
        statistic_name(name or "pattern"),
        [[MARKS[kind] for kind in row] for row in marks] if marks else None,
    )
    st.plotly_chart(
        figure,
        key=_CHART,
        alt=alt,
        on_select=_clicked,
        selection_mode="points",
        config={"displayModeBar": False},
    )
    if marks:
        seen = [kind for kind in PATTERNS if any(kind in row for row in marks)]
        st.markdown(" · ".join(f"{MARKS[kind]} {pattern_name(kind)}" for kind in seen))
    st.caption(_("Toca una casilla para ver esa cabeza con tu frase. ") + thresholds())
    layers, heads = numbers.entropy.shape
    one, two, button = st.columns([1, 1, 2], vertical_alignment="bottom")
    layer = one.selectbox(_("Capa"), range(layers), format_func=lambda index: str(index + 1), key="at_map_layer")
    head = two.selectbox(_("Cabeza"), range(heads), format_func=lambda index: str(index + 1), key="at_map_head")
    button.button(
        _("Ver esta cabeza con tu frase"),
        icon=":material/visibility:",
        key="at_map_open",
        on_click=_open,
        args=(layer, head),
    )
    st.markdown(plain(caption(numbers, layer, head, _("el primero de todos"))))
    glossary_marks("multi-head-attention", "bert-144-heads", "special-tokens", key="g_map")
    share_row(
        STATE,
        code=map_code(item, corpus(language or "es"), name or "pattern"),
        downloads=(
            Download(_("Los números de cada cabeza (CSV)"), "heads.csv", "text/csv", lambda: statistics_bytes(numbers)),
        ),
        key="at_map",
    )
    STATE.publish()
