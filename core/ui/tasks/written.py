"""The written half of two tasks: an answer or a summary in the model's own words, beside the extractive one."""

import streamlit as st

from core.i18n import format_percent
from core.i18n import gettext as _
from core.settings import get_settings
from core.tasks.text2text import Text2TextRequest, Text2TextResult
from core.ui.messages import errors_shown, plain
from core.ui.tasks.answers import answer
from core.ui.tasks.models import choose_model, models_for, offer_downloads, show_answered_by
from core.ui.tasks.view import Shown


def show_written(shown: Shown, task: str, request: Text2TextRequest, extracted: str) -> None:
    """Offers to write what was extracted, says how the two differ; without a model, what could be downloaded.

    Args:
        shown: the extractive answer.
        task: the catalogue's name of the written task.
        request: what to write.
        extracted: what the extractive model answered.
    """
    with st.expander(_("La misma tarea, escrita con palabras propias"), icon=":material/edit_note:"):
        models = models_for(task, shown.form.language)
        if not models.here:
            if models.missing:
                offer_downloads(models, f"{shown.key}_written")
            else:
                st.markdown(_("Para este idioma el catálogo no tiene ningún modelo pequeño que lo haga bien."))
            return
        item = choose_model(models, f"{shown.key}_written_model", task, shown.form.language)
        pressed = f"{shown.key}_written_pressed"
        st.button(
            _("Escribirla"),
            icon=":material/edit_note:",
            key=f"{shown.key}_written_go",
            on_click=lambda: st.session_state.update({pressed: request}),
        )
        if st.session_state.get(pressed) != request:
            return
        with errors_shown():
            from core.tasks.text2text import TASK

            with st.spinner(_("Calculando…"), show_time=True):
                outcome = answer(TASK, request, item.key)
            _compare(outcome.result, extracted)
            show_answered_by(item, outcome)


def _compare(result: Text2TextResult, extracted: str) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**" + _("Extraída") + "**")
        st.text(extracted)
    with right:
        st.markdown("**" + _("Escrita") + "**")
        st.text(result.text or "∅")
    if result.copied is not None:
        st.markdown(
            plain(
                _(
                    "{share} de sus palabras están en el texto. La extraída solo puede copiar; la escrita puede "
                    "decirlo mejor, y también inventar: compruébalo."
                ).format(share=format_percent(result.copied))
            )
        )
    if result.cut:
        st.info(_("El texto no cabía entero: el modelo leyó solo el principio."), icon=":material/content_cut:")


def written_request(text: str, kind: str, question: str = "") -> Text2TextRequest:
    """A request within the server's limits."""
    settings = get_settings()
    return Text2TextRequest(
        text,
        kind,  # type: ignore[arg-type]  # one of the two kinds
        question,
        tokens=min(120, settings.generation_tokens),
        seconds=settings.generation_time,
    )
