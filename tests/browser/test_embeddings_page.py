"""The Embeddings page in a real browser: every part, axe, the drawing of the sum, and the block for the classroom."""

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from core.ui.embeddings.state import PARTS
from tests.browser.conftest import settle
from tests.browser.looks import OpenPage, sideways, violations, warm_up

pytestmark = pytest.mark.browser

READY = {
    "sum": {"es": "difieren como mucho en", "en": "really got differ by"},
    "positions": {"es": "La tabla de posiciones de", "en": "The position table of"},
    "neighbours": {"es": "Vecinos de «madre»", "en": "Neighbours of “king”"},
    "contexts": {"es": "la frase más parecida tiene", "en": "the most similar sentence has"},
    "sentences": {"es": "que no tienen nada que ver", "en": "two unrelated sentences"},
    "cosine": {"es": "(Pitágoras)", "en": "(Pythagoras)"},
    "batch": {"es": "ningún error avisa", "en": "no error warns you"},
}


def address(base: str, **query: str) -> str:
    return f"{base}/embeddings?{urlencode(query)}"


@pytest.fixture(scope="module")
def warm_url(app_url: str, chromium: Browser) -> str:
    """The app, once it has imported torch and read a text: on a busy machine that takes longer than a page may."""
    warm_up(chromium, address(app_url, lang="es"), READY["sum"]["es"])
    return app_url


@pytest.mark.parametrize("part", list(PARTS))
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


def test_a_token_is_chosen_by_mouse_and_keyboard_and_the_numbers_add_up(warm_url: str, open_page: OpenPage) -> None:
    page = open_page(address(warm_url, example="pair-en", lang="en"))
    group = page.get_by_role("group", name="Tokens: choose one")
    expect(group.get_by_role("button", name="the", exact=True)).to_have_attribute(
        "aria-pressed", "true", timeout=60_000
    )
    cats = group.get_by_role("button", name="cat", exact=True)
    expect(cats).to_have_count(2)
    cats.nth(1).click()
    expect(cats.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(re.compile("token=8"))
    expect(page.get_by_text("“cat” occurs 2 times")).to_be_visible()
    slider = page.get_by_role("slider", name="Dimension")
    slider.focus()
    for _press in range(3):
        page.keyboard.press("ArrowRight")
    status = page.locator(".equation")
    expect(status).to_contain_text("4: ")
    text = (status.text_content() or "").replace("−", "-").split(": ")[1]
    left, total, _normalized = (part for part in re.split("=|→", text))
    added = sum(float(number) for number in re.findall(r"-?\d+\.\d+", left))
    assert added == pytest.approx(float(re.findall(r"-?\d+\.\d+", total)[0]), abs=0.0016)
    # A square of the first patch: the last one is dimension 384.
    canvas = page.locator(".patch canvas").first
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] - 3)
    expect(status).to_contain_text("384: ")
    group.get_by_role("button", name="small").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("token=7"))


def test_the_drawing_has_colours(warm_url: str, open_page: OpenPage) -> None:
    for scheme in ("light", "dark"):
        page = open_page(address(warm_url, lang="es"), scheme=scheme)
        expect(page.locator(".patch canvas")).to_have_count(5, timeout=60_000)
        shades = page.evaluate(
            """() => {
              const root = [...document.querySelectorAll('*')].map((n) => n.shadowRoot ?? n)
              const canvas = root.map((n) => n.querySelector?.('.patch canvas')).find(Boolean)
              const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
              const seen = new Set()
              for (let at = 0; at < data.length; at += 4) seen.add(data.slice(at, at + 3).join())
              return seen.size
            }"""
        )
        assert shades > 60, "each of the 384 numbers has its shade"


def test_typed_html_is_text(warm_url: str, open_page: OpenPage) -> None:
    page = open_page(address(warm_url, lang="es", model="minilm"))
    expect(page.get_by_text(READY["sum"]["es"]).first).to_be_visible(timeout=60_000)
    page.get_by_label("Tu texto").fill("<img src=x onerror=alert(1)> <b>bold</b>")
    page.get_by_label("Segundo texto").click()
    expect(page.get_by_role("group", name="Tokens: elige uno").get_by_role("button", name="bold")).to_be_visible()
    settle(page)
    assert page.locator("img[src=x]").count() == 0
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


def test_the_classroom_block_opens_steps_and_a_code(warm_url: str, open_page: OpenPage) -> None:
    page = open_page(address(warm_url, part="cosine", lang="es"))
    expect(page.get_by_text("(Pitágoras)").first).to_be_visible(timeout=60_000)
    page.get_by_text("Para el aula", exact=True).first.click()
    expect(page.get_by_text("minuto 0 a 1")).to_be_visible()
    page.get_by_text("Código QR", exact=True).click()
    code = page.get_by_role("img", name="Código QR con el enlace a esta vista")
    expect(code).to_be_visible()
    box = code.bounding_box()
    assert box is not None and box["width"] > 200 and abs(box["width"] - box["height"]) < 2
    expect(page.get_by_text("solo funciona en este equipo")).to_be_visible()
    assert violations(page) == []
    page.get_by_text("Guion de 5 minutos", exact=True).click()
    page.get_by_role("link", name="Abrir").nth(1).click()
    expect(page).to_have_url(re.compile("part=contexts"))
    expect(page.get_by_text(READY["contexts"]["es"]).first).to_be_visible(timeout=60_000)
