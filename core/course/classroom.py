"""For the classroom: plans of 5 and 15 minutes and questions for each page, as data (``classroom.toml``)."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

PATH: Final = Path(__file__).with_name("classroom.toml")
PLANS: Final = (5, 15)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to show: how many minutes it takes, what to do, and links that open it."""

    plan: int
    minutes: int
    texts: Mapping[str, str]
    open: tuple[str, ...]

    def text(self, reader: str) -> str:
        """What to do and say."""
        return self.texts[reader]


@dataclass(frozen=True, slots=True)
class Question:
    """A question to the class, its answer, and links to where it is checked."""

    asks: Mapping[str, str]
    answers: Mapping[str, str]
    open: tuple[str, ...]

    def ask(self, reader: str) -> str:
        """The question."""
        return self.asks[reader]

    def answer(self, reader: str) -> str:
        """One or two sentences."""
        return self.answers[reader]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a page offers to a teacher."""

    page: str
    steps: tuple[Step, ...]
    questions: tuple[Question, ...]

    def plan(self, minutes: int) -> tuple[Step, ...]:
        """The steps of the plan of so many minutes."""
        return tuple(step for step in self.steps if step.plan == minutes)


def _both(raw: Mapping[str, Any], name: str) -> dict[str, str]:
    return {language: raw[f"{name}_{language}"] for language in ("es", "en")}


@cache
def lessons() -> dict[str, Lesson]:
    """All lessons by page."""
    with PATH.open("rb") as file:
        raw = tomllib.load(file)["lesson"]
    return {
        lesson["page"]: Lesson(
            lesson["page"],
            tuple(
                Step(step["plan"], step["minutes"], _both(step, "do"), tuple(step["open"])) for step in lesson["step"]
            ),
            tuple(
                Question(_both(item, "ask"), _both(item, "answer"), tuple(item["open"])) for item in lesson["question"]
            ),
        )
        for lesson in raw
    }
