"""Línea de tiempo: from Markov (1906) to today, with who, why it mattered and what is often told wrong."""

import streamlit as st

from core.i18n import gettext as _
from core.ui.navigation import require_app

require_app()

from core.ui.classroom import show_classroom  # noqa: E402
from core.ui.messages import errors_shown  # noqa: E402
from core.ui.timeline import form  # noqa: E402

form.STATE.arrive()

st.title(_("Línea de tiempo"))
st.markdown(
    _(
        "De Márkov (1906) a hoy. **Toca un hecho** para abrir su ficha: qué pasó, quién lo hizo, por qué importó "
        "y qué se suele contar mal."
    )
)
view = form.choose_view()

with errors_shown():
    if view == "events":
        from core.ui.timeline.events import show_events

        show_events()
    elif view == "sizes":
        from core.ui.timeline.figures import show_sizes

        show_sizes()
    else:
        from core.ui.timeline.figures import show_compute

        show_compute()

show_classroom(form.STATE)
form.STATE.publish()
