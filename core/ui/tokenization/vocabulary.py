"""View "Vocabulario": what the pieces are, a search through them, and what two vocabularies share."""

from typing import cast

import pandas as pd
import streamlit as st

from core.catalog import entry
from core.errors import InputInvalid
from core.i18n import format_number, format_percent, get_language, ngettext
from core.i18n import gettext as _
from core.lens import vocabulary
from core.lens.vocabulary import Kind, Mode, SearchResult, SharedPieces
from core.runtime.tokenizer import TokenizerBundle
from core.ui import charts
from core.ui.downloads import csv_bytes
from core.ui.glossary import glossary_marks
from core.ui.messages import errors_shown, plain, show_error
from core.ui.share import Download, share_row
from core.ui.tokenization.form import CASE, SEARCH, SEARCH_MODE, STATE

_EXAMPLES_SHOWN = 40


def kind_labels() -> dict[Kind, str]:
    """What each kind of piece is called."""
    return {
        "word": _("empiezan palabra"),
        "continuation": _("siguen dentro"),
        "symbol": _("signos"),
        "bytes": _("bytes sueltos"),
        "special": _("especiales"),
        "reserved": _("reservadas"),
    }


def _name(bundle: TokenizerBundle) -> str:
    return entry(bundle.key).name(get_language())


def _show_summary(bundles: list[TokenizerBundle]) -> None:
    summaries = [vocabulary.summary(bundle) for bundle in bundles]
    rows: list[tuple[str, str, list[str]]] = [
        (_("Piezas"), _("el tamaño del vocabulario"), [format_number(s.size) for s in summaries])
    ]
    explained: dict[Kind, tuple[str, str]] = {
        "word": (_("Empiezan palabra"), _("pueden ser una palabra entera o su comienzo")),
        "continuation": (_("Siguen dentro"), _("solo aparecen en medio o al final de una palabra")),
        "symbol": (_("Signos"), _("puntuación, símbolos y emojis, sin letras ni cifras")),
        "bytes": (_("Bytes sueltos"), _("trozos de un carácter")),
        "special": (_("Especiales y reservadas"), _("[CLS], <s> y huecos que nadie usó")),
    }
    for kind, (name, why) in explained.items():
        shares = [s.shares[kind] + (s.shares["reserved"] if kind == "special" else 0.0) for s in summaries]
        if any(shares):
            rows.append((name, why, [format_percent(share) for share in shares]))
    rows.append(
        (
            _("Con tilde, diéresis o ñ"),
            _("piezas que llevan alguna letra propia del español"),
            [f"{format_number(s.accented)} ({format_percent(s.accented_share)})" for s in summaries],
        )
    )
    rows.append((_("Con ñ"), _("de ellas, las que llevan ñ"), [format_number(s.enye) for s in summaries]))
    table = pd.DataFrame(
        [[f"**{name}**  \n:small[{plain(why)}]", *values] for name, why, values in rows],
        columns=[_("Cifra"), *(_name(bundle) for bundle in bundles)],
    ).set_index(_("Cifra"))
    st.table(table)


def _show_hits(bundle: TokenizerBundle, result: SearchResult) -> None:
    labels = kind_labels()
    st.markdown(f"### {_name(bundle)}")
    st.caption(
        ngettext("{n} pieza", "{n} piezas", result.total).format(n=format_number(result.total))
        + (" · " + _("se ven las {n} primeras").format(n=len(result.hits)) if result.total > len(result.hits) else "")
    )
    if result.hits:
        st.dataframe(
            pd.DataFrame(
                {
                    _("pieza"): [hit.piece for hit in result.hits],
                    _("se lee"): [hit.text for hit in result.hits],
                    _("tipo"): [labels[hit.kind] for hit in result.hits],
                    "id": [hit.id for hit in result.hits],
                }
            ),
            hide_index=True,
            height=300,
            key=f"tok_hits_{bundle.key}",
        )


