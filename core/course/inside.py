"""The examples of the page Por dentro, as data in both languages (``inside.toml``)."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

PATH: Final = Path(__file__).with_name("inside.toml")


@dataclass(frozen=True, slots=True)
class InsideExample:
    """A filled form and the value that opens; the fields are described in the file. ``head`` counts from 0 here."""

    id: str
    language: str
    model: str
    text: str
    second: str
    view: str
    step: str
    head: int
    row: str
    column: str
    titles: Mapping[str, str]
    sentences: Mapping[str, str]

    def title(self, reader: str) -> str:
        """A short title."""
        return self.titles[reader]

    def teaches(self, reader: str) -> str:
        """One sentence: what to look at."""
        return self.sentences[reader]


@cache
def inside_examples() -> tuple[InsideExample, ...]:
    """All examples, in the file's order."""
    with PATH.open("rb") as file:
        raw = tomllib.load(file)["example"]
    return tuple(
        InsideExample(
            id=item["id"],
            language=item["language"],
            model=item["model"],
            text=item["text"],
            second=item.get("second", ""),
            view=item.get("view", "walk"),
            step=item["step"],
            head=item.get("head", 1) - 1,
            row=item["row"],
            column=item["column"],
            titles={"es": item["title_es"], "en": item["title_en"]},
            sentences={"es": item["teaches_es"], "en": item["teaches_en"]},
        )
        for item in raw
    )


def inside_example(key: str) -> InsideExample:
    """One example.

    Raises:
        KeyError: there is none of that id.
    """
    for example in inside_examples():
        if example.id == key:
            return example
    raise KeyError(key)
