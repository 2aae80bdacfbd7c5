"""The form: an example, one or two texts, the model; and the switch between the page's parts."""

import streamlit as st

from core.catalog import ModelEntry
from core.course.attention import attention_examples
from core.i18n import get_language
from core.i18n import gettext as _
from core.ui.attention_page.models import choose_second
from core.ui.attention_page.state import MODEL, PART, PARTS, SECOND, TEXT, apply_example, forget_tokens
from core.ui.example_field import choose_example
from core.ui.frame import show_models_in_use
from core.ui.model_field import choose_model, hint_language, language_of
from core.ui.views import view_switch


def show_form(models: list[ModelEntry]) -> tuple[ModelEntry | None, ModelEntry | None]:
    """Draws the form.

    Args:
        models: those on this machine.

    Returns:
        The model, and in the part that compares, the second one.
    """
    reader = get_language()
    keys = {item.key for item in models}
    choose_example(
        [item for item in attention_examples() if item.model in keys],
        apply_example,
        "at_example_choice",
        placeholder=_("Elige un ejemplo: cada uno abre una capa y una cabeza, y enseña una cosa"),
    )
    first, second = st.columns([3, 2])
    # No max_chars: the browser would silently refuse a longer paste. We say what is wrong instead.
    text = first.text_area(
        _("Tu texto"),
        key=TEXT,
        height=90,
        persist_state="session",
        on_change=forget_tokens,
        placeholder=_("Escribe o pega aquí una frase"),
    )
    second.text_area(
        _("Segundo texto (opcional)"),
        key=SECOND,
        height=90,
        persist_state="session",
        on_change=forget_tokens,
        placeholder=_("Para ver cómo se miran dos frases"),
        help=_(
            "Un codificador lee los dos como un par, con un separador en medio; un decodificador, uno detrás de otro. "
            "En un codificador-decodificador es lo que el decodificador ha escrito."
        ),
    )
    left, right, button = st.columns([2, 2, 1], vertical_alignment="bottom")
    with left:
        model = choose_model(models, MODEL, language_of(st.session_state[TEXT]))
    versus = None
    with right:
        if st.session_state[PART] == "compare":
            versus = choose_second()
    # The text counts as typed when the field loses the focus; the button is what people look for.
    button.button(_("Ver atención"), type="primary", icon=":material/visibility:", key="at_go", width="stretch")
    if model is not None:
        hint_language(f"{text} {st.session_state[SECOND]}", model)
        in_use = [item for item in (model, versus) if item is not None]
        show_models_in_use([(item.name(reader), item.licence) for item in in_use])
    return model, versus


def choose_part() -> str:
    """The switch between the page's parts."""
    return view_switch(_("Parte"), PARTS, PART)
