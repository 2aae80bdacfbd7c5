import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from core.ui.attention.export import export_html
from core.ui.attention.packing import COARSE, FINE, levels, step
from tests.attention_maps import SENTENCE, VectorsOfDemo, captions_for, demo_map
from tests.browser.conftest import serve_app

pytestmark = pytest.mark.browser

APP = Path(__file__).with_name("apps") / "attention_demo.py"
HOST = "[data-testid=stBidiComponentIsolated]"
VIEWS = {"model": "Modelo", "head": "Cabezas", "matrix": "Matriz", "neuron": "Neurona", "text": "Frase coloreada"}

# How many different colours a canvas has: a blank one has one.
COLOURS = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
  return new Set(new Uint32Array(data.buffer)).size
}"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serve_app(APP) as url:
        yield url


class Opener:
    """Opens the demo with its address's parameters; collects errors and requests to other hosts."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser = browser
        self.address = address
        self.contexts: list[BrowserContext] = []
        self.problems: list[str] = []

    def context(self, width: int, scheme: Literal["light", "dark"], touch: bool = False) -> BrowserContext:
        context = self.browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            has_touch=touch,
            locale="es-ES",
            reduced_motion="reduce",
        )
        self.contexts.append(context)
        return context

    def watch(self, page: Page, own: tuple[str, ...]) -> None:
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("dialog", lambda dialog: (self.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request",
            lambda request: None if request.url.startswith(own) else self.problems.append(f"request to {request.url}"),
        )

    def __call__(
        self, width: int = 1280, scheme: Literal["light", "dark"] = "light", touch: bool = False, **query: str
    ) -> Page:
        page = self.context(width, scheme, touch).new_page()
        self.watch(page, ("http://127.0.0.1", "data:", "blob:"))
        page.goto(f"{self.address}/?{urlencode(query)}")
        painted(page)
        return page


@pytest.fixture
def visit(chromium: Browser, address: str) -> Iterator[Opener]:
    opener = Opener(chromium, address)
    yield opener
    for context in opener.contexts:
        context.close()
    assert opener.problems == []


def painted(page: Page) -> None:
    page.locator(".at[data-painted]").wait_for(timeout=60_000)


def weights_in(page: Page, layer: int) -> np.ndarray[Any, Any]:
    """The weights of a layer as the browser has them."""
    found = page.locator(".at").evaluate(
        """(root, layer) => {
          const { store } = root.attention
          const out = []
          for (let h = 0; h < store.heads; h++)
            for (let i = 0; i < store.rows.length; i++)
              for (let j = 0; j < store.columns.length; j++) out.push(store.at(layer, h, i, j))
          return [store.heads, store.rows.length, store.columns.length, out]
        }""",
        layer,
    )
    return np.array(found[3], dtype=np.float64).reshape(found[:3])


# ---------------------------------------------------------------- exactness


def test_the_browser_has_the_tensor(visit: Opener) -> None:
    amap = demo_map(kind="decoder")
    page = visit(kind="decoder", view="head")
    for layer in range(4):
        there = weights_in(page, layer)
        assert np.all(np.abs(there - amap.weights[layer]) <= step(amap.weights[layer], FINE) + 1e-7)
        assert np.array_equal(there == 0, amap.weights[layer] == 0)
        assert np.all(there[:, *np.triu_indices(len(amap.rows), 1)] == 0)
        assert np.allclose(there.sum(-1), 1, atol=1e-3)


def test_the_drawn_matrix_is_the_tensor(visit: Opener) -> None:
    """Each pixel of the heat map is looked up in the colour scale, and gives the cell's level back."""
    amap = demo_map(tokens="200", layers="2")
    page = visit(tokens="200", layers="2", view="matrix", layer="1", h="4")
    drawn = page.locator(".at").evaluate(
        """(root) => {
          const { made } = root.attention.views.matrix
          const { ramp } = root.attention.theme
          const { data } = made.getContext("2d").getImageData(0, 0, made.width, made.height)
          return Array.from(new Uint32Array(data.buffer), (word) => ramp.indexOf(word))
        }"""
    )
    expected = levels(amap.weights[1, 4], COARSE)
    assert np.array_equal(np.array(drawn).reshape(200, 200), expected)
    there = weights_in(page, 1)
    assert np.all(np.abs(there - amap.weights[1]) <= step(amap.weights[1], COARSE) + 1e-7)
    # On screen, the middle of a cell has the colour of its weight.
    row, column = np.unravel_index(np.argmax(amap.weights[1, 4]), (200, 200))
    seen = page.locator(".at").evaluate(
        """(root, [row, column]) => {
          const view = root.attention.views.matrix
          const ratio = view.base.width / view.width
          const x = (view.left + (column + 0.5) * view.side - view.x) * ratio
          const y = (view.top + (row + 0.5) * view.side - view.y) * ratio
          const word = new Uint32Array(view.base.getContext("2d").getImageData(x, y, 1, 1).data.buffer)[0]
          return root.attention.theme.ramp.indexOf(word)
        }""",
        [int(row), int(column)],
    )
    assert seen == expected[row, column]


