"""Por dentro: one forward pass step by step, on the reader's own sentence, with the model's own numbers."""

import streamlit as st

from core.i18n import gettext as _
from core.ui.navigation import require_app

require_app()

from core.errors import ModelUnavailable  # noqa: E402
from core.ui.attention_page import models  # noqa: E402
from core.ui.classroom import show_classroom  # noqa: E402
from core.ui.inside.form import show_form  # noqa: E402
from core.ui.inside.state import STATE, VIEW, VIEWS, arrive  # noqa: E402
from core.ui.messages import errors_shown  # noqa: E402
from core.ui.views import view_switch  # noqa: E402

here = models.here()
arrive([item.key for item in here])

st.title(_("Por dentro"))
st.markdown(
    _(
        "Escribe una frase y síguela **paso a paso** por el modelo: cada paso muestra su fórmula, su forma y sus "
        "números. "
        "Pulsa un número para ver de qué otros sale."
    )
)

with errors_shown():
    model = show_form(here)
    view = view_switch(_("Vista"), VIEWS, VIEW)
    if view == "race":
        from core.ui.inside.race import show_race

        show_race()
    elif model is None:
        raise ModelUnavailable(_("Ningún modelo de este equipo se puede recorrer. Descarga uno en la página Sistema."))
    elif view == "answer":
        from core.ui.inside.answer import show_answer

        show_answer(model)
    elif view == "parameters":
        from core.ui.inside.parameters import show_parameters

        show_parameters(model)
    else:
        from core.ui.inside.walk import show_walk

        show_walk(model)

show_classroom(STATE)
STATE.publish()
