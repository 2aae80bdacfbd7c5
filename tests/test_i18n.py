"""Languages: matching, numbers, isolation between threads, and a complete English catalogue."""

import io
import re
import threading
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from core.i18n import LOCALE_DIR, format_number, get_language, gettext, match_language, set_language
from tests.conftest import ROOT

PO_FILE = LOCALE_DIR / "en" / "LC_MESSAGES" / "taller.po"
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}


@pytest.fixture(autouse=True)
def spanish_after() -> object:
    yield
    set_language("es")


@pytest.mark.parametrize(
    ("locale", "language"),
    [("es-UY", "es"), ("en_GB", "en"), ("EN", "en"), ("fr-FR", "es"), (None, "es"), ("", "es")],
)
def test_match_language(locale: str | None, language: str) -> None:
    assert match_language(locale) == language


def test_match_language_uses_the_default_given() -> None:
    assert match_language("fr-FR", otherwise="en") == "en"


def test_numbers_as_each_language_writes_them() -> None:
    set_language("es")
    assert [format_number(1234), format_number(31002), format_number(1.5, 2), format_number(-20001)] == [
        "1234",
        "31\u202f002",
        "1,50",
        "-20\u202f001",
    ]
    set_language("en")
    assert [format_number(1234), format_number(31002), format_number(1.5, 2)] == ["1,234", "31,002", "1.50"]


def test_the_language_of_one_thread_is_not_anothers() -> None:
    set_language("es")
    seen: list[str] = []

    def other() -> None:
        set_language("en")
        seen.append(get_language())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == ["en"]
    assert get_language() == "es"


def _used() -> dict[str | tuple[str, ...], str]:
    """Every message in the code → a place where it is used."""
    found: dict[str | tuple[str, ...], str] = {}
    for folder in ("core", "pages"):
        for name, line, message, *_rest in extract_from_dir(ROOT / folder, keywords=KEYWORDS):
            found[message] = f"{folder}/{name}:{line}"
    for line, message, *_rest in extract_from_file("python", str(ROOT / "app.py"), keywords=KEYWORDS):
        found[message] = f"app.py:{line}"
    return found


def _catalogue() -> Catalog:
    with PO_FILE.open("rb") as file:
        return read_po(file, locale="en")


def test_every_message_has_its_english_and_no_entry_is_left_over() -> None:
    catalogue = _catalogue()
    translated = {m.id: m for m in catalogue if m.id}
    used = _used()
    assert {k: v for k, v in used.items() if k not in translated} == {}, "messages without a translation"
    assert [k for k in translated if k not in used] == [], "translations of messages that no longer exist"
    for message in translated.values():
        strings = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(strings), f"empty translation of {message.id!r}"
        assert not message.fuzzy, f"fuzzy translation of {message.id!r}"


def test_translations_keep_placeholders_and_markup() -> None:
    for message in _catalogue():
        if not message.id:
            continue
        sources = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.string, tuple) else (message.string,)
        for pattern in (r"\{\w*\}", r"\*\*", r"`"):
            expected = sorted(re.findall(pattern, sources[-1]))
            for string in strings:
                assert sorted(re.findall(pattern, string)) == expected, f"{message.id!r} → {string!r}"


def test_compiled_catalogue_is_current() -> None:
    buffer = io.BytesIO()
    write_mo(buffer, _catalogue())
    compiled = PO_FILE.with_suffix(".mo").read_bytes()
    assert compiled == buffer.getvalue(), "run `make locale`"


def test_english_is_really_served() -> None:
    set_language("en")
    assert gettext("Inicio") == "Home"


def test_no_message_reads_like_a_stub() -> None:
    text = Path(PO_FILE).read_text(encoding="utf-8").lower()
    assert not re.search(r"\btodo:", text)
    assert "lorem" not in text