def test_the_strongest_lines_are_drawn_when_there_are_too_many(visit: Opener) -> None:
    amap = demo_map(tokens="200", layers="2")
    page = visit(tokens="200", layers="2", view="head", h="0,1,2")
    size, count, weakest = page.locator(".at").evaluate(
        """(root) => {
          const lines = root.attention.views.head.rank()
          const rest = []
          for (let k = 0; k < lines.size; k++) rest.push(lines.level[k])
          return [lines.size, lines.all, Math.min(...rest)]
        }"""
    )
    shown = np.sort(levels(amap.weights[0, :3]).ravel())[::-1]
    assert (size, count) == (16_000, 3 * 200 * 200)
    assert weakest == shown[size - 1]
    expect(page.locator(".hv .note")).to_contain_text("16\u202f000 líneas más fuertes de 120\u202f000")


def test_neuron_numbers_are_the_model_s(visit: Opener) -> None:
    amap = demo_map(kind="decoder")
    page = visit(kind="decoder", view="neuron", layer="1", h="2")
    page.locator(".nv-token").select_option("5")
    page.locator(".nv-frame").focus()
    page.keyboard.press("ArrowDown")
    soft = page.locator(".at").evaluate("(root) => [...root.attention.views.neuron.soft]")
    assert np.allclose(soft, amap.weights[1, 2, 5], atol=1e-5)
    vectors = VectorsOfDemo(amap, 1, 2)
    dot = float(vectors.query[5] @ vectors.key[1])
    expect(page.locator(".nv-pair")).to_have_text("La cuenta de «street» con «animal»")
    expect(page.locator(".nv-line")).to_contain_text(f"{dot:.3f}".replace(".", ",").replace("-", "−"))
    expect(page.get_by_text("chosen=neuron 1 2 5 None")).to_be_visible()


# ---------------------------------------------------------------- every view


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_view_paints_and_passes_axe(visit: Opener, width: int, scheme: Literal["light", "dark"]) -> None:
    page = visit(width=width, scheme=scheme, pair="it was sad ##ly lost")
    expect(page.locator(".at")).to_have_attribute("data-theme", scheme)
    for view, name in VIEWS.items():
        page.get_by_role("tab", name=name, exact=True).click()
        expect(page.get_by_text(f"chosen={view} ")).to_be_visible()
        expect(page.locator(".at")).to_have_attribute("data-painted", f"{view} 0")
        for canvas in page.locator(".stage canvas:visible").all()[:3]:
            if "over" not in (canvas.get_attribute("class") or ""):
                assert canvas.evaluate(COLOURS) > 5, view
        if view == "text":
            tints = page.locator(".tv-token").evaluate_all("nodes => nodes.map(n => n.style.backgroundColor)")
            assert len(set(tints)) > 3
        page.locator(".numbers summary").click()
        # The table is made when it is opened.
        expect(page.locator(".table-box tbody tr").nth(11)).to_be_attached()
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, view
        results = Axe().run(page, context={"include": [[HOST]]})
        assert results.violations_count == 0, view + results.generate_report()
        page.locator(".numbers summary").click()


