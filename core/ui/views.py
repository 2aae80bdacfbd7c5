"""The switch between the views of a page."""

from collections.abc import Mapping

import streamlit as st

from core.i18n import gettext as _


def view_switch(label: str, views: Mapping[str, tuple[str, str]], key: str) -> str:
    """Buttons side by side, one a view.

    Args:
        label: what a screen reader calls the switch.
        views: key → title, as marked for translation, and icon; the first one opens by default.
        key: where the choice is kept, also while another page is open.

    Returns:
        The key of the view to show.
    """
    view = st.segmented_control(
        label,
        list(views),
        format_func=lambda name: f"{views[name][1]} {_(views[name][0])}",
        key=key,
        required=True,
        persist_state="session",
        label_visibility="collapsed",
        wrap=True,
    )
    return view or next(iter(views))
