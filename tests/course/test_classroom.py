"""Plans and questions for the classroom: whole, in time, and with links that lead somewhere."""

import re
from functools import cache
from typing import Any

import pytest
import torch

from core.catalog import entry
from core.course.attention import attention_example
from core.course.classroom import PLANS, Lesson, lessons
from core.course.embeddings import embedding_example
from core.course.examples import example
from core.course.inside import inside_example
from core.course.tasks import contrast_pairs, task_examples
from core.course.timeline import event, tours
from core.lens.embeddings_pooling import TASK, PoolingRequest
from core.lens.parameters import count_parameters
from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from core.tasks.classification import ClassificationRequest
from core.tasks.coreference import CoreferenceRequest, find_mentions, find_pronouns
from core.tasks.entities import EntitiesRequest
from core.tasks.extractive_summary import SummaryRequest
from core.tasks.fill_mask import FillMaskRequest
from core.tasks.similarity import Pooling, SimilarityRequest, SimilarityResult
from core.tasks.zero_shot import ZeroShotRequest
from core.training.ours import our_data
from core.ui.attention_page.state import STATE as ATTENTION
from core.ui.classroom import links
from core.ui.concepts.form import STATE as CONCEPTS
from core.ui.embeddings.state import STATE as EMBEDDINGS
from core.ui.home import STEPS, TOUR
from core.ui.inside.state import STATE as INSIDE
from core.ui.links import parse
from core.ui.navigation import PAGES
from core.ui.state import Param, one_of
from core.ui.system.form import STATE as SYSTEM
from core.ui.tasks.page import MODES
from core.ui.tasks.registry import BY_SLUG
from core.ui.tasks.view import Form
from core.ui.timeline import form as timeline_form
from core.ui.tokenization import form as tokenization_form
from core.ui.tuned import known_model
from core.ui.tuning.state import state as tuning_state

ALL = list(lessons().values())
SETTINGS = Settings(offline=True)


def test_every_page_and_every_task_has_a_lesson() -> None:
    pages = {spec.name for spec in PAGES} - {"tasks"}
    assert set(lessons()) == pages | {f"tasks/{slug}" for slug in BY_SLUG}


@pytest.mark.parametrize("lesson", ALL, ids=lambda lesson: lesson.key)
def test_plans_fill_their_minutes_and_there_are_three_questions(lesson: Lesson) -> None:
    assert lesson.page in {spec.name for spec in PAGES}
    for minutes in PLANS:
        assert sum(step.minutes for step in lesson.plan(minutes)) == minutes
    assert len(lesson.plan(5)) >= 3 and len(lesson.questions) == 3
    assert {step.plan for step in lesson.steps} == set(PLANS)


@pytest.mark.parametrize("lesson", ALL, ids=lambda lesson: lesson.key)
def test_texts_are_plain_and_in_both_languages(lesson: Lesson) -> None:
    for reader in ("es", "en"):
        texts = [step.text(reader) for step in lesson.steps]
        texts += [question.answer(reader) for question in lesson.questions]
        texts += [question.ask(reader) for question in lesson.questions]
        texts += [lesson.goal(reader), *(mistake.really(reader) for mistake in lesson.mistakes)]
        texts += [mistake.said(reader) for mistake in lesson.mistakes]
        for text in texts:
            assert text.endswith((".", "?")) and not re.search(r"[*_`<>$]|\]\(", text)
            assert "“" not in text if reader == "es" else "«" not in text
    assert all("¿" in question.ask("es") and question.ask("en").endswith("?") for question in lesson.questions)
    assert lesson.mistakes


def references() -> list[str]:
    parts = [part for lesson in ALL for part in (*lesson.steps, *lesson.questions)]
    from_home = [link for step in STEPS for link in step.links.values()]
    return sorted({*(reference for part in parts for reference in part.open), *from_home, TOUR})


EXAMPLES = {
    "tokenization": example,
    "attention": attention_example,
    "embeddings": embedding_example,
    "inside": inside_example,
}


