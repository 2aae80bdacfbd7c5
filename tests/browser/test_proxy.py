"""Two copies of the app behind a real nginx with the file that hosts mount: sessions stick, and survive what breaks."""

import asyncio
import gzip
import re
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect
from websockets.exceptions import InvalidStatus

from core.ui.server.headers import headers
from core.ui.state import MAX_LINK
from tests.browser.conftest import settle
from tests.browser.looks import OpenPage
from tests.browser.proxied import CONFIG, Answer, Copies, Nginx, ask
from tests.conftest import ROOT, free_port
from tests.load.mixed import metric
from tests.load.visitors import in_a_loop, stream, visits
from tests.training import tiny

pytestmark = pytest.mark.browser

COOKIE = "taller_replica"
QUESTION = {"task": "sentiment", "tl": "es", "text": "Me gusta mucho"}


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copies]:
    """Both with a tiny encoder, so that a fine-tuning run takes seconds."""
    hub, runs = tmp_path_factory.mktemp("hub"), tmp_path_factory.mktemp("runs")
    tiny.write_encoder(hub)
    both = Copies(TALLER_OFFLINE="1", TALLER_WARM_UP="0", TALLER_MODELS_DIR=str(hub), TALLER_TRAINING_DIR=str(runs))
    # What a browser waits for later must not have to import torch first: on a busy machine that takes minutes.
    with ThreadPoolExecutor(2) as each:
        list(each.map(warm, both.addresses))
    yield both
    both.stop()


@pytest.fixture(scope="module")
def nginx(copies: Copies, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    proxy = Nginx(tmp_path_factory.mktemp("nginx"), copies.places)
    yield proxy
    proxy.stop()


def warm(address: str) -> None:
    """Has a copy import and load what the tests' pages need."""
    for page, query in (("tasks", QUESTION), ("finetuning", {"dl": "es"}), ("tokenization", {"view": "corpus"})):
        assert visits(address, page, [query], 300)[0].finished, page


def named(answer: Answer) -> str:
    """The copy that an answer's cookie names; empty where it sets none."""
    found = [SimpleCookie(value) for value in answer.all("set-cookie")]
    names = [cookie[COOKIE].value for cookie in found if COOKIE in cookie]
    assert len(names) <= 1
    return names[0] if names else ""


def cookie(page: Page) -> int:
    """The copy that a browser's cookie names."""
    (value,) = [one["value"] for one in page.context.cookies() if one["name"] == COOKIE]
    return int(value)


def judge(page: Page, text: str) -> None:
    """Has a model judge a text on the open page of tasks."""
    page.get_by_role("textbox", name="Tu texto").fill(text)
    page.get_by_role("button", name="Clasificar", exact=True).click()
    settle(page)
    expect(page).to_have_url(re.compile(urlencode({"text": text}).replace("+", r"(\+|%20)")))
    expect(page.get_by_text("millones de parámetros").first).to_be_visible()


# --- without a browser ------------------------------------------------------------------------------------


def test_who_comes_without_a_cookie_is_spread_and_then_stays(nginx: Nginx) -> None:
    first = [named(ask(nginx.address, "/")) for _visitor in range(8)]
    assert set(first) == {"1", "2"}
    for replica in "12":
        again = [ask(nginx.address, "/tasks", Cookie=f"{COOKIE}={replica}") for _visit in range(4)]
        assert [(one.status, named(one)) for one in again] == [(200, "")] * 4
    for strange in ("3", "x/x", "127.0.0.1", '"'):
        assert named(ask(nginx.address, "/", Cookie=f"{COOKIE}={strange}")) in {"1", "2"}
    assert nginx.noted(f"replica={first[0]}")


def test_headers_pass_once_and_text_is_packed(nginx: Nginx) -> None:
    page = ask(nginx.address, "/", Accept_Encoding="gzip")
    for name, value in headers("https://huggingface.co"):
        assert page.all(name.decode()) == [value.decode()]
    assert page.all("content-encoding") == ["gzip"]
    text = gzip.decompress(page.body).decode()
    script = re.search(r'src="\.?(/static/js/[^"]+\.js)"', text)
    assert script is not None
    found = ask(nginx.address, script[1], Accept_Encoding="gzip")
    assert (found.status, found.all("content-encoding")) == (200, ["gzip"])
    assert found.all("x-content-type-options") == ["nosniff"]


def test_metrics_are_for_nobody_outside_and_no_text_is_noted(nginx: Nginx, copies: Copies) -> None:
    assert ask(copies.addresses[0], "/metrics").status == 200
    assert ask(nginx.address, "/metrics").status == ask(nginx.address, "/_stcore/metrics").status == 403
    # As long a link as a page makes, and it comes again as the referrer.
    path = f"/tokenization?{urlencode({'text': ('pinguino' * MAX_LINK)[:MAX_LINK]})}"
    assert ask(nginx.address, path, Referer=nginx.address + path).status == 200
    assert nginx.noted("GET /tokenization ")
    assert "pinguino" not in nginx.log and "127.0.0.1" not in nginx.log


def test_a_file_may_be_as_large_as_the_app_takes_it(nginx: Nginx) -> None:
    config = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))
    size = config["server"]["maxUploadSize"] * 2**20
    path = "/_stcore/upload_file/nobody/nothing"
    # Not 413: it reached the app, which knows no such session. Nor did nginx take the refusal for a dead copy.
    for _again in range(4):
        assert ask(nginx.address, path, "PUT", b"x" * (size + 1000)).status in {400, 403}
    assert ask(nginx.address, "/").status == 200
    assert ask(nginx.address, path, "PUT", b"x" * (size + 2 * 2**20)).status in {413, 0}