def test_a_thumbnail_opens_its_head_and_python_knows(visit: Opener) -> None:
    page = visit()
    cell = page.get_by_role("button", name="Capa 3, cabeza 7. mira al token anterior")
    cell.click()
    expect(page.get_by_text("chosen=head 2 6 None None")).to_be_visible()
    expect(page.get_by_role("tab", name="Cabezas")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".caption")).to_contain_text(captions_for(demo_map())[2][6])
    expect(page.get_by_text("consistent=True")).to_be_visible()


def test_keyboard_alone_reaches_everything(visit: Opener) -> None:
    page = visit()
    assert page.locator(".mo-cell[tabindex='0']").count() == 1
    page.locator(".mo-cell[tabindex='0']").focus()
    for pressed in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(pressed)
    page.keyboard.press("Enter")
    expect(page.get_by_text("chosen=head 1 2 None None")).to_be_visible()
    expect(page.locator(".hv-list.row .hv-token").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".status")).to_contain_text("«The» (token 2) mira sobre todo a:")
    page.keyboard.press("Enter")
    expect(page.get_by_text("chosen=head 1 2 1 None")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".hv-list.column .hv-token").nth(1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_text("chosen=head 1 2 None None")).to_be_visible()
    # Tabs, with the arrows, to the matrix; there a cell.
    page.get_by_role("tab", name="Cabezas").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Matriz")).to_be_focused()
    page.locator(".mv-frame").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".status")).to_contain_text("«The» (2) mira a «The» (2) con peso 0,")
    page.keyboard.press("+")
    page.keyboard.press("Enter")
    expect(page.get_by_text("chosen=matrix 1 2 1 1")).to_be_visible()
    assert page.locator(".at").evaluate("(root) => root.attention.views.matrix.zoom") > 1
    # Heads: one stop, arrows, Enter.
    assert page.locator(".chip[tabindex='0']").count() == 1
    page.locator(".chip[tabindex='0']").focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.get_by_text("chosen=matrix 1 11 1 1")).to_be_visible()
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("chosen=matrix 2 11 1 1")).to_be_visible()


def test_several_heads_and_the_isolated_token(visit: Opener) -> None:
    page = visit(view="head", h="0")
    page.locator(".chip").nth(3).click()
    page.locator(".chip").nth(5).click()
    expect(page.get_by_text("chosen=head 0 0,3,5 None None")).to_be_visible()
    token = page.locator(".hv-list.row .hv-token").nth(4)
    token.hover()
    expect(page.locator(".status")).to_contain_text("«cross» (token 5) mira sobre todo a:")
    expect(page.locator(".hv-base")).to_have_class("hv-base dim")
    assert page.locator(".hv-over").evaluate(COLOURS) > 10
    page.mouse.move(2, 2)
    expect(page.locator(".hv-base")).not_to_have_class("hv-base dim")
    token.click()
    expect(page.get_by_text("chosen=head 0 0,3,5 4 None")).to_be_visible()
    page.locator(".numbers summary").click()
    weights = demo_map().weights[0, [0, 3, 5], 4]
    cells = page.locator(".table-box tbody tr").nth(2).locator("td")
    expect(cells).to_have_text([f"{w:.4f}".replace(".", ",") for w in weights[:, 2]])
    page.locator(".chip").nth(7).dblclick()
    expect(page.get_by_text("chosen=head 0 7 4 None")).to_be_visible()


