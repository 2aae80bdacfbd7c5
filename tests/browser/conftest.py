"""The real app, served on a free port, and an installed Chromium that drives it."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from tests.conftest import ROOT, free_port

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A first run imports streamlit, pandas and transformers, on a machine that has another half of the tests to run.
TIMEOUT_MS = 60_000
expect.set_options(timeout=TIMEOUT_MS)


def chromium_path() -> str | None:
    """An installed Chromium: ``$CHROMIUM``, or the first that is on the PATH."""
    names = (os.environ.get("CHROMIUM", ""), "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@contextmanager
def serve_app(script: Path = ROOT / "app.py", *, port: int = 0, **environment: str) -> Iterator[str]:
    """Serves a Streamlit script, on any free port unless one is given, and yields its address."""
    port = port or free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            str(script),
            f"--server.port={port}",
            "--server.address=127.0.0.1",
            "--server.headless=true",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).read()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"streamlit did not come up: {process.poll()}") from None
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


_BROWSER = pytest.StashKey[Browser]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Adds to the report of a test that failed what was on the browser's pages."""
    report: Any = yield
    browser = item.config.stash.get(_BROWSER, None)
    if report.failed and call.when == "call" and browser is not None:
        for page in (page for context in browser.contexts for page in context.pages):
            with suppress(PlaywrightError):
                report.sections.append((page.url, page.locator("body").inner_text(timeout=5_000)[:3000]))
    return report


@pytest.fixture(scope="session")
def chromium(pytestconfig: pytest.Config) -> Iterator[Browser]:
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        pytestconfig.stash[_BROWSER] = browser
        yield browser
        del pytestconfig.stash[_BROWSER]
        browser.close()


@pytest.fixture(scope="session")
def app_url() -> Iterator[str]:
    """The app as on a machine without internet: nothing but what ships with it."""
    with serve_app(TALLER_OFFLINE="1", TALLER_MODELS_DIR="") as address:
        yield address


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """A function that opens an address in a browser of its own and waits for the page to settle.

    Any request to another host, any error in the page's console and any dialog fails the test.
    """
    contexts: list[Any] = []
    problems: list[str] = []

    def open_(
        url: str, *, width: int = 1280, scheme: str = "light", locale: str = "es-ES", touch: bool = False
    ) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]
            locale=locale,
            has_touch=touch,
            permissions=["clipboard-read", "clipboard-write"],
        )
        context.set_default_timeout(TIMEOUT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"page error: {error}"))
        page.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request",
            lambda request: (
                problems.append(f"request to {request.url}")
                if not request.url.startswith(("http://127.0.0.1", "data:", "blob:"))
                else None
            ),
        )
        page.goto(url)
        settle(page)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert problems == []


def settle(page: Page) -> None:
    """Waits until the script has run and its elements are on the page."""
    expect(page.locator("h1").first).to_be_visible()
    expect(page.locator("[data-testid=stApp]")).to_have_attribute("data-test-script-state", "notRunning")
    # A font that arrives later moves what a click is aimed at.
    page.evaluate("document.fonts.ready.then(() => true)")
