"""The catalogue's downloads: whoever may not start one can't end one, and is told how to be let in."""

import pytest

from core.runtime.downloads import DownloadState
from core.settings import get_settings
from core.ui.system import download
from tests.pages.conftest import OpenApp, open_app, texts, unplugged
from tests.pages.test_system import BETO, FakeDownloads, put_downloads

__all__ = ["open_app", "unplugged"]

HALF = DownloadState("running", BETO, 1 * 2**20, 4 * 2**20, 2**20)


@pytest.fixture
def restrict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLER_DOWNLOADS", "operator")
    monkeypatch.setenv("TALLER_OPERATOR_TOKEN", "sésamo")
    get_settings.cache_clear()


@pytest.mark.usefixtures("restrict")
def test_visitors_see_a_download_and_can_not_stop_it(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDownloads(HALF)
    put_downloads(monkeypatch, fake)
    app = open_app("system", lang="es", view="catalogue")
    (bar,) = app.get("progress")
    assert bar.proto.value == 25
    assert not [button for button in app.button if str(button.key).endswith("_stop")]
    download._stop(BETO)  # as a forged event of the page would
    assert fake.stopped == []


@pytest.mark.usefixtures("restrict")
@pytest.mark.parametrize("view", ["catalogue", "ready"])
def test_the_word_opens_the_downloads_where_they_are(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    fake = FakeDownloads()
    put_downloads(monkeypatch, fake)
    app = open_app("system", lang="es", view=view)
    app.text_input(key="operator_token").set_value("sésamo").run()
    assert not [field for field in app.text_input if field.key == "operator_token"]
    if view == "ready":
        app.multiselect(key="ready_models").set_value(["beto-cased"]).run()
    app.button(key="ready_prepare" if view == "ready" else "cat_beto-cased_start").click().run()
    assert fake.started == ["beto-cased"]


@pytest.mark.usefixtures("restrict")
def test_the_word_opens_stopping_too(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDownloads(HALF)
    put_downloads(monkeypatch, fake)
    app = open_app("system", lang="es", view="catalogue")
    app.text_input(key="operator_token").set_value("sésamo").run()
    app.button(key="cat_beto-cased_stop").click().run()
    assert fake.stopped == ["beto-cased"]


def test_where_everyone_may_nobody_is_asked_for_a_word(open_app: OpenApp) -> None:
    app = open_app("system", lang="es", view="catalogue")
    assert not [field for field in app.text_input if field.key == "operator_token"]


@pytest.mark.parametrize(
    ("lang", "told", "label"),
    [("es", "el hub de modelos no responde", "Bajar"), ("en", "the model hub does not answer", "Download")],
)
def test_a_failure_in_both_languages(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, lang: str, told: str, label: str
) -> None:
    put_downloads(monkeypatch, FakeDownloads(DownloadState("failed", BETO, reason="unreachable")))
    app = open_app("system", lang=lang, view="catalogue")
    assert told in texts(app).replace("\\", "")
    assert app.button(key="cat_beto-cased_start").label.startswith(label)