def test_the_filter_of_a_pair(visit: Opener) -> None:
    pair = "it was sad ##ly lost"
    amap = demo_map(pair=pair)
    segments = np.array([token.segment for token in amap.rows])
    page = visit(view="head", pair=pair)
    for value, (source, target) in {"aa": (0, 0), "ab": (0, 1), "ba": (1, 0), "bb": (1, 1)}.items():
        page.get_by_label("Líneas").select_option(value)
        rows, columns = page.locator(".at").evaluate(
            "(root) => { const l = root.attention.views.head.rank(); return [[...l.row], [...l.column]] }"
        )
        assert len(rows) == (segments == source).sum() * (segments == target).sum()
        assert set(segments[rows]) == {source}
        assert set(segments[columns]) == {target}
    expect(visit(view="head").get_by_label("Líneas")).to_be_hidden()


def test_python_can_set_what_is_shown(visit: Opener) -> None:
    page = visit(view="text")
    page.get_by_role("tab", name="Matriz").click()
    expect(page.get_by_text("chosen=matrix 0 0 None None")).to_be_visible()
    for _ in range(2):
        page.get_by_role("button", name="example").click()
        expect(page.get_by_text("chosen=head 2 6 3 None")).to_be_visible()
        expect(page.get_by_role("tab", name="Cabezas")).to_have_attribute("aria-selected", "true")
        expect(page.locator(".hv-token.chosen")).to_have_text("didn't")
        page.get_by_role("tab", name="Frase coloreada").click()
        expect(page.get_by_text("chosen=text 2 6 3 None")).to_be_visible()
        expect(page.locator(".tv-what")).to_contain_text("«didn't»")
        page.get_by_role("button", name="Soltar").click()
        expect(page.get_by_text("chosen=text 2 6 None None")).to_be_visible()


def test_layers_of_a_long_text_come_when_they_are_needed(visit: Opener) -> None:
    page = visit(view="matrix", tokens="300", layers="3")
    held = "(root) => [...root.attention.store.planes.keys()]"
    assert page.locator(".at").evaluate(held) == [0]
    page.get_by_role("button", name="Capa siguiente").click()
    expect(page.locator(".at")).to_have_attribute("data-painted", "matrix 1")
    assert page.locator(".at").evaluate(held) == [0, 1]
    there = weights_in(page, 1)
    weights = demo_map(tokens="300", layers="3").weights[1]
    assert np.all(np.abs(there - weights) <= step(weights, COARSE) + 1e-7)
    # The row that is chosen comes unrounded.
    page.locator(".at").evaluate("(root) => root.attention.select({row: 7, column: null})")
    expect(page.get_by_text("chosen=matrix 1 0 7 None")).to_be_visible()
    expect(page.locator(".at")).to_have_attribute("data-painted", "matrix 1")
    page.locator(".numbers summary").click()
    expect(page.locator(".table-box tbody td").first).to_have_text(f"{weights[0, 7, 0]:.4f}".replace(".", ","))


def test_the_layers_play_and_stop(visit: Opener) -> None:
    page = visit(view="head")
    page.get_by_role("button", name="Recorrer las capas").click()
    expect(page.locator(".layer-name")).to_have_text("Capa 3 de 4")
    page.get_by_role("button", name="Parar").click()
    expect(page.get_by_role("button", name="Recorrer las capas")).to_be_visible()


def test_touch_chooses(visit: Opener) -> None:
    page = visit(width=390, touch=True, view="head")
    page.locator(".hv-list.row .hv-token").nth(2).tap()
    expect(page.get_by_text("chosen=head 0 0 2 None")).to_be_visible()
    page.get_by_role("tab", name="Matriz").tap()
    expect(page.locator(".at")).to_have_attribute("data-painted", "matrix 0")
    page.locator(".mv-frame").tap(position={"x": 200, "y": 200})
    # Until the tap arrives, it is the head's token and no second one.
    expect(page.get_by_text(re.compile(r"chosen=matrix 0 0 \d+ \d+"))).to_be_visible()


# ---------------------------------------------------------------- awkward texts


