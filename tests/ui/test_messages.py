"""Messages show what people typed letter for letter."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.elements.exception import marshall
from streamlit.proto.Exception_pb2 import Exception as ExceptionProto
from streamlit.testing.v1 import AppTest

from core.ui.messages import plain
from core.ui.server import server_parts


def test_markdown_and_html_lose_their_power() -> None:
    shown = plain("<b>**x**</b> [a](http://b) :red[c] $y$ ![i](u)\n# t")
    assert re.search(r"(?<!\\)[<>*\[\]:$#!]", shown) is None


@given(st.text(max_size=200))
def test_only_backslashes_are_added_and_breaks_folded(text: str) -> None:
    shown = re.sub(r"\\(.)", r"\1", plain(text)).replace("\u2060", "")
    assert shown.split() == text.replace("\u2060", "").split()
    assert len(shown.splitlines()) <= 1


def test_thin_spaces_in_numbers_stay() -> None:
    assert plain("20\u202f001") == "20\u202f001"


@pytest.mark.parametrize("address", ["see http://b.example/x", "HTTPS://b.example", "www.b.example", "ana@b.example"])
def test_an_address_gets_a_mark_that_keeps_it_from_becoming_a_link(address: str) -> None:
    assert "\u2060" in plain(address)
    assert not re.search(r"https?://|www\.|\w@\w", re.sub(r"\\(.)", r"\1", plain(address)), re.IGNORECASE)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        ('RuntimeError("can\'t start new thread")', "warning", "Vuelve a intentarlo en un momento"),
        ("TallerError('Escribe menos.')", "warning", "Escribe menos"),
        ("MemoryError()", "warning", "Vuelve a intentarlo en un momento"),
        ("ValueError('/a/path and a secret')", "error", "Código para quien administra la aplicación"),
    ],
)
def test_what_fails_around_a_page_is_told_as_what_fails_in_it(error: str, kind: str, words: str) -> None:
    # As Streamlit ends a script that raises, with what the app gave it for that.
    script = f"""
from streamlit.error_util import handle_user_script_exception
from core.errors import TallerError
from core.ui.server import server_parts

handle_user_script_exception({error}, server_parts()["on_script_error"])
"""
    app = AppTest.from_string(script).run()
    assert not app.exception
    (shown,) = getattr(app, kind)
    assert words in shown.value.replace("\\", "")
    assert "secret" not in shown.value


def test_where_no_thread_could_be_begun_streamlit_says_our_words() -> None:
    server_parts()
    shown = ExceptionProto()
    # As Streamlit's session does with an error that comes before the script; config.toml hides its details.
    marshall(shown, RuntimeError("can't start new thread"), apply_show_error_details=True)
    assert "Vuelve a intentarlo" in shown.message and "Try again" in shown.message
