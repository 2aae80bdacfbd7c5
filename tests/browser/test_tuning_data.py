"""The section "Datos" of Ajuste fino in a real browser: axe, telephones, a file from upload to set, and typed HTML."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import serve_app, settle
from tests.browser.looks import UPLOAD, axe

pytestmark = pytest.mark.browser

DEMO = Path(__file__).with_name("apps") / "data_demo.py"
OPEN = {"es": ("Ver ejemplos", "Reparto de los ejemplos"), "en": ("See examples", "How the examples are spread")}
ROWS = "".join(
    f"{text} {n};{label}\n" for n in range(12) for text, label in (("Qué maravilla", "bueno"), ("Qué horror", "malo"))
)

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("data")
    with serve_app(DEMO, TALLER_OFFLINE="1", TALLER_WARM_UP="0", TALLER_DATA_DIR=str(folder)) as address:
        yield address


def unfold(page: Page, lang: str) -> None:
    for words in OPEN[lang]:
        page.get_by_text(words, exact=True).click()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    settle(page)


def violations(page: Page) -> list[tuple[str, str, str]]:
    """What axe finds; the code below the section is the demo's."""
    return axe(page, "[data-testid=stCode]", UPLOAD)


@pytest.mark.parametrize("task", ["classification", "entities", "questions"])
@pytest.mark.parametrize(("lang", "scheme", "width"), [("es", "light", 1280), ("en", "dark", 390)])
def test_our_sets_pass_axe_and_fit(
    demo: str, open_page: OpenPage, task: str, lang: str, scheme: str, width: int
) -> None:
    page = open_page(f"{demo}/?task={task}&lang={lang}", width=width, scheme=scheme, touch=width < 500)
    unfold(page, lang)
    wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
    assert violations(page) == []


def test_a_file_from_upload_to_set(demo: str, open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(f"{demo}/?task=classification&lang=es", scheme="dark")
    page.get_by_text("Tu archivo", exact=True).click()
    expect(page.get_by_text("no data", exact=True)).to_be_visible()
    file = tmp_path / "datos.csv"
    file.write_bytes(b"PK\x03\x04" + bytes(500))
    page.locator("input[type=file]").first.set_input_files(str(file))
    expect(page.get_by_text("por sus primeros bytes parece ZIP")).to_be_visible()
    # Another name: a browser that is given the same file again takes it for no change.
    file = tmp_path / "comentarios.csv"
    file.write_text("texto;etiqueta\n" + ROWS + ";malo\n", encoding="utf-8")
    page.locator("input[type=file]").first.set_input_files(str(file))
    expect(page.get_by_text("Fila 26: el texto está vacío")).to_be_visible()
    page.get_by_text("Dejar fuera las filas con problemas", exact=True).click()
    expect(page.get_by_text("train=20 test=4 labels=2 language=es")).to_be_visible()
    settle(page)
    assert violations(page) == []
    # Another source and back: Streamlit has forgotten the upload, the section has not.
    page.get_by_text("Los del taller", exact=True).click()
    expect(page.get_by_text("labels=7")).to_be_visible()
    page.get_by_text("Tu archivo", exact=True).click()
    expect(page.get_by_text("Sigo con «comentarios.csv».")).to_be_visible()
    expect(page.get_by_text("train=20 test=4 labels=2 language=es")).to_be_visible()


def test_html_in_a_file_is_text(demo: str, open_page: OpenPage, tmp_path: Path) -> None:
    bad = "<img src=x onerror=alert(1)>"
    file = tmp_path / f"{bad.replace('/', '')}.conll"
    file.write_text("".join(f"{bad.replace(' ', '_')}{n} B-<b>x</b>\nva O\n\n" for n in range(8)), encoding="utf-8")
    page = open_page(f"{demo}/?task=entities&lang=es")
    page.get_by_text("Tu archivo", exact=True).click()
    page.locator("input[type=file]").first.set_input_files(str(file))
    expect(page.get_by_text("train=6 test=2 labels=3")).to_be_visible()
    unfold(page, "es")
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("b", has_text="x").count() == 0


def at_rest(locator: Locator) -> None:
    """Waits until it has stopped moving: what a button opens stays where the button was when it was pressed."""
    locator.scroll_into_view_if_needed()
    before = None
    for _look in range(100):
        now = locator.bounding_box()
        if now is not None and now == before:
            return
        before = now
        locator.page.wait_for_timeout(300)
    raise AssertionError("it never stopped moving")


def test_what_is_taken_home_holds_no_formula(demo: str, open_page: OpenPage, tmp_path: Path) -> None:
    file = tmp_path / "datos.csv"
    file.write_text("texto;etiqueta\n" + ROWS.replace("Qué horror", "=HYPERLINK(A1)"), encoding="utf-8")
    page = open_page(f"{demo}/?task=classification&lang=es")
    page.get_by_text("Tu archivo", exact=True).click()
    page.locator("input[type=file]").first.set_input_files(str(file))
    page.get_by_text("Ver ejemplos", exact=True).click()
    button = page.get_by_text("Descargar los datos")
    at_rest(button)
    button.click()
    with page.expect_download() as download:
        page.get_by_text("Los datos (CSV)").click()
    content = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert content.count("'=HYPERLINK(A1)") == 12 and "\n=HYPERLINK" not in content
