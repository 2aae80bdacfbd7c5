"""View "El recorrido": one step of the pass at a time, its values, and the numbers behind each of them."""

from typing import Final

import numpy as np
import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_number
from core.i18n import gettext as _
from core.lens.attention import Token
from core.lens.forward import MAX_DETAIL, Step
from core.lens.forward_reading import ForwardRequest, Outline, StepValues
from core.ui.glossary import glossary_marks
from core.ui.heat import Plane, heat_view, number
from core.ui.inside import readings
from core.ui.inside.code import code
from core.ui.inside.files import downloads_of
from core.ui.inside.origin import show_origin
from core.ui.inside.state import (
    COLUMN,
    HEAD,
    PENDING,
    ROW,
    STATE,
    STEP,
    choose_step,
    request,
)
from core.ui.inside.words import AXES, part_name, place_name, shape_text, words_of
from core.ui.messages import plain
from core.ui.share import share_row

_PART: Final = "in_part"
_PICK: Final = "in_pick"


def is_both(outline: Outline) -> bool:
    """Whether the model has an encoder and a decoder."""
    return {"encoder", "decoder"} <= {step.stack for step in outline.steps}


def agreement_text(outline: Outline) -> str:
    """How far the recomputed end is from the model's own, in a sentence; ``""`` where nothing was compared."""
    if not outline.agreements:
        return ""
    worst = max(outline.agreements, key=lambda item: item.difference)
    return _(
        "Recalculado desde los pesos, el final difiere del que da el modelo en {difference} como mucho, con valores de "
        "hasta {largest}."
    ).format(difference=number(worst.difference), largest=number(worst.largest))


def _part_changed(outline: Outline) -> None:
    part = st.session_state[_PART]
    found = next((step for step in outline.steps if step.part == part), None)
    if found is not None:
        choose_step(found.id)


def _picked() -> None:
    if st.session_state[_PICK]:
        choose_step(st.session_state[_PICK])


def _choose_step(outline: Outline) -> Step:
    """The switches: part of the walk, step within it, and one step forward or back."""
    steps = outline.steps
    step = outline.step(st.session_state[STEP])
    if step is None:
        step = steps[0]
        choose_step(step.id)
    both = is_both(outline)
    parts = list(dict.fromkeys(item.part for item in steps))
    st.session_state[_PART], st.session_state[_PICK] = step.part, step.id
    st.pills(
        _("Parte del modelo"),
        parts,
        format_func=lambda part: part_name(part, both),
        key=_PART,
        required=True,
        on_change=_part_changed,
        args=(outline,),
        label_visibility="collapsed",
    )
    own = [item for item in steps if item.part == step.part]
    numbers = {item.id: at for at, item in enumerate(steps, 1)}
    st.pills(
        _("Paso"),
        [item.id for item in own],
        format_func=lambda name: f"{numbers[name]} {_short(outline, name)}",
        key=_PICK,
        required=True,
        on_change=_picked,
        label_visibility="collapsed",
    )
    at = numbers[step.id] - 1
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            _("Anterior"),
            icon=":material/arrow_back:",
            key="in_back",
            disabled=at == 0,
            on_click=choose_step,
            args=(steps[max(0, at - 1)].id,),
        )
        st.button(
            _("Siguiente"),
            icon=":material/arrow_forward:",
            key="in_next",
            disabled=at == len(steps) - 1,
            on_click=choose_step,
            args=(steps[min(len(steps) - 1, at + 1)].id,),
        )
        st.markdown(_("Paso **{n}** de {all}").format(n=at + 1, all=len(steps)))
    return step


def _short(outline: Outline, name: str) -> str:
    step = outline.step(name)
    return _(words_of(step).short) if step is not None else name


# --- the values of a step ---------------------------------------------------------------------------------


def token_names(tokens: tuple[Token, ...]) -> tuple[str, ...]:
    """What a person sees of each token."""
    return tuple(token.text for token in tokens)


