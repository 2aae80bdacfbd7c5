"""Integrated gradients: cases that can be worked out by hand, and completeness on the model that ships."""

import math

import pytest
import torch

from core.catalog import entry
from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from core.tasks import classification, gradients
from core.tasks.classification import ClassificationRequest
from core.tasks.gradients import integrated, label_gradients


@pytest.fixture(scope="module")
def sentiment() -> ModelBundle:
    return load_bundle(entry("sentiment-en"), Settings(offline=True), CPU)


def test_a_linear_function_gives_each_token_its_own_part() -> None:
    # f(x) = 2·x₀ − 3·x₁, its gradient is the same everywhere: the attributions are 2·(5−1) and −3·(4−2).
    slope = torch.tensor([[2.0], [-3.0]])
    found = integrated(
        lambda points: slope.expand_as(points), torch.tensor([[1.0], [2.0]]), torch.tensor([[5.0], [4.0]]), 3, 2
    )
    assert found.tolist() == pytest.approx([8.0, -6.0])


def test_a_product_is_shared_by_its_factors() -> None:
    # f(x) = x₀·x₁ from (0, 0) to (3, 4): each factor gets ∫ x₀x₁ t dt = 12 / 2. The midpoint rule is exact here.
    found = integrated(
        lambda points: points.flip(1), torch.zeros(2, 1), torch.tensor([[3.0], [4.0]]), steps=4, at_once=4
    )
    assert found.tolist() == pytest.approx([6.0, 6.0])


@pytest.mark.parametrize("at_once", [1, 3, 64])
def test_parts_add_up_to_what_one_pass_gives(at_once: int) -> None:
    found = integrated(lambda points: points**2, torch.zeros(2, 3), torch.ones(2, 3), 16, at_once)
    # ∫ t² dt = 1/3 in each of three dimensions, but for the rule's error of 1/(12·16²).
    assert found.tolist() == pytest.approx([1.0, 1.0], abs=2e-3)


@pytest.mark.parametrize(
    "text",
    ["The food took forever, but the waiter was charming and the dessert was worth the wait.", "I hate it.", "good"],
)
def test_the_words_add_up_to_what_the_label_gained(sentiment: ModelBundle, text: str) -> None:
    with torch.inference_mode():
        (result,) = classification.TASK.run(sentiment, [ClassificationRequest(text, explain=("gradients",))])
    check = result.completeness
    assert check is not None
    assert check.answer == pytest.approx(result.labels[0].probability, abs=1e-4)
    assert sum(push.weight for push in result.gradients) == pytest.approx(check.total, abs=1e-5)
    assert check.total == pytest.approx(check.answer - check.baseline, abs=gradients.TOLERANCE)
    assert check.error <= gradients.TOLERANCE and result.pushes == ()
    assert all(text[push.start : push.end] == push.text for push in result.gradients)
    # A shared model keeps no gradients of anybody's question.
    assert all(weight.grad is None for weight in sentiment.model.parameters())


def test_the_baseline_is_the_same_text_with_all_words_masked(sentiment: ModelBundle) -> None:
    with torch.inference_mode():
        _spans, values, check = label_gradients(sentiment, "A lovely book.", 2)
        masked = sentiment.encode([" ".join(["[MASK]"] * len(values))])
        chance = float(sentiment.model(**masked).logits.softmax(-1)[0, 2])
    assert check.baseline == pytest.approx(chance, abs=1e-4)


def test_the_word_that_carries_the_answer_weighs_most(sentiment: ModelBundle) -> None:
    with torch.inference_mode():
        (result,) = classification.TASK.run(
            sentiment, [ClassificationRequest("I hate it.", explain=("occlusion", "gradients"))]
        )
    for pushes in (result.pushes, result.gradients):
        assert max(pushes, key=lambda push: push.weight).text == "hate"
    assert not math.isclose(result.pushes[0].weight, result.gradients[0].weight)


def test_more_steps_are_taken_while_the_sum_misses(sentiment: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "FEWEST_STEPS", 1)
    monkeypatch.setattr(gradients, "MOST_STEPS", 64)
    with torch.inference_mode():
        _spans, _values, fine = label_gradients(sentiment, "I hate it.", 0)
        monkeypatch.setattr(gradients, "MOST_STEPS", 1)
        _spans, _values, coarse = label_gradients(sentiment, "I hate it.", 0)
    assert fine.steps > 1 and fine.error <= gradients.TOLERANCE
    assert coarse.steps == 1 and coarse.error > fine.error
