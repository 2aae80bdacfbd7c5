"""Links: what goes in comes out, what can't be read is left out, and nothing unpacks to gigabytes."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ui.state import flag, one_of, pack_text, unpack_text

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
