"""From starting the server to home painted in Chromium, ours against ``streamlit hello``.

Runs alternate, so that a busy moment of the machine falls on both sides. The browser is open before the clock
starts and every run has a context of its own (no cache); what is timed is the server process, from its start
until the page's title can be read.
"""

import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from playwright.sync_api import Browser, sync_playwright

from tests.conftest import ROOT, free_port

REPEATS = 5
LIMIT_S = 90.0
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def _chromium() -> str | None:
    """An installed Chromium, or None for the one that Playwright brings."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def _server(target: list[str], port: int, folder: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Streamlit server in a process group of its own, ended with everything it started."""
    options = {
        "server.port": port,
        "server.address": "127.0.0.1",
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
    }
    command = [
        sys.executable,
        "-m",
        "streamlit",
        *target,
        *(f"--{key}={value}" for key, value in options.items()),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_healthy(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    opener = build_opener(ProxyHandler({}))
    deadline = time.perf_counter() + LIMIT_S
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            break
        # A refused connection or an answer of 503 both mean "not yet".
        with (
            contextlib.suppress(URLError, OSError),
            opener.open(f"http://127.0.0.1:{port}/_stcore/health", timeout=5),
        ):
            return
        time.sleep(0.01)
    tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise RuntimeError(f"the server did not start (exit status {process.poll()}):\n{tail}")


PAINTED = """title => [...document.querySelectorAll("h1")].some(
  (heading) => heading.textContent.includes(title) && heading.getClientRects().length > 0
)"""


def _seconds_to_title(browser: Browser, target: list[str], title: str) -> float:
    """Seconds from starting the process to ``title`` visible in the page's first-level heading."""
    port = free_port()
    # Playwright waits for a function with the eval that our policy forbids.
    context = browser.new_context(locale="es-ES", bypass_csp=True)
    page = context.new_page()
    try:
        # `hello` starts in an empty folder, so that it reads no settings of ours.
        with tempfile.TemporaryDirectory() as empty:
            log = Path(empty) / "server.log"
            folder = ROOT if target[0] == "run" else Path(empty)
            start = time.perf_counter()
            with _server(target, port, folder, log) as process:
                _wait_until_healthy(process, port, log)
                page.goto(f"http://127.0.0.1:{port}/", wait_until="commit")
                # Looked for in every frame: the steps in which locators wait grow to half a second.
                page.wait_for_function(PAINTED, arg=title, polling="raf", timeout=LIMIT_S * 1000)
                return time.perf_counter() - start
    finally:
        context.close()


def run() -> list[dict[str, Any]]:
    """One row: median start of ours and of ``streamlit hello``, and their ratio."""
    ours: list[float] = []
    hello: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        try:
            # The first round only warms the disk cache and the compiled modules, for both alike.
            for round_ in range(REPEATS + 1):
                for times, target, title in (
                    (ours, ["run", "app.py"], "Taller de Transformers"),
                    (hello, ["hello"], "Welcome to Streamlit"),
                ):
                    seconds = _seconds_to_title(browser, target, title)
                    if round_:
                        times.append(seconds)
        finally:
            browser.close()
    ours_ms, hello_ms = (statistics.median(times) * 1000 for times in (ours, hello))
    return [
        {
            "name": f"Server start to home painted (median of {REPEATS})",
            "ours_ms": ours_ms,
            "baseline": "`streamlit hello`",
            "baseline_ms": hello_ms,
            "ratio": ours_ms / hello_ms,
            "target": "≤ 1.3",
        }
    ]
