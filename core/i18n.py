"""Translations with gettext: Spanish is the source language, English the second catalogue.

Message ids are the Spanish sentences themselves, so Spanish needs no catalogue and a missing English
entry falls back to readable Spanish (a test allows none to be missing). The language is a context
variable: the script run of one visitor never changes another's.

Catalogues: ``core/locale/en/LC_MESSAGES/taller.po`` (edited by hand) and ``.mo`` (``make locale``).
"""

import gettext as _gettext
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Final

LANGUAGES: Final[dict[str, str]] = {"es": "Español", "en": "English"}
DEFAULT_LANGUAGE: Final = "es"
DOMAIN: Final = "taller"
LOCALE_DIR: Final = Path(__file__).parent / "locale"

_language: ContextVar[str] = ContextVar("language", default=DEFAULT_LANGUAGE)


@cache
def _catalogue(language: str) -> _gettext.NullTranslations:
    return _gettext.translation(DOMAIN, LOCALE_DIR, languages=[language], fallback=True)


def set_language(language: str) -> None:
    """Sets the language of the current context.

    Args:
        language: a key of ``LANGUAGES``; anything else selects the default.
    """
    _language.set(language if language in LANGUAGES else DEFAULT_LANGUAGE)


def get_language() -> str:
    """The language of the current context: ``"es"`` or ``"en"``."""
    return _language.get()


def match_language(locale: str | None, otherwise: str = DEFAULT_LANGUAGE) -> str:
    """The catalogue for a browser's locale such as ``"es-UY"`` or ``"en_GB"``, or ``otherwise``."""
    base = (locale or "").replace("_", "-").split("-")[0].lower()
    return base if base in LANGUAGES else otherwise


def gettext(message: str) -> str:
    """``message`` (Spanish) in the language of the current context."""
    return _catalogue(_language.get()).gettext(message)


def ngettext(singular: str, plural: str, n: int) -> str:
    """Like ``gettext`` for a message that depends on a count."""
    return _catalogue(_language.get()).ngettext(singular, plural, n)


def quoted(text: str) -> str:
    """A word or a token in the quotation marks of the visitor's language."""
    return f"“{text}”" if get_language() == "en" else f"«{text}»"


def format_number(value: float, decimals: int = 0) -> str:
    """A number as the reader's language writes it: ``1234.5`` → ``1 234,5`` (es) or ``1,234.5`` (en).

    Spanish follows the Ortografía (2010): decimal comma, and a thin non-breaking space between groups
    of three from five digits on.
    """
    text = f"{value:,.{decimals}f}"
    if _language.get() == "en":
        return text
    whole, _, fraction = text.partition(".")
    if len(whole.lstrip("-").replace(",", "")) < 5:
        whole = whole.replace(",", "")
    return whole.replace(",", "\u202f") + ("," + fraction if fraction else "")


def format_percent(share: float, decimals: int = 1) -> str:
    """A share (0–1) as a percentage: ``0.305`` → ``30,5 %`` (es) or ``30.5%`` (en)."""
    gap = "" if _language.get() == "en" else "\u202f"
    return f"{format_number(100 * share, decimals)}{gap}%"


def format_duration(seconds: float) -> str:
    """A time for a person: ``"40 s"``, ``"3 min"``, ``"1 h 5 min"``."""
    if seconds < 90:
        return f"{format_number(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
