"""Examples and contrast pairs of the Tareas page: complete, readable by their form, and true where they claim."""

from functools import cache

import pytest
import torch

from core.catalog import entry
from core.course.tasks import contrast_pairs, task_examples
from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from core.tasks.classification import TASK as SENTIMENT
from core.tasks.classification import ClassificationRequest
from core.tasks.entities import TASK as ENTITIES
from core.tasks.entities import EntitiesRequest
from core.tasks.extractive_summary import TASK as SUMMARY
from core.tasks.extractive_summary import SummaryRequest
from core.tasks.similarity import TASK as SIMILARITY
from core.tasks.similarity import SimilarityRequest
from core.ui.tasks.fill_mask import VIEW as FILL_MASK
from core.ui.tasks.registry import CARDS


@cache
def model(key: str) -> ModelBundle:
    return load_bundle(entry(key), Settings(offline=True), CPU)


def example(slug: str, language: str, title: str) -> dict[str, str]:
    (found,) = [item for item in task_examples(slug, language) if item.title("en") == title]
    return dict(found.fields)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.slug)
@pytest.mark.parametrize("language", ["es", "en"])
def test_each_task_has_examples_that_its_form_can_take(card: object, language: str) -> None:
    slug = card.slug  # type: ignore[attr-defined]
    view = card.view()  # type: ignore[attr-defined]
    found = task_examples(slug, language)
    assert 4 <= len(found) <= 8
    fields = {field.name: field for field in view.fields}
    for item in found:
        assert set(item.fields) <= set(fields)
        for name, value in item.fields.items():
            assert type(value) is type(fields[name].default[language])
            assert fields[name].decode(fields[name].encode(value)) == value
        for reader in ("es", "en"):
            assert item.title(reader) and item.teaches(reader)[-1] in ".?!»”"
    assert len({item.title("es") for item in found}) == len(found)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.slug)
@pytest.mark.parametrize("language", ["es", "en"])
def test_pairs_differ_and_there_are_some_where_the_view_is_offered(card: object, language: str) -> None:
    pairs = contrast_pairs(card.slug, language)  # type: ignore[attr-defined]
    assert bool(pairs) == (card.view().contrast is not None)  # type: ignore[attr-defined]
    for pair in pairs:
        assert pair.a != pair.b and pair.title("es") and pair.change("en")
        if card.view() is FILL_MASK:  # type: ignore[attr-defined]
            assert pair.a.count("[MASK]") == pair.b.count("[MASK]") == 1


def test_irony_is_taken_at_its_word() -> None:
    fields = example("sentiment", "en", "Irony")
    with torch.inference_mode():
        (result,) = SENTIMENT.run(model("sentiment-en"), [ClassificationRequest(fields["text"])])
    assert result.labels[0].name == "positive"


def test_the_words_of_the_entity_examples_come_out_as_the_sentences_say() -> None:
    bundle = model("entities-en")

    def kinds(title: str) -> list[tuple[str, str]]:
        with torch.inference_mode():
            (result,) = ENTITIES.run(bundle, [EntitiesRequest(example("entities", "en", title)["text"])])
        return [(found.text, found.kind) for found in result.entities]

    assert kinds("One name, two things")[:2] == [("Paris Hilton", "PER"), ("Paris", "LOC")]
    assert kinds("Where it goes wrong") == [("Amazon", "ORG"), ("Amazon", "ORG")]
    assert kinds("No capitals") == [("apple", "ORG"), ("new york", "LOC")]
    assert {"PER", "LOC", "ORG", "MISC"} == {kind for _text, kind in kinds("A scientist")}


def test_opposites_are_the_most_alike_pair() -> None:
    sentences = tuple(example("similarity", "en", "Opposites are alike")["text"].split("\n"))
    with torch.inference_mode():
        (result,) = SIMILARITY.run(model("minilm"), [SimilarityRequest(sentences)])
    pairs = {(i, j): result.matrix[i][j] for i in range(4) for j in range(i)}
    assert max(pairs, key=pairs.__getitem__) == (1, 0)


def test_the_rest_of_the_sentence_tells_two_banks_apart() -> None:
    sentences = tuple(example("similarity", "en", "One word, two senses")["text"].split("\n"))
    with torch.inference_mode():
        (result,) = SIMILARITY.run(model("minilm"), [SimilarityRequest(sentences)])
    river, edge, loan, savings = range(4)
    assert result.matrix[river][edge] > result.matrix[river][savings]
    assert result.matrix[loan][savings] > result.matrix[loan][edge]


def test_of_three_that_say_the_same_one_is_taken() -> None:
    fields = example("summary", "en", "The same three times")
    with torch.inference_mode():
        (result,) = SUMMARY.run(model("minilm"), [SummaryRequest(fields["text"], int(fields["count"]))])
    assert sum(sentence.rank is not None for sentence in result.sentences[:3]) == 1
