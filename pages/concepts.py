"""Glosario: the course's concepts with formula, source and where they are seen live; and how to choose a model."""

import streamlit as st

from core.i18n import gettext as _
from core.ui.navigation import require_app

require_app()

from core.ui.classroom import show_classroom  # noqa: E402
from core.ui.concepts import form  # noqa: E402
from core.ui.messages import errors_shown  # noqa: E402

form.STATE.arrive()

st.title(_("Glosario y conceptos"))
st.markdown(_("**Busca una palabra**: cada concepto en dos frases, con su fórmula, su fuente y dónde verlo en vivo."))
view = form.choose_view()

with errors_shown():
    if view == "glossary":
        from core.ui.concepts.glossary import show_glossary

        show_glossary()
    else:
        from core.ui.concepts.choose import show_choose

        show_choose()

show_classroom(form.STATE)
form.STATE.publish()
