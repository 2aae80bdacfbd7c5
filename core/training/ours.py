"""The sets written for this project: seven intents with their slots, and short texts with questions.

The intents are in the manner of SNIPS' (Coucke et al., 2018, https://arxiv.org/abs/1805.10190): what somebody asks of
an assistant, and the words that matter for doing it. One file serves two tasks, classification and entities.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from core.i18n import gettext as _
from core.training import slots
from core.training.data import DataSet, Labelled, Question, TuningTask, split, tag_list

LANGUAGES: Final = ("es", "en")
LICENCE: Final = "CC0-1.0"
# A quarter: with 63 utterances an intent, a fifth would leave twelve to measure with.
TEST_SHARE: Final = 0.25
SEED: Final = 7

_FOLDER: Final = Path(__file__).parent / "samples"


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something said to an assistant.

    Attributes:
        text: as it was said.
        intent: what it asks for, such as ``"play_music"``.
        slots: the parts that matter, in order.
    """

    text: str
    intent: str
    slots: tuple[slots.Slot, ...]


def _sections(name: str) -> list[tuple[str, list[str]]]:
    """The sections of a file as (title, lines), comments and empty lines left out."""
    found: list[tuple[str, list[str]]] = []
    for line in (_FOLDER / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            found.append((line[3:], []))
        elif line and not line.startswith("#"):
            found[-1][1].append(line)
    return found


@cache
def utterances(language: str) -> tuple[Utterance, ...]:
    """All utterances of a language, intent by intent."""
    found = []
    for intent, lines in _sections(f"intents-{language}.txt"):
        for line in lines:
            text, marked = slots.parse(line)
            found.append(Utterance(text, intent, marked))
    return tuple(found)


@cache
def questions(language: str) -> tuple[Question, ...]:
    """All questions of a language, text by text.

    Raises:
        ValueError: an answer that its text does not hold.
    """
    found = []
    for title, (context, *asked) in _sections(f"reading-{language}.txt"):
        for line in asked:
            question, _sign, answers = line.removeprefix("? ").partition(" =")
            texts = [text.strip() for text in answers.split("|") if text.strip()]
            places = tuple((context.index(text), text) for text in texts)
            found.append(Question(question, context, places, title))
    return tuple(found)


@cache
def _names() -> dict[str, dict[str, str]]:
    tables = tomllib.loads((_FOLDER / "intents.toml").read_text(encoding="utf-8"))
    return {**tables["intents"], **tables["slots"]}


def display_name(name: str, language: str) -> str:
    """What an intent or a slot is called on the page; a name that isn't ours stays as it is."""
    return _names().get(name, {}).get(language, name)


def our_data(task: TuningTask, language: str) -> DataSet:
    """One of our sets, always divided in the same way.

    Args:
        task: intents for classification, their slots for entities, the short texts for questions.
        language: ``"es"`` or ``"en"``.
    """
    source = _("escrito para este proyecto")
    if task == "questions":
        train, test = split(questions(language), share=TEST_SHARE, seed=SEED)
        return DataSet(task, _("Textos breves con preguntas"), language, source, LICENCE, train, test, ())
    said = utterances(language)
    if task == "entities":
        tagged = [slots.tag(item.text, item.slots) for item in said]
        kinds = sorted({slot.name for item in said for slot in item.slots})
        parts = split(tagged, share=TEST_SHARE, seed=SEED)
        return DataSet(task, _("Partes de una orden"), language, source, LICENCE, *parts, tag_list(kinds))
    intents = tuple(dict.fromkeys(item.intent for item in said))
    labelled = [Labelled(item.text, intents.index(item.intent)) for item in said]
    sides = split(labelled, share=TEST_SHARE, seed=SEED)
    return DataSet(task, _("Siete intenciones"), language, source, LICENCE, *sides, intents)
