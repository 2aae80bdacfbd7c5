"""What the browser tests of all pages look at: axe, and whether the page scrolls sideways."""

from collections.abc import Callable

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

OpenPage = Callable[..., Page]
CHOSEN = "[aria-checked=true], [data-selected=true]"
# Streamlit's own menu and upload area break a rule each by themselves.
MENU = "[data-testid=stSidebarNavItems]"
UPLOAD = "[data-testid=stFileUploaderDropzone]"
# A colour halfway between two is no colour of the page's. Spinners never end, and what is taken off the page meanwhile
# may not either.
_STILL = """() => {
  const ends = document.getAnimations()
    .filter(a => a.playState === "running" && isFinite(a.effect.getComputedTiming().endTime)).map(a => a.finished)
  return Promise.race([Promise.allSettled(ends), new Promise(later => setTimeout(later, 5000))]).then(() => true)
}"""


def axe(page: Page, *excluded: str) -> list[tuple[str, str, str]]:
    """What axe finds once nothing changes colour any more: rule, element and what to do."""
    page.evaluate(_STILL)
    results = Axe().run(page, context={"exclude": [[selector] for selector in excluded]})
    return [
        (v["id"], v["nodes"][0]["html"][:300], v["nodes"][0].get("failureSummary", "")[:300])
        for v in results.response["violations"]
    ]


def violations(page: Page, *excluded: str, chosen: str = CHOSEN) -> list[tuple[str, str, str]]:
    """What axe finds outside Streamlit's menu, once the app's own style and fonts are in force."""
    expect(page.locator(chosen).first).to_have_css("font-weight", "700")
    # With another font in their place, formulas are wider than the page.
    page.evaluate("() => document.fonts.ready.then(() => true)")
    return axe(page, MENU, *excluded)


def sideways(page: Page) -> int:
    """By how many pixels the page is wider than the window; 0 or less where it fits."""
    found: int = page.evaluate(
        "() => document.querySelector('[data-testid=stMain]').scrollWidth - document.documentElement.clientWidth"
    )
    return found


def warm_up(browser: Browser, url: str, text: str) -> None:
    """Waits until a page has imported torch and answered: on a busy machine that takes longer than a page may."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="es-ES")
    page = context.new_page()
    page.goto(url)
    expect(page.get_by_text(text).first).to_be_visible(timeout=120_000)
    context.close()
