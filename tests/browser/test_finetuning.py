"""Ajuste fino in a real browser: the form and its checks, a run that is watched, reloaded, tried and taken home."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import serve_app, settle
from tests.browser.looks import UPLOAD, OpenPage, sideways, violations
from tests.training import tiny

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app on a machine with a tiny encoder, so that a run takes seconds."""
    hub, runs = tmp_path_factory.mktemp("hub"), tmp_path_factory.mktemp("runs")
    tiny.write_encoder(hub)
    with serve_app(
        TALLER_OFFLINE="1", TALLER_WARM_UP="0", TALLER_MODELS_DIR=str(hub), TALLER_TRAINING_DIR=str(runs)
    ) as address:
        yield address


def address(site: str, **query: str) -> str:
    return f"{site}/finetuning?{urlencode(query)}"


@pytest.mark.parametrize(("lang", "scheme", "width"), [("es", "light", 1280), ("en", "dark", 390)])
def test_the_form_passes_axe(app: str, open_page: OpenPage, lang: str, scheme: str, width: int) -> None:
    page = open_page(address(app, lang=lang, dl="es"), width=width, scheme=scheme)
    go = {"es": "Entrenar", "en": "Train"}[lang]
    expect(page.get_by_role("button", name=go, exact=True)).to_be_visible(timeout=60_000)
    page.get_by_text({"es": "Ajustar los números", "en": "Adjust the numbers"}[lang]).click()
    expect(page.get_by_label({"es": "Épocas", "en": "Epochs"}[lang], exact=True)).to_be_visible()
    settle(page)
    assert sideways(page) <= 0
    assert violations(page, UPLOAD) == []


def test_a_run_from_the_button_to_the_zip(app: str, open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(address(app, lang="es", dl="es", base=tiny.BASE, own="pon algo de jazz"))
    page.get_by_role("button", name="Entrenar", exact=True).click(timeout=60_000)
    expect(page.get_by_role("button", name="Cancelar")).to_be_visible(timeout=60_000)
    # A reload loses nothing: the browser knows whose runs these are.
    page.reload()
    settle(page)
    expect(page.get_by_role("heading", name="Pruébalo")).to_be_visible(timeout=180_000)
    expect(page.get_by_test_id("stMetricLabel").filter(has_text="Exactitud")).to_be_visible()
    page.get_by_label("Tu texto").fill("<b>reserva</b> una mesa")
    page.get_by_role("button", name="Preguntar al modelo").click()
    settle(page)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
    assert sideways(page) <= 0
    assert violations(page, UPLOAD) == []
    page.get_by_role("button", name="Descargar", exact=True).click()
    with page.expect_download(timeout=60_000) as waiting:
        page.get_by_role("button", name=re.compile("El modelo")).click()
    file = tmp_path / "model.zip"
    waiting.value.save_as(file)
    with zipfile.ZipFile(file) as archive:
        names = {Path(name).name for name in archive.namelist()}
        assert {"config.json", "model.safetensors", "tokenizer.json", "README.md", "train.py", "data.json"} <= names
        archive.extractall(tmp_path)
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "modelo")
    assert model.config.num_labels == 7
    assert len(AutoTokenizer.from_pretrained(tmp_path / "modelo")) == len(tiny.VOCABULARY)


def test_another_browser_sees_none_of_it(app: str, open_page: OpenPage) -> None:
    page = open_page(address(app, lang="en", view="runs"), width=390, scheme="dark")
    expect(page.get_by_text("You have not trained anything in this browser yet")).to_be_visible(timeout=30_000)
    assert sideways(page) <= 0
    assert violations(page, UPLOAD) == []


def test_the_form_is_in_the_link(app: str, open_page: OpenPage) -> None:
    page = open_page(address(app, lang="es", dl="es"))
    page.get_by_role("radio", name=re.compile("A fondo")).or_(
        page.get_by_role("button", name=re.compile("A fondo"))
    ).first.click(timeout=60_000)
    expect(page).to_have_url(re.compile("method=full"))
    page.reload()
    settle(page)
    expect(page.get_by_text("Se mueven todos los pesos")).to_be_visible(timeout=60_000)
