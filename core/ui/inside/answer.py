"""View "La respuesta": what comes out at the end, and, for models that write, one token after another."""

from collections.abc import Callable
from typing import Final

import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_number, format_percent
from core.i18n import gettext as _
from core.lens.forward_reading import Candidate, Outline
from core.ui import charts
from core.ui.downloads import csv_bytes
from core.ui.glossary import glossary_marks
from core.ui.heat import number
from core.ui.inside import readings
from core.ui.inside.code import code
from core.ui.inside.guess import gap_question, guessed, label_question, next_question
from core.ui.inside.state import ROW, STATE, STEP, VIEW, forget_cell, request, write
from core.ui.inside.walk import agreement_text, token_names
from core.ui.messages import plain
from core.ui.share import Download, share_row
from core.ui.tasks.sentiment import label_name

_BUTTONS: Final = 5
_WHERE: Final = "in_answer_row"


def _visible(text: str) -> str:
    return text.replace(" ", "␣") if text.strip() == "" else text


def _open_end(step: str) -> None:
    st.session_state[VIEW], st.session_state[STEP] = "walk", step
    forget_cell()


def _bars(candidates: tuple[Candidate, ...], key: str, name: Callable[[str], str] = _visible) -> None:
    figure, alt = charts.shares([name(item.text) for item in candidates], [item.probability for item in candidates])
    st.plotly_chart(figure, key=key, alt=alt, config={"displayModeBar": False})


def table_bytes(outline: Outline) -> bytes:
    """All candidates as CSV: row, token, rank, id, answer, probability."""
    names = token_names(outline.rows)
    rows = [
        [row, names[row] if row < len(names) else "", rank, item.id, item.text, round(item.probability, 6)]
        for row, items in outline.candidates.items()
        for rank, item in enumerate(items, 1)
    ]
    return csv_bytes(["row", "token", "rank", "id", "answer", "probability"], rows)


def show_answer(item: ModelEntry) -> None:
    """Draws the view."""
    wanted = request()
    with st.spinner(_("Recorriendo el modelo…"), show_time=True):
        outline = readings.outline(item.key, wanted)
    last = outline.steps[-1]
    head = next((step for step in outline.steps if step.id == "head.probabilities"), last)
    if not outline.detailed:
        st.info(
            _("El texto es demasiado largo para calcular aquí cada valor: acórtalo a {n} tokens.").format(
                n=format_number(64)
            ),
            icon=":material/straighten:",
        )
        return
    if item.architecture != "encoder" and outline.candidates:
        shown = _show_writing(item, outline)
    elif not outline.candidates or "vocabulary" not in head.axes:
        shown = _show_judgement(item, outline)
    else:
        shown = _show_gaps(item, outline)
    if not shown:
        return
    st.button(
        _("Ver el paso que lo calcula"), icon=":material/route:", key="in_open_end", on_click=_open_end, args=(head.id,)
    )
    agreement = agreement_text(outline)
    if agreement:
        st.caption(":material/verified: " + plain(agreement))
    glossary_marks(
        *(
            ("causal-language-model", "causal-attention", "shifted-input")
            if item.architecture != "encoder"
            else ("body-and-head", "masked-language-modelling" if "vocabulary" in head.axes else "cls-pooling")
        ),
        key="in_answer_terms",
    )
    found = readings.values(item.key, wanted, head.id, None)
    rows = max(0, found.values.shape[0] - 1) if found.values.ndim > 1 else 0
    share_row(
        STATE,
        code=code(item, wanted, found, outline.written, 0, rows),
        downloads=(
            (Download(_("Los candidatos (CSV)"), "candidates.csv", "text/csv", lambda: table_bytes(outline)),)
            if outline.candidates
            else ()
        ),
        key="in_answer",
    )


