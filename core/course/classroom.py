"""For the classroom: plans, questions and common mistakes for each page and task, as data (``classroom.toml``)."""

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
class Mistake:
    """What common course notes say, and how it really is."""

    says: Mapping[str, str]
    facts: Mapping[str, str]

    def said(self, reader: str) -> str:
        """What is often told."""
        return self.says[reader]

    def really(self, reader: str) -> str:
        """How it is, in a sentence or two."""
        return self.facts[reader]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a page, or a task of the page Tareas, offers to a teacher; ``topic`` is the task, else empty."""

    page: str
    topic: str
    goals: Mapping[str, str]
    steps: tuple[Step, ...]
    questions: tuple[Question, ...]
    mistakes: tuple[Mistake, ...]

    @property
    def key(self) -> str:
        """Its name among all lessons: the page, or ``"page/topic"``."""
        return f"{self.page}/{self.topic}" if self.topic else self.page

    def goal(self, reader: str) -> str:
        """What the class takes home, in a sentence."""
        return self.goals[reader]

    def plan(self, minutes: int) -> tuple[Step, ...]:
        """The steps of the plan of so many minutes."""
        return tuple(step for step in self.steps if step.plan == minutes)


def _both(raw: Mapping[str, Any], name: str) -> dict[str, str]:
    return {language: raw[f"{name}_{language}"] for language in ("es", "en")}


def _lesson(raw: Mapping[str, Any]) -> Lesson:
    links = raw.get("links", {})

    def opened(item: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(links[item["open"]] if isinstance(item["open"], str) else item["open"])

    return Lesson(
        raw["page"],
        raw.get("topic", ""),
        _both(raw, "goal"),
        tuple(Step(step["plan"], step["minutes"], _both(step, "do"), opened(step)) for step in raw["step"]),
        tuple(Question(_both(item, "ask"), _both(item, "answer"), opened(item)) for item in raw["question"]),
        tuple(Mistake(_both(item, "said"), _both(item, "really")) for item in raw["mistake"]),
    )


@cache
def lessons() -> dict[str, Lesson]:
    """All lessons by their key."""
    with PATH.open("rb") as file:
        found = [_lesson(raw) for raw in tomllib.load(file)["lesson"]]
    return {lesson.key: lesson for lesson in found}
