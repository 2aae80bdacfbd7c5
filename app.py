"""The entry point: settings, language, navigation. Everything else is in ``pages/`` and ``core/``."""

import streamlit as st

from core.ui import resources
from core.ui.frame import FAVICON, show_frame
from core.ui.language import apply_language
from core.ui.navigation import build, run_page

st.set_page_config(
    page_title="Taller de Transformers",
    page_icon=str(FAVICON),
    layout="wide",
    initial_sidebar_state="auto",
    menu_items={"About": "Taller de Transformers · Apache-2.0"},
)
apply_language()
page = build()
st.set_page_config(page_title=page.title + " · Taller de Transformers")
show_frame()
resources.warm_up()
run_page(page)
