"""The visitor's runs: which one is looked at, live or finished."""

import streamlit as st

from core.i18n import gettext as _
from core.training.jobs import state_text
from core.training.run import OVER
from core.ui.messages import plain
from core.ui.owner import owner
from core.ui.resources import training_jobs
from core.ui.tuning import state as keys
from core.ui.tuning.live import live
from core.ui.tuning.results import show_result, show_unfinished


def _to_form() -> None:
    st.session_state[keys.VIEW] = "train"


def show_runs() -> None:
    """The view."""
    views = {view.id: view for view in training_jobs().views(owner())}
    if not views:
        st.info(
            _("Todavía no has entrenado nada en este navegador. Lo que entrenes aparece aquí y lo ves solo tú."),
            icon=":material/model_training:",
        )
        st.button(_("Ir al formulario"), icon=":material/arrow_back:", key="tn_to_form", on_click=_to_form)
        return
    if st.session_state.get(keys.CHOSEN) not in views:
        st.session_state[keys.CHOSEN] = next(iter(views))
    # Numbers, as two runs may have one name. How it stands is said below: a field's labels aren't renewed.
    numbers = {id_: len(views) - index for index, id_ in enumerate(views)}
    chosen = st.selectbox(
        _("Entrenamiento"),
        list(views),
        format_func=lambda id_: f"{numbers[id_]}. {views[id_].about.name}",
        key=keys.CHOSEN,
        persist_state="session",
    )
    view = views[chosen]
    run = training_jobs().run(owner(), view.id)
    if view.state.status not in OVER:
        live(view.id)
    elif view.state.status == "done":
        show_result(view, run)
    else:
        st.markdown(f"**{plain(view.about.name)}** · {plain(state_text(view))}")
        show_unfinished(view)