def params(page: str, query: dict[str, str]) -> list[Param]:
    """What a link to the page may say; of the page Tareas, in a link to this task."""
    if page == "tasks":
        card, language = BY_SLUG[query["task"]], query["tl"]
        form = Form(card.slug, language, card.view().fields)  # type: ignore[arg-type]
        pair = [Param("a", "", ""), Param("b", "", "")] if card.view().contrast is not None else []
        mode = Param("mode", "", "", decode=one_of(*MODES))
        return [
            Param("task", "", ""),
            Param("tl", "", ""),
            mode,
            Param("model", "", "", decode=known_model),
            Param("versus", "", "", decode=known_model),
            *form.params(),
            *pair,
        ]
    states = {
        "tokenization": tokenization_form.STATE,
        "attention": ATTENTION,
        "timeline": timeline_form.STATE,
        "embeddings": EMBEDDINGS,
        "inside": INSIDE,
        "finetuning": tuning_state(),
        "concepts": CONCEPTS,
        "system": SYSTEM,
    }
    return list(states[page].params)


@pytest.mark.parametrize("reference", references())
def test_every_link_says_what_its_page_can_read(reference: str) -> None:
    page, query = parse(reference)
    assert query
    known = {param.name: param for param in params(page, query)}
    for name, value in query.items():
        if name == "example":
            EXAMPLES[page](value)
        # Raises for what the page would leave out.
        known[name].decode(value)
    if page == "tasks":
        # What a link leaves out stays as the last one left it: the mode would.
        assert "mode" in query and (query["mode"] != "contrast" or {"a", "b"} <= set(query))
        assert (query["mode"] == "batch") <= (BY_SLUG[query["task"]].view().batch is not None)
    if "tour" in query:
        assert query["tour"] in tours() and query["stop"] == "1"
    if "event" in query:
        event(query["event"])


# These claim nothing of one model: whichever does the task will do.
ANY_MODEL = {"tasks/questions", "tasks/generation", "tasks/translation", "tasks/next-sentence"}


@pytest.mark.parametrize("lesson", ALL, ids=lambda lesson: lesson.key)
def test_activities_work_with_what_ships(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "get_settings", lambda: Settings(offline=True, models_dir=None))
    for part in (*lesson.steps, *lesson.questions):
        assert links.works(part.open)
        for reference in part.open:
            page, query = parse(reference)
            if page == "tasks" and lesson.key not in ANY_MODEL:
                assert entry(query["model"]).embedded is not None, "what is claimed of it was measured with this model"


def test_the_steps_on_home_work_with_what_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "get_settings", lambda: Settings(offline=True, models_dir=None))
    for step in STEPS:
        assert all(links.works([link]) for link in step.links.values())


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


# --- what the lessons of the tasks claim -------------------------------------------------------------------


@cache
def bundle_of(key: str) -> ModelBundle:
    return load_bundle(entry(key), SETTINGS, CPU)


def query_of(lesson: str, part: str) -> list[dict[str, str]]:
    """The links, one a language, that hold a word."""
    steps = lessons()[lesson].steps
    found = next(step.open for step in steps if any(part in reference for reference in step.open))
    return [parse(reference)[1] for reference in found]


def answers(query: dict[str, str], *requests: Any) -> list[Any]:
    with torch.inference_mode():
        task = BY_SLUG[query["task"]].view().task()
        return [task.run(bundle_of(query["model"]), [request])[0] for request in requests]


def labels(query: dict[str, str], *names: str) -> list[dict[str, float]]:
    requests = [ClassificationRequest(query[name]) for name in names]
    return [{label.name: label.probability for label in found.labels} for found in answers(query, *requests)]


def top(found: dict[str, float]) -> str:
    return max(found, key=lambda name: found[name])


def test_what_the_sentiment_lesson_claims() -> None:
    for query in query_of("tasks/sentiment", "camarero"):
        assert 0.5 < labels(query, "text")[0]["positive"] < 0.6
    for query in query_of("tasks/sentiment", "encantó"):
        before, after = labels(query, "a", "b")
        assert (top(before), top(after)) == ("positive", "negative")
    for query in query_of("tasks/sentiment", "chévere"):
        before, after = labels(query, "a", "b")
        assert after["positive"] < before["positive"] - 0.3
    for query, word in zip(query_of("tasks/sentiment", "maravilla"), ("maravilla", "joy"), strict=True):
        (found,) = answers(query, ClassificationRequest(query["text"], ("occlusion",)))
        assert found.labels[0].name == "positive" and found.labels[0].probability > 0.9
        assert max(found.pushes, key=lambda push: push.weight).text == word
    for reference in lessons()["tasks/sentiment"].questions[2].open:
        before, after = labels(parse(reference)[1], "a", "b")
        assert max(abs(before[name] - after[name]) for name in before) < 0.03


