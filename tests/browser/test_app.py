"""The app as a person meets it: in Chromium, in both languages, light and dark, wide and narrow."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from core.lens.tokenization import MAX_CHARACTERS
from core.ui.system.form import VIEWS as SYSTEM_VIEWS
from core.ui.tokenization.form import VIEWS
from tests.browser.conftest import serve_app, settle
from tests.hub_server import serve
from tests.load.visitors import asked, in_a_loop, stream

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]
BOTH = "bert-uncased,wordpiece-es"
LOCALES = {"es": "es-ES", "en": "en-GB"}
ADDRESSES = ["/", *(f"/tokenization?view={view}&models={BOTH}" for view in VIEWS)]
TEXT_LABEL = "Tu texto"


def chips(page: Page) -> Any:
    return page.locator("[data-testid=stBidiComponentRegular], [data-testid=stBidiComponent]").first


def type_text(page: Page, text: str) -> None:
    """Types into the form as people do, and presses the button."""
    page.get_by_role("textbox", name=TEXT_LABEL).fill(text)
    page.get_by_role("button", name="Cortar en tokens").click()
    settle(page)


@pytest.mark.parametrize("path", ["/tokenization", f"/tokenization?text={quote('Mi ñandú')}&models={BOTH}"])
def test_the_first_visit_after_a_start_may_be_a_deep_link(open_page: OpenPage, path: str) -> None:
    with serve_app(TALLER_OFFLINE="1", TALLER_MODELS_DIR="") as address:
        page = open_page(address + path)
        expect(page.get_by_role("heading", name="Tokenización", level=1)).to_be_visible()
        expect(page.get_by_test_id("stSidebarNavItems")).to_contain_text("Inicio")
        expect(page.get_by_role("link", name="home", exact=True)).to_have_count(0)
        expect(page.get_by_role("dialog")).to_have_count(0)
        if "text=" in path:
            expect(page.get_by_role("textbox", name=TEXT_LABEL)).to_have_value("Mi ñandú")


@pytest.mark.parametrize("lang", LOCALES)
def test_the_browsers_language_decides_at_first(app_url: str, open_page: OpenPage, lang: str) -> None:
    page = open_page(app_url, locale=LOCALES[lang])
    expect(page.get_by_role("heading", name={"es": "Empieza por aquí", "en": "Start here"}[lang])).to_be_visible()


def test_one_click_from_home_to_a_result(app_url: str, open_page: OpenPage) -> None:
    page = open_page(app_url)
    page.get_by_role("link", name="Verlo en Tokenización").click()
    expect(page.get_by_role("heading", name="Tokenización", level=1)).to_be_visible()
    settle(page)
    expect(page.get_by_role("textbox", name=TEXT_LABEL)).to_have_value(re.compile("investigadores"))
    expect(page.get_by_role("button", name=re.compile("«investigadores»")).first).to_be_visible()


def test_the_machines_reading_renews_itself_and_nothing_else(app_url: str, open_page: OpenPage) -> None:
    page = open_page(app_url)
    gauge = page.locator(".gauges .card").first
    expect(gauge).to_contain_text("Procesador")
    page.evaluate("document.querySelector('h1').dataset.mark = 'same'")
    seen = gauge.inner_text()
    # The processor's use is not the same for a minute on end.
    expect(gauge).not_to_have_text(seen, timeout=60_000)
    assert page.locator("h1").get_attribute("data-mark") == "same"


def test_a_page_that_is_left_does_not_begin_again_over_the_next_one(app_url: str) -> None:
    """What a browser sends when the gauges ask for their next time just after a link was clicked."""

    async def look() -> list[bool]:
        async with stream(app_url, 60) as socket:

            async def messages(ends: int, seconds: float) -> AsyncIterator[Any]:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        async for raw in socket:
                            found: Any = ForwardMsg()
                            found.ParseFromString(raw)
                            yield found
                            ends -= found.WhichOneof("type") == "script_finished"
                            if not ends:
                                return

            await socket.send(asked())
            first = [message async for message in messages(1, 60)]
            home = [m.new_session.page_script_hash for m in first if m.WhichOneof("type") == "new_session"][-1]
            pages = [m.navigation.app_pages for m in first if m.WhichOneof("type") == "navigation"][-1]
            (there,) = [page.page_script_hash for page in pages if page.url_pathname == "tokenization"]
            fragment = next(m.delta.fragment_id for m in first if m.delta.fragment_id)
            await socket.send(asked(there))
            await socket.send(asked(home, fragment))
            seen = [message async for message in messages(2, 8)]
            assert any(message.WhichOneof("type") == "script_finished" for message in seen)
            begun = [message.new_session for message in seen if message.WhichOneof("type") == "new_session"]
            return [one.page_script_hash == there for one in begun]

    assert in_a_loop(look()) == [True]


def test_the_language_switch_keeps_page_and_text(app_url: str, open_page: OpenPage) -> None:
    page = open_page(f"{app_url}/tokenization?models={BOTH}")
    type_text(page, "Mi ñandú no es un avestruz")
    page.get_by_role("button", name="¿Qué le pasó a mi ñ?").or_(
        page.get_by_role("radio", name="¿Qué le pasó a mi ñ?")
    ).click()
    settle(page)
    page.get_by_role("button", name="English").or_(page.get_by_role("radio", name="English")).click()
    expect(page.get_by_role("heading", name="Tokenization", level=1)).to_be_visible()
    expect(page.get_by_role("textbox", name="Your text")).to_have_value("Mi ñandú no es un avestruz")
    expect(page.get_by_text("Words that become the same").first).to_be_visible()
    expect(page).to_have_url(re.compile(r"lang=en"))
    page.reload()
    settle(page)
    expect(page.get_by_role("textbox", name="Your text")).to_have_value("Mi ñandú no es un avestruz")


def test_what_was_typed_is_still_there_after_a_visit_to_another_page(app_url: str, open_page: OpenPage) -> None:
    page = open_page(f"{app_url}/tokenization?models={BOTH}")
    type_text(page, "Un texto que no quiero perder")
    page.get_by_role("link", name="Inicio").click()
    expect(page.get_by_role("heading", name="Empieza por aquí")).to_be_visible()
    page.get_by_role("link", name="Tokenización", exact=True).click()
    expect(page.get_by_role("textbox", name=TEXT_LABEL)).to_have_value("Un texto que no quiero perder")


def test_pointing_at_a_word_lights_its_pieces_up_everywhere(app_url: str, open_page: OpenPage) -> None:
    page = open_page(f"{app_url}/tokenization?models={BOTH}&text={quote('El pingüino desayunó')}")
    words = page.get_by_role("button", name=re.compile("«desayunó»"))
    expect(words.first).to_be_visible()
    words.first.hover()
    status = page.locator("[aria-live=polite]").filter(has_text="desayunó")
    expect(status).to_be_visible()
    words.first.click()
    settle(page)
    expect(page.get_by_text("Palabra elegida: «desayunó»")).to_be_visible()
    expect(page).to_have_url(re.compile(r"word=2"))


def test_the_link_opens_the_same_view_elsewhere(app_url: str, open_page: OpenPage) -> None:
    page = open_page(f"{app_url}/tokenization?models={BOTH}")
    type_text(page, "¿Año o ano? Hacía frío hacia el sur")
    page.get_by_role("button", name="Enlace a esta vista").click()
    link = page.get_by_test_id("stPopoverBody").locator("code").inner_text().replace("\n", "")
    other = open_page(link, locale="en-GB")
    expect(other.get_by_role("textbox", name=TEXT_LABEL)).to_have_value("¿Año o ano? Hacía frío hacia el sur")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", [*ADDRESSES, *(f"/system?view={view}" for view in SYSTEM_VIEWS)])
def test_no_accessibility_violation(app_url: str, open_page: OpenPage, address: str, scheme: str) -> None:
    page = open_page(app_url + address, scheme=scheme)
    # Our style sheet comes with the page's elements, a moment after the script has ended.
    chosen = page.locator("[data-variant=segmented_control][aria-checked=true]").first
    expect(chosen).to_have_css("font-weight", "700")
    # Streamlit's own: its sectioned menu breaks the list rules, its upload area a rule on presentation roles.
    context = {"exclude": [["[data-testid=stSidebarNavItems]"], ["[data-testid=stFileUploaderDropzone]"]]}
    results = Axe().run(page, context=context)
    found = [
        (v["id"], v["nodes"][0]["html"][:300], v["nodes"][0].get("failureSummary", "")[:300])
        for v in results.response["violations"]
    ]
    assert found == []


@pytest.mark.parametrize("lang", LOCALES)
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_phone_never_scrolls_sideways(app_url: str, open_page: OpenPage, address: str, lang: str) -> None:
    page = open_page(app_url + address, width=390, locale=LOCALES[lang], touch=True)
    wide = page.evaluate(
        "() => { const m = document.querySelector('[data-testid=stMain]');"
        " return [document.documentElement.scrollWidth, m.scrollWidth - m.clientWidth] }"
    )
    assert wide[0] <= 390
    assert wide[1] <= 0


# What HTML would run, each by a way of its own, and what Markdown would: a line that begins with a tag has no Markdown.
HOSTILE = [
    "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"
    '<iframe srcdoc="<script>parent.hacked=1</script>"></iframe></script><svg onload=window.hacked=1>',
    "**negrita** [x](javascript:window.hacked=1) ![i](http://example.org/i.png) $x$ :red[y]",
]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_typed_is_ever_run(app_url: str, open_page: OpenPage, text: str, view: str) -> None:
    page = open_page(f"{app_url}/tokenization?view={view}&models={BOTH}&text={quote(text)}&search={quote(text)}")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src*='example.org'], iframe[srcdoc]").count() == 0
    expect(page.get_by_role("textbox", name=TEXT_LABEL)).to_have_value(text)


def test_one_character_too_many_is_said_and_nothing_is_lost(app_url: str, open_page: OpenPage) -> None:
    page = open_page(f"{app_url}/tokenization?models={BOTH}")
    text = ("palabra " * 3000)[: MAX_CHARACTERS + 1]
    type_text(page, text)
    expect(page.get_by_test_id("stAlert")).to_contain_text("20\u202f001 caracteres")
    expect(page.get_by_role("textbox", name=TEXT_LABEL)).to_have_value(text)


def test_half_an_emoji_from_the_browser(app_url: str, open_page: OpenPage) -> None:
    page = open_page(f"{app_url}/tokenization?models={BOTH}")
    page.get_by_role("textbox", name=TEXT_LABEL).focus()
    page.get_by_role("textbox", name=TEXT_LABEL).evaluate(
        "field => { const own = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value');"
        " own.set.call(field, 'medio \\ud83d emoji');"
        " field.dispatchEvent(new Event('input', { bubbles: true })) }"
    )
    page.get_by_role("button", name="Cortar en tokens").click()
    settle(page)
    expect(page.get_by_role("button", name=re.compile("«emoji»")).first).to_be_visible()
    expect(page.get_by_role("textbox", name=TEXT_LABEL)).to_have_value("medio \ufffd emoji")


def test_presentation_mode_enlarges_hides_and_ends(app_url: str, open_page: OpenPage) -> None:
    page = open_page(f"{app_url}/tokenization?models={BOTH}")
    before = page.locator("h1").evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
    page.get_by_role("button", name="Modo presentación").click()
    settle(page)
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    assert page.locator("h1").evaluate("e => parseFloat(getComputedStyle(e).fontSize)") > 1.2 * before
    page.get_by_role("button", name="Salir de la presentación").click()
    settle(page)
    expect(page.get_by_test_id("stSidebar")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("latin.txt", "El niño cantó en la habitación".encode("latin-1"), "no está en UTF-8"),
        ("binario.txt", bytes(range(256)) * 20, "parece binario"),
        ("vacio.txt", b"", "está vacío"),
        ("bien.txt", "El niño cantó.\nLa niña también.".encode(), "2 líneas"),
    ],
)
def test_uploads(app_url: str, open_page: OpenPage, tmp_path: Path, name: str, content: bytes, words: str) -> None:
    page = open_page(f"{app_url}/tokenization?view=corpus&models={BOTH}")
    file = tmp_path / name
    file.write_bytes(content)
    page.locator("input[type=file]").set_input_files(str(file))
    expect(page.get_by_test_id("stMain").get_by_text(words).first).to_be_visible()


def test_a_hub_that_hangs_holds_nobody_up(open_page: OpenPage, tmp_path: Path) -> None:
    with serve() as hub:
        hub.delay = 120.0
        environment = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path),
            "TALLER_MODELS_DIR": "",
            "TALLER_HUB_TIMEOUT": "100",
        }
        with serve_app(TALLER_OFFLINE="0", **environment) as address:
            page = open_page(f"{address}/tokenization")
            expect(page.get_by_text("BETO (español, cased): bajando")).to_be_visible()
            expect(page.get_by_role("button", name=re.compile("«niño»")).first).to_be_visible()
            assert hub.requests, "it did ask the hub"


def test_a_tokenizer_that_arrives_appears_by_itself(open_page: OpenPage, tmp_path: Path) -> None:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "El", "niño", "des", "##ayunó"]
    with serve() as hub:
        hub.delay = 1.0
        hub.repos["dccuchile/bert-base-spanish-wwm-cased"] = {
            "vocab.txt": "\n".join(vocabulary).encode(),
            "tokenizer_config.json": b'{"tokenizer_class": "BertTokenizer", "do_lower_case": false}',
            "config.json": b'{"model_type": "bert"}',
        }
        environment = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path),
            "TALLER_MODELS_DIR": "",
            "TALLER_PAGE_WAIT": "0.2",
        }
        with serve_app(TALLER_OFFLINE="0", **environment) as address:
            page = open_page(f"{address}/tokenization?text={quote('El niño desayunó')}")
            expect(page.get_by_role("button", name="«desayunó»: 2 piezas: des, ##ayunó").first).to_be_visible()
