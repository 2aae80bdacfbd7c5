"""Part "Comparar": two models on the same sentence, such as one that sees everything and one that sees what came."""

from typing import Final

import numpy as np
import streamlit as st

from core.catalog import ModelEntry
from core.errors import TallerError
from core.i18n import format_percent, get_language
from core.i18n import gettext as _
from core.lens.attention import AttentionMap
from core.runtime.loading import locate_model
from core.settings import get_settings
from core.ui.attention import AttentionSelection, attention_view
from core.ui.attention_page import readings
from core.ui.attention_page.code import compare_code
from core.ui.attention_page.evidence import show_not_an_explanation
from core.ui.attention_page.models import able, offer_download
from core.ui.attention_page.state import STATE, VERSUS, choose, chosen, pair
from core.ui.attention_page.words import captions
from core.ui.glossary import glossary_marks
from core.ui.language import fragment
from core.ui.messages import errors_shown, plain, show_error
from core.ui.model_field import hint_language
from core.ui.share import share_row
from core.ui.tuned import model_entry

_SIDES: Final = ("a", "b")


def _first(architecture: str, language: str | None, other: ModelEntry) -> ModelEntry | None:
    """The best model to put beside another: of an architecture, in its language if there is one, here if it is."""
    found = [item for item in able() if item.architecture == architecture and item.key != other.key]
    return min(
        found,
        key=lambda item: (
            language is not None and language not in item.languages,
            locate_model(item, get_settings()) is None,
            item.weights.download_mib if item.weights is not None else 0.0,
        ),
        default=None,
    )


def _suggestions(model: ModelEntry) -> None:
    """What is worth comparing: the other family, and the other language."""
    language = model.languages[0]
    other_family = _first("decoder" if model.architecture != "decoder" else "encoder", language, model)
    other_language = _first(model.architecture, "en" if language == "es" else "es", model)
    st.markdown(_("¿Con qué se compara? Elige otro modelo arriba, o empieza por aquí:"))
    left, right = st.columns(2)
    for column, item, why in (
        (left, other_family, _("Completa frente a triangular: un modelo que lo ve todo y uno que solo ve lo anterior")),
        (right, other_language, _("La misma frase, en un modelo de otra lengua")),
    ):
        if item is None:
            continue
        with column, st.container(border=True):
            st.markdown(plain(why))
            st.button(
                item.name(get_language()),
                key=f"at_suggest_{item.key}",
                icon=":material/compare_arrows:",
                on_click=lambda key=item.key: st.session_state.update({VERSUS: key}),
                width="stretch",
            )


def show_compare(first: ModelEntry, second: ModelEntry | None) -> None:
    """The whole part."""
    program = None
    if second is None:
        _suggestions(first)
    elif locate_model(second, get_settings()) is None:
        offer_download(second, "at_compare")
    else:
        hint_language(st.session_state["at_text"], second)
        sides = []
        with st.spinner(_("Calculando…"), show_time=True):
            for item in (first, second):
                try:
                    read = readings.reading(item.key, pair())
                except TallerError:
                    continue  # said beside its own drawing
                sides.append((item, read.map, read.written))
        _both(first.key, second.key)
        program = compare_code(sides, pair()) if sides else None
    show_not_an_explanation()
    glossary_marks("self-attention", "causal-attention", "bidirectional", "three-families", key="g_compare")
    share_row(STATE, code=program, downloads=(), key="at_compare")
    STATE.publish()


@fragment()
def _both(first: str, second: str) -> None:
    with errors_shown():
        for column, side, key in zip(st.columns(2, gap="medium"), _SIDES, (first, second), strict=True):
            with column:
                try:
                    now = _one(model_entry(key), side)
                except TallerError as error:
                    show_error(error)
                    continue
                if side == "a":
                    choose(now.view, now.layer, now.heads, now.row, now.column, now.only)
    STATE.publish()


def _one(item: ModelEntry, side: str) -> AttentionSelection:
    reader = get_language()
    amap = readings.reading(item.key, pair()).map
    st.markdown(f"## {plain(item.name(reader))}")
    st.markdown(plain(_shape_of(amap)))
    now = chosen()
    numbers = readings.statistics(item.key, pair())
    return attention_view(
        amap,
        key=f"at_drawing_{side}",
        view="matrix" if now.view == "neuron" else now.view,
        layer=now.layer,
        heads=now.heads,
        # The tokens of the other model are other ones.
        token=now.token if side == "a" else None,
        only=now.only,
        captions=captions(amap, numbers, "weights"),
        name=item.name(reader),
        views=("matrix", "head", "model", "text"),
    )


def _shape_of(amap: AttentionMap) -> str:
    """What the eye should see: the whole square, or half of it."""
    rows, columns = amap.weights.shape[2:]
    if amap.kind == "cross":
        return _("Cruzada: {rows} tokens escritos miran a {columns} leídos.").format(rows=rows, columns=columns)
    later = float(np.triu(amap.weights, 1).sum() / amap.weights.sum())
    if amap.kind == "decoder":
        return _("Triangular: cada token ve solo lo anterior y a sí mismo. Lo que viene después recibe 0.")
    return _("Completa: cada token ve toda la frase. El {share} de la atención va a lo que viene después.").format(
        share=format_percent(later)
    )
