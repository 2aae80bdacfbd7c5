"""The comparison of tokenizers, drawn: the text with its cuts, and one panel of chips per tokenizer.

A Streamlit component v2. ``core.lens.tokenization`` computes the ``Comparison``; this package turns it into
plain lists (``build_payload``) and ``tokens.js`` draws them, with ``textContent`` alone. The word a person
chooses comes back as a trigger, that is: in one script run, and ``None`` in all others.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import regex
import streamlit as st

from core.i18n import get_language
from core.i18n import gettext as _
from core.lens.tokenization import Comparison, Row, Segment
from core.ui.scripts import script
from core.ui.triggers import sent_index

_FOLDER: Final = Path(__file__).parent
_SEGMENT_KINDS: Final[dict[str, int]] = {"space": 0, "word": 1, "other": 2}
_TOKEN_KINDS: Final[dict[str, int]] = {"piece": 0, "special": 1, "unknown": 2, "bytes": 3}

_VIEW = st.components.v2.component(
    "taller_tokens",
    css=(_FOLDER / "tokens.css").read_text(encoding="utf-8"),
    js=script(_FOLDER / "tokens.js"),
)

Bounds = tuple[list[int], list[int]]


def _grapheme_bounds(text: str) -> Bounds:
    """For each code point of ``text``, where its grapheme cluster starts and ends (UAX #29)."""
    starts: list[int] = []
    ends: list[int] = []
    for match in regex.finditer(r"\X", text):
        length = match.end() - match.start()
        starts += [match.start()] * length
        ends += [match.end()] * length
    return starts, ends


def _segments(comparison: Comparison) -> list[list[Any]]:
    """``[text, kind, unit, parts | None]`` for each segment; parts only where a tokenizer cuts inside."""
    cuts: defaultdict[int, dict[int, tuple[set[int], bool]]] = defaultdict(dict)
    for cut in comparison.cuts:
        rows, inside = cuts[cut.unit].get(cut.offset, (set(), False))
        cuts[cut.unit][cut.offset] = (rows | set(cut.rows), inside or cut.inside)

    def parts(segment: Segment) -> list[list[Any]] | None:
        here = cuts.get(segment.unit)
        if segment.unit < 0 or not here:
            return None
        places = sorted({segment.start, *here})
        return [
            [
                comparison.text[place:following],
                sorted(here[place][0]) if place in here else [],
                int(place in here and here[place][1]),
            ]
            for place, following in zip(places, [*places[1:], segment.end], strict=True)
        ]

    return [[s.text, _SEGMENT_KINDS[s.kind], s.unit, parts(s)] for s in comparison.segments]


def _tokens(row: Row, text: str, bounds: Bounds) -> list[list[Any]]:
    """``[text, id, kind, continuation, unit, last unit, piece, source text]`` for each token.

    The source text is widened to whole grapheme clusters and leaves out what the tokens before it have
    already claimed, so that it can be put on screen once for a run of tokens that share a cluster.
    ``continuation`` is 2 for a token that begins inside such a cluster, 1 for other continuations, else 0.
    """
    starts, ends = bounds
    claimed = 0
    out: list[list[Any]] = []
    for token in row.tokens:
        source, joined = "", False
        if token.end > token.start:
            first, last = starts[token.start], ends[token.end - 1]
            joined = first < claimed
            source = text[max(first, claimed) : last]
            claimed = max(claimed, last)
        out.append(
            [
                token.text,
                token.id,
                _TOKEN_KINDS[token.kind],
                2 if joined else int(token.continuation),
                token.unit,
                token.last_unit,
                token.piece,
                source,
            ]
        )
    return out


def _labels() -> dict[str, str]:
    """All that the component shows or speaks, in the reader's language; JavaScript fills in ``{names}``."""
    return {
        "language": get_language(),
        "view": _("Comparación de tokenizadores"),
        "text": _("Tu texto"),
        "text_list": _("Tu texto, palabra por palabra"),
        "panel": _("Piezas de {name}"),
        "token_one": _("pieza"),
        "token_many": _("piezas"),
        "special_one": _("+ {n} especial"),
        "special_many": _("+ {n} especiales"),
        "lost_one": _("{n} desconocida"),
        "lost_many": _("{n} desconocidas"),
        "word_one": _("«{word}»: {n} pieza: {pieces}"),
        "word_many": _("«{word}»: {n} piezas: {pieces}"),
        "in_text": _("«{word}». {counts}"),
        "count_one": _("{name}: {n} pieza"),
        "count_many": _("{name}: {n} piezas"),
        "none": _("ninguna pieza"),
        "chosen": _("elegida"),
        "unknown": _("desconocida"),
        "unknown_title": _("El vocabulario no tiene cómo escribir «{source}»: el modelo no llega a verlo."),
        "special_title": _("Pieza especial: la agrega el tokenizador, no está en tu texto."),
        "bytes_title": _("Bytes de «{source}»: el vocabulario no tiene el carácter entero."),
        "cluster_title": _("Varias piezas forman «{source}»."),
        "space_title": _("Pieza de espacio en blanco."),
        "piece_title": _("Pieza del vocabulario: {piece} (id {id})"),
        "legend": _("Cortes dentro de una palabra"),
        "legend_only": _("solo {name}"),
        "legend_some": _("varios"),
        "legend_all": _("todos"),
        "legend_cut": _("corte"),
        "legend_inside": _("dentro de un carácter"),
        "spaces_legend": _("· espacio   ⏎ fin de línea   → tabulación   ⍽ espacio duro"),
        "hint": _(
            "Señala una palabra para ver sus piezas en todos los tokenizadores. "
            "Con el teclado: flechas, y Entrar para elegirla."
        ),
        "more": _("Mostrar más"),
        "hidden_one": _("Falta {n} palabra o signo por mostrar."),
        "hidden_many": _("Faltan {n} palabras y signos por mostrar."),
        "hidden_pieces": _("Hay palabras larguísimas: faltan piezas por mostrar."),
        "hidden_chip": _("{n} más"),
    }


def build_payload(
    comparison: Comparison,
    *,
    ids: bool,
    spaces: bool,
    marks: bool,
    selected: int | None,
    details: dict[str, str],
) -> dict[str, Any]:
    """The data that ``tokens.js`` draws: strings, integers, lists and dicts only.

    Args:
        comparison: what ``core.lens.tokenization.compare`` returned.
        ids: show the number of each piece under it.
        spaces: make white space visible.
        marks: mark on the text where each tokenizer cuts.
        selected: the unit (word) that keeps a ring; ``None`` for none.
        details: a sub-line for each row, by the row's key; missing keys have none.
    """
    bounds = _grapheme_bounds(comparison.text)
    return {
        "segments": _segments(comparison),
        "rows": [
            {
                "key": row.key,
                "name": row.name,
                "detail": details.get(row.key, ""),
                "tokens": _tokens(row, comparison.text, bounds),
            }
            for row in comparison.rows
        ],
        "options": {
            "ids": ids,
            "spaces": spaces,
            "marks": marks,
            "selected": -1 if selected is None else selected,
        },
        "labels": _labels(),
    }


def token_view(
    comparison: Comparison,
    *,
    ids: bool,
    spaces: bool,
    marks: bool,
    selected: int | None,
    details: dict[str, str],
    key: str,
    on_choose: Callable[[int], None],
) -> None:
    """Draws the comparison.

    Outside ``st.form``: a component's triggers are ignored inside one.

    Args:
        comparison: what ``core.lens.tokenization.compare`` returned.
        ids: show the number of each piece under it.
        spaces: make white space visible.
        marks: mark on the text where each tokenizer cuts.
        selected: the unit (word) that keeps a ring; ``None`` for none.
        details: a sub-line for each row, by the row's key, such as "modelo de referencia · 31 002 piezas".
        key: Streamlit's key; the same key keeps focus, scroll and what was unfolded from run to run.
        on_choose: called with the unit chosen by click, touch or keyboard, before the page runs again.
    """
    units = 1 + max((s.unit for s in comparison.segments), default=-1)

    def changed() -> None:
        chosen = sent_index(key, "word", units)
        if chosen is not None:
            on_choose(chosen)

    _VIEW(
        data=build_payload(comparison, ids=ids, spaces=spaces, marks=marks, selected=selected, details=details),
        key=key,
        on_word_change=changed,
    )
