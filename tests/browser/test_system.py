"""Sistema in a real browser: live without reruns, asleep in a hidden tab, and a download from button to badge."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.ui.system.form import VIEWS
from tests.browser.conftest import serve_app, settle
from tests.browser.looks import OpenPage, sideways
from tests.hub_server import Hub, serve

pytestmark = pytest.mark.browser

_HIDE = """(state) => {
  Object.defineProperty(document, 'visibilityState', { value: state, configurable: true })
  document.dispatchEvent(new Event('visibilitychange'))
}"""


def asked(page: Page) -> int:
    """How often the gauges have asked for new readings."""
    return int(page.locator(".gauges").first.get_attribute("data-asked") or 0)


def test_gauges_renew_themselves_and_nothing_else(app_url: str, open_page: OpenPage) -> None:
    page = open_page(f"{app_url}/system")
    meter = page.get_by_role("meter", name="Memoria")
    expect(meter).to_be_visible()
    page.evaluate("document.querySelector('h1').dataset.mark = 'same'")
    curve = page.locator(".gauges polyline").first
    expect(curve).to_be_attached()
    before = curve.get_attribute("points")
    expect(curve).not_to_have_attribute("points", before or "")
    assert page.locator("h1").get_attribute("data-mark") == "same"
    assert page.locator("[data-testid=stApp]").get_attribute("data-test-script-state") in {"notRunning", "running"}


def test_a_hidden_tab_asks_for_nothing(app_url: str, open_page: OpenPage) -> None:
    page = open_page(f"{app_url}/system")
    gauges = page.locator(".gauges").first
    expect(gauges).to_have_attribute("data-asked", "2")
    page.evaluate(_HIDE, "hidden")
    before = asked(page)
    # Two intervals and more, in the page's own clock.
    page.evaluate("() => new Promise((done) => setTimeout(done, 5000))")
    assert asked(page) == before
    page.evaluate(_HIDE, "visible")
    expect(gauges).not_to_have_attribute("data-asked", str(before))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("lang", "scheme"), [("es", "dark"), ("en", "light")])
def test_every_view_fits_a_telephone(app_url: str, open_page: OpenPage, view: str, lang: str, scheme: str) -> None:
    page = open_page(f"{app_url}/system?view={view}&lang={lang}", width=390, scheme=scheme, touch=True)
    expect(page.get_by_role("heading", level=1)).to_have_text({"es": "Sistema", "en": "System"}[lang])
    assert sideways(page) <= 0
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


def test_a_loaded_model_is_marked_on_the_curve_and_can_go(open_page: OpenPage) -> None:
    with serve_app(TALLER_OFFLINE="1", TALLER_MODELS_DIR="", TALLER_WARM_UP="0") as address:
        page = open_page(f"{address}/system?view=models")
        page.get_by_role("button", name="Cargar ahora").click()
        expect(page.get_by_text(re.compile("87 de"))).to_be_visible(timeout=60_000)
        page.get_by_role("radio", name="Ahora").or_(page.get_by_role("button", name="Ahora")).first.click()
        expect(page.locator(".gauges .tag").first).to_contain_text("cargaste all-MiniLM-L6-v2")
        page.get_by_role("radio", name="Modelos en memoria").or_(
            page.get_by_role("button", name="Modelos en memoria")
        ).first.click()
        expect(page.get_by_role("button", name="Quitar de la memoria")).to_be_visible()
        settle(page)
        page.get_by_role("button", name="Quitar de la memoria").click()
        expect(page.get_by_text("Ningún modelo está en memoria todavía")).to_be_visible()


@pytest.fixture
def hub(shared_dir: Path) -> Iterator[Hub]:
    folder = shared_dir / "hub/raincandy-u/TinyStories-656K"
    with serve() as running:
        running.repos["raincandy-u/TinyStories-656K"] = {file.name: file.read_bytes() for file in folder.iterdir()}
        yield running


def test_a_download_from_the_button_to_the_badge(hub: Hub, open_page: OpenPage, tmp_path: Path) -> None:
    hub.piece, hub.pause = 40_000, 0.05
    environment = {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path), "TALLER_OFFLINE": "0", "HF_HUB_OFFLINE": "0"}
    with serve_app(TALLER_MODELS_DIR="", TALLER_WARM_UP="0", **environment) as address:
        page = open_page(f"{address}/system?view=catalogue&task=text-generation&models=en")
        card = page.locator(".st-key-model_tinystories")
        card.get_by_role("button", name=re.compile("Bajar")).click()
        bar = card.get_by_test_id("stProgress").first
        expect(bar).to_contain_text("MiB/s")
        card.get_by_role("button", name="Detener").first.click()
        # While the page is drawn anew, Streamlit keeps the card of the run before beside the new one.
        expect(card.filter(has_text="descarga detenida").first).to_be_visible()
        settle(page)
        hub.pause = 0.0
        card.get_by_role("button", name=re.compile("Seguir")).first.click()
        expect(card.filter(has_text="bajado del hub").first).to_be_visible(timeout=30_000)
        assert hub.served["model.safetensors"] < 1.5 * len(
            hub.repos["raincandy-u/TinyStories-656K"]["model.safetensors"]
        )
        settle(page)
