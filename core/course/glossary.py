"""The course's concepts: a term, two sentences, a formula and their source, in both languages.

The content is data (``glossary.toml``); this module reads it once and hands it out typed.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from core.course.words import holds

PATH: Final = Path(__file__).with_name("glossary.toml")

#: Pages a concept may point to; a page that is not registered yet simply shows no link.
PAGES: Final = frozenset(
    {
        "home",
        "timeline",
        "concepts",
        "tokenization",
        "embeddings",
        "inside",
        "attention",
        "tasks",
        "finetuning",
        "system",
    }
)


@dataclass(frozen=True)
class Source:
    """A published work.

    Attributes:
        title: authors, year and title, as it is cited.
        url: where to read it (https).
    """

    title: str
    url: str


@dataclass(frozen=True)
class Concept:
    """One entry of the glossary. Texts are plain: they hold no Markdown and no HTML.

    Attributes:
        id: a stable name in kebab-case.
        term_es: the term in Spanish, the English one in parentheses where people use it.
        term_en: the term in English.
        text_es: what it means, in two sentences.
        text_en: the same in English.
        sources: the works it comes from, the main one first; never empty.
        formula: LaTeX without delimiters, or ``None``.
        see: the page that shows the concept at work (one of ``PAGES``), as ``"page"`` or ``"page?name=value"``;
            ``None`` if there is none.
    """

    id: str
    term_es: str
    term_en: str
    text_es: str
    text_en: str
    sources: tuple[Source, ...]
    formula: str | None = None
    see: str | None = None

    @property
    def source(self) -> str:
        """The title of the main source."""
        return self.sources[0].title

    @property
    def url(self) -> str:
        """The address of the main source."""
        return self.sources[0].url

    def term(self, language: str) -> str:
        """The term in ``language``: English for ``"en"``, else Spanish."""
        return self.term_en if language == "en" else self.term_es

    def text(self, language: str) -> str:
        """The explanation in ``language``: English for ``"en"``, else Spanish."""
        return self.text_en if language == "en" else self.text_es

    def words(self, language: str) -> str:
        """All that a search looks through; the other language's term, too."""
        return " ".join([self.term_es, self.term_en, self.text(language), *(source.title for source in self.sources)])


@cache
def _by_id() -> dict[str, Concept]:
    with PATH.open("rb") as file:
        data = tomllib.load(file)
    sources = {key: Source(**entry) for key, entry in data["sources"].items()}
    found: dict[str, Concept] = {}
    for entry in data["concept"]:
        item = Concept(**{**entry, "sources": tuple(sources[key] for key in entry["sources"])})
        if item.id in found:
            raise ValueError(f"glossary.toml defines {item.id!r} twice")
        found[item.id] = item
    return found


def concepts() -> tuple[Concept, ...]:
    """All concepts, in the order in which the course introduces them."""
    return tuple(_by_id().values())


def find_concepts(text: str, language: str) -> list[Concept]:
    """The concepts that hold every word of ``text``; those that hold them in their name come first."""
    found = [item for item in concepts() if holds(item.words(language), text)]
    return sorted(found, key=lambda item: not holds(item.term_es + " " + item.term_en, text))


def concept(id: str) -> Concept:
    """The concept called ``id``.

    Raises:
        KeyError: there is no such concept.
    """
    return _by_id()[id]
