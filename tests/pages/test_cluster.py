"""The line that says who computes: the cluster, or this machine while the cluster is lost."""

from collections.abc import Iterator

import pytest
import streamlit as st

from core.settings import get_settings
from core.ui.state import pack_text
from tests.cluster.servers import SECRET, Served
from tests.conftest import free_port
from tests.pages.conftest import OpenApp, texts

WORDS = {
    "es": ("Calcula un clúster Ray", "clúster Ray, cpu", "mientras tanto calcula este equipo", "contestó este equipo"),
    "en": ("A Ray cluster computes", "Ray cluster, cpu", "this machine computes meanwhile", "this machine answered"),
}


@pytest.fixture
def served(unplugged: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    server = Served(free_port())
    monkeypatch.setenv("TALLER_RAY_ADDRESS", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("TALLER_RAY_SECRET", SECRET)
    monkeypatch.setenv("TALLER_RAY_TIMEOUT", "30")
    get_settings.cache_clear()
    st.cache_resource.clear()
    yield server
    server.kill()


@pytest.mark.parametrize("lang", ["es", "en"])
def test_the_page_says_who_computes(open_app: OpenApp, served: Served, lang: str) -> None:
    up, by_cluster, lost, by_this = WORDS[lang]
    shown = texts(open_app("tasks", lang=lang, task="fill-mask", tl="es"))
    assert up in shown and by_cluster in shown and lost not in shown
    served.kill()
    app = open_app("tasks", lang=lang, task="fill-mask", tl="es", text=pack_text("El perro [MASK] en el jardín."))
    shown = texts(app)
    assert by_this in shown and by_cluster not in shown
    # One that broke off once may be well; that nobody is there is seen at the next request.
    app = open_app("inside", lang=lang)
    assert any(lost in warning.value for warning in app.warning)
    assert up not in texts(app) and not app.error


def test_without_a_cluster_nothing_is_said(open_app: OpenApp) -> None:
    assert "Ray" not in texts(open_app("inside", lang="es"))