def test_what_the_entities_lesson_claims() -> None:
    def kinds(query: dict[str, str], name: str = "text") -> list[tuple[str, str, float]]:
        (found,) = answers(query, EntitiesRequest(query[name]))
        return [(entity.text, entity.kind, entity.score) for entity in found.entities]

    (query,) = query_of("tasks/entities", "Hilton")
    assert [(text, kind) for text, kind, _score in kinds(query)][:2] == [("Paris Hilton", "PER"), ("Paris", "LOC")]
    (reference,) = lessons()["tasks/entities"].questions[2].open
    query = parse(reference)[1]
    assert [found[:2] for found in kinds(query)] == [
        ("Washington", "PER"),
        ("Jefferson", "PER"),
        ("Washington", "LOC"),
    ]
    (query,) = query_of("tasks/entities", "Amazon")
    shop, river = kinds(query)
    assert shop[:2] == river[:2] == ("Amazon", "ORG") and river[2] < shop[2] - 0.1
    (query,) = query_of("tasks/entities", "baker")
    with_capitals, without = kinds(query, "a"), kinds(query, "b")
    assert [found[:2] for found in with_capitals] == [("Apple", "ORG"), ("New York", "LOC")]
    assert [found[:2] for found in without] == [("apple", "ORG"), ("new york", "LOC")]
    assert all(small[2] < tall[2] for small, tall in zip(without, with_capitals, strict=True))
    assert ("apple", "MISC") in [found[:2] for found in kinds({**query, "b": query["b"] + "."}, "b")]
    (reference,) = lessons()["tasks/entities"].questions[1].open
    query = parse(reference)[1]
    (mary, _london), (other, _city) = kinds(query, "a"), kinds(query, "b")
    assert mary[:2] == ("Mary Smith", "PER") and other[:2] == ("Nokuthula Dlamini", "PER")
    assert other[2] < mary[2] - 0.05


def test_what_the_masked_words_lesson_claims() -> None:
    def words(query: dict[str, str], name: str) -> list[str]:
        (found,) = answers(query, FillMaskRequest(query[name]))
        return [candidate.text for candidate in found.gaps[0].candidates]

    (query,) = query_of("tasks/fill-mask", "cantar")
    assert words(query, "a")[0] == "carta" and words(query, "b")[:2] == ["voz", "música"]
    (query,) = query_of("tasks/fill-mask", "antiguo")
    assert words(query, "a")[:5] == ["casa", "ciudad", "familia", "tienda", "persona"]
    assert words(query, "b")[:5] == ["país", "mundo", "sitio", "edificio", "lugar"]
    (query,) = query_of("tasks/fill-mask", "Francia")
    (found,) = answers(query, FillMaskRequest(query["text"]))
    (best, *_others), entropy = found.gaps[0].candidates, found.gaps[0].entropy_bits
    assert best.text == "Japón" and best.probability == pytest.approx(0.03, abs=0.005) and 2**entropy > 1000


def pointed(text: str, model: str) -> str:
    """What the first pronoun of a Spanish text refers to, by a model of the task."""
    pronoun = find_pronouns(text, "es")[0]
    able = tuple(span for span in find_mentions(text, "es") if span[1] <= pronoun[0] or span[0] >= pronoun[1])
    (found,) = answers({"task": "coreference", "model": model}, CoreferenceRequest(text, pronoun, able, "es"))
    return str(found.mentions[0].text)


def test_what_the_coreference_lesson_claims() -> None:
    (query,) = query_of("tasks/coreference", "frágil")
    assert pointed(query["a"], query["model"]) == pointed(query["b"], query["model"]) == "La niña"
    (query,) = query_of("tasks/coreference", "trofeo")
    assert pointed(query["text"], query["model"]) == "El trofeo"
    assert pointed(query["text"], query["versus"]) == "la maleta"


def test_where_gender_is_enough_the_model_that_points_sees_it() -> None:
    trophy, page, *_others = task_examples("coreference", "es")
    assert pointed(trophy.fields["text"], "coreference") == "la maleta"
    assert pointed(page.fields["text"], "coreference") == "modelo"
    (pair,) = (pair for pair in contrast_pairs("coreference", "es") if pair.titles["es"] == "Él o ella")
    assert (pointed(pair.a, "coreference"), pointed(pair.b, "coreference")) == ("Pedro", "Laura")
    assert pointed(pair.a, "mini-beto") == pointed(pair.b, "mini-beto"), "it does not see the pronoun"