def _search(bundles: list[TokenizerBundle]) -> list[tuple[TokenizerBundle, SearchResult]]:
    modes = {"prefix": _("empieza por"), "contains": _("contiene"), "regex": _("expresión regular")}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        query = st.text_input(
            _("Buscar piezas"),
            key=SEARCH,
            persist_state="session",
            help=_("«##ción» busca solo piezas que siguen dentro de una palabra."),
        )
        mode = st.segmented_control(
            _("Cómo"),
            list(modes),
            format_func=lambda key: modes[key],
            key=SEARCH_MODE,
            required=True,
            persist_state="session",
        )
        case = st.toggle(_("Distinguir mayúsculas"), key=CASE, persist_state="session")
    try:
        found = [
            (bundle, vocabulary.search(bundle, query or "", cast(Mode, mode or "contains"), case_sensitive=case))
            for bundle in bundles
        ]
    except InputInvalid as error:
        show_error(error)
        return []
    for start in range(0, len(found), 2):
        for column, (bundle, result) in zip(st.columns(2), found[start : start + 2], strict=False):
            with column:
                _show_hits(bundle, result)
    return found


def _show_shared(bundles: list[TokenizerBundle]) -> None:
    st.markdown("## " + _("Lo que comparten dos vocabularios"))
    if len(bundles) < 2:
        st.caption(_("Elige dos tokenizadores para compararlos."))
        return
    keys = [bundle.key for bundle in bundles]
    by_key = {bundle.key: bundle for bundle in bundles}
    first, second = st.columns(2)
    left = first.selectbox(_("Uno"), keys, format_func=lambda key: _name(by_key[key]), key="tok_shared_a", index=0)
    right = second.selectbox(_("Otro"), keys, format_func=lambda key: _name(by_key[key]), key="tok_shared_b", index=1)
    a, b = by_key.get(left, bundles[0]), by_key.get(right, bundles[1])
    result = vocabulary.shared(a, b, limit=_EXAMPLES_SHOWN)
    figure, alt = charts.shared_pieces(
        _name(a), _name(b), result.size_a - result.both, result.both, result.size_b - result.both
    )
    st.plotly_chart(figure, key="tok_shared_plot", alt=alt, config={"displayModeBar": False})
    note = vocabulary.case_note(result)
    if note:
        st.markdown(f":small[{plain(note)}]")
    _show_shared_examples(a, b, result)


def _show_shared_examples(a: TokenizerBundle, b: TokenizerBundle, result: SharedPieces) -> None:
    groups = [
        (_("En los dos"), result.examples_both),
        (_("Solo en {name}").format(name=_name(a)), result.examples_a),
        (_("Solo en {name}").format(name=_name(b)), result.examples_b),
    ]
    for column, (title, pieces) in zip(st.columns(3), groups, strict=True):
        with column:
            st.markdown(f"**{plain(title)}**")
            st.text("  ·  ".join(pieces) if pieces else "–")


def _code(bundles: list[TokenizerBundle], query: str) -> str:
    from core.ui.tokenization.compare import snippet_source

    listed = "".join(f"    {name!r}: {source!r},\n" for name, source in map(snippet_source, bundles))
    return (
        "from transformers import AutoTokenizer\n\n"
        f"query = {query!r}\n"
        f"sources = {{\n{listed}}}\n\n"
        "for name, source in sources.items():\n"
        "    vocabulary = AutoTokenizer.from_pretrained(source).get_vocab()\n"
        "    hits = sorted((id_, piece) for piece, id_ in vocabulary.items() if query in piece)\n"
        '    print(f"{name}: {len(vocabulary)} pieces, {len(hits)} with {query!r}")\n'
        "    print(hits[:20])\n"
    )


def show_vocabulary(bundles: list[TokenizerBundle]) -> None:
    """The whole view."""
    _show_summary(bundles)
    glossary_marks("vocabulary", "continuation-piece", "special-tokens", "cased-uncased", key="g_vocabulary")
    st.markdown("## " + _("Buscar en el vocabulario"))
    found = _search(bundles)
    with errors_shown():
        _show_shared(bundles)
    labels = kind_labels()
    download = Download(
        _("Lo encontrado (CSV)"),
        "vocabulary.csv",
        "text/csv",
        lambda: csv_bytes(
            ["tokenizer", "id", "piece", "text", "kind"],
            (
                (_name(bundle), hit.id, hit.piece, hit.text, labels[hit.kind])
                for bundle, result in found
                for hit in result.hits
            ),
        ),
    )
    share_row(
        STATE,
        code=_code(bundles, st.session_state[SEARCH]),
        downloads=(download,) if found else (),
        key="tok_vocab",
    )
