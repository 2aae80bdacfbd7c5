"""From the address to a plot painted in Chromium: the Línea de tiempo page against a demo of ``streamlit hello``.

Both servers are warm (each page was opened once before), every run has a browser context of its own (no cache), and
runs alternate. What is timed goes from the navigation until the plot has its marks: ours, the events on the axis;
theirs, the chart of the plotting demo.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.bench.bench_start import ROOT, _chromium, _server, _wait_until_healthy
from tests.conftest import free_port

REPEATS = 7
LIMIT_S = 60.0
# A component of ours draws in a shadow root.
OURS = """() => [...document.querySelectorAll("*")].some((host) => {
  const chips = host.shadowRoot?.querySelectorAll(".chip") ?? []
  return chips.length >= 80 && chips[0].getClientRects().length > 0
})"""
THEIRS = """() => [...document.querySelectorAll("[data-testid=stVegaLiteChart] .marks")]
  .some((drawn) => drawn.getClientRects().length > 0)"""


def _seconds(browser: Browser, address: str, painted: str) -> float:
    """Seconds from the navigation until ``painted`` holds."""
    # Playwright waits for a function with the eval that our policy forbids.
    context = browser.new_context(locale="es-ES", bypass_csp=True)
    try:
        page = context.new_page()
        start = time.perf_counter()
        page.goto(address, wait_until="commit")
        page.wait_for_function(painted, polling="raf", timeout=LIMIT_S * 1000)
        return time.perf_counter() - start
    finally:
        context.close()


def run() -> list[dict[str, Any]]:
    """One row: median time to the painted plot, ours and theirs, and the ratio."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    ports = free_port(), free_port()
    with tempfile.TemporaryDirectory() as empty, sync_playwright() as playwright:
        logs = Path(empty) / "ours.log", Path(empty) / "theirs.log"
        with (
            _server(["run", "app.py"], ports[0], ROOT, logs[0]) as ours,
            _server(["hello"], ports[1], Path(empty), logs[1]) as theirs,
        ):
            _wait_until_healthy(ours, ports[0], logs[0])
            _wait_until_healthy(theirs, ports[1], logs[1])
            browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
            try:
                for round_ in range(REPEATS + 1):
                    for name, port, path, painted in (
                        ("ours", ports[0], "timeline", OURS),
                        ("theirs", ports[1], "plotting_demo", THEIRS),
                    ):
                        seconds = _seconds(browser, f"http://127.0.0.1:{port}/{path}", painted)
                        if round_:
                            times[name].append(seconds)
            finally:
                browser.close()
    ours_ms, theirs_ms = (1000 * statistics.median(times[name]) for name in ("ours", "theirs"))
    return [
        {
            "name": f"Línea de tiempo painted, server warm (median of {REPEATS})",
            "ours_ms": ours_ms,
            "baseline": "`streamlit hello`, plotting demo",
            "baseline_ms": theirs_ms,
            "ratio": ours_ms / theirs_ms,
            "target": "≤ 1.5",
        }
    ]
