"""Part "Los tres sumandos": word + position + segment, the sum, and layer normalization, in real numbers."""

from typing import Final

import numpy as np
import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.lens.attention import Token
from core.lens.embeddings import InputEmbeddings, SumRequest
from core.ui.embeddings import plots
from core.ui.embeddings.code import sum_code
from core.ui.embeddings.files import archive
from core.ui.embeddings.readings import reading
from core.ui.embeddings.state import PICK, PIECE, SECOND, STATE, TEXT, TOKEN
from core.ui.embeddings.words import part_name, position_sentence, power_text, segment_sentence
from core.ui.glossary import glossary_marks
from core.ui.messages import plain
from core.ui.model_field import hint_language
from core.ui.share import Download, share_row
from core.ui.vector_sum import MOST_TOKENS, Patch, vector_sum

_MARKS: Final = (
    "embedding",
    "bert-three-embeddings",
    "positional-encoding",
    "residual-and-normalization",
    "special-tokens",
)


def _forget_token() -> None:
    st.session_state[TOKEN] = 1


def _choose_token(token: int) -> None:
    st.session_state[TOKEN] = token


def show_sum(item: ModelEntry) -> None:
    """The whole part."""
    first, second = st.columns([3, 2])
    text = first.text_area(
        _("Tu texto"),
        key=TEXT,
        height=80,
        persist_state="session",
        on_change=_forget_token,
        placeholder=_("Escribe o pega aquí una frase"),
    )
    other = second.text_area(
        _("Segundo texto (opcional)"),
        key=SECOND,
        height=80,
        persist_state="session",
        on_change=_forget_token,
        placeholder=_("Para ver el vector de segmento"),
    )
    hint_language(f"{text} {other}", item)
    from core.lens.embeddings import TASK

    with st.spinner(_("Calculando…"), show_time=True):
        found: InputEmbeddings = reading(TASK, SumRequest(text or "", other or ""), item.key)
    session = st.session_state
    if session[TOKEN] >= min(len(found.tokens), MOST_TOKENS):
        session[TOKEN] = min(1, len(found.tokens) - 1)
    _explain(found)
    st.caption(
        _("Pulsa un token. Pasa el ratón o el dedo por los cuadritos: cada uno es un número, y abajo está su cuenta.")
    )
    vector_sum(
        [(token.text, token.special) for token in found.tokens],
        _patches(found),
        token=session[TOKEN],
        key="em_sum",
        on_choose=_choose_token,
    )
    if len(found.tokens) > MOST_TOKENS:
        st.caption(
            _("Se dibujan los primeros {n} tokens de {all}; el archivo y el gráfico los tienen todos.").format(
                n=format_number(MOST_TOKENS), all=format_number(len(found.tokens))
            )
        )
    st.caption(
        plain(
            _(
                "La suma recalculada aquí y lo que la primera capa de {name} "
                "recibió de verdad difieren como mucho en {difference}."
            ).format(name=item.name(get_language()), difference=power_text(found.difference))
        )
    )
    left, right = st.columns(2, gap="medium")
    with left:
        _lengths(found)
    with right:
        _same_piece(found, session[TOKEN])
    _shapes(found)
    glossary_marks(*_MARKS, key="g_sum")
    share_row(
        STATE,
        code=sum_code(item, text or "", other or "", found),
        downloads=(
            Download(
                _("Los vectores (NumPy)"),
                "embeddings.npz",
                "application/octet-stream",
                lambda: archive(
                    tokens=np.array([token.text for token in found.tokens]),
                    sum=found.total,
                    **{part.kind: part.vectors for part in found.parts},
                    **({} if found.normalized is None else {"normalized": found.normalized}),
                ),
            ),
        ),
        key="em_sum_share",
    )


def _explain(found: InputEmbeddings) -> None:
    names = [part_name(part.kind) for part in found.parts]
    formula = " + ".join(rf"\mathbf{{e}}_{{\text{{{name}}}}}" for name in names)
    if found.normalized is not None:
        # On two lines: one would be too wide for a phone.
        st.latex(
            rf"\begin{{aligned}} \mathbf{{s}} &= {formula} \\ \mathbf{{x}} &= \mathrm{{LayerNorm}}(\mathbf{{s}}) "
            r"\end{aligned}"
        )
    else:
        st.latex(rf"\mathbf{{x}} = {formula}")
    said = [position_sentence(found.position_kind), segment_sentence(found.segment_kind)]
    if found.normalized is None:
        said.append(_("Tras la suma no hay normalización: este modelo normaliza dentro de cada capa."))
    if found.scale != 1:
        said.append(
            _("El vector de palabra se multiplica antes por {scale}, la raíz de su tamaño.").format(
                scale=format_number(found.scale, 2)
            )
        )
    for sentence in filter(None, said):
        st.markdown(f":material/info: {plain(sentence)}")


