"""The Embeddings page's examples, as data in both languages (``embeddings.toml``)."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

PATH: Final = Path(__file__).with_name("embeddings.toml")

Part = Literal["sum", "positions", "neighbours", "contexts", "sentences", "cosine", "batch"]


@dataclass(frozen=True, slots=True)
class Claims:
    """What has to be true of an example on the model that it is about; the fields are described in the file."""

    model: str
    among: tuple[str, ...] = ()
    nearest: float | None = None
    first: float | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingExample:
    """A filled form; the fields are described in the file, and those of other parts are empty.

    Attributes:
        lines: sentences of the parts that take several.
        senses: for each of them what the word means there, in the two languages; empty where there is no word.
    """

    id: str
    part: Part
    language: str
    model: str
    titles: Mapping[str, str]
    sentences: Mapping[str, str]
    a: str
    b: str
    piece: str
    measure: str
    word: str
    lines: tuple[str, ...]
    senses: Mapping[str, tuple[str, ...]]
    pairs: tuple[tuple[str, str], ...]
    vectors: tuple[tuple[float, ...], ...]
    claims: Claims | None

    def title(self, reader: str) -> str:
        """A short title."""
        return self.titles[reader]

    def teaches(self, reader: str) -> str:
        """One sentence: what to look at."""
        return self.sentences[reader]


def _claims(raw: Mapping[str, Any] | None) -> Claims | None:
    if raw is None:
        return None
    return Claims(raw["model"], tuple(raw.get("among", ())), raw.get("nearest"), raw.get("first"))


def _read(raw: Mapping[str, Any]) -> EmbeddingExample:
    lines = raw.get("lines", [])
    with_senses = bool(raw.get("word"))
    return EmbeddingExample(
        id=raw["id"],
        part=raw["part"],
        language=raw.get("language", ""),
        model=raw.get("model", ""),
        titles={language: raw[f"title_{language}"] for language in ("es", "en")},
        sentences={language: raw[f"teaches_{language}"] for language in ("es", "en")},
        a=raw.get("a", ""),
        b=raw.get("b", ""),
        piece=raw.get("piece", ""),
        measure=raw.get("measure", ""),
        word=raw.get("word", ""),
        lines=tuple(line[0] for line in lines),
        senses={
            language: tuple(line[place] for line in lines) if with_senses else ()
            for place, language in ((1, "es"), (2, "en"))
        },
        pairs=tuple((pair[0], pair[1]) for pair in raw.get("pairs", [])),
        vectors=tuple(tuple(map(float, vector)) for vector in raw.get("vectors", [])),
        claims=_claims(raw.get("claims")),
    )


@cache
def embedding_examples() -> tuple[EmbeddingExample, ...]:
    """All examples, in the file's order."""
    with PATH.open("rb") as file:
        return tuple(_read(raw) for raw in tomllib.load(file)["example"])


def embedding_example(key: str) -> EmbeddingExample:
    """One example.

    Raises:
        KeyError: there is none of that id.
    """
    for example in embedding_examples():
        if example.id == key:
            return example
    raise KeyError(key)


def first_example(part: str, language: str) -> EmbeddingExample | None:
    """The first example of a part in a language, or one that needs no language."""
    return next((item for item in embedding_examples() if item.part == part and item.language in ("", language)), None)
