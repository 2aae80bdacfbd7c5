"""Part "Mirar": the drawing, what the chosen head does, where attention drains, and the masking test beside it."""

from typing import Final

import streamlit as st

from core.catalog import ModelEntry
from core.errors import ModelUnavailable
from core.i18n import format_number, format_percent, get_language
from core.i18n import gettext as _
from core.lens.attention import AttentionMap
from core.lens.attention_forms import shown_groups, word_places
from core.lens.attention_heads import sinks
from core.lens.attention_inputs import TextPair
from core.lens.attention_reading import Reading
from core.lens.attention_trace import HeadVectors
from core.ui.attention import attention_view, selection_of
from core.ui.attention_page import readings
from core.ui.attention_page.code import code
from core.ui.attention_page.evidence import show_not_an_explanation
from core.ui.attention_page.files import downloads_of
from core.ui.attention_page.guess import look_question
from core.ui.attention_page.hiding import show_hiding
from core.ui.attention_page.options import Options, choose_options
from core.ui.attention_page.state import PENDING, STATE, Chosen, choose, chosen, pair
from core.ui.attention_page.words import captions, group_text, thresholds
from core.ui.glossary import glossary_marks
from core.ui.guess import guess_first, guess_switch, guessing
from core.ui.language import fragment
from core.ui.messages import errors_shown, plain
from core.ui.share import share_row
from core.ui.tuned import model_entry

_VIEW_KEY: Final = "at_drawing"
_MARKS: Final = (
    "attention",
    "query-key-value",
    "self-attention",
    "causal-attention",
    "cross-attention",
    "multi-head-attention",
    "special-tokens",
    "attention-visualization",
)


def show_look(item: ModelEntry) -> None:
    """The whole part. Reading comes first: while it computes there is nothing to choose in."""
    with st.spinner(_("Calculando…"), show_time=True):
        read = readings.reading(item.key, pair())
    _resolve_pending(read)
    guess_switch()
    if guessing() and not guess_first(
        look_question(item.key, item.name(get_language()), pair(), read.map, chosen().row)
    ):
        glossary_marks(*_MARKS, key="g_attention")
        return
    _drawing(item.key)
    glossary_marks(*_MARKS, key="g_attention")


@fragment()
def _drawing(model: str) -> None:
    with errors_shown():
        _show(model_entry(model))


def _resolve_pending(read: Reading) -> None:
    """An example names words: which tokens they are is known now."""
    pending = st.session_state.pop(PENDING, None)
    if pending is None:
        return
    row, column = word_places(read.map.rows, pending[0]), word_places(read.map.columns, pending[1])
    now = chosen()
    choose(now.view, now.layer, now.heads, row[0] if row else None, column[0] if column else None, now.only)


def _show(item: ModelEntry) -> None:
    wanted = pair()
    read = readings.reading(item.key, wanted)
    if read.decoded:
        st.markdown(_("El decodificador ha escrito:"))
        st.text(read.decoded)
    options = choose_options(read.kinds)
    amap = readings.shown_map(item.key, wanted, options.form, options.special, options.words)
    numbers = readings.statistics(item.key, wanted)
    said = captions(amap, numbers, options.form)
    now = _current(amap, options)
    name = item.name(get_language())
    found = attention_view(
        amap,
        key=_VIEW_KEY,
        view=now.view,
        layer=now.layer,
        heads=now.heads,
        token=now.token,
        only=now.only,
        captions=said,
        neuron=_vectors(item.key, wanted, now, options),
        name=name,
        views=options.views,
    )
    choose(found.view, found.layer, found.heads, found.row, found.column, found.only)
    now = chosen()
    if options.special == "hide":
        st.caption(_("Tokens especiales ocultos sin reescalar: cada fila suma menos de 1."))
    left, right = st.columns([1, 1], gap="medium")
    with left:
        _show_head(amap, now, said)
        _show_sinks(read.map)
        show_not_an_explanation()
    with right:
        groups = tuple(
            shown_groups(tokens, special=options.special == "keep", words=options.words)
            for tokens in (read.map.rows, read.map.columns)
        )
        show_hiding(item, wanted, read, now, groups[0], groups[1], heads=options.form in ("weights", "norms"))
    share_row(
        STATE,
        code=code(item, wanted, read.map, read.written, now.layer, now.heads[0] if amap.heads > 1 else 0),
        downloads=downloads_of(amap, numbers, now, said, name, wanted.first),
        key="at_look",
    )
    STATE.publish()


def _current(amap: AttentionMap, options: Options) -> Chosen:
    """What the browser shows, or what the page now asks it to."""
    now = chosen()
    found = selection_of(
        amap,
        key=_VIEW_KEY,
        view=now.view,
        layer=now.layer,
        heads=now.heads,
        token=now.token,
        only=now.only,
        views=options.views,
    )
    return Chosen(found.view, found.layer, found.heads, found.row, found.column, found.only)


def _vectors(model: str, wanted: TextPair, now: Chosen, options: Options) -> HeadVectors | None:
    if now.view != "neuron" or not options.single:
        return None
    try:
        return readings.vectors(model, wanted, now.layer, now.heads[0])
    except ModelUnavailable:
        return None


def _show_head(amap: AttentionMap, now: Chosen, said: list[list[str]]) -> None:
    for head in now.heads[:3]:
        title = _("Capa {layer}, cabeza {head}").format(layer=now.layer + 1, head=head + 1)
        if amap.heads == 1:
            title = _("Capa {layer}").format(layer=now.layer + 1)
        st.markdown(f"**{title}**: {plain(said[now.layer][min(head, amap.heads - 1)])}")
    if now.row is not None and now.column is not None:
        weight = float(amap.weights[now.layer, list(now.heads), now.row, now.column].mean())
        st.markdown(
            plain(
                _("De «{row}» a «{column}»: {n}").format(
                    row=amap.rows[now.row].text, column=amap.columns[now.column].text, n=format_number(weight, 3)
                )
            )
        )
    with st.expander(_("Cómo se decide el patrón")):
        st.markdown(thresholds())


def _show_sinks(amap: AttentionMap) -> None:
    found = sinks(amap)
    if not found:
        st.caption(_("Sin sumideros: ningún token recibe de media mucho más que su parte."))
        return
    for sink in found[:3]:
        st.markdown(
            ":material/water_drop: "
            + plain(
                _(
                    "Sumidero (attention sink): «{token}» recibe el {share} de toda la atención; repartida por igual, "
                    "recibiría el {even}. En {heads} de {all} cabezas se lleva más de la mitad."
                ).format(
                    token=group_text(amap.columns, (sink.column,)),
                    share=format_percent(sink.share),
                    even=format_percent(sink.even),
                    heads=format_number(sink.heads),
                    all=format_number(amap.layers * amap.heads),
                )
            )
        )