def _show_writing(item: ModelEntry, outline: Outline) -> bool:
    """The distribution of the next token, and the buttons that write it; whether it was shown or asked first."""
    st.header(_("¿Qué token viene ahora?"), anchor=False)
    st.markdown(
        _(
            "El modelo da una probabilidad a cada pieza de su vocabulario. Elige una: se añade al final y todo el pase "
            "se repite con un token más. Así escribe un modelo, de token en token."
        )
    )
    st.markdown(_("**Escrito hasta ahora** ({n} tokens)").format(n=len(outline.written)))
    st.text(outline.answer or _("todavía nada"))
    candidates = outline.candidates[len(outline.rows) - 1]
    question = next_question(item, request(), candidates)
    if question is not None and not guessed(question):
        return False
    _bars(candidates, "in_next")
    with st.container(horizontal=True):
        for rank, candidate in enumerate(candidates[:_BUTTONS]):
            st.button(
                plain(_("Añadir «{piece}»").format(piece=_visible(candidate.text))),
                key=f"in_add_{rank}",
                type="primary" if rank == 0 else "secondary",
                on_click=write,
                args=((*outline.written, candidate.id),),
            )
    with st.container(horizontal=True):
        st.button(
            _("Quitar el último"),
            icon=":material/undo:",
            key="in_undo",
            disabled=not outline.written,
            on_click=write,
            args=(outline.written[:-1],),
        )
        st.button(
            _("Desde cero"),
            icon=":material/restart_alt:",
            key="in_restart",
            disabled=not outline.written,
            on_click=write,
            args=((),),
        )
        if any(step.block == "cross" for step in outline.steps):
            st.button(
                _("Escribir hasta el final"),
                icon=":material/fast_forward:",
                key="in_auto",
                on_click=write,
                args=(None,),
            )
    if outline.ended:
        st.markdown(
            ":material/flag: " + _("El token más probable, o el último escrito, es el de fin: aquí pararía el modelo.")
        )
    if outline.kept is not None:
        st.markdown(
            ":material/lock_clock: "
            + plain(
                _(
                    "El último token escrito cambió los vectores finales de los anteriores en {n} como mucho (lo que "
                    "redondea la máquina): por la máscara causal no lo ven. Por eso al generar se guardan sus claves y "
                    "valores (KV cache) y solo se calcula la fila nueva."
                ).format(n=number(outline.kept))
            )
        )
    return True


def _show_gaps(item: ModelEntry, outline: Outline) -> bool:
    """What an encoder with a language-modelling head bets on, for one token; whether it was shown or asked first."""
    st.header(_("¿Qué palabra pondría aquí?"), anchor=False)
    names = token_names(outline.rows)
    masked = next((at for at, token in enumerate(outline.rows) if token.special and "mask" in token.text.lower()), None)
    default = masked if masked is not None else min(1, len(names) - 1)
    row = st.session_state[ROW] if 0 <= st.session_state[ROW] < len(names) else default
    st.session_state[_WHERE] = row
    st.selectbox(
        _("Token"),
        list(range(len(names))),
        format_func=lambda at: f"{at + 1}. {names[at]}",
        key=_WHERE,
        on_change=lambda: st.session_state.update({ROW: st.session_state[_WHERE]}),
    )
    if masked is None:
        st.caption(_("Escribe [MASK] donde quieras un hueco; en los demás tokens el modelo suele repetir lo que lee."))
    # Of a token that can be read, there is nothing to guess.
    question = gap_question(item, request(), row, names[row], outline.candidates[row]) if row == masked else None
    if question is not None and not guessed(question):
        return False
    _bars(outline.candidates[row], "in_gap")
    return True


def _show_judgement(item: ModelEntry, outline: Outline) -> bool:
    """Labels of the text or of each token, or the vector of the sentence; whether it was shown or asked first."""
    if not outline.candidates:
        if outline.step("head.unit") is not None:
            st.header(_("El vector de la frase"), anchor=False)
            st.markdown(
                _(
                    "Este modelo no tiene cabeza que prediga palabras o clases: su respuesta es un vector de {n} "
                    "números, "
                    "la media de los tokens con longitud 1. Con él se compara una frase con otra."
                ).format(n=format_number(outline.steps[-1].shape[-1]))
            )
        else:
            st.header(_("Comienzo y final de la respuesta"), anchor=False)
            st.markdown(_("La cabeza da a cada token dos probabilidades: que la respuesta empiece o termine en él."))
        return True
    if len(outline.candidates) == 1:
        st.header(_("El veredicto de la cabeza"), anchor=False)
        st.markdown(_("De un solo vector, el del primer token, salen las puntuaciones de las clases."))
        if not guessed(label_question(item, request(), outline.candidates[0])):
            return False
        _bars(outline.candidates[0], "in_labels", label_name)
        return True
    st.header(_("Una etiqueta por token"), anchor=False)
    names = token_names(outline.rows)
    st.dataframe(
        {
            _("Token"): [names[row] for row in outline.candidates],
            _("Etiqueta"): [items[0].text for items in outline.candidates.values()],
            _("Probabilidad"): [format_percent(items[0].probability) for items in outline.candidates.values()],
        },
        hide_index=True,
        width="stretch",
    )
    return True
