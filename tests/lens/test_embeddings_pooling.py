"""Sentence vectors: the search by hand, and the mean against the one of the similarity task."""

import numpy as np
import pytest
import torch

from core.errors import InputInvalid, InputTooLong
from core.lens.embeddings_pooling import TASK, PoolingRequest, retrieval
from core.tasks.common import Clock
from core.tasks.similarity import sentence_vectors
from tests.lens.attention_models import family, minilm

PAIRS = (
    ("The dog sleeps.", "A puppy is resting."),
    ("Shares fell.", "The markets closed lower."),
    ("It will rain.", "Wet weather is expected."),
)


def test_the_search_by_hand() -> None:
    queries = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32)
    answers = np.array([[2, 0], [1, 0.5], [1, 1]], dtype=np.float32)
    found = retrieval("mean", queries, answers)
    # The second one looks up and finds (1, 1) before its own (1, 0.5).
    assert found.ranks == (1, 2, 1)
    assert found.first == pytest.approx(2 / 3) and found.reciprocal == pytest.approx((1 + 0.5 + 1) / 3)
    own = [1, 0.5 / np.sqrt(1.25), 1]
    assert found.pairs == pytest.approx(np.mean(own), abs=1e-6)
    rest = [found.matrix[i, j] for i in range(3) for j in range(3) if i != j]
    assert found.others == pytest.approx(np.mean(rest), abs=1e-6)
    wins = [(a > b) + 0.5 * (a == b) for a in found.matrix.diagonal() for b in rest]
    assert found.above == pytest.approx(np.mean(wins))


def test_what_cannot_be_told_apart_was_not_found() -> None:
    same = np.ones((4, 3), dtype=np.float32)
    found = retrieval("cls", same, same)
    assert found.first == 0 and found.above == 0.5 and found.ranks == (4, 4, 4, 4)


@pytest.mark.parametrize(("name", "pooling"), [("mean", "mean"), ("cls", "cls")])
def test_mean_and_cls_are_those_of_the_similarity_task(name: str, pooling: str) -> None:
    with torch.inference_mode():
        found = {one.pooling: one for one in TASK.run(minilm(), [PoolingRequest(PAIRS)])[0]}
        first, _cut = sentence_vectors(minilm(), [a for a, _b in PAIRS], pooling, Clock())  # type: ignore[arg-type]
        second, _cut = sentence_vectors(minilm(), [b for _a, b in PAIRS], pooling, Clock())  # type: ignore[arg-type]
    assert np.abs(found[name].matrix - (first @ second.T).numpy()).max() < 1e-4  # type: ignore[index]


def test_each_family_has_its_ways() -> None:
    texts = (("El perro.", "Un gato."), ("La niña.", "El niño."), ("Una vez.", "Un campo."))
    with torch.inference_mode():
        ways = {
            name: [one.pooling for one in TASK.run(family(name), [PoolingRequest(texts)])[0]]
            for name in ("bert", "gpt2", "bart")
        }
    assert ways == {"bert": ["mean", "cls", "static"], "gpt2": ["mean", "last", "static"], "bart": ["mean", "static"]}


@pytest.mark.parametrize(
    ("pairs", "error"),
    [(PAIRS[:2], InputInvalid), (PAIRS * 14, InputTooLong), ((*PAIRS, ("", "x")), InputInvalid)],
)
def test_bad_requests(pairs: tuple[tuple[str, str], ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        TASK.run(minilm(), [PoolingRequest(pairs)])
