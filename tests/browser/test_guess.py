"""«Predice antes» in two browsers that share a room."""

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import settle
from tests.browser.looks import OpenPage, violations

pytestmark = pytest.mark.browser


def address(base: str, **query: str) -> str:
    text = {"text": "The tokenizers desayunaron temprano.", "models": "bert-uncased"}
    return f"{base}/tokenization?{urlencode({**text, **query})}"


@pytest.mark.parametrize(("lang", "scheme", "width"), [("es", "light", 1280), ("en", "dark", 390)])
def test_the_question_fits_and_passes_axe(
    app_url: str, open_page: OpenPage, lang: str, scheme: str, width: int
) -> None:
    page = open_page(address(app_url, guess="1", lang=lang), width=width, scheme=scheme)
    expect(page.get_by_text({"es": "¿Qué crees?", "en": "What do you think?"}[lang])).to_be_visible(timeout=60_000)
    settle(page)
    assert violations(page) == []


def test_a_room_brings_two_browsers_together(app_url: str, open_page: OpenPage) -> None:
    teacher = open_page(address(app_url, guess="1", lang="es"))
    expect(teacher.get_by_text("¿Qué crees?")).to_be_visible(timeout=60_000)
    teacher.get_by_text("Con la clase").click()
    teacher.get_by_role("button", name="Abrir una sala").click()
    expect(teacher).to_have_url(re.compile("room=[A-Z2-9]{4}"))
    expect(teacher.get_by_text("0 respuestas")).to_be_visible()
    student = open_page(teacher.url)
    expect(student.get_by_text("¿Qué crees?")).to_be_visible(timeout=60_000)
    student.get_by_role("textbox", name="Tu respuesta").fill("token|izers")
    student.get_by_role("button", name="Comprobar").click()
    expect(student.get_by_text("La clase: 1 respuesta")).to_be_visible()
    # By itself, a moment later, and without what was guessed.
    expect(teacher.get_by_text("1 respuesta")).to_be_visible(timeout=15_000)
    expect(teacher.get_by_text("token|izers")).to_have_count(0)
    teacher.get_by_role("button", name="Ver sin adivinar").click()
    expect(teacher.get_by_text("La clase: 1 respuesta")).to_be_visible()
    expect(teacher.locator(".js-plotly-plot").first).to_contain_text("token|izers")
