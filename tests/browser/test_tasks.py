"""Tareas in a real browser: every task in both languages and widths, with the mouse, the keyboard and axe."""

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from core.ui.tasks.registry import CARDS
from tests.browser.conftest import settle
from tests.browser.looks import UPLOAD, OpenPage, sideways, violations

pytestmark = pytest.mark.browser


def address(base: str, **query: str) -> str:
    return f"{base}/tasks?{urlencode(query)}"


def answered(page: Page) -> None:
    """Waits for the answer: the name of the model under it."""
    expect(page.get_by_text(re.compile(r"^cpu:")).first).to_be_visible(timeout=60_000)
    settle(page)


@pytest.mark.parametrize("slug", ["sentiment", "entities", "summary", "zero-shot", "similarity"])
@pytest.mark.parametrize(("lang", "scheme", "width"), [("es", "light", 1280), ("en", "dark", 390)])
def test_a_task_answers_and_passes_axe(
    app_url: str, open_page: OpenPage, slug: str, lang: str, scheme: str, width: int
) -> None:
    page = open_page(address(app_url, task=slug, tl="en", lang=lang), width=width, scheme=scheme)
    answered(page)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
    assert sideways(page) <= 0
    assert violations(page, UPLOAD, chosen="[data-variant=pills][data-selected=true]") == []


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.slug)
def test_every_task_opens_from_its_link_in_spanish(app_url: str, open_page: OpenPage, card: object) -> None:
    link = address(app_url, task=card.slug, tl="es", lang="es")  # type: ignore[attr-defined]
    page = open_page(link, width=390, scheme="dark")
    expect(page.get_by_role("heading", level=2, name=card.title)).to_be_visible()  # type: ignore[attr-defined]
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
    settle(page)
    assert violations(page, UPLOAD, chosen="[data-variant=pills][data-selected=true]") == []


def test_typing_and_changing_the_task_by_hand(app_url: str, open_page: OpenPage) -> None:
    page = open_page(address(app_url, tl="en", lang="es"))
    answered(page)
    page.get_by_label("Tu texto").fill("What a wonderful, lovely book.")
    page.get_by_role("button", name="Clasificar", exact=True).click()
    expect(page.get_by_role("heading", level=3, name=re.compile("Positivo"))).to_be_visible()
    expect(page).to_have_url(re.compile("wonderful"))
    page.get_by_role("radio", name="Entidades").or_(page.get_by_role("button", name="Entidades")).first.click()
    expect(page.get_by_role("heading", level=2, name="Entidades")).to_be_visible()
    answered(page)
    expect(page).to_have_url(re.compile("task=entities"))
    assert "wonderful" not in page.url
    page.reload()
    expect(page.get_by_role("heading", level=2, name="Entidades")).to_be_visible()


def test_words_can_be_read_with_the_keyboard(app_url: str, open_page: OpenPage) -> None:
    page = open_page(address(app_url, tl="en", lang="en", text="A <b>lovely</b> book."))
    answered(page)
    marks = page.locator(".mk .m[role=note]")
    expect(marks.filter(has_text="lovely").first).to_be_visible()
    expect(page.locator(".mk b")).to_have_count(0)
    marks.first.focus()
    first = page.locator(".mk .note").inner_text()
    assert first
    page.keyboard.press("End")
    expect(page.locator(".mk .note")).not_to_have_text(first)


@pytest.mark.parametrize("mode", ["contrast", "batch"])
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_other_modes_pass_axe(app_url: str, open_page: OpenPage, mode: str, scheme: str, width: int) -> None:
    page = open_page(address(app_url, tl="en", lang="en", mode=mode), width=width, scheme=scheme)
    if mode == "contrast":
        expect(page.get_by_text("What changes most from A to B")).to_be_visible(timeout=60_000)
    else:
        page.get_by_role("button", name="Use the examples").click()
        page.get_by_role("button", name=re.compile("Answer 5 rows")).click()
        expect(page.get_by_role("heading", level=3, name="Results")).to_be_visible(timeout=60_000)
    settle(page)
    assert violations(page, UPLOAD, chosen="[data-variant=pills][data-selected=true]") == []
