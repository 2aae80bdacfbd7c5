"""What surrounds every page: language, presentation mode, the models in use."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import streamlit as st

from core.i18n import gettext as _
from core.ui.guard import guard_fields
from core.ui.language import language_switch
from core.ui.messages import plain

PRESENT_KEY: Final = "present"
# A file of ours: Streamlit fetches a Material icon or an emoji for the browser's tab from another host.
FAVICON: Final = Path(__file__).with_name("favicon.svg")

# The wide layout's side margins leave too little room for two tokenizers side by side. And no primary
# colour is both dark enough under white button labels and light enough as text on a dark page; a slider's
# value is text, too. Formulas stand out of their box by two pixels, which makes it scroll, and unreachable by keyboard.
_BASE_CSS: Final = """
<style>
@media (min-width: 48rem) {
  [data-testid="stMainBlockContainer"] { padding-left: 2.5rem; padding-right: 2.5rem; }
}
:is([data-variant="segmented_control"], [data-variant="pills"]):is([aria-checked="true"], [data-selected="true"]) {
  color: inherit !important; font-weight: 700;
}
.katex-display { padding: 0.2rem 0.25rem; }
/* A link to another page says all it has to say, also on a phone. */
[data-testid="stMain"] [data-testid="stPageLink-NavLink"] :is(span, p) { white-space: normal; overflow: visible; }
/* Streamlit's grey for what axes, points and bars say is too pale for a projector. */
[data-testid="stPlotlyChart"] :is(.xtick, .ytick, .textpoint, .annotation, .colorbar) text,
[data-testid="stPlotlyChart"] :is(.xtitle, .ytitle, .bartext-outside) { fill: currentColor !important; }
[data-testid="stTab"][aria-selected="true"] { color: inherit; }
[data-testid="stSliderThumbValue"], [data-testid="stSliderThumbValue"] * {
  color: var(--st-text-color, inherit) !important;
}
</style>
"""
# Streamlit sizes everything in rem, so one rule enlarges the whole page.
_PRESENTATION_CSS: Final = """
<style>
html:root { font-size: 23px !important; }
[data-testid="stSidebar"], [data-testid="stSidebarCollapsedControl"],
[data-testid="stExpandSidebarButton"], [data-testid="stHeader"] { display: none !important; }
[data-testid="stMainBlockContainer"] { max-width: none; padding: 1rem 2rem 3rem; }
</style>
"""


def _presenting() -> bool:
    if PRESENT_KEY not in st.session_state:
        st.session_state[PRESENT_KEY] = st.query_params.get(PRESENT_KEY) == "1"
    return bool(st.session_state[PRESENT_KEY])


def _leave() -> None:
    st.session_state[PRESENT_KEY] = False
    if PRESENT_KEY in st.query_params:
        del st.query_params[PRESENT_KEY]


def _enter() -> None:
    st.session_state[PRESENT_KEY] = True
    st.query_params[PRESENT_KEY] = "1"


def show_frame() -> None:
    """The sidebar's controls, or, while presenting, larger type and a way out."""
    st.html(_BASE_CSS)
    if _presenting():
        st.html(_PRESENTATION_CSS)
        with st.container(horizontal=True, horizontal_alignment="right"):
            st.button(
                _("Salir de la presentación"),
                icon=":material/close_fullscreen:",
                type="tertiary",
                key="leave_presentation",
                on_click=_leave,
            )
    with st.sidebar:
        language_switch()
        st.button(
            _("Modo presentación"),
            icon=":material/present_to_all:",
            key="enter_presentation",
            help=_("Letra más grande y sin menús, para proyectar. Se sale con el botón de arriba a la derecha."),
            on_click=_enter,
            width="stretch",
        )
        guard_fields()


def show_models_in_use(lines: Sequence[tuple[str, str]]) -> None:
    """Lists in the sidebar which models answer on this page.

    Args:
        lines: pairs of a model's name and where it comes from.
    """
    with st.sidebar:
        st.caption(_("Modelos en uso"))
        for name, where in lines:
            st.markdown(f":material/memory: **{plain(name)}**  \n:small[{plain(where)}]")
