"""Plans and questions for the classroom: whole, in time, and with links that lead somewhere."""

import re

import pytest
import torch

from core.catalog import entry
from core.course.attention import attention_example
from core.course.classroom import PLANS, Lesson, lessons
from core.course.embeddings import embedding_example
from core.course.examples import example
from core.course.timeline import event, tours
from core.lens.embeddings_pooling import TASK, PoolingRequest
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from core.ui.attention_page.state import PARTS as ATTENTION_PARTS
from core.ui.links import parse
from core.ui.navigation import PAGES
from core.ui.timeline.form import VIEWS as TIMELINE_VIEWS

ALL = list(lessons().values())


@pytest.mark.parametrize("lesson", ALL, ids=lambda lesson: lesson.page)
def test_plans_fill_their_minutes_and_there_are_three_questions(lesson: Lesson) -> None:
    assert lesson.page in {spec.name for spec in PAGES}
    for minutes in PLANS:
        assert sum(step.minutes for step in lesson.plan(minutes)) == minutes
    assert len(lesson.plan(5)) >= 3 and len(lesson.questions) == 3
    assert {step.plan for step in lesson.steps} == set(PLANS)


@pytest.mark.parametrize("lesson", ALL, ids=lambda lesson: lesson.page)
def test_texts_are_plain_and_in_both_languages(lesson: Lesson) -> None:
    for reader in ("es", "en"):
        texts = [step.text(reader) for step in lesson.steps]
        texts += [question.answer(reader) for question in lesson.questions]
        texts += [question.ask(reader) for question in lesson.questions]
        for text in texts:
            assert text.endswith((".", "?")) and not re.search(r"[*_`<>$]|\]\(", text)
            assert "“" not in text if reader == "es" else "«" not in text
    assert all(question.ask("es").startswith(("¿", "Si", "Cada", "La", "Dos")) for question in lesson.questions)


def references() -> list[str]:
    steps = [reference for lesson in ALL for step in lesson.steps for reference in step.open]
    return steps + [reference for lesson in ALL for question in lesson.questions for reference in question.open]


@pytest.mark.parametrize("reference", sorted(set(references())))
def test_every_link_opens_something_that_exists(reference: str) -> None:
    page, query = parse(reference)
    assert page in lessons() and query
    known = {"tokenization": example, "attention": attention_example, "embeddings": embedding_example}
    for name, value in query.items():
        if name == "example":
            known[page](value)
        elif name == "event":
            event(value)
        elif name == "tour":
            assert value in tours()
        elif name == "part":
            assert page == "attention" and value in ATTENTION_PARTS
        elif name == "view":
            assert page == "timeline" and value in TIMELINE_VIEWS
        else:
            assert (name, value) == ("stop", "1")


def test_the_cosines_that_an_answer_states_are_measured_ones() -> None:
    pairs = embedding_example("paraphrases-en").pairs
    bundle = load_bundle(entry("minilm"), Settings(offline=True), CPU)
    with torch.inference_mode():
        found = {one.pooling: one for one in TASK.run(bundle, [PoolingRequest(pairs)])[0]}
    assert round(found["cls"].others, 1) == 0.6 and round(found["mean"].others, 2) == 0.05
    answer = lessons()["embeddings"].questions[2].answer("es")
    assert "0,6" in answer and "0,05" in answer


def test_the_tokens_that_an_answer_states_are_those_of_the_example() -> None:
    said = example("cost-of-spanish").teaches("es")
    assert all(number in said for number in ("29", "16", "27"))
    answer = lessons()["tokenization"].questions[2].answer("es")
    assert all(number in answer for number in ("29", "16", "27"))
