"""Examples and contrast pairs of the Tareas page: one TOML file a task, named after its link.

[[example]]                       a filled form, and the one thing it teaches
language = "es"                   of the text
title_es, title_en                what it is called, in the reader's language
teaches_es, teaches_en            one sentence: what to look at
[example.fields]                  field → value; those left out keep their default

[[pair]]                          two texts that differ in one thing
language, title_es, title_en      as above
a, b                              the texts
change_es, change_en              what was changed
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class TaskExample:
    """A filled form; ``language`` is the text's, the titles and sentences come in the reader's."""

    language: str
    titles: Mapping[str, str]
    sentences: Mapping[str, str]
    fields: Mapping[str, Any]

    def title(self, reader: str) -> str:
        """A short title."""
        return self.titles[reader]

    def teaches(self, reader: str) -> str:
        """One sentence: what to look at."""
        return self.sentences[reader]


@dataclass(frozen=True, slots=True)
class ContrastPair:
    """Two texts that differ in one thing, which ``change`` names."""

    language: str
    titles: Mapping[str, str]
    a: str
    b: str
    changes: Mapping[str, str]

    def title(self, reader: str) -> str:
        """A short title."""
        return self.titles[reader]

    def change(self, reader: str) -> str:
        """What was changed from A to B."""
        return self.changes[reader]


def _both(raw: Mapping[str, Any], name: str) -> dict[str, str]:
    return {"es": raw[f"{name}_es"], "en": raw[f"{name}_en"]}


@cache
def _file(slug: str) -> dict[str, Any]:
    path = FOLDER / f"{slug}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


@cache
def task_examples(slug: str, language: str) -> tuple[TaskExample, ...]:
    """The examples of a task whose text is in ``language``, in the file's order."""
    return tuple(
        TaskExample(raw["language"], _both(raw, "title"), _both(raw, "teaches"), raw["fields"])
        for raw in _file(slug).get("example", ())
        if raw["language"] == language
    )


@cache
def contrast_pairs(slug: str, language: str) -> tuple[ContrastPair, ...]:
    """The contrast pairs of a task in ``language``, in the file's order."""
    return tuple(
        ContrastPair(raw["language"], _both(raw, "title"), raw["a"], raw["b"], _both(raw, "change"))
        for raw in _file(slug).get("pair", ())
        if raw["language"] == language
    )
