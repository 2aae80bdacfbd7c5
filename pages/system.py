"""Sistema: what the machine is doing, which models it has, and whether all is ready for a workshop."""

import streamlit as st

from core.i18n import gettext as _
from core.ui.navigation import require_app

require_app()

from core.ui.classroom import show_classroom  # noqa: E402
from core.ui.messages import errors_shown  # noqa: E402
from core.ui.readings import compact_status  # noqa: E402
from core.ui.system.form import STATE, choose_view  # noqa: E402

STATE.arrive()

st.title(_("Sistema"))
st.markdown(
    _("Lo que este equipo hace **ahora mismo**, los modelos que tiene, y si todo está listo para la clase de mañana.")
)
view = choose_view()

with errors_shown():
    if view == "now":
        from core.ui.system.live import show_live

        show_live(STATE)
    elif view == "models":
        with st.sidebar:
            compact_status()
        from core.ui.system.models import show_models

        show_models(STATE)
    elif view == "catalogue":
        from core.ui.system.catalogue import show_catalogue

        show_catalogue(STATE)
    else:
        with st.sidebar:
            compact_status()
        from core.ui.system.readiness import show_readiness

        show_readiness(STATE)

show_classroom(STATE)
STATE.publish()