async def _stream(address: str, **more: str) -> Any:
    return await stream(address, 60, {name.replace("_", "-"): value for name, value in more.items()})


def test_nobody_is_somebody_else_by_writing_so(nginx: Nginx, copies: Copies) -> None:
    async def look() -> tuple[float, float]:
        async with AsyncExitStack() as pages:
            for made_up in ("203.0.113.7", "198.51.100.9, 203.0.113.8", "127.0.0.1"):
                await pages.enter_async_context(
                    await _stream(nginx.address, X_Forwarded_For=made_up, Cookie=f"{COOKIE}=1")
                )
            first = copies.addresses[0]
            return metric(first, "taller_sessions "), metric(first, "taller_addresses ")

    assert in_a_loop(look()) == (3.0, 1.0)


def test_an_address_has_its_limits_and_is_told(copies: Copies, tmp_path: Path) -> None:
    few = {
        "taller_connections 600;": "taller_connections 5;",
        "rate=20r/s;": "rate=5r/s;",
        "burst=800 nodelay;": "burst=20 nodelay;",
    }
    proxy = Nginx(tmp_path, copies.places, few)

    async def crowd() -> tuple[int, str]:
        async with AsyncExitStack() as pages:
            for _page in range(5):
                await pages.enter_async_context(await _stream(proxy.address))
            with pytest.raises(InvalidStatus) as refused:
                await _stream(proxy.address)
            found = refused.value.response
            assert found.headers["Retry-After"] == "30"
            status, text = found.status_code, (found.body or b"").decode()
        async with asyncio.timeout(60):
            while True:  # as soon as one of them has gone
                try:
                    async with await _stream(proxy.address):
                        return status, text
                except InvalidStatus:
                    await asyncio.sleep(0.1)

    try:
        status, text = in_a_loop(crowd())
        assert status == 429 and "Demasiadas peticiones" in text and "Too many requests" in text
        answers = [ask(proxy.address, "/health/live") for _hurry in range(60)]
        assert {one.status for one in answers} == {200, 429}
        (slow, *_more) = [one for one in answers if one.status == 429]
        assert slow.all("retry-after") == ["30"] and slow.all("x-content-type-options") == ["nosniff"]
        while ask(proxy.address, "/health/live").status == 429:  # five a second are let through
            pass
        # The page's own files are not counted.
        assert 429 not in {ask(proxy.address, "/static/nothing.js").status for _hurry in range(60)}
    finally:
        proxy.stop()


