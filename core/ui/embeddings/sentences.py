"""Part "[CLS] o la media": which vector of a sentence finds its paraphrase."""

from typing import Final

import streamlit as st

from core.catalog import ModelEntry
from core.errors import InputInvalid
from core.i18n import format_number, format_percent, get_language
from core.i18n import gettext as _
from core.lens.embeddings_pooling import PoolingRequest, Retrieval
from core.ui.downloads import csv_bytes
from core.ui.embeddings import plots
from core.ui.embeddings.code import pooling_code
from core.ui.embeddings.readings import reading
from core.ui.embeddings.state import PAIRS, STATE, split_lines
from core.ui.embeddings.words import pooling_name
from core.ui.glossary import glossary_marks
from core.ui.messages import plain
from core.ui.model_field import hint_language
from core.ui.share import Download, share_row

_MARKS: Final = ("cls-pooling", "cosine-similarity", "contextual-vector", "special-tokens")


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    lines = split_lines(text)
    lonely = [str(at) for at, (_first, second) in enumerate(lines, 1) if not second]
    if lonely:
        raise InputInvalid(
            _("Falta la barra | o la segunda frase en estas líneas: {numbers}. Escribe: frase | paráfrasis.").format(
                numbers=", ".join(lonely[:10])
            )
        )
    return tuple(lines)


def show_sentences(item: ModelEntry) -> None:
    """The whole part."""
    from core.lens.embeddings_pooling import TASK

    st.markdown(
        _(
            "El modelo da un vector por token. Para comparar frases hace falta **uno por frase**: ¿el de [CLS], la "
            "media de todos…? Aquí cada frase busca su paráfrasis entre las de todas las demás."
        )
    )
    with st.expander(_("Las parejas: frase | paráfrasis, una por línea (de 3 a 40)"), icon=":material/edit_note:"):
        st.text_area(_("Parejas"), key=PAIRS, height=260, persist_state="session", label_visibility="collapsed")
    pairs = _pairs(st.session_state[PAIRS] or "")
    hint_language(" ".join(first for first, _second in pairs), item)
    with st.spinner(_("Calculando…"), show_time=True):
        found: tuple[Retrieval, ...] = reading(TASK, PoolingRequest(pairs), item.key)
    names = [pooling_name(one.pooling) for one in found]
    for column, one, name in zip(st.columns(len(found)), found, names, strict=True):
        with column.container(border=True):
            st.metric(
                name[:1].upper() + name[1:],
                format_percent(one.first, 0),
                help=_("Cuántas frases tienen a su paráfrasis como la más cercana de todas."),
            )
            st.markdown(
                ":small["
                + plain(
                    _("halladas a la primera; parejas {pairs}, las demás {others}").format(
                        pairs=format_number(one.pairs, 2), others=format_number(one.others, 2)
                    )
                )
                + "]"
            )
    st.markdown("## " + _("¿Se separan las parejas de las demás?"))
    figure, alt = plots.pair_cosines(found, names)
    st.plotly_chart(figure, key="em_pair_cosines", alt=alt, config={"displayModeBar": False})
    _read(found, item)
    _misses(found, pairs)
    with st.expander(_("Todas las medidas"), icon=":material/table:"):
        st.dataframe(
            [
                {
                    _("vector de la frase"): name,
                    _("a la primera"): format_percent(one.first, 0),
                    "MRR": round(one.reciprocal, 3),
                    _("coseno de las parejas"): round(one.pairs, 3),
                    _("coseno de las demás"): round(one.others, 3),
                    "AUC": round(one.above, 3),
                }
                for one, name in zip(found, names, strict=True)
            ],
            hide_index=True,
        )
        st.caption(
            _(
                "MRR: media de 1 entre el puesto de la paráfrasis. AUC: probabilidad de que una pareja tenga más "
                "coseno que una que no lo es (0,5 es el azar)."
            )
        )
    glossary_marks(*_MARKS, key="g_sentences")
    share_row(
        STATE,
        code=pooling_code(item, pairs, [one.pooling for one in found]),
        downloads=(
            Download(
                _("Los puestos (CSV)"),
                "ranks.csv",
                "text/csv",
                lambda: csv_bytes(
                    ["sentence", "paraphrase", *(f"rank_{one.pooling}" for one in found)],
                    [[a, b, *(one.ranks[at] for one in found)] for at, (a, b) in enumerate(pairs)],
                ),
            ),
        ),
        key="em_sentences_share",
    )


def _read(found: tuple[Retrieval, ...], item: ModelEntry) -> None:
    """What the numbers say, of this model and no other."""
    by_name = {one.pooling: one for one in found}
    mean, cls = by_name["mean"], by_name.get("cls")
    reader = get_language()
    if cls is not None:
        st.markdown(
            plain(
                _(
                    "En {name}, dos frases que no tienen nada que ver tienen un coseno medio de {cls} con [CLS] y de "
                    "{mean} con la media: mira cuánto sitio queda entre los círculos y los rombos."
                ).format(name=item.name(reader), cls=format_number(cls.others, 2), mean=format_number(mean.others, 2))
            )
        )
    with st.container(border=True):
        st.markdown(
            _(
                "Ningún vector de frase es bueno por sí mismo: lo es el que se **entrenó** para comparar. "
                "Los modelos de sentence-transformers suelen entrenarse con la media; un BERT sin afinar, para "
                "comparar, con ninguno ([Reimers y Gurevych 2019](https://arxiv.org/abs/1908.10084))."
            )
        )


def _misses(found: tuple[Retrieval, ...], pairs: tuple[tuple[str, str], ...]) -> None:
    """What each way gets wrong: the sentence, and what it took for its paraphrase."""
    wrong = [(one, at) for one in found for at, rank in enumerate(one.ranks) if rank > 1]
    if not wrong:
        st.caption(_("Ninguno se equivoca con estas parejas: añade otras más parecidas entre sí."))
        return
    with st.expander(_("Los errores, uno a uno"), icon=":material/error_outline:", expanded=False):
        st.dataframe(
            [
                {
                    _("vector de la frase"): pooling_name(one.pooling),
                    _("frase"): pairs[at][0],
                    _("más cercana según él"): pairs[int(one.matrix[at].argmax())][1],
                    _("su paráfrasis"): pairs[at][1],
                    _("puesto"): one.ranks[at],
                }
                for one, at in wrong
            ],
            hide_index=True,
        )
