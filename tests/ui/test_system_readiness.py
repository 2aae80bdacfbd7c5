"""Readiness on the page: words beside colours, a list that shrinks while models arrive, a summary to print."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from core.i18n import set_language
from core.runtime.hub import Located
from core.runtime.readiness import check
from core.settings import Settings
from core.ui.system import readiness
from tests.pages.conftest import OpenApp, open_app, texts, unplugged
from tests.pages.test_system import FakeDownloads, put_downloads

__all__ = ["open_app", "unplugged"]


def pages(here: bool) -> list[Any]:
    return [
        replace(page, needs=tuple(replace(need, here=here, missing_mib=0.0 if here else 4.0) for need in page.needs))
        for page in check(Settings(offline=True))
    ]


@pytest.mark.parametrize(
    ("lang", "here", "words"),
    [
        ("es", True, "todo está aquí"),
        ("en", True, "all is here"),
        ("es", False, "no funcionará sin internet"),
        ("en", False, "will not work without internet"),
    ],
)
def test_all_missing_and_all_present(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, lang: str, here: bool, words: str
) -> None:
    monkeypatch.setattr(readiness, "check", lambda _settings: pages(here))
    app = open_app("system", lang=lang, view="ready")
    assert words in texts(app)
    assert (":material/download: **" in texts(app)) is not here


def test_what_arrived_leaves_the_choice(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    put_downloads(monkeypatch, FakeDownloads())
    app = open_app("system", lang="es", view="ready")
    app.multiselect(key="ready_models").set_value(["tinystories", "g2p-en"]).run()
    find = readiness.locate_model
    monkeypatch.setattr(
        readiness,
        "locate_model",
        lambda item, settings: Located(Path("x"), "hub_cache") if item.key == "tinystories" else find(item, settings),
    )
    app.run()
    assert not app.exception and not app.error
    assert app.multiselect(key="ready_models").value == ["g2p-en"]


class Cells(HTMLParser):
    """A document's tags and table cells."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in {"td", "th"}:
            self.cells[-1] += data


@pytest.mark.parametrize("lang", ["es", "en"])
def test_the_summary_holds_names_as_text_alone(lang: str) -> None:
    name = "<img src=x onerror=alert(1)> \"&' \u202e\x00 👩‍🚀"
    page = pages(False)[0]
    need = replace(page.needs[0], entry=replace(page.needs[0].entry, names={"es": name, "en": name}))
    set_language(lang)
    try:
        text = readiness.summary_html([replace(page, needs=(need,))], {}).decode()
    finally:
        set_language("es")
    assert f"<html lang='{lang}'>" in text
    found = Cells()
    found.feed(text)
    assert not {"img", "script", "link"} & set(found.tags)
    assert any("onerror=alert(1)" in cell for cell in found.cells)
