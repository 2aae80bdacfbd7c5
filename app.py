"""The entry point, of two lives. The server imports it as ``app`` and finds the application that it serves;
Streamlit then runs it as ``__main__`` for every visitor, and it shows the page: settings, language, navigation.
"""

import streamlit as st

if __name__ == "__main__":
    from core.ui import resources
    from core.ui.cluster import cluster_shown
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
    with cluster_shown():
        run_page(page)
else:
    from core.ui.server import server_parts

    app = st.App(__file__, **server_parts())
