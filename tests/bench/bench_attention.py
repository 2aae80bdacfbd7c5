"""The attention view against bertviz 1.4's head view, in one Chromium, on the same random tensor of 12 × 12 heads.

Both open on all heads of the first layer. bertviz is installed into a temporary folder for this alone; its
scripts (require.js, d3, jQuery), which its page asks of a CDN, are answered from npm's packages, so that it draws
without internet; where pip or npm reach nothing, our figures stand alone. Each page comes from a local server, in a
browser of its own. What is timed begins with the tensor in Python and ends two frames after the last line is on
screen. Memory is what all of Chromium's processes hold for themselves beyond an empty page.
"""

import http.server
import importlib
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Error, Page, sync_playwright

from core.ui.attention import SCRIPT, STYLE, AttentionSelection, message, packing
from tests.attention_maps import random_map
from tests.bench.bench_start import _chromium

SIZES = (32, 128, 256, 512)
DRAWN = (32, 128)  # where bertviz is drawn: beyond, its page takes most of a minute and then the browser's life
LIMIT_MS = 180_000
MOVES_S = 4.0
CDN = {
    "require.min.js": ("requirejs@2.3.6", "require.js"),
    "d3.min.js": ("d3@5.7.0", "dist/d3.min.js"),
    "jquery.min.js": ("jquery@2.2.4", "dist/jquery.min.js"),
}

