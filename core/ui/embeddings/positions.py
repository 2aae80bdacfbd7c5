"""Part "Posiciones": how alike the vectors of two positions are, learnt or fixed; and RoPE, which has none."""

from typing import Final, cast

import numpy as np
import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.lens.embeddings_positions import PositionRequest, PositionVectors, cosines, rotary_similarity, sinusoids
from core.ui.embeddings import plots
from core.ui.embeddings.code import positions_code, sinusoids_code
from core.ui.embeddings.files import archive
from core.ui.embeddings.readings import reading
from core.ui.embeddings.state import ANCHOR, COUNT, COUNTS, SCHEME, SCHEMES, STATE
from core.ui.embeddings.words import position_sentence
from core.ui.glossary import glossary_marks
from core.ui.messages import plain
from core.ui.share import Download, share_row

_MARKS: Final = ("positional-encoding", "bert-three-embeddings", "cosine-similarity", "context-window")
# The width that the fixed vectors are drawn with where the model adds none of its own.
_WIDTH: Final = 384


def show_positions(item: ModelEntry) -> None:
    """The whole part."""
    from core.lens.embeddings_positions import TASK

    session = st.session_state
    left, middle, right = st.columns([1, 2, 2], vertical_alignment="bottom")
    count = left.selectbox(
        _("Cuántas posiciones"), list(COUNTS), format_func=format_number, key=COUNT, persist_state="session"
    )
    scheme = middle.segmented_control(
        _("Qué vectores"),
        list(SCHEMES),
        format_func=lambda key: _(SCHEMES[key]),
        key=SCHEME,
        required=True,
        persist_state="session",
    )
    with st.spinner(_("Calculando…"), show_time=True):
        found: PositionVectors = reading(TASK, PositionRequest(int(count)), item.key)
    own = scheme != "sine"
    if own and not len(found.vectors):
        _without(item, found, int(count))
        return
    vectors = found.vectors if own else sinusoids(int(count), found.vectors.shape[1] if len(found.vectors) else _WIDTH)
    shown = len(vectors)
    if session[ANCHOR] >= shown:
        session[ANCHOR] = shown - 1
    anchor = int(
        right.slider(_("Comparar con la posición"), 0, shown - 1, key=ANCHOR, persist_state="session")
        if shown > 1
        else 0
    )
    matrix = cosines(vectors)
    name = item.name(get_language())
    if own:
        st.markdown(
            plain(
                _(
                    "La tabla de posiciones de {name} tiene {rows} filas de {width} números. Cada punto del mapa es el "
                    "coseno de dos de ellas: cerca de la diagonal, posiciones vecinas."
                ).format(name=name, rows=format_number(found.table[0]), width=format_number(found.table[1]))
            )
        )
        if position_sentence(found.kind):
            st.markdown(f":material/info: {plain(position_sentence(found.kind))}")
    else:
        st.markdown(
            _(
                "El transformer de 2017 no aprendía las posiciones: las escribía con senos y cosenos de muchas "
                "frecuencias. El parecido depende solo de la distancia: por eso las bandas son rectas."
            )
        )
        st.latex(
            r"\begin{aligned} PE_{(pos,\,2i)} &= \sin\!\left(\frac{pos}{10000^{2i/d}}\right) \\ "
            r"PE_{(pos,\,2i+1)} &= \cos\!\left(\frac{pos}{10000^{2i/d}}\right) \end{aligned}"
        )
    if shown < int(count):
        st.caption(_("Este modelo tiene {n} posiciones: no lee textos más largos.").format(n=format_number(shown)))
    figure, alt = plots.similarity_map(matrix, anchor)
    one, two = st.columns([3, 2], gap="medium")
    with one:
        st.plotly_chart(figure, key="em_positions_map", alt=alt, config={"displayModeBar": False})
    with two:
        st.markdown("## " + _("La posición {n} y las demás").format(n=format_number(anchor)))
        row = [float(value) for value in matrix[anchor]]
        figure, alt = plots.curve(range(shown), row, _("posición"), _("coseno"), anchor)
        st.plotly_chart(figure, key="em_positions_curve", alt=alt, config={"displayModeBar": False})
        _facts(matrix, anchor)
    glossary_marks(*_MARKS, key="g_positions")
    code = positions_code(item, found, shown, anchor) if own else sinusoids_code(shown, int(vectors.shape[1]), anchor)
    share_row(
        STATE,
        code=code,
        downloads=(
            Download(
                _("Los vectores y el mapa (NumPy)"),
                "positions.npz",
                "application/octet-stream",
                lambda: archive(vectors=vectors, cosines=matrix),
            ),
        ),
        key="em_positions_share",
    )


def _facts(matrix: np.ndarray, anchor: int) -> None:
    row = matrix[anchor].astype(np.float64).copy()
    row[anchor] = -np.inf
    nearest = [int(place) for place in np.argsort(-row, kind="stable")[:3]]
    st.markdown(
        _("Las más parecidas: {positions}.").format(
            positions=", ".join(f"**{place}** ({format_number(float(row[place]), 2)})" for place in nearest)
        )
    )
    with st.container(border=True):
        st.markdown(
            _(
                "El parecido solo dice hacia dónde apuntan los vectores. Cómo usa el orden el modelo lo deciden "
                "después las matrices de la atención ([Wang y Chen 2020](https://arxiv.org/abs/2010.04903))."
            )
        )


def _without(item: ModelEntry, found: PositionVectors, count: int) -> None:
    """A model that adds no position vectors: what it does instead."""
    st.info(plain(position_sentence(found.kind)), icon=":material/info:")
    if found.kind != "rotary":
        st.markdown(_("Para ver un mapa, elige los senos y cosenos de 2017 o un modelo como BERT o GPT-2."))
        return
    pairs = format_number(len(found.frequencies))
    st.markdown(
        plain(
            _(
                "RoPE agrupa los números de cada consulta y cada clave en {pairs} parejas y gira cada pareja un ángulo "
                "proporcional a la posición, unas deprisa y otras despacio. Al multiplicarlas, solo cuenta la "
                "diferencia de ángulos: la distancia."
            ).format(pairs=pairs)
        )
    )
    st.latex(r"\langle R_m q,\; R_n k \rangle = \langle q,\; R_{n-m}\, k \rangle")
    values = rotary_similarity(found.frequencies, range(count))
    st.markdown("## " + _("Qué queda del producto de dos vectores iguales según su distancia"))
    figure, alt = plots.curve(range(count), values.tolist(), _("distancia en tokens"), _("lo que queda (1 = todo)"))
    st.plotly_chart(figure, key="em_rotary_curve", alt=alt, config={"displayModeBar": False})
    st.caption(
        _(
            "Calculado con las frecuencias del modelo, para vectores con la misma longitud en cada pareja. "
            "Fuente: [Su et al. 2021](https://arxiv.org/abs/2104.09864)."
        )
    )
    glossary_marks("positional-encoding", "query-key-value", key="g_rotary")
    share_row(
        STATE,
        code=positions_code(item, found, count, 0),
        downloads=(
            Download(
                _("La curva (NumPy)"),
                "rope.npz",
                "application/octet-stream",
                lambda: archive(frequencies=found.frequencies, left=cast(np.ndarray, values)),
            ),
        ),
        key="em_rotary_share",
    )