def test_without_any_copy_it_says_so(tmp_path: Path) -> None:
    proxy = Nginx(tmp_path, (f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"))
    try:
        for _again in range(3):
            found = ask(proxy.address, "/")
            assert found.status == 503 and found.all("retry-after") == ["10"] and named(found) == ""
            text = found.body.decode()
            assert "no contesta ahora mismo" in text and "does not answer" in text
    finally:
        proxy.stop()


def test_the_files_numbers_fit_the_apps() -> None:
    from core.settings import Settings

    text = CONFIG.read_text(encoding="utf-8")
    streamlit = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))["server"]
    (body,) = re.findall(r"client_max_body_size (\d+)m;", text)
    assert streamlit["maxUploadSize"] < int(body) <= streamlit["maxUploadSize"] + 2
    (connections,) = re.findall(r"limit_conn taller_connections (\d+);", text)
    # The app's own limit says what to do on the page: it has to come first, in each copy.
    assert int(connections) > 2 * Settings.model_fields["sessions_per_address"].default


# --- in the browser -----------------------------------------------------------------------------------------


def test_a_page_answers_and_each_tab_stays_with_its_copy(nginx: Nginx, copies: Copies, open_page: OpenPage) -> None:
    link = f"{nginx.address}/tasks?{urlencode(QUESTION)}"
    before = {number: copies.sessions(number) for number in (1, 2)}
    page = open_page(link)
    expect(page.get_by_text("millones de parámetros").first).to_be_visible(timeout=120_000)
    mine = cookie(page)
    copies.expect_sessions(mine, before[mine] + 1)
    tab = page.context.new_page()
    tab.goto(link)
    settle(tab)
    assert cookie(tab) == mine
    copies.expect_sessions(mine, before[mine] + 2)
    judge(page, "Ha sido un desastre")
    # A reload of nginx's file cuts nobody off.
    page.evaluate("document.querySelector('h1').dataset.mark = 'same'")
    nginx.reload()
    judge(page, "Otra vez lo mismo")
    assert page.locator("h1").get_attribute("data-mark") == "same"
    # Its end does, and each page comes back by itself, with what was typed.
    page.get_by_role("textbox", name="Tu texto").fill("Escrito antes del corte")
    nginx.stop()
    expect(page.get_by_test_id("stConnectionStatus")).to_be_visible()
    nginx.start()
    expect(page.get_by_test_id("stConnectionStatus")).to_have_count(0)
    expect(page.get_by_role("textbox", name="Tu texto")).to_have_value("Escrito antes del corte")
    judge(page, "Y después del corte")


def test_the_death_of_a_copy_costs_nobody_their_work(
    nginx: Nginx, copies: Copies, open_page: OpenPage, tmp_path: Path
) -> None:
    query = urlencode({"dl": "es", "base": tiny.BASE, "own": "pon algo de jazz"})
    page = open_page(f"{nginx.address}/finetuning?{query}")
    page.get_by_role("button", name="Entrenar", exact=True).click(timeout=60_000)
    expect(page.get_by_role("button", name="Cancelar")).to_be_visible(timeout=60_000)
    corpus = page.context.new_page()
    corpus.goto(f"{nginx.address}/tokenization?view=corpus&models=bert-uncased,wordpiece-es")
    settle(corpus)
    dead = cookie(page)
    alive = 3 - dead
    copies.kill(dead)
    # Both pages come back by themselves, at the other copy, whose visitor's runs these still are.
    page.reload()
    settle(page)
    expect(page.get_by_role("button", name="Cancelar").or_(page.get_by_role("heading", name="Pruébalo"))).to_be_visible(
        timeout=60_000
    )
    expect(corpus.get_by_test_id("stConnectionStatus")).to_have_count(0)
    assert cookie(corpus) == alive
    copies.expect_sessions(alive, 2)
    # They stay there when the first one is back.
    copies.start(dead)
    file = tmp_path / "corpus.txt"
    file.write_text("El niño cantó.\nLa niña también.", encoding="utf-8")
    corpus.locator("input[type=file]").set_input_files(str(file))
    expect(corpus.get_by_test_id("stMain").get_by_text("2 líneas").first).to_be_visible()
    assert cookie(corpus) == alive
    copies.expect_sessions(alive, 2)
    expect(page.get_by_role("heading", name="Pruébalo")).to_be_visible(timeout=180_000)
