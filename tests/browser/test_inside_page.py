"""The page Por dentro in a real browser: every view, axe, clicks on values, the keyboard, and the link."""

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import settle
from tests.browser.looks import OpenPage, sideways, violations, warm_up

pytestmark = pytest.mark.browser


READY = {
    "walk": {"es": "¿De dónde sale", "en": "Where does"},
    "answer": {"es": "¿Qué palabra pondría aquí?", "en": "The sentence’s vector"},
    "parameters": {"es": "¿Dónde están los parámetros?", "en": "Where are the parameters?"},
    "race": {"es": "¿Por qué un transformer va en paralelo?", "en": "Why does a transformer run in parallel?"},
}


def address(base: str, **query: str) -> str:
    return f"{base}/inside?{urlencode(query)}"


@pytest.fixture(scope="module")
def warm_url(app_url: str, chromium: Browser) -> str:
    """The app, once it has imported torch and walked a text: on a busy machine that takes longer than a page may."""
    warm_up(chromium, address(app_url, lang="es"), READY["walk"]["es"])
    return app_url


@pytest.mark.parametrize("view", list(READY))
@pytest.mark.parametrize(("lang", "scheme", "width"), [("es", "light", 1280), ("en", "dark", 390)])
def test_every_view_fits_and_passes_axe(
    warm_url: str, open_page: OpenPage, view: str, lang: str, scheme: str, width: int
) -> None:
    page = open_page(address(warm_url, view=view, lang=lang), width=width, scheme=scheme)
    expect(page.get_by_text(READY[view][lang]).first).to_be_visible(timeout=60_000)
    settle(page)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
    assert sideways(page) <= 0
    assert violations(page) == []


def test_from_a_weight_back_to_the_vectors_that_made_it(warm_url: str, open_page: OpenPage) -> None:
    page = open_page(address(warm_url, example="agreement-en", lang="es"))
    expect(page.get_by_text("¿De dónde sale 0,778?")).to_be_visible(timeout=60_000)
    settle(page)
    page.get_by_role("button", name="6,627 Máscara").click()
    expect(page.get_by_text("6,627 + 0 = 6,627")).to_be_visible()
    expect(page).to_have_url(re.compile(r"step=encoder\.3\.attention\.mask.*row=7.*column=2"))
    page.get_by_role("button", name="6,627 Q·K").click()
    expect(page.get_by_text("escala 0,177")).to_be_visible()
    # A click in the very moment in which the page is redrawn can be lost.
    settle(page)
    page.locator("button.factor").first.click()
    expect(page).to_have_url(re.compile(r"step=encoder\.3\.attention\.query.*head=1.*row=7"))
    expect(page.get_by_role("heading", name="Consultas Q (queries)")).to_be_visible()
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


def test_a_click_on_the_map_and_the_keyboard_choose_a_value(warm_url: str, open_page: OpenPage) -> None:
    page = open_page(
        address(warm_url, lang="es", model="minilm", text="The cat sleeps.", step="encoder.0.attention.weights")
    )
    expect(page.get_by_text(READY["walk"]["es"]).first).to_be_visible(timeout=60_000)
    settle(page)
    picture = page.locator(".heat canvas")
    box = picture.bounding_box()
    assert box is not None
    # Six tokens: the third row's fourth column.
    picture.click(position={"x": box["width"] * 3.5 / 6, "y": box["height"] * 2.5 / 6})
    expect(page).to_have_url(re.compile("row=2.*column=3"))
    chosen = page.locator(".heat [aria-pressed=true]")
    expect(chosen).to_have_attribute("aria-label", re.compile("^cat, sleeps: "))
    chosen.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("row=1.*column=2"))
    expect(page.locator(".heat [aria-pressed=true]")).to_have_attribute("aria-label", re.compile("^the, cat: "))
    again = open_page(page.url)
    expect(again.locator(".heat [aria-pressed=true]")).to_have_attribute(
        "aria-label", re.compile("^the, cat: "), timeout=60_000
    )


def test_typed_html_is_text(warm_url: str, open_page: OpenPage) -> None:
    page = open_page(address(warm_url, lang="es", model="minilm", step="encoder.0.attention.weights"))
    expect(page.get_by_text(READY["walk"]["es"]).first).to_be_visible(timeout=60_000)
    page.get_by_label("Tu texto").fill("<img src=x onerror=alert(1)> <b>bold</b>")
    page.get_by_role("button", name="Recorrer el modelo").click()
    expect(
        page.locator(".heat .name", has_text="onerror").or_(page.locator(".heat .name", has_text="one")).first
    ).to_be_visible()
    settle(page)
    assert page.locator("img[src=x]").count() == 0
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


@pytest.mark.parametrize(("lang", "scheme", "width"), [("es", "light", 1280), ("en", "dark", 390)])
def test_the_race_is_run_and_its_plots_fit_and_pass_axe(
    warm_url: str, open_page: OpenPage, lang: str, scheme: str, width: int
) -> None:
    page = open_page(address(warm_url, view="race", lang=lang), width=width, scheme=scheme)
    page.get_by_role("button", name={"es": "Correr la carrera", "en": "Run the race"}[lang]).click()
    told = {"es": "capa de transformer tarda|aquí gana la LSTM", "en": "transformer layer takes|here the LSTM wins"}
    expect(page.get_by_text(re.compile(told[lang])).first).to_be_visible(timeout=120_000)
    settle(page)
    expect(page.get_by_test_id("stPlotlyChart").first).to_be_visible()
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
    assert sideways(page) <= 0
    assert violations(page) == []
