"""View "Corpus": the figures of up to 2 MB of text, its distribution, and the worst-cut words."""

import hashlib
from dataclasses import asdict

import pandas as pd
import streamlit as st

from core.catalog import entry
from core.i18n import format_number, get_language, ngettext
from core.i18n import gettext as _
from core.lens.corpus import MAX_BYTES, CorpusReport, analyse, read_upload, word_table
from core.runtime.tokenizer import TokenizerBundle
from core.ui import charts
from core.ui.downloads import csv_bytes, json_bytes
from core.ui.glossary import glossary_marks
from core.ui.resources import tokenizer_store
from core.ui.share import Download, share_row
from core.ui.tokenization.compare import show_figures, snippet_source
from core.ui.tokenization.form import STATE


@st.cache_resource(max_entries=12, show_spinner=False)
def _report(digest: str, key: str, _text: str, _key_source: str) -> CorpusReport:
    """One tokenizer's report on one corpus, computed once for a room that analyses the same file."""
    return analyse(_text, tokenizer_store().get(key))


def _names(reports: list[CorpusReport]) -> list[str]:
    return [entry(report.key).name(get_language()) for report in reports]


def _show_worst(reports: list[CorpusReport]) -> None:
    st.markdown("## " + _("Las diez palabras peor cortadas"))
    for start in range(0, len(reports), 2):
        pair = reports[start : start + 2]
        for column, report, name in zip(st.columns(2), pair, _names(pair), strict=False):
            with column:
                st.markdown(f"### {name}")
                if not report.worst:
                    st.caption(_("Ninguna: todas las palabras son un solo token."))
                    continue
                st.dataframe(
                    pd.DataFrame(
                        {
                            _("palabra"): [cut.word for cut in report.worst],
                            _("tokens"): [len(cut.tokens) for cut in report.worst],
                            _("piezas"): [" | ".join(cut.tokens) for cut in report.worst],
                            _("veces"): [cut.count for cut in report.worst],
                        }
                    ),
                    hide_index=True,
                    key=f"tok_worst_{report.key}",
                )


def _words_csv(reports: list[CorpusReport]) -> bytes:
    return csv_bytes(
        ["word", "count", *(f"tokens: {name}" for name in _names(reports))],
        ((row.word, row.count, *row.tokens) for row in word_table(reports)),
    )


def _figures_json(reports: list[CorpusReport]) -> bytes:
    return json_bytes(
        [
            {
                "tokenizer": name,
                "model": entry(report.key).id,
                "lines": report.lines,
                **asdict(report.figures),
            }
            for name, report in zip(_names(reports), reports, strict=True)
        ]
    )


def _code(bundles: list[TokenizerBundle]) -> str:
    listed = "".join(f"    {name!r}: {source!r},\n" for name, source in map(snippet_source, bundles))
    return (
        "from transformers import AutoTokenizer\n\n"
        'lines = open("corpus.txt", encoding="utf-8").read().split("\\n")\n'
        f"sources = {{\n{listed}}}\n\n"
        "for name, source in sources.items():\n"
        "    tokenizer = AutoTokenizer.from_pretrained(source)\n"
        '    ids = tokenizer(lines, add_special_tokens=False)["input_ids"]\n'
        '    print(f"{name}: {sum(map(len, ids))} tokens")\n'
    )


def show_corpus(text: str, bundles: list[TokenizerBundle]) -> None:
    """The whole view.

    Args:
        text: what stands in the form; used unless a file was uploaded.
        bundles: the tokenizers.
    """
    upload = st.file_uploader(
        _("Sube un archivo .txt en UTF-8 de hasta 2 MB, o pega el texto arriba"),
        type=["txt"],
        max_upload_size=MAX_BYTES // 2**20,
        key="tok_upload",
    )
    corpus = read_upload(upload.getvalue(), upload.name) if upload else text
    digest = hashlib.sha256(corpus.encode("utf-8", "surrogatepass")).hexdigest()
    reports: list[CorpusReport] = []
    bar = st.progress(0.0, text=_("Analizando…"))
    for number, bundle in enumerate(bundles):
        bar.progress(
            number / len(bundles),
            text=_("Analizando con {name}…").format(name=entry(bundle.key).name(get_language())),
        )
        reports.append(_report(digest, bundle.key, corpus, bundle.source))
    bar.empty()
    figures = reports[0].figures
    parts = [
        ngettext("{n} carácter", "{n} caracteres", figures.characters).format(n=format_number(figures.characters)),
        ngettext("{n} palabra", "{n} palabras", figures.words).format(n=format_number(figures.words)),
        ngettext("{n} distinta", "{n} distintas", reports[0].distinct_words).format(
            n=format_number(reports[0].distinct_words)
        ),
        ngettext("{n} línea", "{n} líneas", reports[0].lines).format(n=format_number(reports[0].lines)),
    ]
    st.caption(" · ".join(parts))
    show_figures(_names(reports), [report.figures for report in reports], corpus=True)
    if figures.words:
        st.markdown("## " + _("Tokens por palabra"))
        figure, alt = charts.tokens_per_word(_names(reports), [report.figures.tokens_per_word for report in reports])
        st.plotly_chart(figure, key="tok_corpus_plot", alt=alt, config={"displayModeBar": False})
        _show_worst(reports)
    glossary_marks("fertility", "proportion-of-continued-words", "unknown-token", key="g_corpus")
    share_row(
        STATE,
        code=_code(bundles),
        downloads=(
            Download(_("Todas las palabras (CSV)"), "words.csv", "text/csv", lambda: _words_csv(reports)),
            Download(_("Las cifras (JSON)"), "figures.json", "application/json", lambda: _figures_json(reports)),
        ),
        key="tok_corpus_share",
    )
