"""The QR code says the link, and the links that a lesson opens are those that work here."""

import pytest

from core.i18n import set_language
from core.ui.classroom import links
from core.ui.classroom.qr import qr_svg


@pytest.fixture(autouse=True)
def spanish_after() -> object:
    yield
    set_language("es")


def test_a_code_is_an_image_that_holds_no_markup_of_the_link() -> None:
    svg = qr_svg("http://example.org/embeddings?text=<script>&lang=es")
    assert svg is not None and svg.startswith("<svg ") and "http://www.w3.org/2000/svg" in svg
    assert "script" not in svg and "#000" in svg
    assert qr_svg("http://example.org/a") != qr_svg("http://example.org/b")


def test_the_code_has_the_squares_that_the_standard_gives_the_text() -> None:
    import segno

    link = "http://192.0.2.7:8501/embeddings?part=contexts&lang=es"
    made = segno.make_qr(link, error="m", boost_error=False)
    svg = qr_svg(link)
    size = made.symbol_size(border=4)[0]
    assert svg is not None and f'viewBox="0 0 {size} {size}"' in svg
    # Every row's dark squares are drawn: lines of one square's height.
    dark = sum(sum(row) for row in made.matrix)
    import re

    drawn = sum(int(length) for length in re.findall(r"h(\d+)", svg.rpartition("<path")[2]))
    assert drawn == dark


def test_what_does_not_fit_into_a_code() -> None:
    assert qr_svg("http://example.org/?" + "a" * 3_000) is None
    assert qr_svg("http://example.org/?" + "a" * 2_500) is not None


def test_the_readers_language_comes_first_where_a_model_of_it_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    both = ("embeddings?example=banco-es", "embeddings?example=bank-en")
    monkeypatch.setattr(links, "_works", lambda reference: True)
    assert links.usable(both) == both[0]
    set_language("en")
    assert links.usable(both) == both[1]
    assert links.usable(both[:1]) == both[0]
    set_language("es")
    monkeypatch.setattr(links, "_works", lambda reference: not reference.endswith("-es"))
    assert links.usable(both) == both[1]
    monkeypatch.setattr(links, "_works", lambda reference: False)
    assert links.usable(both) == both[1], "the page then says what is missing"
