"""The Atención page in a real browser: every part, axe, and the drawing's choices in the page's link."""

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import settle
from tests.browser.looks import OpenPage, sideways, violations, warm_up

pytestmark = pytest.mark.browser


def address(base: str, **query: str) -> str:
    return f"{base}/attention?{urlencode(query)}"


READY = {
    "look": {"es": "La atención no es una explicación", "en": "Attention is not an explanation"},
    "compare": {"es": "¿Con qué se compara?", "en": "Compare with what?"},
    "find": {"es": "Repartida por igual", "en": "Spread evenly"},
    "map": {"es": "Media sobre 24 frases", "en": "Mean over 24 sentences"},
    "evidence": {"es": "¿Qué prueba una línea de atención?", "en": "What does a line of attention prove?"},
}


@pytest.fixture(scope="module")
def warm_url(app_url: str, chromium: Browser) -> str:
    """The app, once it has imported torch and read a text: on a busy machine that takes longer than a page may."""
    warm_up(chromium, address(app_url, lang="es"), READY["look"]["es"])
    return app_url


@pytest.mark.parametrize("part", list(READY))
@pytest.mark.parametrize(("lang", "scheme", "width"), [("es", "light", 1280), ("en", "dark", 390)])
def test_every_part_fits_and_passes_axe(
    warm_url: str, open_page: OpenPage, part: str, lang: str, scheme: str, width: int
) -> None:
    page = open_page(address(warm_url, part=part, lang=lang), width=width, scheme=scheme)
    expect(page.get_by_text(READY[part][lang]).first).to_be_visible(timeout=60_000)
    settle(page)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
    assert sideways(page) <= 0
    assert violations(page) == []


def test_an_example_opens_its_head_and_what_is_chosen_is_in_the_link(warm_url: str, open_page: OpenPage) -> None:
    page = open_page(address(warm_url, example="agreement-en", lang="es"))
    expect(page.get_by_text("De «are» a «keys»: 0,778")).to_be_visible(timeout=60_000)
    settle(page)
    expect(page).to_have_url(re.compile(r"view=head.*layer=3.*heads=1.*row=7.*column=2"))
    page.get_by_role("tab", name="Matriz").click()
    expect(page).to_have_url(re.compile("view=matrix"))
    page.get_by_role("tab", name="Neurona").click()
    expect(page).to_have_url(re.compile("view=neuron"))
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
    link = page.url
    again = open_page(link)
    expect(again.get_by_role("tab", name="Neurona")).to_have_attribute("aria-selected", "true", timeout=60_000)


def test_the_lines_between_two_texts_are_in_the_link(warm_url: str, open_page: OpenPage) -> None:
    query = {"text": "The dog ran.", "second": "It was fast.", "model": "minilm", "view": "head", "lines": "ba"}
    page = open_page(address(warm_url, lang="es", **query))
    expect(page.get_by_label("Líneas")).to_have_value("ba", timeout=60_000)
    page.get_by_label("Líneas").select_option("ab")
    expect(page).to_have_url(re.compile("lines=ab"))
    expect(page.get_by_label("Líneas")).to_have_value("ab")


def test_typed_html_is_text(warm_url: str, open_page: OpenPage) -> None:
    page = open_page(address(warm_url, lang="es"))
    expect(page.get_by_text(READY["look"]["es"]).first).to_be_visible(timeout=60_000)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.get_by_label("Tu texto").fill("<img src=x onerror=alert(1)> <b>bold</b>")
    page.get_by_role("button", name="Ver atención").click()
    expect(page.get_by_text("Prueba: tapar y volver a calcular")).to_be_visible(timeout=60_000)
    settle(page)
    assert page.locator("img[src=x]").count() == 0
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
