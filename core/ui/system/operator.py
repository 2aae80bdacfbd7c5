"""Who may unload models and, if so set, start downloads: whoever runs the app."""

import hmac
import ipaddress
import time
from typing import Final

import streamlit as st

from core.i18n import gettext as _
from core.settings import get_settings

_KEY: Final = "operator"
_TRIES_KEY: Final = "_operator_tries"
_PAUSE_S: Final = 2.0


def _on_this_machine() -> bool:
    """Whether the visitor sits at the machine that serves the app, and not behind a proxy on it."""
    headers = st.context.headers
    if any(headers.get(name) for name in ("X-Forwarded-For", "Forwarded", "X-Real-Ip")):
        return False
    address = st.context.ip_address
    if address is None:  # so Streamlit says that the visitor is on the same machine
        return True
    try:
        there = ipaddress.ip_address(str(address))
    except ValueError:
        return False
    # A server that listens to IPv6 and IPv4 at once, Streamlit's default, sees 127.0.0.1 as ::ffff:127.0.0.1,
    # which Python counts as loopback from 3.13 on only.
    mapped = there.ipv4_mapped if isinstance(there, ipaddress.IPv6Address) else None
    return (mapped or there).is_loopback


def is_operator() -> bool:
    """Whether this visitor may do what only whoever runs the app may."""
    if get_settings().operator_token:
        return bool(st.session_state.get(_KEY))
    return _on_this_machine()


def may_download() -> bool:
    """Whether this visitor may start a download."""
    return get_settings().downloads == "everyone" or is_operator()


def _try_token() -> None:
    wanted = get_settings().operator_token or ""
    typed = str(st.session_state.get("operator_token", ""))
    last = st.session_state.get(_TRIES_KEY, 0.0)
    st.session_state[_TRIES_KEY] = time.monotonic()
    # A pause between tries, and a comparison whose time says nothing about the word.
    early = time.monotonic() - last < _PAUSE_S
    st.session_state[_KEY] = not early and hmac.compare_digest(typed.encode(), wanted.encode())
    st.session_state["_operator_wrong"] = not st.session_state[_KEY]
    st.session_state["operator_token"] = ""


def download_field() -> None:
    """The field for the token, where without it this visitor may not start a download."""
    if get_settings().operator_token and not may_download():
        operator_field()


def operator_field() -> None:
    """The field for the token, where there is one and it was not given yet; otherwise a sentence."""
    if is_operator():
        return
    if not get_settings().operator_token:
        st.caption(_("Quitar modelos de la memoria solo se puede desde el propio equipo, o con TALLER_OPERATOR_TOKEN."))
        return
    with st.popover(_("Soy quien administra"), icon=":material/key:", key="operator_popover"):
        st.text_input(
            _("Palabra de administración"),
            type="password",
            key="operator_token",
            on_change=_try_token,
            max_chars=200,
            help=_("La que se puso en TALLER_OPERATOR_TOKEN al arrancar la aplicación."),
        )
        if st.session_state.get("_operator_wrong"):
            st.warning(_("No es esa, o fue demasiado seguido. Espera dos segundos y vuelve a intentarlo."))
