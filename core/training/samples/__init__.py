"""Sentences written by hand for this project, on which every shipped head is measured again by the tests.

They were written before the models were trained, by nobody who looked at a model's answers; eighteen of the English
and twenty of the Spanish questions came later, before the model was asked them.
"""

import re
from pathlib import Path
from typing import Final

from core.training.data import span_tags
from core.training.recipes.labelled import Labelled, Question, Tagged, squad

_FOLDER: Final = Path(__file__).parent
_CLASSES: Final = ("negative", "neutral", "positive")
_PIECE: Final = re.compile(r"\[([A-Z]+) ([^\]]+)\]|(\S+)")


def _lines(name: str) -> list[str]:
    return (_FOLDER / name).read_text(encoding="utf-8").splitlines()


def sentiment(language: str) -> list[Labelled]:
    """Sentences with their class."""
    pairs = (line.split("\t") for line in _lines(f"sentiment-{language}.tsv"))
    return [Labelled(text, _CLASSES.index(label)) for label, text in pairs]


def entities(language: str) -> list[Tagged]:
    """Sentences in words with IOB2 tags."""
    found = []
    for line in _lines(f"entities-{language}.txt"):
        words: list[str] = []
        tags: list[str] = []
        for kind, name, word in _PIECE.findall(line):
            own = name.split() if kind else [word]
            words += own
            tags += span_tags(kind, len(own)) if kind else ["O"]
        found.append(Tagged(tuple(words), tuple(tags)))
    return found


def questions(language: str) -> list[Question]:
    """Questions on short texts."""
    return list(squad(_FOLDER / f"questions-{language}.jsonl"))


def masked(language: str) -> list[tuple[str, str]]:
    """Gaps that the rest of their sentence leaves little choice for: the word, and the text with ``[MASK]``."""
    pairs = (line.split("\t") for line in _lines(f"masked-{language}.tsv"))
    return [(word, text) for word, text in pairs]


def triples(language: str) -> list[tuple[str, str, str]]:
    """A sentence, another that says nearly the same in other words, and one that shares words but not the sense."""
    found = []
    for line in _lines(f"sentences-{language}.tsv"):
        sentence, near, far = line.split("\t")
        found.append((sentence, near, far))
    return found


def prose(language: str) -> str:
    """A page of a story."""
    return (_FOLDER / f"prose-{language}.txt").read_text(encoding="utf-8")


def translations() -> list[tuple[str, str]]:
    """English sentences and their Spanish translation."""
    pairs = (line.split("\t") for line in _lines("translation.tsv"))
    return [(english, spanish) for english, spanish in pairs]


def following(language: str) -> list[tuple[str, str, bool]]:
    """Two sentences, and whether the second follows the first or comes from another text."""
    rows = (line.split("\t") for line in _lines(f"following-{language}.tsv"))
    return [(first, second, answer == "follows") for answer, first, second in rows]


def pronouns(language: str) -> list[tuple[str, str, str, str]]:
    """What tells it, the right mention, a wrong one, and a sentence with its pronoun in brackets."""
    found = []
    for line in _lines(f"pronouns-{language}.tsv"):
        kind, right, wrong, text = line.split("\t")
        found.append((kind, right, wrong, text))
    return found
