"""Next sentence and similarity: hand-worked figures, real sentences, refusals."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core.catalog import entry
from core.errors import InputInvalid, InputTooLong
from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from core.tasks import next_sentence, similarity
from core.tasks.next_sentence import NextSentenceRequest
from core.tasks.similarity import SimilarityRequest
from tests.tasks.stubs import bundle


@pytest.fixture(scope="module")
def minilm() -> ModelBundle:
    return load_bundle(entry("minilm"), Settings(device="cpu"), CPU)


# --- next sentence ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["logits", "seq_relationship_logits"])
def test_class_0_means_that_it_follows(name: str) -> None:
    def answer(input_ids: torch.Tensor, token_type_ids: torch.Tensor, **_rest: Any) -> Any:
        # Both texts must have come as a pair: the second's tokens are of type 1.
        assert token_type_ids.sum() > 0
        return SimpleNamespace(**{name: torch.tensor([[math.log(3.0), 0.0]] * len(input_ids))})

    requests = [NextSentenceRequest("He went out.", "It was raining."), NextSentenceRequest("A", "B C D")]
    results = next_sentence.TASK.run(bundle(answer), requests)
    assert [result.follows for result in results] == pytest.approx([0.75, 0.75])
    assert results[0].tokens == 11 and results[1].tokens == 7


@pytest.mark.parametrize(
    ("first", "second", "error"),
    [("", "b", InputInvalid), ("a", " ", InputInvalid), ("word " * 300, "word " * 300, InputTooLong)],
)
def test_bad_pairs_are_refused(first: str, second: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        next_sentence.TASK.run(bundle(lambda **_: None), [NextSentenceRequest(first, second)])


def test_pairs_are_neighbours_strangers_and_neighbours_reversed() -> None:
    texts = ("Uno va. Dos sigue. Tres acaba.", "Perro ladra. Gato duerme.")
    pairs = next_sentence.pairs_from(texts, 2)
    assert [pair.kind for pair in pairs] == ["true", "random", "reversed"] * 2
    assert (pairs[0].first, pairs[0].second) == ("Uno va.", "Dos sigue.")
    assert pairs[1].first == "Uno va." and pairs[1].second in texts[1]
    assert (pairs[2].first, pairs[2].second) == ("Dos sigue.", "Uno va.")
    # Both texts have their part.
    assert pairs[3].first in texts[1] and pairs[4].second in texts[0]


# --- similarity -------------------------------------------------------------------------------------------

SENTENCES = (
    "A man is playing the guitar.",
    "Someone makes music on a guitar.",
    "The central bank raised its rates.",
    "Interest rates went up.",
)


def test_likes_are_near_and_the_matrix_is_one(minilm: ModelBundle) -> None:
    (result,) = similarity.TASK.run(minilm, [SimilarityRequest(SENTENCES)])
    m = result.matrix
    for i in range(4):
        assert m[i][i] == pytest.approx(1.0, abs=1e-4)
        assert all(m[i][j] == pytest.approx(m[j][i], abs=1e-5) for j in range(4))
    assert min(m[0][1], m[2][3]) > 0.5 > 0.3 > max(m[0][2], m[0][3], m[1][2], m[1][3])
    assert result.timing.model_ms > 0


def test_it_is_what_sentence_transformers_computes(minilm: ModelBundle) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(minilm.folder), device="cpu").encode(list(SENTENCES), normalize_embeddings=True)
    (result,) = similarity.TASK.run(minilm, [SimilarityRequest(SENTENCES)])
    assert torch.allclose(torch.tensor(result.matrix), torch.from_numpy(theirs @ theirs.T), atol=1e-4)


def test_the_first_token_says_something_else(minilm: ModelBundle) -> None:
    mean, cls = similarity.TASK.run(minilm, [SimilarityRequest(SENTENCES), SimilarityRequest(SENTENCES, pooling="cls")])
    assert not torch.allclose(torch.tensor(mean.matrix), torch.tensor(cls.matrix), atol=0.05)


def test_neighbours_and_padding_change_nothing(minilm: ModelBundle) -> None:
    long = "A very long sentence that goes on and on, " * 10
    (pair,) = similarity.TASK.run(minilm, [SimilarityRequest(SENTENCES[:2])])
    (among,) = similarity.TASK.run(minilm, [SimilarityRequest((*SENTENCES[:2], long))])
    assert pair.matrix[0][1] == pytest.approx(among.matrix[0][1], abs=1e-4)


def test_what_was_cut_is_said(minilm: ModelBundle) -> None:
    (result,) = similarity.TASK.run(minilm, [SimilarityRequest(("short", "word " * 700))])
    assert result.cut == (False, True)


@pytest.mark.parametrize(
    ("sentences", "error", "words"),
    [
        (("one",), InputInvalid, "al menos dos"),
        (("one", " "), InputInvalid, "vacío"),
        (("x",) * 51, InputTooLong, "51 frases y aquí caben 50"),
    ],
)
def test_bad_lists_are_refused(sentences: tuple[str, ...], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        similarity.TASK.run(bundle(lambda **_: None), [SimilarityRequest(sentences)])
