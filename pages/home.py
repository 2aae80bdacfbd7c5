"""Home: what the app is, what to try first, and what machine it runs on. Imports no torch."""

import streamlit as st

from core.i18n import gettext as _
from core.ui.navigation import require_app

require_app()

from core.course.examples import example  # noqa: E402
from core.i18n import get_language  # noqa: E402
from core.ui.home import STATE, show_machine, show_now  # noqa: E402

FIRST = (
    ("spanish-shattered", ":material/content_cut:"),
    ("enye-lost", ":material/spellcheck:"),
    ("cost-of-spanish", ":material/translate:"),
)

st.title(_("Taller de Transformers"))
st.markdown(
    _(
        "Mira por dentro los modelos de lenguaje con **tus propias frases**. Todo lo que ves lo calcula aquí "
        "y ahora un modelo de verdad, también sin internet."
    )
)

st.header(_("Empieza por aquí"))
for column, (key, icon) in zip(st.columns(len(FIRST)), FIRST, strict=True):
    chosen = example(key)
    with column.container(border=True, height="stretch"):
        st.markdown(f"### {icon} {chosen.title(get_language())}")
        st.markdown(chosen.teaches(get_language()))
        st.space("stretch")
        st.page_link(
            "pages/tokenization.py",
            label=_("Verlo con un clic"),
            icon=":material/play_arrow:",
            query_params={"example": chosen.id},
        )

st.page_link(
    "pages/tasks.py",
    label=_("O usa un modelo: sentimiento, entidades, preguntas, resumen, traducción, generación…"),
    icon=":material/edit_note:",
)

st.header(_("Este equipo"))
show_now()
show_machine()

# All of the above is on screen before the lessons, and what their links lead to, are read.
from core.ui.classroom import show_classroom  # noqa: E402

show_classroom(STATE)
