"""Part "Vecinos": the nearest pieces of the vocabulary, by three measures, and what anisotropy does to them."""

from typing import Final

import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_number
from core.i18n import gettext as _
from core.lens.embeddings_neighbours import MEASURES, Measure, NeighbourRequest, Neighbours
from core.ui.downloads import csv_bytes
from core.ui.embeddings import plots
from core.ui.embeddings.code import neighbours_code
from core.ui.embeddings.readings import reading
from core.ui.embeddings.state import MEASURE, PICK, PIECE, SPECIAL, STATE
from core.ui.embeddings.words import measure_name
from core.ui.glossary import glossary_marks
from core.ui.messages import plain
from core.ui.share import Download, share_row

_MARKS: Final = ("embedding", "cosine-similarity", "vocabulary", "tokenization")


def _forget_pick() -> None:
    st.session_state[PICK] = 0


def show_neighbours(item: ModelEntry) -> None:
    """The whole part."""
    from core.lens.embeddings_neighbours import TASK

    session = st.session_state
    left, middle = st.columns([2, 3])
    text = left.text_input(
        _("Una palabra o pieza"),
        key=PIECE,
        persist_state="session",
        on_change=_forget_pick,
        placeholder=_("Escribe una palabra, o una pieza como ##ing"),
    )
    measure = middle.segmented_control(
        _("Cómo se mide"),
        list(MEASURES),
        format_func=measure_name,
        key=MEASURE,
        required=True,
        persist_state="session",
        wrap=True,
        help=_(
            "El coseno mira solo la dirección. El producto escalar también la longitud. «Sin la media» resta antes a "
            "todos el vector medio del vocabulario (Mu y Viswanath 2018)."
        ),
    )
    special = left.toggle(_("Incluir piezas especiales y sin usar"), key=SPECIAL, persist_state="session")
    kind: Measure = measure or "cosine"
    with st.spinner(_("Calculando…"), show_time=True):
        found: Neighbours = reading(
            TASK, NeighbourRequest(text or "", session[PICK], kind, 15, bool(special)), item.key
        )
    if len(found.pieces) > 1:
        st.markdown(
            plain(
                _(
                    "El modelo no tiene «{text}» como una sola pieza: la corta en {n}. Elige de cuál quieres los "
                    "vecinos:"
                ).format(text=(text or "").strip()[:60], n=len(found.pieces))
            )
        )
        if session[PICK] >= len(found.pieces):
            session[PICK] = 0
        st.segmented_control(
            _("Pieza"),
            range(len(found.pieces)),
            format_func=lambda at: plain(found.pieces[at][1]),
            key=PICK,
            required=True,
            persist_state="session",
            label_visibility="collapsed",
            wrap=True,
        )
    number, piece = found.pieces[found.pick]
    st.markdown(
        plain(
            _("Vecinos de «{piece}» (id {id}, longitud {norm}) entre {n} piezas, en {ms} ms.").format(
                piece=piece,
                id=number,
                norm=format_number(found.norm, 2),
                n=format_number(found.vocabulary),
                ms=format_number(found.milliseconds),
            )
        )
    )
    one, two = st.columns([3, 2], gap="medium")
    with one:
        values = [getattr(near, kind) for near in found.found]
        figure, alt = plots.neighbour_bars([near.piece for near in found.found], values, measure_name(kind))
        st.plotly_chart(figure, key="em_neighbours", alt=alt, config={"displayModeBar": False})
    with two:
        _anisotropy(found, piece)
    with st.expander(_("Las tres medidas y la longitud de cada vecino"), icon=":material/table:"):
        st.dataframe(
            [
                {
                    "id": near.id,
                    _("pieza"): near.piece,
                    **{measure_name(name): round(getattr(near, name), 3) for name in MEASURES},
                    _("longitud"): round(near.norm, 2),
                }
                for near in found.found
            ],
            hide_index=True,
        )
    glossary_marks(*_MARKS, key="g_neighbours")
    rows = [[near.id, near.piece, near.cosine, near.dot, near.centred, near.norm] for near in found.found]
    share_row(
        STATE,
        code=neighbours_code(item, found, kind, bool(special)),
        downloads=(
            Download(
                _("Los vecinos (CSV)"),
                "neighbours.csv",
                "text/csv",
                lambda: csv_bytes(["id", "piece", "cosine", "dot", "cosine_without_mean", "norm"], rows),
            ),
        ),
        key="em_neighbours_share",
    )


def _anisotropy(found: Neighbours, piece: str) -> None:
    st.markdown("## " + plain(_("¿Cuánto es «cerca»? «{piece}» y todo el vocabulario").format(piece=piece)))
    marks = [(_("media de todos los pares"), found.mean_cosine)]
    if found.found:
        marks.append((_("vecino 15") if len(found.found) == 15 else _("último vecino"), found.found[-1].cosine))
    figure, alt = plots.spread(found.edges, found.counts, marks)
    st.plotly_chart(figure, key="em_spread", alt=alt, config={"displayModeBar": False})
    st.markdown(
        plain(
            _(
                "Dos piezas cualesquiera de esta tabla tienen de media un coseno de {mean}; sin el vector medio, de "
                "{centred}. El vector medio mide {shared} y una pieza, de media, {norm}."
            ).format(
                mean=format_number(found.mean_cosine, 3),
                centred=format_number(found.mean_centred, 3),
                shared=format_number(found.shared, 2),
                norm=format_number(found.mean_norm, 2),
            )
        )
    )
    with st.container(border=True):
        st.markdown(
            _(
                "Si todos los vectores apuntan hacia un mismo lado, hasta lo que no tiene nada que ver tiene un coseno "
                "alto: eso es la **anisotropía**. Por eso un coseno de 0,6 no dice nada sin la media de al lado "
                "([Gao et al. 2019](https://arxiv.org/abs/1907.12009); "
                "[Mu y Viswanath 2018](https://arxiv.org/abs/1702.01417))."
            )
        )
