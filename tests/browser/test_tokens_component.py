from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import serve_app

pytestmark = pytest.mark.browser

APP = Path(__file__).with_name("apps") / "tokens_demo.py"
HOST = "[data-testid=stBidiComponentIsolated]"

# For every element of the view with text of its own: the worst contrast, on the background behind it.
CONTRAST = """(root) => {
  const parse = (c) => { const n = c.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1] }
  const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
  const behind = (e) => {
    for (; e; e = e.parentElement ?? e.getRootNode().host) {
      const c = parse(getComputedStyle(e).backgroundColor)
      if (c[3] > 0.99) return c
    }
    return [255, 255, 255, 1]
  }
  const out = []
  for (const e of root.querySelectorAll("*")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())
    if (!own || !e.getClientRects().length) continue
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))]
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    out.push([ratio, e.className + ": " + e.textContent.slice(0, 20)])
  }
  return out.sort((a, b) => a[0] - b[0])
}"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serve_app(APP) as url:
        yield url


class Opener:
    """Opens the demo with its address's parameters, in one browser context for each kind of screen."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser = browser
        self.address = address
        self.contexts: dict[tuple[int, str, bool], BrowserContext] = {}

    def __call__(
        self, width: int = 1280, scheme: Literal["light", "dark"] = "light", touch: bool = False, **query: str
    ) -> Page:
        kind = (width, scheme, touch)
        if kind not in self.contexts:
            self.contexts[kind] = self.browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=touch
            )
        page = self.contexts[kind].new_page()
        page.goto(f"{self.address}/?{urlencode(query)}")
        page.locator(".tk .status").wait_for(timeout=60_000)
        return page

    def close_pages(self) -> None:
        for context in self.contexts.values():
            for page in context.pages:
                page.close()


@pytest.fixture(scope="module")
def opener(chromium: Browser, address: str) -> Opener:
    return Opener(chromium, address)


@pytest.fixture
def visit(opener: Opener) -> Iterator[Opener]:
    yield opener
    opener.close_pages()


def test_hover_lights_the_word_in_every_panel_and_nothing_else(visit: Opener) -> None:
    page = visit()
    page.locator(".row").nth(0).locator("[data-u='3']").hover()
    expect(page.locator(".tk .on")).to_have_count(3)
    for panel in (".text", ".row >> nth=0", ".row >> nth=1"):
        lit = page.locator(f"{panel} >> .on")
        expect(lit).to_have_count(1)
        expect(lit).to_have_attribute("data-u", "3")
    status = page.locator(".status")
    height = status.bounding_box()["height"]  # type: ignore[index]
    expect(status.locator(".word")).to_have_text("ñandú")
    expect(status).to_contain_text("##du")
    page.locator(".text [data-u='0']").hover()
    expect(page.locator(".tk .on").first).to_have_attribute("data-u", "0")
    expect(page.locator(".tk .on")).to_have_count(3)
    page.mouse.move(2, 2)
    expect(page.locator(".tk .on")).to_have_count(0)
    assert status.bounding_box()["height"] == height  # type: ignore[index]