def test_markup_and_emoji_are_text(visit: Opener) -> None:
    words = "<script>alert(1)</script> 👨‍👩‍👧‍👦 **md** {weight} \u202eabc <img src=x onerror=alert(2)>"
    page = visit(words=words, view="head")
    shown = page.locator(".hv-list.row .hv-token").all_text_contents()
    assert shown[1:-1] == words.split(" ")
    page.locator(".hv-list.row .hv-token").nth(1).hover()
    expect(page.locator(".status")).to_contain_text("«<script>alert(1)</script>» (token 2)")
    assert page.locator(".at img, .at script").count() == 0
    for name in ("Matriz", "Frase coloreada", "Neurona", "Modelo"):
        page.get_by_role("tab", name=name).click()
        painted(page)


def test_five_hundred_emoji(visit: Opener) -> None:
    page = visit(words=" ".join(["🧉", "😀"] * 255), layers="2", view="head")
    assert page.locator(".hv-list.row .hv-token").count() == 512
    page.locator(".hv-list.row .hv-token").nth(3).hover()
    expect(page.locator(".status")).to_contain_text("«🧉» (token 4)")


def test_cross_attention_has_two_texts(visit: Opener) -> None:
    page = visit(kind="cross", view="head")
    assert page.locator(".hv-list.row .hv-token").count() == 13
    assert page.locator(".hv-list.column .hv-token").count() == 6
    page.get_by_role("tab", name="Matriz").click()
    painted(page)
    page.get_by_role("tab", name="Frase coloreada").click()
    expect(page.locator(".tv-token")).to_have_count(6)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("view", list(VIEWS))
def test_saved_pictures(visit: Opener, view: str, tmp_path: Path) -> None:
    page = visit(view=view, kind="decoder", words="<b>&\u0001 uno dos tres")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="como SVG").click()
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert waiting.value.suggested_filename.startswith("atencion-")
    root = ElementTree.fromstring(text)
    words = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "Demo" in words[0]
    if view != "model":
        assert any(word.startswith("<b>&") for word in words)
    assert root.find(".//{http://www.w3.org/2000/svg}script") is None
    with page.expect_download() as waiting:
        page.get_by_role("button", name="como PNG").click()
    with Image.open(waiting.value.path()) as image:
        assert min(image.size) > 150
        assert len(image.convert("RGB").resize((200, 200)).getcolors(40_000)) > 20


@pytest.mark.parametrize("tokens", ["", "200"])
def test_the_exported_page_opens_from_a_disk_and_reacts(visit: Opener, tmp_path: Path, tokens: str) -> None:
    words = "" if tokens else f"{SENTENCE} </script><script>alert(1)</script>"
    amap = demo_map(words=words, tokens=tokens, layers="3")
    file = tmp_path / "atencion.html"
    file.write_bytes(
        export_html(
            amap,
            view="head",
            layer=1,
            heads=(2,),
            captions=captions_for(amap),
            neuron=VectorsOfDemo(amap, 1, 2),
            title="Prueba",
        )
    )
    page = visit.context(1280, "dark").new_page()
    visit.watch(page, ("file:", "data:", "blob:"))
    page.goto(file.as_uri())
    painted(page)
    expect(page.locator(".at")).to_have_attribute("data-theme", "dark")
    page.locator(".hv-list.row .hv-token").nth(2).hover()
    expect(page.locator(".status")).to_contain_text("«animal» (token 3)")
    for view, name in VIEWS.items():
        page.get_by_role("tab", name=name).click()
        expect(page.locator(".at")).to_have_attribute("data-painted", f"{view} 1")
    page.get_by_role("button", name="Capa siguiente").click()
    expect(page.locator(".layer-name")).to_have_text("Capa 3 de 3")
    top = FINE if not tokens else COARSE
    assert np.all(np.abs(weights_in(page, 2) - amap.weights[2]) <= step(amap.weights[2], top) + 1e-7)