def test_what_the_free_labels_lesson_claims() -> None:
    def shares(query: dict[str, str], **other: str) -> dict[str, float]:
        said = {**query, **other}
        request = ZeroShotRequest(said["text"], tuple(said["labels"].split(", ")), said["template"])
        return {label.name: label.share for label in answers(query, request)[0].labels}

    (query,) = query_of("tasks/zero-shot", "sports, politics")
    assert top(shares(query)) == "sports"
    (query,) = query_of("tasks/zero-shot", "labels=politics, cooking")
    assert top(shares(query)) == "cooking"
    (query,) = query_of("tasks/zero-shot", "Congress")
    assert top(shares(query)) == "politics"
    assert top(shares(query, template=query["template"].replace("text", "news"))) == "environment"
    (query,) = query_of("tasks/zero-shot", "concert")
    assert 0.7 < shares(query)["music"] < 0.8 and shares(query, labels="music, painting, sports")["music"] > 0.95
    (query,) = query_of("tasks/zero-shot", "football")
    assert top(shares(query)) == "music"


def test_what_the_similarity_lesson_claims() -> None:
    def cosines(query: dict[str, str], pooling: Pooling = "mean") -> tuple[tuple[float, ...], ...]:
        found: SimilarityResult = answers(query, SimilarityRequest(tuple(query["text"].split("\n")), pooling))[0]
        return found.matrix

    (query,) = query_of("tasks/similarity", "bites")
    assert cosines(query)[0][1] > 0.9 and min(min(row) for row in cosines(query)) < 0
    (query,) = query_of("tasks/similarity", "coffee")
    found = cosines(query)
    assert found[0][1] == max(found[a][b] for a in range(4) for b in range(a)) > found[0][2]
    (query,) = query_of("tasks/similarity", "pooling=both")
    assert round(cosines(query, "cls")[0][2], 2) == 0.48 and abs(cosines(query)[0][2]) < 0.05


def test_what_the_summary_lesson_claims() -> None:
    (query,) = query_of("tasks/summary", "black cat")
    (found,) = answers(query, SummaryRequest(query["text"], 2))
    heavy = sorted(found.sentences, key=lambda sentence: -sentence.weight)[:3]
    assert all("cat" in sentence.text for sentence in heavy) and sum(bool(one.rank) for one in heavy) == 1
    assert next(one.text for one in found.sentences if one.rank == 2).startswith("The river")
    (query,) = query_of("tasks/summary", "Gutenberg")
    (found,) = answers(query, SummaryRequest(query["text"], 2))
    assert found.sentences[0].rank == 1 and found.sentences[0].weight > found.sentences[2].weight


def test_what_the_lesson_of_the_walk_claims_of_parameters() -> None:
    for key in ("mini-beto", "minilm"):
        count = count_parameters(bundle_of(key).model)
        sums: dict[str, int] = {}
        for group in count.groups:
            name = "words" if group.piece == "words" else group.part
            sums[name] = sums.get(name, 0) + group.count
        assert sums["words"] > count.total / 2
        assert sums["feed-forward"] == pytest.approx(2 * sums["attention"], rel=0.01)
        # "Just the head", in Ajuste fino: seven intents on the body's vector.
        assert 0.01 * count.total > (384 * 384 + 384) + 7 * 385


def test_one_in_four_of_our_examples_serves_to_measure() -> None:
    for language in ("es", "en"):
        data = our_data("classification", language)
        assert len(data.test) / (len(data.test) + len(data.train)) == pytest.approx(0.25, abs=0.02)


def test_the_plan_of_home_leads_through_the_whole_app_a_page_a_step() -> None:
    home = lessons()["home"]
    for minutes in PLANS:
        pages = [parse(reference)[0] for step in home.plan(minutes) for reference in step.open[:1]]
        assert len(set(pages)) == len(pages) and "home" not in pages
    assert set(pages) == {spec.name for spec in PAGES} - {"home"}


def test_what_the_lesson_of_the_machine_claims_of_memory() -> None:
    bundle = bundle_of("minilm")
    count = count_parameters(bundle.model).total
    assert round(count / 1e6, 1) == 22.7 and round(4 * count / 1e6) == 91
    assert round(bundle.bytes / 2**20) == round(4 * count / 2**20) == 87
    answer = lessons()["system"].questions[0].answer("es")
    assert "91 millones" in answer and "87 MiB" in answer
    assert 4 * 110_000_000 / 1e6 == 440 and round(4 * 110_000_000 / 2**20) == 420
