"""A page's state and its link: one list of parameters that goes both ways.

``PageState.arrive()`` before the widgets are made puts what the link says into ``st.session_state``;
``PageState.publish()`` at the end of the page writes the state back to the address bar. A value in a
link that can't be read is left out: the page opens with its default.
"""

import base64
import binascii
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from core.catalog import entries
from core.i18n import get_language
from core.settings import get_settings
from core.ui.language import LANGUAGE_KEY
from core.ui.navigation import PAGES

# Proxies and chat programs cut links from about 8,000 characters on.
MAX_LINK: Final = 6_000
# Longest text that a link may unpack to; the forms' own limits are at most this.
MAX_TEXT: Final = 20_000
# What every page's link takes along from the address: whether it asks for guesses, and in which room.
CARRIED: Final = ("guess", "room")
_PACKED: Final = "~z"
_PLAIN_LIMIT: Final = 600
# How long a browser may go on sending an address that has just been replaced, seconds.
_ECHO_S: Final = 2.0


def pack_text(text: str) -> str:
    """A text for a link: readable while it is short, compressed when it is long."""
    if len(text) <= _PLAIN_LIMIT and not text.startswith(_PACKED):
        return text
    packed = base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode()
    return _PACKED + packed.rstrip("=")


def unpack_text(value: str, limit: int = MAX_TEXT) -> str:
    """Reverses ``pack_text``.

    Args:
        value: what the link holds.
        limit: most characters to unpack.

    Raises:
        ValueError: not something that ``pack_text`` made, or longer than ``limit``.
    """
    if not value.startswith(_PACKED):
        return value
    body = value.removeprefix(_PACKED)
    try:
        data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        inflater = zlib.decompressobj()
        # Bounded, or a link of 2 kB could unpack to gigabytes.
        raw = inflater.decompress(data, 4 * limit + 1)
        text = raw.decode()
    except (binascii.Error, zlib.error, UnicodeDecodeError) as error:
        raise ValueError("not a packed text") from error
    if inflater.unconsumed_tail or not inflater.eof or len(text) > limit:
        raise ValueError("packed text is too long or cut")
    return text


@dataclass(frozen=True, slots=True)
class Param:
    """One value of a page that a link carries.

    Attributes:
        name: its name in the link.
        key: its key in ``st.session_state`` (the widget's key).
        default: the value of a fresh page; not written to links.
        encode: value → text in the link.
        decode: text in the link → value; raises ``ValueError`` for what it can't read.
    """

    name: str
    key: str
    default: Any
    encode: Callable[[Any], str] = str
    decode: Callable[[str], Any] = str


def one_of(*values: str) -> Callable[[str], str]:
    """A decoder that lets only these values through."""

    def decode(text: str) -> str:
        if text not in values:
            raise ValueError(text)
        return text

    return decode


def catalogue_key(text: str) -> str:
    """Decodes the key of a model of the catalogue, which is read when the first link asks for one."""
    return one_of(*entries())(text)


def flag(text: str) -> bool:
    """A decoder for on/off."""
    return {"1": True, "0": False}[one_of("0", "1")(text)]


class PageState:
    """The parameters of one page.

    Args:
        page: its address.
        params: what a link carries.
        others: names that other forms of the same page give their parameters: they are part of the page's link,
            too, and leave the address bar when this form's are written.
    """

    def __init__(self, page: str, params: tuple[Param, ...], others: frozenset[str] = frozenset()) -> None:
        self.page = page
        self.params = params
        self._names = others | {param.name for param in params}
        self._written_key = f"_written_{page}"
        self._replaced_key = f"_replaced_{page}"

    def arrive(self) -> None:
        """Fills ``st.session_state``: defaults at the first visit, and what a freshly opened link says."""
        for param in self.params:
            st.session_state.setdefault(param.key, param.default)
        in_link = {name: value for name, value in st.query_params.to_dict().items() if name in self._names}
        if in_link == st.session_state.get(self._written_key) or self._echo(in_link):
            return
        for param in self.params:
            if param.name in in_link:
                try:
                    st.session_state[param.key] = param.decode(in_link[param.name])
                except ValueError:
                    continue

    def _echo(self, in_link: dict[str, str]) -> bool:
        """Whether the address is one that we have only just replaced.

        Somebody who clicks twice in a row sends the second click before the browser has the address of the first:
        taken for a freshly opened link, it would undo both. Later it is the browser's "back", and is obeyed.
        """
        replaced, when = st.session_state.get(self._replaced_key, (None, 0.0))
        return bool(in_link == replaced) and time.monotonic() - when < _ECHO_S

    def query(self) -> dict[str, str]:
        """The parameters that differ from a fresh page's, as a link holds them."""
        values = ((param, st.session_state.get(param.key, param.default)) for param in self.params)
        return {param.name: param.encode(value) for param, value in values if value != param.default}

    def publish(self) -> None:
        """Writes the state to the address bar, without a rerun, so that a reload loses nothing."""
        query = self.query()
        while len(urlencode(query)) > MAX_LINK:
            # The longest goes first: without the text, a reload still opens the right view.
            del query[max(query, key=lambda name: len(urlencode({name: query[name]})))]
        others = {k: v for k, v in st.query_params.to_dict().items() if k not in self._names}
        written = st.session_state.get(self._written_key, {})
        if written != query:
            st.session_state[self._replaced_key] = (written, time.monotonic())
        st.session_state[self._written_key] = query
        if {**others, **query} != st.query_params.to_dict():
            st.query_params.from_dict({**others, **query})

    def link(self) -> str | None:
        """The address that opens this very view in this language; ``None`` if it would be too long."""
        carried = {name: st.query_params[name] for name in CARRIED if name in st.query_params}
        query = urlencode({**self.query(), **carried, LANGUAGE_KEY: get_language()})
        base = get_settings().public_url
        if base:
            # The first page's address is the app's own.
            address = f"{base.rstrip('/')}/{'' if self.page == PAGES[0].name else self.page}"
        else:
            parts = urlsplit(st.context.url or "")
            address = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        return f"{address}?{query}" if len(query) <= MAX_LINK else None
