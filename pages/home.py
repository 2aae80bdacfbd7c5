"""Home: what the app is, what to try first, and what machine it runs on. Imports no torch."""

import streamlit as st

from core.i18n import gettext as _
from core.ui.navigation import require_app

require_app()

from core.ui.home import STATE, show_machine, show_more, show_now, show_steps  # noqa: E402

st.title(_("Taller de Transformers"))
st.markdown(
    _(
        "Mira por dentro los modelos de lenguaje con **tus propias frases**. Todo lo que ves lo calcula aquí "
        "y ahora un modelo de verdad, también sin internet."
    )
)

st.header(_("Empieza por aquí"))
show_steps()
show_more()

st.header(_("Este equipo"))
show_now()
show_machine()

# All of the above is on screen before the lessons, and what their links lead to, are read.
from core.ui.classroom import show_classroom  # noqa: E402

show_classroom(STATE)
