"""Atención: what each head of each layer looks at, how to check that it matters, and what it does not prove."""

import streamlit as st

from core.i18n import gettext as _
from core.ui.navigation import require_app

require_app()

from core.errors import ModelUnavailable  # noqa: E402
from core.ui.attention_page import models  # noqa: E402
from core.ui.attention_page.form import choose_part, show_form  # noqa: E402
from core.ui.attention_page.state import STATE, arrive, fit_kind  # noqa: E402
from core.ui.classroom import show_classroom  # noqa: E402
from core.ui.messages import errors_shown  # noqa: E402

here = models.here()
arrive(models.languages_here(here))

st.title(_("Atención"))
st.markdown(
    _(
        "Escribe una frase y mira **a qué mira** el modelo: cada línea dice cuánto de un token pasa a otro, en cada "
        "capa y cada cabeza."
    )
)

with errors_shown():
    model, versus = show_form(here)
    part = choose_part()
    if model is not None:
        fit_kind(model.architecture)
    if part == "evidence":
        from core.ui.attention_page.evidence import show_evidence

        show_evidence()
    elif model is None:
        raise ModelUnavailable(
            _("Ningún modelo de este equipo tiene atenciones que mostrar. Descarga uno en la página Sistema.")
        )
    elif part == "compare":
        from core.ui.attention_page.compare import show_compare

        show_compare(model, versus)
    elif part == "find":
        from core.ui.attention_page.find import show_find

        show_find(model)
    elif part == "map":
        from core.ui.attention_page.heads_map import show_map

        show_map(model)
    else:
        from core.ui.attention_page.look import show_look

        show_look(model)

show_classroom(STATE)
STATE.publish()
