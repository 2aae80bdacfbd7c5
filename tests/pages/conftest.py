"""AppTest on the real entry point, on a machine that has only what ships with the app."""

from collections.abc import Callable, Iterator

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.i18n import set_language
from core.settings import get_settings
from tests.conftest import ROOT

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


@pytest.fixture
def open_app() -> OpenApp:
    """Opens a page of the app: ``open_app("tokenization", lang="en", view="steps")``."""

    def open_(page: str = "home", **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        if page != "home":
            app.switch_page(f"pages/{page}.py")
            for name, value in query.items():
                app.query_params[name] = value
            app.run()
        assert not app.exception
        return app

    return open_


def texts(app: AppTest) -> str:
    """Everything that Markdown, text, captions, warnings and errors say on the page."""
    kinds = ("title", "header", "markdown", "text", "caption", "warning", "error", "info")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind))
