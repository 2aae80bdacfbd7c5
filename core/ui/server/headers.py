"""The headers that tell a browser what a page of ours may do, however it came to be asked.

The Content-Security-Policy is as strict as Streamlit's own page allows (https://www.w3.org/TR/CSP3/):

- scripts are the server's own, the few lines inside its page by their hash, and ``blob:``, from where Streamlit loads
  the scripts of components; none from elsewhere, none inline, no ``eval``. ``wasm-unsafe-eval`` lets WebAssembly be
  compiled, which the library that reads the server's messages does for 64-bit numbers, and runs no text as a script;
- styles may be inline, since Streamlit and plotly write theirs that way;
- nothing is fetched from, sent to or shown from another host.
"""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Final

import streamlit as st

_INLINE: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@cache
def _inline_hashes() -> tuple[str, ...]:
    """The inline scripts of Streamlit's page, as a policy names them."""
    page = Path(st.__file__).parent / "static" / "index.html"
    scripts = _INLINE.findall(page.read_text(encoding="utf-8"))
    hashes = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return tuple(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in hashes)


def policy(frame_ancestors: str) -> str:
    """The Content-Security-Policy.

    Args:
        frame_ancestors: origins that may show the app in a frame, with spaces between.
    """
    rules = {
        "default-src": "'none'",
        "script-src": " ".join(("'self'", "blob:", "'wasm-unsafe-eval'", *_inline_hashes())),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "media-src": "'self' data: blob:",
        "connect-src": "'self' data: blob:",
        "worker-src": "'self' blob:",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": " ".join(("'self'", *frame_ancestors.split())),
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def headers(frame_ancestors: str) -> tuple[tuple[bytes, bytes], ...]:
    """What every answer of the server carries."""
    pairs = {
        "content-security-policy": policy(frame_ancestors),
        "x-content-type-options": "nosniff",
        # A link holds what was typed; other sites must not learn it from whoever follows a link to them.
        "referrer-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    }
    return tuple((name.encode(), value.encode()) for name, value in pairs.items())
