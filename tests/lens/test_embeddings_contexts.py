"""One word in several sentences: the vectors are the model's, and the measures are right by hand."""

import numpy as np
import pytest
import torch

from core.errors import InputInvalid, InputTooLong
from core.lens.embeddings_contexts import TASK, ContextRequest, ContextVectors, separation
from core.runtime.bundle import ModelBundle
from tests.lens.attention_models import family, minilm

SENTENCES = ("She opened an account at the bank.", "We sat on the bank of the river.", "The Bank is closed.")


def read(word: str, sentences: tuple[str, ...], bundle: ModelBundle | None = None) -> ContextVectors:
    with torch.inference_mode():
        return TASK.run(bundle or minilm(), [ContextRequest(word, sentences)])[0]


def test_the_vectors_are_the_models_own() -> None:
    found = read("bank", SENTENCES)
    assert [place.text for place in found.places] == ["bank", "bank", "Bank"]
    assert found.layers.shape[0] == 7
    inputs = minilm().encode([SENTENCES[1]])
    with torch.inference_mode():
        states = minilm().model(**inputs, output_hidden_states=True).hidden_states
    place = inputs["input_ids"][0].tolist().index(minilm().tokenizer.convert_tokens_to_ids("bank"))
    for layer in (0, 3, 6):
        assert np.abs(found.at(layer)[1] - states[layer][0, place].numpy()).max() < 1e-5


def test_static_vectors_are_equal_and_contextual_ones_are_not() -> None:
    found = read("bank", SENTENCES)
    static = found.at(None)
    assert np.array_equal(static[0], static[1]) and np.array_equal(static[0], static[2])
    assert np.abs(found.at(6)[0] - found.at(6)[1]).max() > 0.1
    assert 0 < found.background(6) < 0.5


def test_a_word_of_several_pieces_is_their_mean() -> None:
    found = read("tokenization", ("I like tokenization.", "The tokenization is fast."))
    assert [len(place.tokens) for place in found.places] == [2, 2]
    table = found.layers[4]
    assert np.allclose(found.at(4)[0], table[list(found.places[0].tokens)].mean(0))


def test_separation_by_hand() -> None:
    vectors = np.array([[1, 0], [2, 0], [0, 1], [0, 3]], dtype=np.float32)
    apart = separation(vectors, ["a", "a", "b", "b"])
    assert (apart.same, apart.different, apart.nearest) == (1.0, 0.0, 1.0)
    mixed = separation(vectors, ["a", "b", "a", "b"])
    assert (mixed.same, mixed.nearest) == (0.0, 0.0) and mixed.different == pytest.approx(0.5)
    alone = separation(vectors[:3], ["a", "a", "b"])
    assert alone.nearest == 1.0, "who has no mate is not asked"
    assert np.isnan(separation(vectors, ["a", "b", "c", "d"]).same)


def test_equal_vectors_give_what_chance_gives() -> None:
    equal = np.ones((8, 3), dtype=np.float32)
    assert separation(equal, ["a"] * 4 + ["b"] * 4).nearest == pytest.approx(3 / 7)


def test_decoders_see_only_what_stands_before() -> None:
    found = read("perro", ("El perro y un gato.", "El perro come una manzana."), family("gpt2"))
    assert found.causal
    assert np.allclose(found.at(2)[0], found.at(2)[1], atol=1e-5), "both begin alike"


@pytest.mark.parametrize(
    ("word", "sentences", "error", "said"),
    [
        ("", SENTENCES, InputInvalid, "Escribe la palabra"),
        ("bank", SENTENCES[:1], InputInvalid, "al menos dos"),
        ("bank", ("The bank.", "The banks.", "A tree."), InputInvalid, "2, 3"),
        ("bank", ("The bank.",) * 25, InputTooLong, "25 frases"),
        ("bank", ("bank " * 100,) * 7, InputTooLong, "600"),
        ("bank", ("The bank.", "bank " * 600), InputTooLong, "tokens"),
    ],
)
def test_bad_requests(word: str, sentences: tuple[str, ...], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        read(word, sentences)
