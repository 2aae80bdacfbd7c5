"""Ready examples: a text, where to look, and the one thing it teaches.

The content is data (``examples.toml``); this module reads it once and hands it out typed.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

PATH: Final = Path(__file__).with_name("examples.toml")

#: The sections of each page an example may open.
SECTIONS: Final[dict[str, frozenset[str]]] = {
    "tokenization": frozenset({"compare", "steps", "letters", "vocabulary", "corpus"}),
}


@dataclass(frozen=True)
class Example:
    """One ready example. Titles and sentences are plain text: no Markdown, no HTML.

    Attributes:
        id: a stable name in kebab-case.
        page: the page it belongs to (a key of ``SECTIONS``).
        section: the part of that page where the thing is seen.
        title_es: a short title.
        title_en: the same in English.
        teaches_es: one sentence: what to look at.
        teaches_en: the same in English.
        text_es: the text to load.
        text_en: the text to load in English; ``None`` where both languages load ``text_es``.
        tokenizers: keys of the tokenizers to show, the ones the sentence speaks of first. Some may not
            be on this machine: the page drops those.
        word: what to select in the text (in ``"vocabulary"``, what to search for), or ``None``.
        source: who says what can't be seen on screen, or ``None``.
        url: its address (https), or ``None``.
    """

    id: str
    page: str
    section: str
    title_es: str
    title_en: str
    teaches_es: str
    teaches_en: str
    text_es: str
    tokenizers: tuple[str, ...]
    text_en: str | None = None
    word: str | None = None
    source: str | None = None
    url: str | None = None

    def title(self, language: str) -> str:
        """The title in ``language``: English for ``"en"``, else Spanish."""
        return self.title_en if language == "en" else self.title_es

    def teaches(self, language: str) -> str:
        """The sentence that says what to look at, in ``language``."""
        return self.teaches_en if language == "en" else self.teaches_es

    def text(self, language: str) -> str:
        """The text to load for a reader of ``language``."""
        return self.text_en if language == "en" and self.text_en is not None else self.text_es


def _read(entry: dict[str, Any]) -> Example:
    return Example(**{**entry, "tokenizers": tuple(entry["tokenizers"]), "text_es": entry["text_es"].strip("\n")})


@cache
def _by_id() -> dict[str, Example]:
    with PATH.open("rb") as file:
        data = tomllib.load(file)
    found: dict[str, Example] = {}
    for item in map(_read, data["example"]):
        if item.id in found:
            raise ValueError(f"examples.toml defines {item.id!r} twice")
        found[item.id] = item
    return found


def examples(page: str = "tokenization") -> tuple[Example, ...]:
    """The examples of ``page``, in the order in which to show them; empty if it has none."""
    return tuple(item for item in _by_id().values() if item.page == page)


def example(id: str) -> Example:
    """The example called ``id``.

    Raises:
        KeyError: there is no such example.
    """
    return _by_id()[id]
