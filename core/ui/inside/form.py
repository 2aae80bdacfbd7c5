"""The form: an example, one or two texts, the model."""

import streamlit as st

from core.catalog import ModelEntry
from core.course.inside import inside_examples
from core.i18n import get_language
from core.i18n import gettext as _
from core.ui.example_field import choose_example
from core.ui.frame import show_models_in_use
from core.ui.inside.state import ADDED, AUTO, MODEL, SECOND, TEXT, apply_example, forget_cell, forget_text
from core.ui.model_field import choose_model, hint_language, language_of


def _model_chosen() -> None:
    # Ids mean other pieces in another vocabulary.
    st.session_state[ADDED] = AUTO
    forget_cell()


def show_form(models: list[ModelEntry]) -> ModelEntry | None:
    """Draws the form.

    Args:
        models: those on this machine.

    Returns:
        The model; ``None`` if there is none.
    """
    reader = get_language()
    keys = {item.key for item in models}
    choose_example(
        [item for item in inside_examples() if item.model in keys],
        apply_example,
        "in_example_choice",
        placeholder=_("Elige un ejemplo: abre un paso y un valor"),
    )
    first, second = st.columns([3, 2])
    # No max_chars: the browser would silently refuse a longer paste. We say what is wrong instead.
    text = first.text_area(
        _("Tu texto"),
        key=TEXT,
        height=80,
        persist_state="session",
        on_change=forget_text,
        placeholder=_("Escribe o pega aquí una frase"),
    )
    with second:
        model = choose_model(models, MODEL, language_of(st.session_state[TEXT]), _model_chosen)
    if model is not None and model.architecture == "encoder":
        second.text_input(
            _("Segundo texto (opcional)"),
            key=SECOND,
            persist_state="session",
            on_change=forget_text,
            help=_("Un codificador de la familia de BERT lee dos textos como un par: mira entonces el segmento."),
        )
    elif st.session_state[SECOND]:
        st.session_state[SECOND] = ""
    # The text counts as typed when the field loses the focus; the button is what people look for.
    first.button(_("Recorrer el modelo"), type="primary", icon=":material/route:", key="in_go")
    if model is not None:
        hint_language(text, model)
        show_models_in_use([(model.name(reader), model.licence)])
    return model
