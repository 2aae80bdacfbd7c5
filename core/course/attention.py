"""The Atención page's examples, evidence cards and corpus, as data in both languages (``attention.toml``)."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

PATH: Final = Path(__file__).with_name("attention.toml")


@dataclass(frozen=True, slots=True)
class Claim:
    """A bound on the attention from one word to another, from 0 to 1."""

    row: str
    column: str
    least: float = 0.0
    most: float = 1.0


@dataclass(frozen=True, slots=True)
class AttentionExample:
    """A filled form, what opens, and what it says is to be seen; the fields are described in the file.

    ``layer`` and ``head`` count from 0 here.
    """

    id: str
    language: str
    model: str
    part: Literal["look", "find"]
    view: str
    layer: int
    head: int
    a: str
    b: str
    row: str
    column: str
    titles: Mapping[str, str]
    sentences: Mapping[str, str]
    claims: tuple[Claim, ...]

    def title(self, reader: str) -> str:
        """A short title."""
        return self.titles[reader]

    def teaches(self, reader: str) -> str:
        """One sentence: what to look at."""
        return self.sentences[reader]


@dataclass(frozen=True, slots=True)
class EvidenceCard:
    """Something that attention does, does not, or only with care does show, and who says so."""

    kind: Literal["is", "not", "with-care"]
    titles: Mapping[str, str]
    texts: Mapping[str, str]
    source: str
    url: str

    def title(self, reader: str) -> str:
        """A short title."""
        return self.titles[reader]

    def text(self, reader: str) -> str:
        """Two or three sentences."""
        return self.texts[reader]


def _both(raw: Mapping[str, Any], name: str) -> dict[str, str]:
    return {language: raw[f"{name}_{language}"] for language in ("es", "en")}


@cache
def _file() -> dict[str, Any]:
    with PATH.open("rb") as file:
        return tomllib.load(file)


@cache
def attention_examples() -> tuple[AttentionExample, ...]:
    """All examples, in the file's order."""
    return tuple(
        AttentionExample(
            id=raw["id"],
            language=raw["language"],
            model=raw["model"],
            part=raw["part"],
            view=raw["view"],
            layer=raw["layer"] - 1,
            head=raw["head"] - 1,
            a=raw["a"],
            b=raw.get("b", ""),
            row=raw["row"],
            column=raw["column"],
            titles=_both(raw, "title"),
            sentences=_both(raw, "teaches"),
            claims=tuple(Claim(**claim) for claim in raw["claims"]),
        )
        for raw in _file()["example"]
    )


def attention_example(key: str) -> AttentionExample:
    """One example.

    Raises:
        KeyError: there is none of that id.
    """
    for example in attention_examples():
        if example.id == key:
            return example
    raise KeyError(key)


@cache
def evidence_cards() -> tuple[EvidenceCard, ...]:
    """All cards, in the file's order."""
    return tuple(
        EvidenceCard(raw["kind"], _both(raw, "title"), _both(raw, "text"), raw["source"], raw["url"])
        for raw in _file()["card"]
    )


def corpus(language: str) -> tuple[str, ...]:
    """The sentences on which head statistics are measured, ``"es"`` or ``"en"``."""
    return tuple(_file()["corpus"][language])
