"""Part "La misma palabra": one word in several sentences, layer by layer, in numbers and on a map."""

from typing import Final

import numpy as np
import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_number, format_percent
from core.i18n import gettext as _
from core.lens.embeddings_contexts import ContextRequest, ContextVectors, separation
from core.lens.embeddings_positions import cosines
from core.lens.projection import METHODS, Method, Projection
from core.ui import charts
from core.ui.downloads import csv_bytes
from core.ui.embeddings import plots
from core.ui.embeddings.code import contexts_code
from core.ui.embeddings.files import archive
from core.ui.embeddings.readings import projection, reading
from core.ui.embeddings.state import DIMENSIONS, LAYER, LINES, METHOD, POINTS, SEED, STATE, WORD, split_lines
from core.ui.embeddings.words import layer_name
from core.ui.glossary import glossary_marks
from core.ui.messages import errors_shown, plain
from core.ui.model_field import hint_language
from core.ui.share import Download, share_row

_MARKS: Final = ("contextual-vector", "embedding", "cosine-similarity", "hidden-state")


def show_contexts(item: ModelEntry) -> None:
    """The whole part."""
    from core.lens.embeddings_contexts import TASK

    left, right = st.columns([1, 3])
    word = left.text_input(_("La palabra"), key=WORD, persist_state="session")
    left.caption(_("Una frase por línea. Tras una barra | puedes decir qué significa en ella: da el color del mapa."))
    text = right.text_area(_("Frases con la palabra (de 2 a 24)"), key=LINES, height=210, persist_state="session")
    lines = split_lines(text or "")
    sentences, senses = [line for line, _sense in lines], [sense for _line, sense in lines]
    hint_language(" ".join(sentences), item)
    with st.spinner(_("Calculando…"), show_time=True):
        found: ContextVectors = reading(TASK, ContextRequest(word or "", tuple(sentences)), item.key)
    if found.causal:
        st.info(
            _(
                "Este modelo es un decodificador: al leer la palabra solo ha visto lo que va antes. Si las frases "
                "empiezan igual, sus vectores también serán iguales."
            ),
            icon=":material/arrow_back:",
        )
    tags = [senses[place.sentence] for place in found.places]
    last = len(found.layers) - 1
    layer = _choose_layer(last)
    one, two = st.columns([3, 2], gap="medium")
    with one:
        st.markdown("## " + _("El mapa de esta capa"))
        with errors_shown():
            _map(item, found, tags, layer, tuple(sentences), word or "")
    with two:
        st.markdown("## " + _("Capa a capa"))
        _by_layer(found, tags, layer, last)
    with st.expander(_("Qué frase es cada número"), icon=":material/format_list_numbered:"):
        for at, sentence in enumerate(sentences, 1):
            st.text(f"{at}. {sentence}")
    with st.expander(_("Todas las parejas, en números"), icon=":material/grid_on:"):
        table = cosines(found.at(layer))
        shown = [_mark(sentences[place.sentence], place.text) for place in found.places]
        figure, alt = charts.cosines(shown, table.tolist())
        st.plotly_chart(figure, key="em_context_cosines", alt=alt, config={"displayModeBar": False})
    glossary_marks(*_MARKS, key="g_contexts")
    share_row(
        STATE,
        code=contexts_code(item, sentences, found, layer),
        downloads=(
            Download(
                _("Los vectores de todas las capas (NumPy)"),
                "contexts.npz",
                "application/octet-stream",
                lambda: archive(
                    sentences=np.array([sentences[place.sentence] for place in found.places]),
                    senses=np.array(tags),
                    static=found.at(None),
                    layers=np.stack([found.at(at) for at in range(last + 1)]),
                ),
            ),
            Download(
                _("La tabla por capas (CSV)"),
                "layers.csv",
                "text/csv",
                lambda: csv_bytes(
                    ["layer", "same_sense", "different_sense", "any_two_tokens", "nearest_has_same_sense"],
                    [
                        [
                            "static" if at is None else at,
                            *_numbers(found, tags, at),
                        ]
                        for at in (None, *range(last + 1))
                    ],
                ),
            ),
        ),
        key="em_contexts_share",
    )


def _numbers(found: ContextVectors, tags: list[str], layer: int | None) -> list[float]:
    apart = separation(found.at(layer), tags)
    values = (apart.same, apart.different, found.background(layer), apart.nearest)
    return [round(float(value), 4) for value in values]


def _choose_layer(last: int) -> int | None:
    """The slider: static, input, and each layer's output; kept as 0 for static, so that a link can say it."""
    session = st.session_state
    if session[LAYER] > last + 1:
        session[LAYER] = last + 1
    names = [layer_name(None, last), *(layer_name(at, last) for at in range(last + 1))]
    chosen = st.select_slider(
        _("Capa"), list(range(last + 2)), format_func=names.__getitem__, key=LAYER, persist_state="session"
    )
    return None if not chosen else int(chosen) - 1


