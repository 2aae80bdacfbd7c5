"""What a browser lets a page of ours do: the policy is in force, the app keeps to it, hostile links are dead."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from core.ui.navigation import PAGES
from core.ui.state import unpack_text
from tests.browser.conftest import settle
from tests.hostile.strings import HOST, MARK, MARKDOWN, SCRIPTS
from tests.hostile.test_decoders import params

pytestmark = pytest.mark.browser

# A view of each page that draws what it can: plots, components, formulas, tables.
VIEWS = {
    "home": "/",
    "timeline": "/timeline?view=sizes",
    "concepts": "/concepts?concept=attention",
    "tokenization": "/tokenization?text=hola+mundo&models=bert-uncased,wordpiece-es",
    "embeddings": "/embeddings?text=El+banco+del+parque",
    "inside": "/inside?text=El+banco+del+parque",
    "attention": "/attention?text=El+banco+del+parque",
    "tasks": "/tasks?task=sentiment&tl=es&text=Me+gusta",
    "finetuning": "/finetuning",
    "system": "/system?view=live",
}
# What some of them must have drawn, or the policy would have had nothing to forbid. The scripts of both come after
# everything else.
_PLOT, _COMPONENT = ".js-plotly-plot", "[data-testid^=stBidiComponent]"
DRAWN = {
    "timeline": _PLOT,
    "tokenization": _COMPONENT,
    "embeddings": _COMPONENT,
    "inside": _COMPONENT,
    "attention": _COMPONENT,
    "tasks": _PLOT,
}
LISTEN = """window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`))"""


@pytest.fixture
def watched(chromium: Browser) -> Iterator[Page]:
    """A page that notes every violation of the policy in ``window.violations``."""
    context = chromium.new_context(locale="es-ES", viewport={"width": 1280, "height": 900})
    context.add_init_script(LISTEN)
    yield context.new_page()
    context.close()


def open_(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("h1").first).to_be_visible(timeout=60_000)
    expect(page.locator("[data-testid=stApp]")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=120_000
    )


def test_every_page_keeps_to_the_policy(app_url: str, watched: Page) -> None:
    assert set(VIEWS) == {page.name for page in PAGES}
    errors: list[str] = []
    watched.on("pageerror", lambda error: errors.append(str(error)))
    for name, address in VIEWS.items():
        open_(watched, app_url + address)
        if name in DRAWN:
            expect(watched.locator(DRAWN[name]).filter(visible=True).first).to_be_visible(timeout=120_000)
        assert watched.evaluate("window.violations") == [], address
    assert errors == []


def test_the_policy_is_in_force(app_url: str, watched: Page) -> None:
    stopped: dict[str, str | None] = {}
    # The browser tells of requests that the policy stopped, too, and says that it was the policy.
    watched.on("requestfailed", lambda request: stopped.setdefault(request.url, request.failure))
    open_(watched, app_url)
    watched.evaluate(
        """(host) => {
          const script = document.createElement("script")
          script.textContent = "window.inline = 1"
          const image = new Image()
          image.src = `http://${host}/x.png`
          const frame = document.createElement("iframe")
          frame.srcdoc = "<script>top.framed = 1</script>"
          const button = document.createElement("button")
          button.setAttribute("onclick", "window.handled = 1")
          document.body.append(script, image, frame, button)
          button.click()
          // Later, on its own: what Playwright itself evaluates may evaluate more.
          setTimeout("window.evaluated = 1", 0)
          return fetch(`http://${host}/`).catch(() => 0)
        }""",
        HOST,
    )
    # Playwright's own wait would need the eval that the policy forbids; all of these are noted within moments.
    deadline = time.monotonic() + 20
    while len(watched.evaluate("window.violations")) < 5 and time.monotonic() < deadline:
        watched.wait_for_timeout(100)
    found = watched.evaluate("window.violations")
    for rule in ("script-src-elem", "script-src-attr", "img-src", "connect-src", "script-src eval"):
        assert any(one.startswith(rule) for one in found), (rule, found)
    assert watched.evaluate("[window.inline, window.framed, window.handled, window.evaluated]") == [None] * 4
    assert {why for url, why in stopped.items() if HOST in url} == {"csp"}


HOSTILE = " ".join((*SCRIPTS, *MARKDOWN))[:900]
# Every field of text that a link fills, on every page and in every task; with what it takes to get an answer.
LINKS: dict[str, dict[str, str]] = {
    "tokenization": {"text": HOSTILE, "search": HOSTILE[:80]},
    "attention": {"text": HOSTILE, "second": HOSTILE[:200]},
    "embeddings": {"text": HOSTILE, "second": HOSTILE, "lines": HOSTILE, "word": MARKDOWN[0], "a": SCRIPTS[0]},
    "inside": {"text": HOSTILE, "second": HOSTILE[:200]},
    "timeline": {"search": HOSTILE},
    "concepts": {"search": HOSTILE},
    "finetuning": {"own": HOSTILE, "context": HOSTILE, "raw": HOSTILE, "start": "adapted"},
    "tasks/sentiment": {"text": HOSTILE},
    "tasks/entities": {"text": f"Marie Curie {HOSTILE}"},
    "tasks/questions": {
        "text": f"The tower was built in 1889. {HOSTILE}",
        "question": f"When was it built? {SCRIPTS[0]}",
    },
    "tasks/summary": {"text": ".\n".join((*SCRIPTS, *MARKDOWN))},
    "tasks/translation": {"text": ". ".join((*SCRIPTS[:3], *MARKDOWN[:3]))},
    "tasks/generation": {"text": HOSTILE[:400], "tokens": "10"},
    "tasks/fill-mask": {"text": f"The [MASK] barked. {HOSTILE[:600]}"},
    "tasks/next-sentence": {"text": HOSTILE[:400], "second": HOSTILE[400:]},
    "tasks/zero-shot": {"text": HOSTILE, "labels": f"{MARKDOWN[0]}, {SCRIPTS[0]}, sports"},
    "tasks/similarity": {"text": "\n".join((*SCRIPTS, *MARKDOWN[:5]))},
    "tasks/coreference": {
        "text": f"The trophy {MARKDOWN[0]} does not fit in the suitcase {SCRIPTS[0]} because it is big."
    },
}


def test_the_links_fill_every_text() -> None:
    filled = {f"{place}/{name}" for place, query in LINKS.items() for name in query}
    # Their neighbours on the same page show the same way what they are given.
    beside = {f"embeddings/{name}" for name in ("b", "c", "batch", "pairs", "piece")} | {"tasks/zero-shot/template"}
    texts = {name for name, param in params().items() if param.decode is unpack_text}
    assert texts <= filled | beside


@pytest.mark.parametrize("place", LINKS)
def test_hostile_links_run_nothing_and_ask_nobody(app_url: str, open_page: Callable[..., Page], place: str) -> None:
    # The fixture fails on any request to another host, error or dialog.
    page_name, _slash, task = place.partition("/")
    query: dict[str, Any] = {**LINKS[place], "lang": "es"} | ({"task": task, "tl": "en"} if task else {})
    page = open_page(f"{app_url}/{page_name}?{urlencode(query)}")
    settle(page)
    if task:
        expect(page.locator("[data-testid=stAlertContentError]")).to_have_count(0)
    assert page.evaluate(f"window.{MARK}") is None
    found = page.evaluate(
        """(host) => [...document.querySelectorAll("[src], [href], [action]")]
          .flatMap((one) => ["src", "href", "action"].map((name) => one.getAttribute(name) ?? ""))
          .filter((value) => value.includes(host) || value.startsWith("javascript:"))""",
        HOST,
    )
    assert found == []
