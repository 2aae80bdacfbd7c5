"""Which language the visitor reads: ``?lang=``, then the switch in the sidebar, then the browser."""

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec

import streamlit as st

from core.i18n import LANGUAGES, get_language, match_language, set_language
from core.i18n import gettext as _
from core.settings import get_settings

LANGUAGE_KEY: Final = "lang"
_SEEN_KEY: Final = "_lang_in_link"

P = ParamSpec("P")


def apply_language() -> str:
    """Sets the language of this script run and returns it."""
    in_link = st.query_params.get(LANGUAGE_KEY)
    if in_link in LANGUAGES and in_link != st.session_state.get(_SEEN_KEY):
        # A link was opened. Only then: the switch may have been used since the page was loaded.
        st.session_state[LANGUAGE_KEY] = in_link
        st.session_state[_SEEN_KEY] = in_link
    elif LANGUAGE_KEY not in st.session_state:
        st.session_state[LANGUAGE_KEY] = match_language(st.context.locale, get_settings().language)
    set_language(st.session_state[LANGUAGE_KEY])
    return get_language()


def _remember_choice() -> None:
    language = st.session_state[LANGUAGE_KEY]
    st.session_state[_SEEN_KEY] = language
    st.query_params[LANGUAGE_KEY] = language


def language_switch() -> None:
    """The switch; it keeps the page and everything typed."""
    st.segmented_control(
        _("Idioma"),
        list(LANGUAGES),
        format_func=LANGUAGES.__getitem__,
        key=LANGUAGE_KEY,
        required=True,
        on_change=_remember_choice,
        width="stretch",
    )


def fragment(run_every: float | None = None) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """``st.fragment`` that knows the language: a fragment's rerun does not pass through ``app.py``."""

    def decorate(function: Callable[P, None]) -> Callable[P, None]:
        @wraps(function)
        def inner(*args: P.args, **kwargs: P.kwargs) -> None:
            set_language(st.session_state.get(LANGUAGE_KEY, get_language()))
            function(*args, **kwargs)

        return st.fragment(inner, run_every=run_every)

    return decorate
