"""AppTest on the real entry point, on a machine that has only what ships with the app."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.i18n import set_language
from core.settings import get_settings
from tests.conftest import ROOT
from tests.training import tiny

OpenApp = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def unplugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TALLER_OFFLINE", "1")
    monkeypatch.setenv("TALLER_WARM_UP", "0")
    monkeypatch.setenv("TALLER_MODELS_DIR", "")
    monkeypatch.setenv("HF_HUB_CACHE", "/nonexistent")
    # AppTest sends choices back by their names, which it makes in this process's language.
    set_language("es")
    get_settings.cache_clear()
    st.cache_resource.clear()
    yield
    set_language("es")
    get_settings.cache_clear()
    st.cache_resource.clear()


def go_to(app: AppTest, page: str, **query: str) -> AppTest:
    """Opens another page, by a link with these parameters."""
    if page != "home":
        app.switch_page(f"pages/{page}.py")
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


@pytest.fixture(scope="module")
def tiny_hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models that holds one tiny encoder."""
    folder = tmp_path_factory.mktemp("hub")
    tiny.write_encoder(folder)
    return folder


@pytest.fixture
def tuning_machine(unplugged: None, tiny_hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with a tiny encoder, whose runs are in a folder of the test's own."""
    runs = tmp_path / "runs"
    for name, value in {"MODELS_DIR": tiny_hub, "TRAINING_DIR": runs, "DEVICE": "cpu"}.items():
        monkeypatch.setenv(f"TALLER_{name}", str(value))
    get_settings.cache_clear()
    yield runs
    st.cache_resource.clear()


@pytest.fixture
def open_app() -> OpenApp:
    """Opens a page of the app: ``open_app("tokenization", lang="en", view="steps")``."""

    def open_(page: str = "home", **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        if page != "home":
            go_to(app, page, **query)
        assert not app.exception
        return app

    return open_


def texts(app: AppTest) -> str:
    """Everything that Markdown, text, captions, warnings and errors say on the page."""
    kinds = ("title", "header", "markdown", "text", "caption", "warning", "error", "info")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind))
