"""Links: what goes in comes out, what can't be read is left out, and nothing unpacks to gigabytes."""

import base64
import zlib
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.settings import Settings
from core.ui import state as state_module
from core.ui.state import PageState, Param, flag, one_of, pack_text, unpack_text

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=3000)


@given(TEXTS)
def test_pack_and_unpack(text: str) -> None:
    assert unpack_text(pack_text(text)) == text


@pytest.mark.parametrize("text", ["~z", "~zñandú", "~zAAAA"])
def test_a_text_that_looks_packed_survives(text: str) -> None:
    assert unpack_text(pack_text(text)) == text


def test_short_texts_stay_readable() -> None:
    assert pack_text("El niño") == "El niño"


def test_long_texts_are_compressed() -> None:
    assert len(pack_text("una frase que se repite " * 100)) < 200


@pytest.mark.parametrize("value", ["~z!!!", "~zAAAA", "~z" + base64.urlsafe_b64encode(zlib.compress(b"\xff")).decode()])
def test_broken_values_are_refused(value: str) -> None:
    with pytest.raises(ValueError):
        unpack_text(value)


def test_a_bomb_is_refused_without_being_unpacked() -> None:
    bomb = "~z" + base64.urlsafe_b64encode(zlib.compress(b"a" * 50_000_000, 9)).decode()
    with pytest.raises(ValueError, match="too long"):
        unpack_text(bomb, limit=20_000)


def test_decoders_let_only_known_values_through() -> None:
    assert one_of("a", "b")("a") == "a"
    assert flag("1") is True
    for decode, bad in ((one_of("a"), "c"), (flag, "yes")):
        with pytest.raises(ValueError):
            decode(bad)


class Address(dict[str, str]):
    """The browser's address bar, as Streamlit shows it to a script."""

    def to_dict(self) -> dict[str, str]:
        return dict(self)

    def from_dict(self, values: dict[str, str]) -> None:
        self.clear()
        self.update(values)


def test_an_address_that_was_just_replaced_is_no_link_but_a_later_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    session: dict[str, Any] = {}
    address, now = Address(), [100.0]
    monkeypatch.setattr(state_module, "st", SimpleNamespace(session_state=session, query_params=address))
    monkeypatch.setattr(state_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    page = PageState("p", (Param("stop", "stop_key", 1, decode=int),))
    page.arrive()
    for stop in (2, 3):
        session["stop_key"] = stop
        page.publish()
    assert address == {"stop": "3"}
    # The second click brings the address of before the first.
    address.from_dict({"stop": "2"})
    session["stop_key"] = 4
    page.arrive()
    assert session["stop_key"] == 4
    now[0] += 10
    page.arrive()
    assert session["stop_key"] == 2, "somebody went back in the browser"


def test_the_link_of_the_first_page_is_the_apps_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "st", SimpleNamespace(session_state={}, query_params=Address()))
    monkeypatch.setattr(state_module, "get_settings", lambda: Settings(public_url="https://example.org/taller/"))
    assert PageState("home", ()).link() == "https://example.org/taller/?lang=es"
    assert PageState("system", ()).link() == "https://example.org/taller/system?lang=es"
