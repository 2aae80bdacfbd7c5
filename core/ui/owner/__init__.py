"""Whose a fine-tuning run is: a random secret of the visitor's browser, which a reload doesn't lose.

The runs' folders keep only its hash. It is in no link: whoever shares the page's address shares no runs.
"""

import re
import secrets
from pathlib import Path
from typing import Final

import streamlit as st

COOKIE: Final = "taller_owner"
_KEY: Final = "_owner"
_SECRET: Final = re.compile(r"[0-9a-f]{32}")
_KEPT_S: Final = 7 * 24 * 3600
_COMPONENT = st.components.v2.component(
    "taller_owner",
    html="<span></span>",
    js=(Path(__file__).parent / "owner.js").read_text(encoding="utf-8"),
)


def owner() -> str:
    """The visitor's secret: this session's, or the one that the browser brought, or a new one."""
    known = st.session_state.get(_KEY)
    if known is None:
        brought = st.context.cookies.get(COOKIE, "")
        # It comes from a browser: anything but what we gave one is nothing.
        known = brought if isinstance(brought, str) and _SECRET.fullmatch(brought) else secrets.token_hex(16)
        st.session_state[_KEY] = known
    return str(known)


def keep_owner() -> None:
    """Has the browser keep the secret for a week; called once in a run of the page."""
    _COMPONENT(data={"name": COOKIE, "value": owner(), "seconds": _KEPT_S}, key="owner_cookie", height=0)
