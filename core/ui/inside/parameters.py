"""View "Los parámetros": how many numbers each part of the model has, and what is body and what is head."""

import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_number, format_percent, get_language
from core.i18n import gettext as _
from core.lens.parameters import ParameterCount
from core.ui.downloads import csv_bytes
from core.ui.glossary import glossary_marks
from core.ui.inside import charts, readings
from core.ui.inside.guess import guessed, parts_question
from core.ui.inside.state import STATE
from core.ui.messages import plain
from core.ui.share import Download, share_row
from core.ui.tasks.code import load_lines


def code(item: ModelEntry) -> str:
    """A program that prints the same numbers: the total, and each tensor once."""
    head = item.weights.head if item.weights is not None else None
    return (
        f"{load_lines(item, head)}\n"
        "# Tied tensors have several names and are counted once.\n"
        "for name, tensor in model.named_parameters():\n"
        '    print(f"{tensor.numel():>12}  {name}  {tuple(tensor.shape)}")\n'
        'print("total", sum(tensor.numel() for tensor in model.parameters()))\n'
    )


def table_bytes(count: ParameterCount) -> bytes:
    """Every tensor as CSV: where it is, its name, shape and number of values."""
    rows = []
    for group in count.groups:
        for name, shape in group.shapes:
            size = 1
            for side in shape:
                size *= side
            layer = "" if group.layer is None else group.layer + 1
            rows.append([group.stack, layer, group.part, group.piece, name, " × ".join(map(str, shape)), size])
    return csv_bytes(["stack", "layer", "part", "piece", "tensor", "shape", "parameters"], rows)


def show_parameters(item: ModelEntry) -> None:
    """Draws the view."""
    name = item.name(get_language())
    with st.spinner(_("Contando…"), show_time=True):
        count = readings.parameters(item.key)
    st.header(_("¿Dónde están los parámetros?"), anchor=False)
    st.markdown(
        _(
            "{name} tiene exactamente **{n}** parámetros: números que aprendió al entrenarse. Pulsa un sector "
            "para abrirlo."
        ).format(name=plain(name), n=format_number(count.total))
    )
    if not guessed(parts_question(item, count)):
        return
    left, right = st.columns([3, 2])
    figure, alt = charts.sunburst(count, name)
    with left:
        st.plotly_chart(figure, key="in_sunburst", alt=alt, config={"displayModeBar": False})
    with right:
        rows = charts.by_part(count)
        st.dataframe(
            {
                _("Parte"): [row[0] for row in rows],
                _("Parámetros"): [format_number(row[1]) for row in rows],
                _("Del total"): [row[2] for row in rows],
            },
            hide_index=True,
            width="stretch",
        )
        _body_and_head(item, count)
    glossary_marks("body-and-head", "layer-stack", "feed-forward-layer", "embedding", key="in_parameters_terms")
    share_row(
        STATE,
        code=code(item),
        downloads=(Download(_("Cada tensor (CSV)"), "parameters.csv", "text/csv", lambda: table_bytes(count)),),
        key="in_parameters",
    )


def _body_and_head(item: ModelEntry, count: ParameterCount) -> None:
    head = [group for group in count.groups if group.stack == "head"]
    size = sum(group.count for group in head)
    if size and item.weights is not None and item.weights.head is None:
        st.markdown(
            _(
                "**Cuerpo y cabeza.** El cuerpo (embeddings y capas) lee; la cabeza decide para una tarea. Este modelo "
                "es solo cuerpo: de cabeza trae el agrupador (pooler) de BERT, {n} parámetros que aquí no se usan, "
                "porque su vector de frase es la media de los tokens."
            ).format(n=format_number(size))
        )
    elif size:
        st.markdown(
            _(
                "**Cuerpo y cabeza.** El cuerpo (embeddings y capas) lee; la cabeza decide para una tarea. Aquí "
                "la cabeza "
                "tiene {n} parámetros, el {share}: al ajustar el modelo a otra tarea se cambia ella y se "
                "conserva el cuerpo."
            ).format(n=format_number(size), share=format_percent(size / count.total, 2))
        )
        for group in head:
            st.markdown(f"- {plain(group.piece)}: {format_number(group.count)}")
    else:
        st.markdown(
            _(
                "**Cuerpo y cabeza.** El cuerpo (embeddings y capas) lee; la cabeza decide para una tarea. Este "
                "modelo no "
                "tiene ningún parámetro que sea solo de la cabeza."
            )
        )
    for other, first in count.tied[:4]:
        st.markdown(
            "- "
            + _("{other} es el mismo tensor que {first}: se cuenta una vez.").format(
                other=plain(other), first=plain(first)
            )
        )