def test_keyboard_walks_and_chooses(visit: Opener) -> None:
    page = visit()
    assert page.locator(".tk [data-u][tabindex='0']").count() == 3  # one tab stop a panel
    page.locator(".text [data-u='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".text [data-u='2']")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".row").nth(0).locator("[data-u='2']")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(".row").nth(1).locator("[data-u='2']")).to_be_focused()
    page.keyboard.press("End")
    expect(page.locator(".row").nth(1).locator("[data-u='4']")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.get_by_text("chosen=3")).to_be_visible()
    expect(page.locator(".tk .sel")).to_have_count(3)
    expect(page.locator(".row").nth(1).locator("[data-u='3']")).to_be_focused()  # the rerun keeps the focus
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    expect(page.get_by_text("chosen=0")).to_be_visible()


def test_tap_chooses(visit: Opener) -> None:
    page = visit(width=390, touch=True)
    page.locator(".row").nth(0).locator("[data-u='1']").tap()
    expect(page.get_by_text("chosen=1")).to_be_visible()
    expect(page.locator(".row").nth(0).locator("[data-u='1']")).to_have_attribute("aria-current", "true")


def test_focus_and_word_survive_new_data(visit: Opener) -> None:
    page = visit()
    expect(page.locator(".c .id")).to_have_count(0)
    page.locator(".row").nth(0).locator("[data-u='3']").focus()
    page.get_by_text("ids", exact=True).click()
    expect(page.locator(".row").nth(0).locator("[data-u='2'] .id").first).to_be_visible()
    expect(page.locator(".row").nth(0).locator("[tabindex='0']")).to_have_attribute("data-u", "3")


def test_names_for_screen_readers(visit: Opener) -> None:
    page = visit()
    panel = page.get_by_role("list", name="Piezas de BERT (inglés, uncased)")
    expect(panel.get_by_role("button", name="«niña»: 1 pieza: nina")).to_be_visible()
    expect(panel.get_by_role("button", name="«ñandú»: 2 piezas: nan, ##du")).to_be_visible()


def test_unknown_is_marked_and_a_zwj_emoji_stays_whole(visit: Opener) -> None:
    family = "👨‍👩‍👧‍👦"
    page = visit(text=f"hola {family} fin")
    unknown = page.locator(".row").nth(0).locator(".c.unknown")
    expect(unknown).to_have_count(1)
    expect(unknown).to_contain_text("[UNK]")
    expect(unknown.locator("svg.warn")).to_have_count(1)
    expect(unknown).to_contain_text(family)
    expect(page.locator(".row").nth(0).locator(".unknowns")).to_have_text("1 desconocida")
    expect(page.locator(".text [data-u='1']")).to_have_text(family)
    whole = page.locator(".row").nth(1).locator("[data-u='1'] .whole")
    expect(whole).to_have_text([family])
    shown = page.locator(".row").nth(1).locator("[data-u='1'] .c.bytes").all_inner_texts()
    assert len(shown) > 4
    assert not any(character in "".join(shown) for character in family)


def test_markup_is_shown_and_never_run(visit: Opener) -> None:
    text = '<script>window.pwned=1</script> <img src=x onerror="window.pwned=1"> **md** {word} $x$'
    page = visit(text=text)
    shown = page.locator(".text .words")
    assert shown.inner_text().strip() == text
    assert page.locator(".tk img, .tk script").count() == 0
    page.locator(".row").nth(0).locator("[data-u='1']").hover()
    expect(page.locator(".status .word")).to_have_text("script")
    assert page.evaluate("window.pwned") is None


def test_marks_tell_who_cuts(visit: Opener) -> None:
    page = visit(text="canción")
    solo = page.locator(".text .w .cut.solo")
    assert solo.count() >= 1
    assert set(solo.evaluate_all("nodes => nodes.map(n => n.dataset.n)")) <= {"1", "2"}
    expect(page.locator(".legend")).to_contain_text("solo BPE de bytes")
    plain = visit(text="canción", marks="0")
    expect(plain.locator(".text .w .cut.solo").first).to_be_hidden()


def test_white_space_on_demand(visit: Opener) -> None:
    text = "uno\tdos\u00a0tres\ncuatro cinco"
    expect(visit(text=text).locator(".text .words")).not_to_contain_text("⏎")
    seen = visit(text=text, spaces="1").locator(".text .words").text_content() or ""
    assert seen.replace("\u200b", "") == "uno→dos⍽tres⏎\ncuatro·cinco"


@pytest.mark.parametrize("text", ["La niña comió ñandú. ", "electroencefalografista", "👨‍👩‍👧‍👦", "مرحبا بالعالم "])
def test_nothing_overflows_at_390_pixels(visit: Opener, text: str) -> None:
    page = visit(width=390, text=text, times="12")
    page.locator(".text [data-u='0']").focus()
    widths = page.evaluate(
        "() => [document.documentElement, document.querySelector('[data-testid=stMain]')].map((e) => e.scrollWidth)"
    )
    assert max(widths) <= 390
    assert page.locator(".tk").evaluate(
        "root => [...root.querySelectorAll('.panel, .chips, .g, .c, .body')]"
        ".every(e => e.getBoundingClientRect().right <= root.getBoundingClientRect().right + 1)"
    )


def test_long_texts_come_in_pages(visit: Opener) -> None:
    page = visit(text="uno dos ", times="500")
    expect(page.locator(".text .w")).to_have_count(400)
    expect(page.locator(".note")).to_have_text("Faltan 600 palabras y signos por mostrar.")
    more = page.get_by_role("button", name="Mostrar más")
    more.click()
    expect(page.locator(".text .w")).to_have_count(800)
    expect(page.locator(".note")).to_contain_text("200")
    page.locator(".row").nth(0).locator("[data-u='5']").click()
    expect(page.get_by_text("chosen=5")).to_be_visible()
    expect(page.locator(".text .w")).to_have_count(800)  # what was unfolded stays so
    more.click()
    expect(page.locator(".text .w")).to_have_count(1000)
    expect(more).to_be_hidden()
    expect(page.locator(".text [data-u='800']")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_and_axe(visit: Opener, scheme: str) -> None:
    page = visit(scheme=scheme, spaces="1", text="La niña comió ñandú 🧉 e\u0301 你好 [SEP].")
    root = page.locator(".tk")
    expect(root).to_have_attribute("data-theme", scheme)
    page.get_by_text("ids", exact=True).click()
    expect(page.locator(".c .id").first).to_be_visible()
    page.locator(".row").nth(0).locator("[data-u='2']").click()
    expect(page.get_by_text("chosen=2")).to_be_visible()
    page.mouse.move(2, 2)
    worst = root.evaluate(CONTRAST)
    assert len(worst) > 40
    assert worst[0][0] >= 4.5, worst[:5]
    results = Axe().run(page, context={"include": [[HOST]]})
    assert results.violations_count == 0, results.generate_report()
