"""Contrast pairs: the same text with one thing changed, and what that does to the answer of one or two models."""

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from core.catalog import ModelEntry
from core.course.tasks import ContrastPair, contrast_pairs
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.ui import charts
from core.ui.downloads import csv_bytes
from core.ui.marked import Mark, marked_text
from core.ui.messages import errors_shown, plain
from core.ui.share import Download, share_row
from core.ui.tasks.answers import answer

if TYPE_CHECKING:
    from core.ui.tasks.page import TaskPage

# So many values of each side are compared; further ones are too small to see.
_MOST = 8
# A smaller change is rounding.
_NOTHING = 1e-5


def changed(a: str, b: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Which stretches of ``a`` and ``b`` differ, by whole words, in code points."""
    import re

    words = [[match.span() for match in re.finditer(r"\w+|[^\w\s]", text)] for text in (a, b)]
    lists = [[text[start:end] for start, end in spans] for text, spans in zip((a, b), words, strict=True)]
    sides: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for tag, a0, a1, b0, b1 in SequenceMatcher(a=lists[0], b=lists[1], autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        for side, spans, low, high in ((sides[0], words[0], a0, a1), (sides[1], words[1], b0, b1)):
            if high > low:
                side.append((spans[low][0], spans[high - 1][1]))
    return sides


def differences(a: dict[str, float], b: dict[str, float]) -> list[tuple[str, float, float]]:
    """Name, value for A and value for B, the largest changes first; what one side lacks counts as 0."""
    names = list(dict.fromkeys([*list(a)[:_MOST], *list(b)[:_MOST]]))
    rows = [(name, a.get(name, 0.0), b.get(name, 0.0)) for name in names]
    return sorted(rows, key=lambda row: -abs(row[2] - row[1]))[:_MOST]


def _choose_pair(page: "TaskPage", pairs: tuple[ContrastPair, ...]) -> None:
    reader = get_language()

    def chosen() -> None:
        index = st.session_state[page.form.key("pair")]
        if index is not None:
            st.session_state[page.form.key("pair_a")] = pairs[index].a
            st.session_state[page.form.key("pair_b")] = pairs[index].b

    st.selectbox(
        _("Pares"),
        range(len(pairs)),
        index=None,
        format_func=lambda index: f"{pairs[index].title(reader)} — {pairs[index].change(reader)}",
        placeholder=_("Elige un par: cada uno cambia una sola cosa"),
        key=page.form.key("pair"),
        on_change=chosen,
        label_visibility="collapsed",
    )


def _show_changes(page: "TaskPage", a: str, b: str) -> None:
    for column, text, spans, name in zip(st.columns(2), (a, b), changed(a, b), ("A", "B"), strict=True):
        with column:
            st.markdown(f"**{name}**")
            marks = [Mark(start, end, tone=1 if name == "A" else 2) for start, end in spans]
            marked_text(text, marks, key=page.form.key(f"pair_marks_{name}"))


def show_contrast(page: "TaskPage", models: list[ModelEntry]) -> None:
    """The whole mode: two texts, the answers side by side, and one bar of difference for each value."""
    contrast = page.view.contrast
    assert contrast is not None
    pairs = contrast_pairs(page.card.slug, page.form.language)
    if pairs:
        _choose_pair(page, pairs)
    for name in ("a", "b"):
        key = page.form.key(f"pair_{name}")
        if key not in st.session_state:
            st.session_state[key] = getattr(pairs[0], name) if pairs else ""
    columns = st.columns(2)
    texts = [
        column.text_area(label, key=page.form.key(f"pair_{name}"), height=90, persist_state="session")
        for column, label, name in zip(columns, (_("Texto A"), _("Texto B")), "ab", strict=True)
    ]
    st.button(
        _("Comparar"), type="primary", icon=":material/difference:", key=f"{page.prefix}_pair_go", width="stretch"
    )
    a, b = (text or "" for text in texts)
    if a.strip() and a == b:
        st.info(_("Los dos textos son iguales: cambia una palabra en uno de ellos."), icon=":material/info:")
        return
    found: list[tuple[ModelEntry, dict[str, float], dict[str, float]]] = []
    with errors_shown():
        for item in models:
            with st.spinner(_("Calculando…"), show_time=True):
                sides = [answer(page.view.task(), contrast.make(text, page.form), item.key) for text in (a, b)]
            found.append((item, *(contrast.values(side.result) for side in sides)))  # type: ignore[arg-type]
    if not found:
        return
    _show_changes(page, a, b)
    for number, (item, left, right) in enumerate(found):
        _show_model(page, item, differences(left, right), contrast.unit(), number)
    rows: list[tuple[Any, ...]] = [
        (item.id, name, before, after, after - before)
        for item, left, right in found
        for name, before, after in differences(left, right)
    ]
    # The two programs one after the other; each can be run alone.
    code = "\n\n".join(page.view.code(contrast.make(text, page.form), models[0]) for text in (a, b))
    table = Download(
        _("Diferencias (CSV)"),
        "contrast.csv",
        "text/csv",
        lambda: csv_bytes(["model", "label", "a", "b", "b-a"], rows),
    )
    share_row(page.state, code=code, downloads=(table,), key=f"{page.prefix}_pair")


def _show_model(
    page: "TaskPage", item: ModelEntry, rows: list[tuple[str, float, float]], unit: str, number: int
) -> None:
    reader = get_language()
    st.markdown("### " + plain(item.name(reader)))
    if not rows:
        st.info(_("El modelo no encontró nada que comparar en ninguno de los dos textos."), icon=":material/info:")
        return
    name, before, after = rows[0]
    change = after - before
    if abs(change) < _NOTHING:
        st.info(_("Para este modelo no cambia nada: responde lo mismo a los dos."), icon=":material/drag_handle:")
        return
    sign = "+" if change >= 0 else "−"
    decimals = 2 if abs(change) >= 0.1 else 4
    st.markdown(
        plain(
            _("Lo que más cambia de A a B: «{name}», de {before} a {after} ({change}).").format(
                name=name,
                before=format_number(before, decimals),
                after=format_number(after, decimals),
                change=f"{sign}{format_number(abs(change), decimals)}",
            )
        )
    )
    figure, alt = charts.changes([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], unit)
    st.plotly_chart(figure, key=f"{page.prefix}_pair_plot_{number}", alt=alt, config={"displayModeBar": False})
    with st.expander(_("Los números")):
        table = pd.DataFrame(rows, columns=[_("valor"), "A", "B"])
        table["B − A"] = table["B"] - table["A"]
        st.dataframe(table.round(4), hide_index=True)