PAGE = """<!doctype html><meta charset="utf-8"><title>ours</title><style>:root { --st-background-color: #ffffff; }
main { width: 1100px; } %s</style><main id="view"></main><script type="module">%s
const data = new Uint8Array(await (await fetch("data.bin")).arrayBuffer())
attentionComponent({ data, parentElement: document.getElementById("view"), setStateValue() {} })
</script>"""
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
FRAMES = """(seconds) => { window.frames_ = new Promise((done) => {
  const begin = performance.now()
  let count = 0
  const tick = (now) => {
    count++
    if (now - begin < 1000 * seconds) requestAnimationFrame(tick)
    else done((1000 * count) / (now - begin))
  }
  requestAnimationFrame(tick)
}) }"""


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0),
        lambda *arguments: Quiet(*arguments, directory=str(folder)),  # type: ignore[arg-type]
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _bertviz(folder: Path) -> tuple[Callable[..., str], dict[str, bytes]] | None:
    """bertviz's ``head_view`` as a function that returns HTML, and the scripts it asks for; None if out of reach."""
    site, packages = folder / "site", folder / "npm"
    packages.mkdir()
    commands = [
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), "bertviz==1.4.*"],
        ["npm", "pack", "--silent", *(package for package, _file in CDN.values())],
    ]
    for command in commands:
        try:
            done = subprocess.run(command, cwd=packages, capture_output=True, timeout=300, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            print(f"bench_attention: without bertviz: {error}", file=sys.stderr)
            return None
        if done.returncode:
            print(f"bench_attention: without bertviz: {done.stderr.decode()[-300:]}", file=sys.stderr)
            return None
    scripts = {}
    for name, (package, file) in CDN.items():
        with tarfile.open(packages / f"{package.replace('@', '-')}.tgz") as archive:
            member = archive.extractfile(f"package/{file}")
            if member is None:
                return None
            scripts[name] = member.read()
    # All that it needs of IPython is a box for a string.
    display = types.ModuleType("IPython.display")
    for name in ("HTML", "Javascript"):
        setattr(display, name, type(name, (), {"__init__": lambda self, data: setattr(self, "data", data)}))
    display.display = lambda *_things: None  # type: ignore[attr-defined]
    sys.modules.setdefault("IPython", types.ModuleType("IPython"))
    sys.modules.setdefault("IPython.display", display)
    sys.path.insert(0, str(site))
    view = importlib.import_module("bertviz.head_view").head_view

    def html(attention: Any, tokens: list[str], **options: Any) -> str:
        return str(view(attention, tokens, html_action="return", **options).data)

    return html, scripts


def _memory() -> float:
    """MiB that the processes this one started hold for themselves."""
    total = 0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if any("chrom" in part for part in child.cmdline()[:1]):
                total += child.memory_full_info().uss
    return total / 2**20


def _moving(page: Page, x: float, top: float, bottom: float) -> float:
    """Frames a second while the pointer goes up and down over the tokens on the left."""
    page.evaluate(FRAMES, MOVES_S)
    until = time.monotonic() + MOVES_S
    y, way = top, 7.0
    while time.monotonic() < until:
        page.mouse.move(x, y)
        if not top <= y + way <= bottom:
            way = -way
        y += way
    return float(page.evaluate("() => window.frames_"))


def _measure(
    browser_of: Callable[[], Browser],
    url: str,
    drawn: str,
    place: Callable[[Page], tuple[float, float, float]],
    scripts: dict[str, bytes] | None,
) -> tuple[float, float, float, int]:
    """Milliseconds from opening to painted, MiB, frames a second, and requests to other hosts."""
    browser = browser_of()
    try:
        # Playwright waits for a function with the eval that our policy forbids.
        page = browser.new_page(viewport={"width": 1280, "height": 900}, bypass_csp=True)
        foreign: list[str] = []
        page.on("request", lambda r: foreign.append(r.url) if not r.url.startswith(("http://127.", "data:")) else None)

        def answer(route: Any) -> None:
            body = (scripts or {}).get(route.request.url.split("/")[-1])
            route.fulfill(body=body, content_type="text/javascript") if body else route.abort()

        page.route(lambda address: "127.0.0.1" not in address, answer)
        page.goto("data:text/html,<title>empty</title>")
        before = _memory()
        began = time.perf_counter()
        page.goto(url, timeout=LIMIT_MS)
        page.wait_for_function(drawn, timeout=LIMIT_MS)
        page.evaluate(TWO_FRAMES)
        painted = 1000 * (time.perf_counter() - began)
        held = _memory() - before
        fps = _moving(page, *place(page))
        return painted, held, fps, len(foreign)
    finally:
        browser.close()


def _place_ours(page: Page) -> tuple[float, float, float]:
    box = page.locator(".hv-scroll").bounding_box()
    assert box is not None
    return box["x"] + 60, box["y"] + 8, min(box["y"] + box["height"], 880) - 8


def _place_theirs(page: Page) -> tuple[float, float, float]:
    box = page.locator("svg #left").first.bounding_box() or page.locator("svg").first.bounding_box()
    assert box is not None
    return box["x"] + 60, max(box["y"], 60) + 8, 880.0


def run() -> list[dict[str, Any]]:
    """Five rows for each size."""
    import torch

    rows: list[dict[str, Any]] = []

    def row(name: str, unit: str, ours: float, theirs: float | None, target: str) -> None:
        rows.append(
            {
                "name": name,
                "ours_ms": ours,
                "baseline": "" if theirs is None else "bertviz 1.4, head view",
                "baseline_ms": theirs,
                "ratio": None if not theirs else ours / theirs,
                "target": target,
                "unit": unit,
            }
        )

    folder = Path(tempfile.mkdtemp(prefix="bench_attention_"))
    try:
        found = _bertviz(folder)
        pages = folder / "pages"
        pages.mkdir()
        with sync_playwright() as playwright, _served(pages) as address:

            def browser() -> Browser:
                return playwright.chromium.launch(
                    executable_path=_chromium(), args=["--no-sandbox", "--disable-background-networking"]
                )

            for size in SIZES:
                amap = random_map(12, 12, size)
                chosen = AttentionSelection("head", 0, tuple(range(12)))
                times = []
                (pages / "ours.html").write_text(PAGE % (STYLE, SCRIPT), encoding="utf-8")
                ours: tuple[float, float, float, int] | None = None
                for _turn in range(3):
                    packing._prepared.clear()
                    began = time.perf_counter()
                    data = message(amap, chosen)
                    made = 1000 * (time.perf_counter() - began)
                    (pages / "data.bin").write_bytes(data)
                    ours = _measure(
                        browser,
                        f"{address}/ours.html",
                        "() => document.querySelector('.at')?.dataset.painted",
                        _place_ours,
                        None,
                    )
                    times.append(made + ours[0])
                assert ours is not None
                theirs: tuple[float, float, float, int] | None = None
                sent = None
                if found is not None:
                    html, scripts = found
                    attention = tuple(torch.from_numpy(layer[None]) for layer in amap.weights)
                    tokens = [token.text for token in amap.rows]
                    began = time.perf_counter()
                    if size in DRAWN:
                        page = html(attention, tokens)
                        made = 1000 * (time.perf_counter() - began)
                        (pages / "theirs.html").write_text(page, encoding="utf-8")
                        sent = len(page.encode())
                        lines = 12 * size * size
                        try:
                            theirs = _measure(
                                browser,
                                f"{address}/theirs.html",
                                f"() => document.getElementsByTagName('line').length >= {lines}",
                                _place_theirs,
                                scripts,
                            )
                            theirs = (made + theirs[0], *theirs[1:])
                        except Error as error:
                            print(f"bench_attention: bertviz at {size} tokens: {str(error)[:200]}", file=sys.stderr)
                    else:
                        # The page whole takes up to 9 GB of memory: layer by layer, less the page without weights.
                        empty = len(html(tuple(a[:, :, :1, :1] for a in attention), tokens[:1]).encode())
                        parts = [len(html((layer,), tokens).encode()) for layer in attention]
                        sent = sum(parts) - 11 * empty
                label = f"attention, 12 × 12 heads, {size} tokens"
                goal = {32: "", 128: "≤ 1 MB", 256: "", 512: "≤ 4 MB"}[size]
                row(
                    f"{label}: sent for the first view",
                    "MB",
                    len(data) / 1e6,
                    None if sent is None else sent / 1e6,
                    goal,
                )
                goal = {32: "", 128: "< 1,000 ms", 256: "", 512: "< 2,000 ms"}[size]
                row(f"{label}: tensor to painted", "ms", statistics.median(times), theirs and theirs[0], goal)
                row(f"{label}: memory of the browser", "MiB", ours[1], theirs and theirs[1], "")
                goal = {32: "", 128: "60", 256: "", 512: "≥ 30"}[size]
                row(f"{label}: frames while the pointer moves", "a second", ours[2], theirs and theirs[2], goal)
                row(f"{label}: requests to other hosts", "", ours[3], theirs and theirs[3], "0")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return rows


if __name__ == "__main__":
    for line in run():
        print(line)
