"""What is said of a model's embeddings in plain words."""

from typing import Final

from core.i18n import format_number
from core.i18n import gettext as _
from core.lens.embeddings import PartKind, PositionKind, SegmentKind
from core.lens.embeddings_neighbours import Measure
from core.lens.embeddings_pooling import Pooling

_DIGITS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_text(value: float) -> str:
    """A very small number as a person writes it: ``2,4 × 10⁻⁷``; plain zero and numbers from 0.001 on as they are."""
    if value == 0 or abs(value) >= 0.001:
        return format_number(value, 3 if value else 0)
    digits, power = f"{value:.1e}".split("e")
    return f"{format_number(float(digits), 1)} × 10{str(int(power)).translate(_DIGITS)}"


def part_name(kind: PartKind) -> str:
    """What a summand is called."""
    return {"word": _("palabra"), "position": _("posición"), "segment": _("segmento")}[kind]


def position_sentence(kind: PositionKind) -> str:
    """How the model knows the order, where it isn't by learnt vectors that are added; else nothing."""
    return {
        "learned": "",
        "sinusoidal": _(
            "Sus vectores de posición no se aprendieron: son los senos y cosenos fijos del artículo de 2017."
        ),
        "rotary": _(
            "Este modelo no suma vectores de posición: gira las consultas y las claves de la atención según su lugar "
            "(RoPE)."
        ),
        "relative": _(
            "Este modelo no suma vectores de posición: corrige las puntuaciones de la atención según la distancia "
            "entre los dos tokens."
        ),
        "none": _("Este modelo no tiene vectores de posición que sumar."),
    }[kind]


def segment_sentence(kind: SegmentKind) -> str:
    """Whether it knows which text a token belongs to, where it doesn't; else nothing."""
    return {
        "learned": "",
        "one": _(
            "Su tabla de segmentos tiene una sola fila: suma lo mismo a todos los tokens y no distingue dos frases."
        ),
        "none": _("Este modelo no tiene vectores de segmento: no marca qué token es de la frase A y cuál de la B."),
    }[kind]


def measure_name(measure: Measure) -> str:
    """A way to measure nearness."""
    return {
        "cosine": _("coseno"),
        "dot": _("producto escalar"),
        "centred": _("coseno sin la media"),
    }[measure]


def pooling_name(pooling: Pooling) -> str:
    """A way to make one vector of many."""
    return {
        "mean": _("media de los tokens"),
        "cls": _("solo [CLS]"),
        "last": _("último token"),
        "static": _("media sin capas (estáticos)"),
    }[pooling]


def layer_name(layer: int | None, last: int) -> str:
    """A layer's name, from its place among the hidden states; ``None`` for the static vectors."""
    if layer is None:
        return _("estático")
    if layer == 0:
        return _("entrada")
    return _("{n} (última)").format(n=layer) if layer == last else str(layer)
