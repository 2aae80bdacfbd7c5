"""What heads do, in plain words with the number behind it."""

from collections.abc import Mapping, Sequence
from typing import Final

from core.i18n import format_number, format_percent
from core.i18n import gettext as _
from core.lens.attention import AttentionMap, Token
from core.lens.attention_heads import (
    BROAD_EVENNESS,
    NEAR_DISTANCE,
    NEAR_SHARE,
    PLACE_SHARE,
    HeadStatistics,
    Pattern,
)


def pattern_name(pattern: Pattern) -> str:
    """A pattern's short name."""
    return {
        "previous": _("anterior"),
        "next": _("siguiente"),
        "itself": _("sí mismo"),
        "first": _("primero"),
        "separators": _("separador"),
        "broad": _("repartida"),
        "near": _("cerca"),
        "mixed": _("mixta"),
    }[pattern]


MARKS: Final[Mapping[Pattern, str]] = {
    "previous": "←",
    "next": "→",
    "itself": "↺",
    "first": "⇤",
    "separators": "¦",
    "broad": "≈",
    "near": "↔",
    "mixed": "○",
}
"""One character a pattern, for a map's cells."""


def statistic_name(name: str) -> str:
    """A statistic's name, with its unit."""
    return {
        "pattern": _("patrón"),
        "previous": _("al token anterior"),
        "next": _("al token siguiente"),
        "itself": _("a sí mismo"),
        "first": _("al primero ([CLS], <s>)"),
        "separators": _("a [SEP] y otros especiales"),
        "entropy": _("entropía (bits)"),
        "distance": _("distancia media (tokens)"),
    }[name]


def caption(statistics: HeadStatistics, layer: int, head: int, first: str) -> str:
    """What a head does, with the number that makes it so.

    Args:
        statistics: of the text.
        layer: from 0.
        head: from 0.
        first: the first token of all.
    """
    pattern, value = statistics.pattern(layer, head)
    number = format_number(value, 2)
    bits = format_number(float(statistics.entropy[layer, head]), 1)
    return {
        "previous": _("mira al token anterior: {n}"),
        "next": _("mira al token siguiente: {n}"),
        "itself": _("se mira a sí mismo: {n}"),
        "first": _("mira a {first}: {n}"),
        "separators": _("mira a los separadores: {n}"),
        "broad": _("reparte su mirada: {n} de lo más parejo posible ({bits} bits)"),
        "near": _("mira cerca, a dos tokens o menos: {n}"),
        "mixed": _("mirada mixta: ningún lugar recibe más de {n} (entropía {bits} bits)"),
    }[pattern].format(n=number, first=first, bits=bits)


def captions(amap: AttentionMap, statistics: HeadStatistics, form: str) -> list[list[str]]:
    """A sentence for each layer and head of the matrix that is shown."""
    first = amap.columns[0].text
    if amap.heads == 1 != statistics.entropy.shape[1]:
        name = (
            _("despliegue de la atención desde la capa 1 hasta la {layer}")
            if form == "rollout"
            else _("media de todas las cabezas de la capa {layer}")
        )
        return [[name.format(layer=layer + 1)] for layer in range(amap.layers)]
    return [[caption(statistics, layer, head, first) for head in range(amap.heads)] for layer in range(amap.layers)]


def thresholds() -> str:
    """How patterns are decided."""
    return _(
        "Patrón: si un lugar (anterior, siguiente, él mismo, primero, separadores) recibe al menos {place} de la "
        "atención, la cabeza es suya; si no, es «repartida» cuando su entropía llega a {broad} de la máxima, y "
        "«cerca» cuando {near} cae a {distance} tokens o menos. Cuentan solo las filas de tokens del texto."
    ).format(
        place=format_percent(PLACE_SHARE, 0),
        broad=format_percent(BROAD_EVENNESS, 0),
        near=format_percent(NEAR_SHARE, 0),
        distance=NEAR_DISTANCE,
    )


def group_text(tokens: Sequence[Token], group: Sequence[int]) -> str:
    """The text of a word made of some tokens."""
    return "".join(tokens[index].text for index in group)


def numbered(tokens: Sequence[Token], groups: Sequence[Sequence[int]]) -> list[str]:
    """The words for a field of choices: each with its place, as some come twice."""
    return [f"{place}. {group_text(tokens, group)}" for place, group in enumerate(groups, 1)]
