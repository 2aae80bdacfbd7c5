"""View "Comparar": the chips side by side, the figures, and tokens per word as a plot."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from core.catalog import entry
from core.i18n import format_number, format_percent, get_language, ngettext
from core.i18n import gettext as _
from core.lens.tokenization import Comparison, Figures, compare, snippet
from core.runtime.tokenizer import TokenizerBundle
from core.ui import charts
from core.ui.downloads import csv_bytes, json_bytes
from core.ui.glossary import glossary_marks
from core.ui.guess import guess_first, guess_switch
from core.ui.messages import plain
from core.ui.share import Download, share_row
from core.ui.tokenization.form import IDS, MARKS, SPACES, STATE, VIEW, WORD, source_label
from core.ui.tokenization.guess import cut_question
from core.ui.tokens import token_view

# In a plot by word, more words than this can't be told apart.
_WORDS_IN_PLOT = 40


def with_names(comparison: Comparison) -> Comparison:
    """The comparison with the tokenizers' names in the reader's language."""
    rows = tuple(replace(row, name=entry(row.key).name(get_language())) for row in comparison.rows)
    return replace(comparison, rows=rows)


def _percent(share: float | None) -> str:
    return "–" if share is None else format_percent(share)


def _decimal(value: float | None) -> str:
    return "–" if value is None else format_number(value, 2)


def figure_rows(figures: list[Figures], corpus: bool = False) -> list[tuple[str, str, list[str]]]:
    """Name, one-line explanation and one value a tokenizer, for each figure."""
    if corpus:
        window = (
            _("Ventanas de 512"),
            _("cuántas ventanas llenas de 512 tokens ocupa"),
            [_decimal(f.window_share) for f in figures],
        )
    else:
        window = (
            _("Ventana usada"),
            _("qué parte de una ventana de 512 tokens ocupa, con los especiales"),
            [_percent(f.window_share) for f in figures],
        )
    return [
        (
            _("Tokens"),
            _("en cuántas piezas queda el texto, sin contar las que el modelo añade"),
            [format_number(f.tokens) for f in figures],
        ),
        (
            _("Fertilidad"),
            _("tokens por palabra, de media: 1 es lo mejor"),
            [_decimal(f.fertility) for f in figures],
        ),
        (
            _("Palabras enteras"),
            _("qué parte de las palabras son un solo token"),
            [_percent(f.whole_words) for f in figures],
        ),
        (
            _("Caracteres por token"),
            _("cuánto texto cabe en cada pieza; más es mejor"),
            [_decimal(f.characters_per_token) for f in figures],
        ),
        (
            _("Desconocidos"),
            _("piezas que el modelo no sabe escribir y pierde ([UNK])"),
            [format_number(f.unknown) for f in figures],
        ),
        window,
    ]


def show_figures(names: list[str], figures: list[Figures], *, corpus: bool = False) -> None:
    """The figures as a table: one row a figure, one column a tokenizer."""
    rows = figure_rows(figures, corpus)
    table = pd.DataFrame(
        [[f"**{name}**  \n:small[{plain(why)}]", *values] for name, why, values in rows],
        columns=[_("Cifra"), *names],
    ).set_index(_("Cifra"))
    st.table(table)


def _show_plot(comparison: Comparison) -> None:
    words = [part for part in comparison.segments if part.kind == "word"]
    if not words:
        return
    names = [row.name for row in comparison.rows]
    if len(words) <= _WORDS_IN_PLOT:
        counts = []
        for row in comparison.rows:
            per_unit: dict[int, int] = {}
            for token in row.tokens:
                for unit in range(token.unit, token.last_unit + 1) if token.unit >= 0 else ():
                    per_unit[unit] = per_unit.get(unit, 0) + 1
            counts.append([per_unit.get(word.unit, 0) for word in words])
        figure, alt = charts.tokens_by_word([word.text for word in words], names, counts)
    else:
        figure, alt = charts.tokens_per_word(names, [row.figures.tokens_per_word for row in comparison.rows])
    st.markdown("## " + _("Tokens por palabra"))
    st.plotly_chart(figure, key="tok_plot", alt=alt, config={"displayModeBar": False})


def _csv(comparison: Comparison) -> bytes:
    rows = (
        (row.name, index, token.piece, token.id, token.kind, token.start, token.end)
        for row in comparison.rows
        for index, token in enumerate(row.tokens)
    )
    return csv_bytes(["tokenizer", "position", "piece", "id", "kind", "start", "end"], rows)


def _json(comparison: Comparison) -> bytes:
    return json_bytes(
        {
            "text": comparison.text,
            "tokenizers": [
                {
                    "name": row.name,
                    "model": entry(row.key).id,
                    "tokens": [token.piece for token in row.tokens],
                    "ids": [token.id for token in row.tokens],
                    "fertility": row.figures.fertility,
                    "whole_words": row.figures.whole_words,
                }
                for row in comparison.rows
            ],
        }
    )


def snippet_source(bundle: TokenizerBundle) -> tuple[str, str]:
    """A tokenizer's name and what ``AutoTokenizer.from_pretrained`` takes for it."""
    model = entry(bundle.key)
    where = (
        f"core/models/{model.embedded.partition(':')[2]}" if model.embedded and model.tier == "workshop" else model.id
    )
    return model.name(get_language()), where


