"""Where one value comes from: the sum, the normalization or the softmax that made it, with its numbers."""

import json

import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_number, quoted
from core.i18n import gettext as _
from core.lens.forward import Factor, Index, Origin, Step
from core.lens.forward_reading import ForwardRequest, Outline
from core.ui.heat import Line, Number, Plane, number, origin_view
from core.ui.inside import readings
from core.ui.inside.state import go
from core.ui.inside.words import words_of
from core.ui.messages import plain


def equation(origin: Origin) -> str:
    """The value and the numbers that give it, in one line."""
    n = {name: number(value) for name, value in origin.numbers.items()}
    result = number(origin.result)
    own = number(origin.terms[0].value) if origin.terms else ""
    total = number(sum(term.value for term in origin.terms) + origin.rest)
    if origin.way == "norm":
        bias = _(" + β {bias}").format(bias=n["bias"]) if "bias" in n else ""
        return _("({x} − media {mean}) / desviación {deviation} × γ {gain}{bias} = {result}").format(
            x=own, mean=n["mean"], deviation=n["deviation"], gain=n["gain"], bias=bias, result=result
        )
    if origin.way == "rms":
        return _("{x} / media cuadrática {deviation} × γ {gain} = {result}").format(
            x=own, deviation=n["deviation"], gain=n["gain"], result=result
        )
    if origin.way == "unit":
        return _("{x} / longitud {length} = {result}").format(x=own, length=n["deviation"], result=result)
    if origin.way == "softmax":
        return _(
            "e^({score} − {largest}) / suma {denominator} = {own} / {denominator} = {result}. Se resta la mayor "
            "puntuación de la fila para que e^x no desborde; el cociente no cambia."
        ).format(score=n["score"], largest=n["largest"], own=n["own"], denominator=n["denominator"], result=result)
    if origin.way == "apply":
        return _("{name}({x}) = {result}").format(name=origin.name, x=own, result=result)
    if origin.way == "mean":
        return _("Suma {total} / {count} tokens = {result}").format(total=total, count=n["count"], result=result)
    if origin.way == "copy":
        return _("Es el mismo número en otro lugar: {result}").format(result=result)
    if origin.way == "id":
        return _("Lo pone el tokenizador: {result}").format(result=result)
    if not origin.rest_count and len(origin.terms) <= 3 and not origin.numbers:
        # In the order of the formula: largest first would shuffle word, position and segment.
        parts = [" × ".join(number(factor.value) for factor in term.factors) for term in origin.terms]
        return f"{' + '.join(parts).replace('+ −', '− ')} = {result}"
    scale = _(" × escala {scale}").format(scale=n["scale"]) if "scale" in n else ""
    bias = _(" + sesgo {bias}").format(bias=n["bias"]) if "bias" in n else ""
    return _("Suma {total}{scale}{bias} = {result}").format(total=total, scale=scale, bias=bias, result=result)


def _place(step: Step, index: Index, outline: Outline, origin: Origin) -> str:
    """A place in a step in words: ``«keys», 17`` or ``cabeza 2, «are», «keys»``."""
    parts = []
    for axis, at in zip(step.axes[1:], index, strict=True):
        if axis == "heads":
            parts.append(_("cabeza {n}").format(n=at + 1))
        elif axis == "tokens":
            tokens = outline.source if step.stack == "encoder" else outline.rows
            parts.append(quoted(tokens[at].text))
        elif axis == "keys":
            own = step.stack == "encoder" or step.block == "cross"
            parts.append(quoted((outline.source if own else outline.rows)[at].text))
        elif axis == "labels" and len(outline.labels) > at:
            parts.append(quoted(outline.labels[at]))
        elif axis == "vocabulary" and at in origin.pieces:
            parts.append(quoted(origin.pieces[at]))
        else:
            parts.append(str(at))
    return ", ".join(parts)


def _number(factor: Factor, outline: Outline, origin: Origin) -> Number:
    if not factor.step:
        name = factor.weight or _("del tokenizador")
        if factor.weight == "mask":
            name = _("máscara")
        return Number(number(factor.value), name)
    step = outline.step(factor.step)
    if step is None:
        return Number(number(factor.value), factor.step)
    name = f"{_(words_of(step).short)} [{_place(step, factor.index, outline, origin)}]"
    return Number(number(factor.value), name, json.dumps([factor.step, list(factor.index)]))


def show_origin(
    item: ModelEntry,
    wanted: ForwardRequest,
    outline: Outline,
    step: Step,
    index: Index,
    value: float,
    plane: Plane,
    cell: tuple[int, int],
) -> None:
    """Draws the panel.

    Args:
        item: the model.
        wanted: the texts.
        outline: the walk.
        step: the step whose value is chosen.
        index: its place, without the batch.
        value: the value.
        plane: what is drawn.
        cell: its row and column there.
    """
    found = readings.origin(item.key, wanted, step.id, index)
    column = plane.columns[cell[1]] if plane.columns else str(cell[1])
    where = f"{quoted(plane.rows[cell[0]])} · {column}"
    st.markdown("### " + plain(_("¿De dónde sale {value}?").format(value=number(value))))
    st.markdown(plain(f"{where}: {equation(found)}"))
    lines = [
        Line(tuple(_number(factor, outline, found) for factor in term.factors), number(term.value), term.value)
        for term in found.terms
    ]
    rest = ""
    if found.rest_count:
        rest = _("Los demás ({n}) suman {rest}.").format(n=format_number(found.rest_count), rest=number(found.rest))
    adds = found.way in ("dot", "mean", "softmax") and (len(lines) > 1 or len(lines[0].numbers) > 1)
    caption = {
        "softmax": _("Las puntuaciones de la fila, y e elevado a cada una menos la mayor"),
        "mean": _("Los valores que se promedian"),
    }.get(found.way, _("Los números que más pesan; pulsa uno para ir a él") if adds else _("Sale de aquí"))
    origin_view(
        lines, rest=rest, key="in_origin", on_go=lambda target: _go(target, outline), caption=caption, adds=adds
    )


def _go(target: str, outline: Outline) -> None:
    name, index = json.loads(target)
    step = outline.step(name)
    if step is not None:
        go(name, tuple(index), step.axes)
