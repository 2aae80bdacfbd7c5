"""The written half of two tasks: an answer or a summary in the model's own words, beside the extractive one."""

import pandas as pd
import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_percent, quoted
from core.i18n import gettext as _
from core.settings import get_settings
from core.tasks.text2text import Text2TextRequest, Text2TextResult
from core.ui.messages import errors_shown, plain
from core.ui.share import show_code
from core.ui.tasks.answers import answer
from core.ui.tasks.code import literal, load_lines
from core.ui.tasks.models import choose_model, models_for, offer_downloads, show_answered_by
from core.ui.tasks.view import Shown

# So many words are named; the table of pieces is so tall, in pixels, before it scrolls.
_NAMED = 8
_TALL = 250


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
            _pieces(outcome.result)
            show_answered_by(item, outcome)
            show_code(written_code(request, outcome.result.prompt, item), f"{shown.key}_written")


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
    if result.added:
        words = ", ".join(map(quoted, result.added[:_NAMED]))
        st.markdown(plain(_("No están en el texto: {words}.").format(words=words)))
    if result.cut:
        st.info(_("El texto no cabía entero: el modelo leyó solo el principio."), icon=":material/content_cut:")


def _pieces(result: Text2TextResult) -> None:
    if not result.written:
        return
    piece, chance = _("pieza"), _("probabilidad")
    table = pd.DataFrame([(one.piece, one.probability) for one in result.written], columns=[piece, chance])
    column = st.column_config.ProgressColumn(chance, min_value=0, max_value=1, format="percent")
    st.dataframe(table, hide_index=True, column_config={chance: column}, height=min(_TALL, 38 + 35 * len(table)))
    st.caption(
        _(
            "Cada pieza con la probabilidad que le dio el modelo tras leer el texto y lo que ya llevaba escrito. "
            "Donde es baja, dudaba."
        )
    )


def written_code(request: Text2TextRequest, prompt: str, item: ModelEntry) -> str:
    """Plain transformers that writes the same.

    Args:
        request: what was written.
        prompt: what the model was given.
        item: the model.
    """
    return (
        load_lines(item, "Seq2SeqLM") + f"\nprompt = {literal(prompt)}\n"
        f'inputs = tokenizer(prompt, truncation=True, max_length={item.window}, return_tensors="pt")\n'
        "with torch.inference_mode():\n"
        '    out = model.generate(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], '
        f"num_beams={request.beams}, do_sample=False, max_length=None, max_new_tokens={request.tokens})\n"
        "print(tokenizer.decode(out[0], skip_special_tokens=True))\n"
    )


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