def _selected_line(comparison: Comparison) -> None:
    chosen = next((s for s in comparison.segments if s.unit == st.session_state[WORD] and s.unit >= 0), None)
    if chosen is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(_("Palabra elegida: «{word}»").format(word=chosen.text), width="content")
        st.button(
            _("Verla paso a paso"),
            icon=":material/steps:",
            key="tok_to_steps",
            on_click=lambda: st.session_state.update({VIEW: "steps"}),
        )


def _choose_word(word: int) -> None:
    st.session_state[WORD] = word


def show_compare(text: str, bundles: list[TokenizerBundle]) -> None:
    """The whole view."""
    comparison = with_names(compare(text, bundles))
    if comparison.replaced_surrogates:
        st.info(
            ngettext(
                "El texto traía {n} carácter partido (medio emoji, por ejemplo); lo cambiamos por �.",
                "El texto traía {n} caracteres partidos (medios emojis, por ejemplo); los cambiamos por �.",
                comparison.replaced_surrogates,
            ).format(n=comparison.replaced_surrogates)
        )
    guess_switch()
    if not guess_first(cut_question(comparison, st.session_state[WORD])):
        return
    with st.container(horizontal=True):
        ids = st.toggle(_("Números (ids)"), key=IDS, persist_state="session")
        spaces = st.toggle(_("Espacios a la vista"), key=SPACES, persist_state="session")
        marks = st.toggle(_("Marcas de diferencia"), key=MARKS, persist_state="session")
    details = {
        bundle.key: _("{algorithm} · {size} piezas · {source}").format(
            algorithm=bundle.algorithm,
            size=format_number(len(bundle.vocabulary)),
            source=source_label(bundle.source, bundle.key),
        )
        for bundle in bundles
    }
    token_view(
        comparison,
        ids=ids,
        spaces=spaces,
        marks=marks,
        selected=st.session_state[WORD] if st.session_state[WORD] >= 0 else None,
        details=details,
        key="tok_view_chips",
        on_choose=_choose_word,
    )
    _selected_line(comparison)
    share_row(
        STATE,
        code=snippet([snippet_source(bundle) for bundle in bundles], comparison.text),
        downloads=(
            Download(_("Tokens (CSV)"), "tokens.csv", "text/csv", lambda: _csv(comparison)),
            Download(_("Todo (JSON)"), "tokens.json", "application/json", lambda: _json(comparison)),
        ),
        key="tok_compare",
    )
    st.markdown("## " + _("Las cifras"))
    show_figures([row.name for row in comparison.rows], [row.figures for row in comparison.rows])
    glossary_marks("tokenization", "fertility", "unknown-token", "special-tokens", "context-window", key="g_compare")
    _show_plot(comparison)
