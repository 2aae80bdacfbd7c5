"""Tareas: what transformers are used for, each task with a text of one's own and what the model really did."""

import streamlit as st

from core.i18n import gettext as _
from core.ui.navigation import require_app

require_app()

from core.ui.tasks.page import TaskPage  # noqa: E402

st.title(_("Tareas"))
st.markdown(_("Elige una tarea, escribe tu texto y mira qué responde el modelo, **y por qué**."))
TaskPage().show()
