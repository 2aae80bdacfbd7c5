"""The examples of Por dentro: both languages, a step and a value that their model really has."""

import pytest
import torch

from core.catalog import entries, entry
from core.course.inside import InsideExample, inside_example, inside_examples
from core.lens.forward_reading import (
    ORIGIN_TASK,
    VALUES_TASK,
    WALK_TASK,
    ForwardRequest,
    OriginRequest,
    ValuesRequest,
)
from core.runtime.device import CPU
from core.runtime.loading import load_bundle, locate_model
from core.settings import Settings
from core.ui.inside.state import VIEWS
from core.ui.inside.walk import plane_of


def test_ids_are_unique_and_unknown_ones_are_refused() -> None:
    ids = [example.id for example in inside_examples()]
    assert len(ids) == len(set(ids)) >= 10
    with pytest.raises(KeyError):
        inside_example("nobody")


@pytest.mark.parametrize("example", inside_examples(), ids=lambda example: example.id)
def test_each_says_one_thing_in_both_languages(example: InsideExample) -> None:
    for reader in ("es", "en"):
        assert 4 < len(example.title(reader)) < 60
        assert 20 < len(example.teaches(reader)) < 200 and example.teaches(reader).endswith(".")
    assert example.title("es") != example.title("en")
    assert example.view in VIEWS and example.head >= 0


@pytest.mark.parametrize("example", inside_examples(), ids=lambda example: example.id)
def test_its_model_has_the_step_and_the_value(example: InsideExample) -> None:
    settings = Settings(offline=True)
    if example.model not in entries() or locate_model(entry(example.model), settings) is None:
        pytest.skip(f"{example.model} is not here")
    bundle = load_bundle(entry(example.model), settings, CPU)
    request = ForwardRequest(example.text, example.second)
    with torch.inference_mode():
        outline = WALK_TASK.run(bundle, [request])[0]
        found = VALUES_TASK.run(bundle, [ValuesRequest(request, example.step)])[0]
    step = outline.step(example.step)
    assert step is not None
    plane = plane_of(step, outline, found, example.head)
    assert example.row in plane.rows or int(example.row) < plane.values.shape[0]
    assert example.column in plane.columns or int(example.column) < plane.values.shape[1]


def test_what_the_sentences_claim() -> None:
    """The numbers and comparisons that the examples speak of."""
    bundle = load_bundle(entry("minilm"), Settings(offline=True), CPU)

    def values(key: str, step: str) -> torch.Tensor:
        request = ForwardRequest(inside_example(key).text)
        with torch.inference_mode():
            return torch.from_numpy(VALUES_TASK.run(bundle, [ValuesRequest(request, step)])[0].values)

    weights = values("agreement-en", "encoder.3.attention.weights")
    assert float(weights[1, 7, 2]) == pytest.approx(0.778, abs=1e-3)
    # "Of 1536 neurons few stay on."
    on = values("gelu-en", "encoder.0.feed-forward.activation")
    assert on.shape[1] == 1536 and float((on > 0.1).float().mean()) < 0.2
    unit = values("sentence-vector-en", "head.unit")
    assert unit.shape == (384,) and float(unit.norm()) == pytest.approx(1.0, abs=1e-5)


def test_what_the_spanish_sentences_claim() -> None:
    bundle = load_bundle(entry("mini-beto"), Settings(offline=True), CPU)

    def values(key: str) -> torch.Tensor:
        example = inside_example(key)
        with torch.inference_mode():
            found = VALUES_TASK.run(bundle, [ValuesRequest(ForwardRequest(example.text), example.step)])[0]
        return torch.from_numpy(found.values)

    # "[CLS] Las llaves del armario viejo están …"; the example's head counts from 0 here.
    weights = values("agreement-es")[inside_example("agreement-es").head]
    assert float(weights[6, 2]) == pytest.approx(0.090, abs=1e-3)
    assert float(weights[6, 4]) == pytest.approx(0.021, abs=1e-3)
    on = values("gelu-es")
    assert on.shape[1] == 1536 and float((on > 0.1).float().mean()) < 0.1
    # Where the probability of a piece comes from, in pieces and not in numbers.
    mask = inside_example("mask-es")
    with torch.inference_mode():
        outline = WALK_TASK.run(bundle, [ForwardRequest(mask.text)])[0]
        row = [token.text for token in outline.rows].index("[MASK]")
        best = outline.candidates[row][0]
        request = OriginRequest(ForwardRequest(mask.text), mask.step, (row, best.id))
        origin = ORIGIN_TASK.run(bundle, [request])[0]
    assert best.text == mask.column == origin.pieces[best.id]
    assert set(origin.pieces) == {factor.index[-1] for term in origin.terms for factor in term.factors}
