"""Messages show what people typed letter for letter."""

import re

from hypothesis import given
from hypothesis import strategies as st

from core.ui.messages import plain


def test_markdown_and_html_lose_their_power() -> None:
    shown = plain("<b>**x**</b> [a](http://b) :red[c] $y$ ![i](u)\n# t")
    assert re.search(r"(?<!\\)[<>*\[\]:$#!]", shown) is None


@given(st.text(max_size=200))
def test_only_backslashes_are_added_and_breaks_folded(text: str) -> None:
    shown = re.sub(r"\\(.)", r"\1", plain(text))
    assert shown.split() == text.split()
    assert len(shown.splitlines()) <= 1


def test_thin_spaces_in_numbers_stay() -> None:
    assert plain("20\u202f001") == "20\u202f001"