def _patches(found: InputEmbeddings) -> list[Patch]:
    patches = []
    for at, part in enumerate(found.parts):
        if part.kind == "word":
            notes = [f"id {row}" for row in part.rows]
        elif part.kind == "position":
            notes = [_("fila {n}").format(n=row) for row in part.rows]
        else:
            notes = [_("segmento {n}").format(n=row) for row in part.rows]
        patches.append(Patch(part_name(part.kind).capitalize(), notes, part.vectors, "+" if at else ""))
    if len(found.parts) > 1:
        patches.append(Patch(_("Suma"), [""] * len(found.tokens), found.total, "="))
    if found.normalized is not None:
        # After normalization the numbers are some ten times as large: one scale for both would hide the parts.
        patches.append(Patch("LayerNorm", [""] * len(found.tokens), found.normalized, "→", own_scale=True))
    return patches


def _lengths(found: InputEmbeddings) -> None:
    st.markdown("## " + _("Cuánto pesa cada sumando"))
    series = [(part_name(part.kind), part.vectors) for part in found.parts]
    if len(found.parts) > 1:
        series.append((_("suma"), found.total))
    values = [np.linalg.norm(vectors, axis=1).tolist() for _name, vectors in series]
    figure, alt = plots.lengths([token.text for token in found.tokens], [name for name, _vectors in series], values)
    st.plotly_chart(figure, key="em_lengths", alt=alt, config={"displayModeBar": False})


def _open_neighbours(piece: str) -> None:
    session = st.session_state
    session[PIECE], session[PICK] = piece, 0
    session["em_part"] = "neighbours"


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / max(1e-12, float(np.linalg.norm(a) * np.linalg.norm(b))))


def _same_piece(found: InputEmbeddings, at: int) -> None:
    """What the chosen token has in common with the others of this text, before and after the sum."""
    token: Token = found.tokens[at]
    st.markdown("## " + plain(_("«{token}» y los demás tokens").format(token=token.text)))
    word = found.parts[0].vectors
    entered = found.normalized if found.normalized is not None else found.total
    others = [other for other in range(len(found.tokens)) if other != at]
    others.sort(key=lambda other: -_cosine(entered[at], entered[other]))
    rows = [
        {
            _("token"): found.tokens[other].text,
            _("lugar"): other,
            _("solo palabra"): format_number(_cosine(word[at], word[other]), 3),
            _("tras la suma"): format_number(_cosine(entered[at], entered[other]), 3),
        }
        for other in others[:6]
    ]
    if rows:
        st.caption(_("Su coseno con cada uno: con el vector de palabra y con lo que entra en la capa 1."))
        st.dataframe(rows, hide_index=True)
    twins = [other for other in others if found.ids[other] == found.ids[at]]
    if twins:
        st.markdown(
            plain(
                _(
                    "«{token}» está {n} veces: su vector de palabra es idéntico y su suma ya no, porque ocupa otro "
                    "sitio."
                ).format(token=token.text, n=len(twins) + 1)
            )
            if len(found.parts) > 1
            else plain(
                _(
                    "«{token}» está {n} veces y entra con el mismo vector: el sitio lo añade después la atención."
                ).format(token=token.text, n=len(twins) + 1)
            )
        )
    st.button(
        _("Sus vecinos en todo el vocabulario"),
        icon=":material/scatter_plot:",
        on_click=_open_neighbours,
        args=(token.piece,),
        key="em_to_neighbours",
    )


def _shapes(found: InputEmbeddings) -> None:
    with st.expander(_("Las formas de los tensores"), icon=":material/data_array:"):
        n = len(found.tokens)
        rows = [("input_ids", f"(1, {n})", _("lote, tokens"))]
        for part in found.parts:
            table = f"{part.table[0]} × {part.table[1]}"
            rows.append(
                (
                    part_name(part.kind),
                    f"(1, {n}, {part.vectors.shape[1]})",
                    _("lote, tokens, tamaño; de una tabla de {table}").format(table=table),
                )
            )
        rows.append((_("entrada de la capa 1"), f"(1, {n}, {found.hidden})", _("lote, tokens, tamaño")))
        st.dataframe(
            [{_("tensor"): name, _("forma"): shape, _("qué es cada eje"): axes} for name, shape, axes in rows],
            hide_index=True,
        )