def _names(axis: str, step: Step, outline: Outline, found: StepValues) -> tuple[str, ...]:
    """Names of the places along an axis; empty where they are only numbered."""
    if axis == "tokens":
        return token_names(outline.source if step.stack == "encoder" else outline.rows)
    if axis == "keys":
        return token_names(outline.source if step.stack == "encoder" or step.block == "cross" else outline.rows)
    if axis == "labels":
        size = step.shape[step.axes.index("labels")]
        if step.op in ("relationship", "follows"):
            return (_("sigue"), _("no sigue"))
        if size == 2 and "tokens" in step.axes:
            return (_("comienzo"), _("final")) if len(outline.labels) <= 2 else outline.labels
        return outline.labels if len(outline.labels) == size else ()
    return found.names if axis == "vocabulary" else ()


def plane_of(step: Step, outline: Outline, found: StepValues, head: int) -> Plane:
    """The matrix that is drawn of a step.

    Args:
        step: the step.
        outline: for the tokens.
        found: its values.
        head: which head, where there are several.
    """
    axes = step.axes[1:]
    values = found.values
    if axes[0] == "heads":
        values, axes = values[head], axes[1:]
    if len(axes) == 1:
        one = values[:, None] if axes[0] == "tokens" else values[None]
        names = _names(axes[0], step, outline, found)
        if axes[0] == "tokens":
            return Plane(one, names, ("id",), _(AXES["tokens"]), _("número"))
        return Plane(one, (_("vector"),), names, "", _(AXES[axes[0]]))
    rows, columns = (_names(axis, step, outline, found) for axis in axes)
    rows = rows or tuple(map(str, range(values.shape[0])))
    return Plane(values, rows, columns, _(AXES[axes[0]]), _(AXES[axes[1]]))


def _cell(step: Step, found: StepValues, plane: Plane) -> tuple[int, int]:
    """Row and column of the chosen value in the drawing; a telling one where none is chosen."""
    session = st.session_state
    rows, columns = plane.values.shape
    pending = session.pop(PENDING, None)
    if pending is not None:
        row, column = (_find(word, names) for word, names in zip(pending, (plane.rows, plane.columns), strict=True))
        session[ROW] = row
        session[COLUMN] = found.columns[column] if found.columns and 0 <= column < len(found.columns) else column
    row, column = session[ROW], session[COLUMN]
    if found.columns:
        column = found.columns.index(column) if column in found.columns else -1
    if not (0 <= row < rows and 0 <= column < columns):
        # The second token: the first is often a special one.
        row = row if 0 <= row < rows else min(1, rows - 1)
        line = np.where(np.isfinite(plane.values[row]), np.abs(plane.values[row]), -1.0)
        column = int(line.argmax())
        _keep(step, found, row, column)
    return int(row), int(column)


def _find(word: str, names: tuple[str, ...]) -> int:
    if word in names:
        return names.index(word)
    return int(word) if word.isdigit() else -1


def _keep(step: Step, found: StepValues, row: int, column: int) -> None:
    st.session_state[ROW] = row
    st.session_state[COLUMN] = found.columns[column] if found.columns else column


def _index(step: Step, found: StepValues, head: int, row: int, column: int) -> tuple[int, ...]:
    """The place of a drawn cell in the step's values."""
    axes = step.axes[1:]
    if found.columns:
        column = found.columns[column]
    if axes[0] == "heads":
        return head, row, column
    if len(axes) == 2:
        return row, column
    return (row,) if axes[0] == "tokens" else (column,)


def show_walk(item: ModelEntry) -> None:
    """Draws the view."""
    wanted = request()
    with st.spinner(_("Recorriendo el modelo…"), show_time=True):
        outline = readings.outline(item.key, wanted)
    step = _choose_step(outline)
    both = is_both(outline)
    words = words_of(step)
    st.header(_(words.title), anchor=False)
    st.caption(plain(place_name(step, both) + (f" · {step.module}" if step.module else "")))
    st.markdown(_(words.text))
    left, right = st.columns([3, 2], vertical_alignment="center")
    left.latex(words.formula)
    right.markdown(
        _("Forma: {shape}").format(shape=f"**{plain(shape_text(step))}**"),
        help=_("Las dimensiones del tensor y lo que significa cada una; el lote es de una frase."),
    )
    found = None
    head = 0
    row = 0
    if outline.detailed:
        found, head, row = _show_values(item, wanted, outline, step)
    else:
        tokens = max(len(outline.rows), len(outline.source))
        st.info(
            _(
                "El texto tiene {n} tokens. Hasta {limit} se muestra cada valor; con más, solo las formas: "
                "quedan fuera "
                "los mapas, el origen de cada valor y la comparación con la salida del modelo."
            ).format(n=format_number(tokens), limit=format_number(MAX_DETAIL)),
            icon=":material/straighten:",
        )
        _show_shapes(outline, step)
    if words.terms:
        glossary_marks(*words.terms, key="in_terms")
    share_row(
        STATE,
        code=code(item, wanted, found, outline.written, head, row) if found is not None else None,
        downloads=downloads_of(found, outline),
        key="in_walk",
    )
    agreement = agreement_text(outline)
    if agreement:
        st.caption(
            ":material/verified: "
            + plain(agreement + " " + _("Tardó {ms} ms.").format(ms=format_number(outline.milliseconds)))
        )