def _by_layer(found: ContextVectors, tags: list[str], layer: int | None, last: int) -> None:
    steps: list[int | None] = [None, *range(last + 1)]
    apart = [separation(found.at(at), tags) for at in steps]
    names = [layer_name(at, last) for at in steps]
    several = len(set(tags)) > 1
    series = []
    if not np.isnan(apart[0].same):
        series.append((_("mismo significado") if several else _("la palabra"), [one.same for one in apart]))
    if several:
        series.append((_("otro significado"), [one.different for one in apart]))
    series.append((_("dos tokens cualesquiera"), [found.background(at) for at in steps]))
    place = 0 if layer is None else layer + 1
    figure, alt = plots.layers(names, series, _("coseno medio"), place)
    st.plotly_chart(figure, key="em_layers", alt=alt, config={"displayModeBar": False})
    now = apart[place]
    if layer is None:
        st.markdown(
            _(
                "**Estático**: la fila de la palabra en la tabla del vocabulario. No mira la frase: por eso es "
                "el mismo en todas, y el coseno es 1."
            )
        )
    elif several and not np.isnan(now.nearest):
        chance = separation(found.at(None), tags).nearest
        st.markdown(
            plain(
                _(
                    "En esta capa, el {share} de las veces la frase más parecida tiene el mismo significado (al azar "
                    "sería el {chance}). Coseno con las de su significado, {same}; con las del otro, {different}."
                ).format(
                    share=format_percent(now.nearest, 0),
                    chance=format_percent(chance, 0),
                    same=format_number(now.same, 2),
                    different=format_number(now.different, 2),
                )
            )
        )
    st.caption(
        _(
            "La línea de abajo es la referencia: dos tokens cualesquiera de frases distintas. Un coseno solo dice algo "
            "por encima de ella ([Ethayarajh 2019](https://arxiv.org/abs/1909.00512))."
        )
    )


def _mark(sentence: str, word: str, most: int = 60) -> str:
    """The sentence, cut around the word where it is long."""
    if len(sentence) <= most:
        return sentence
    at = max(0, sentence.find(word) - most // 2)
    return ("…" if at else "") + sentence[at : at + most].strip() + ("…" if at + most < len(sentence) else "")


def _map(
    item: ModelEntry, found: ContextVectors, tags: list[str], layer: int | None, sentences: tuple[str, ...], word: str
) -> None:
    session = st.session_state
    one, two, three = st.columns([2, 2, 3])
    method: Method = (
        one.segmented_control(
            _("Proyección"),
            list(METHODS),
            format_func=lambda key: {"pca": "PCA", "tsne": "t-SNE"}[key],
            key=METHOD,
            required=True,
            persist_state="session",
        )
        or "pca"
    )
    dimensions = two.segmented_control(
        _("Dimensiones"), [2, 3], format_func=lambda n: f"{n}-D", key=DIMENSIONS, required=True, persist_state="session"
    )
    points = three.segmented_control(
        _("Puntos"),
        ["word", "all"],
        format_func=lambda key: {"word": _("la palabra"), "all": _("todos")}[key],
        key=POINTS,
        required=True,
        persist_state="session",
        wrap=True,
        help=_("Los de la palabra, o los de todos los tokens de las frases."),
    )
    if method == "tsne":
        one.number_input(
            _("Semilla"), 0, 99, step=1, key=SEED, persist_state="session", help=_("Cámbiala: el dibujo será otro.")
        )
    table = found.static if layer is None else found.layers[layer]
    vectors, labels, hovers, groups, faint = found.at(layer), [], [], [], []
    for place, tag in zip(found.places, tags, strict=True):
        labels.append(str(place.sentence + 1))
        hovers.append(f"{place.sentence + 1}. {sentences[place.sentence]}")
        groups.append(tag)
        faint.append(False)
    if points == "all":
        taken = {at for place in found.places for at in place.tokens}
        rest = [at for at, token in enumerate(found.tokens) if at not in taken and not token.special]
        vectors = np.concatenate([vectors, table[rest]])
        for at in rest:
            labels.append("")
            hovers.append(f"{found.tokens[at].text} · {found.sentence_of[at] + 1}. {sentences[found.sentence_of[at]]}")
            groups.append(_("otros tokens"))
            faint.append(True)
    if layer is None and points != "all":
        st.info(
            _(
                "Los vectores estáticos de la palabra son todos el mismo punto: no hay nada que proyectar. Mueve la "
                "capa, o enseña todos los tokens."
            ),
            icon=":material/adjust:",
        )
        return
    name = (word, sentences, layer, points)
    with st.spinner(_("Calculando…")):
        seed = int(session[SEED] or 0)
        shown: Projection = projection(item.key, name, vectors, int(dimensions or 2), method, seed)
    figure, alt = plots.scatter(shown, labels, hovers, groups, faint)
    st.plotly_chart(figure, key="em_map", alt=alt, config={"displayModeBar": False})
    _what_it_says(shown, int(found.layers.shape[2]))


def _what_it_says(shown: Projection, width: int) -> None:
    """How much of the truth the map holds, in numbers, and what it can't say."""
    kept = _(
        "De los {k} vecinos más cercanos de cada punto en {width} dimensiones, el {share} siguen siéndolo en el dibujo."
    ).format(k=shown.k, width=format_number(width), share=format_percent(shown.kept, 0))
    with st.container(border=True):
        if shown.method == "pca":
            st.markdown(
                plain(
                    _(
                        "PCA mira los puntos desde donde más se separan. El dibujo enseña el {share} de su varianza."
                    ).format(share=format_percent(sum(shown.explained), 0))
                    + " "
                    + kept
                )
            )
            st.markdown(
                _(
                    "Lo que no se ve también cuenta: dos puntos juntos en el dibujo pueden estar lejos en las "
                    "dimensiones que faltan."
                )
            )
        else:
            st.markdown(
                plain(
                    _("t-SNE (perplejidad {perplexity}) intenta conservar los vecinos de cada punto.").format(
                        perplexity=format_number(shown.perplexity, 1)
                    )
                    + " "
                    + kept
                )
            )
            st.markdown(
                _(
                    "Sus ejes, el tamaño de los grupos y la distancia entre ellos **no significan nada**, y con pocos "
                    "puntos se ven grupos donde no los hay "
                    "([van der Maaten y Hinton 2008](https://www.jmlr.org/papers/v9/vandermaaten08a.html); "
                    "[Wattenberg et al. 2016](https://distill.pub/2016/misread-tsne/)). Cambia la semilla y compara."
                )
            )