def _choose_head(step: Step) -> int:
    heads = step.shape[1]
    if not 0 <= st.session_state[HEAD] < heads:
        st.session_state[HEAD] = 0
    if heads == 1:
        return 0
    st.pills(
        _("Cabeza"),
        list(range(heads)),
        format_func=lambda at: str(at + 1),
        key=HEAD,
        required=True,
        persist_state="session",
    )
    return int(st.session_state[HEAD])


def _show_values(item: ModelEntry, wanted: ForwardRequest, outline: Outline, step: Step) -> tuple[StepValues, int, int]:
    """The heat map, and where the chosen value comes from."""
    head = _choose_head(step) if step.axes[1] == "heads" else 0
    column = st.session_state[COLUMN] if step.axes[-1] == "vocabulary" and st.session_state[COLUMN] >= 0 else None
    found = readings.values(item.key, wanted, step.id, column)
    plane = plane_of(step, outline, found, head)
    row, column = _cell(step, found, plane)
    if found.columns:
        st.caption(
            _("De las {all} piezas del vocabulario se dibujan las {n} más probables para algún token.").format(
                all=format_number(step.shape[-1]), n=format_number(len(found.columns))
            )
        )
    spoken = _("Mapa de calor de {title}: {rows} filas y {columns} columnas").format(
        title=_(words_of(step).title), rows=plane.values.shape[0], columns=plane.values.shape[1]
    )
    heat_view(
        plane,
        chosen=(row, column),
        spoken=spoken,
        key="in_heat",
        on_choose=lambda r, c: _keep(step, found, r, c),
    )
    index = _index(step, found, head, row, column)
    show_origin(item, wanted, outline, step, index, float(plane.values[row, column]), plane, (row, column))
    _show_source(found)
    return found, head, row


def _show_source(found: StepValues) -> None:
    with st.expander(_("Dónde ocurre en transformers"), icon=":material/code:"):
        source = found.source
        if source is None:
            st.markdown(
                _(
                    "Este paso no lo hace transformers: lo hace quien usa su resultado (el tokenizador antes, o una "
                    "función como `softmax` o la media después)."
                )
            )
            return
        st.markdown(
            _("`{owner}`, en `{file}` (transformers {version}), leído de la biblioteca instalada:").format(
                owner=source.owner, file=source.file, version=source.version
            )
        )
        st.code("\n".join(f"{line:>4}  {text}" for line, text in source.lines), language="python", wrap_lines=True)
        st.markdown(_("[Ver en GitHub]({url})").format(url=source.url))
        if source.owner == "eager_attention_forward":
            st.caption(
                _(
                    "Es la versión que se puede leer («eager»). Por defecto transformers usa otra que hace las mismas "
                    "cuentas fundidas en una sola función (sdpa)."
                )
            )


def _show_shapes(outline: Outline, step: Step) -> None:
    """All steps of this part, in shapes."""
    both = is_both(outline)
    st.dataframe(
        {
            _("Paso"): [_(words_of(item).title) for item in outline.steps if item.part == step.part],
            _("Dónde"): [place_name(item, both) for item in outline.steps if item.part == step.part],
            _("Forma"): [shape_text(item) for item in outline.steps if item.part == step.part],
        },
        hide_index=True,
        width="stretch",
    )
