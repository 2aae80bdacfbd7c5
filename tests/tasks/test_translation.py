"""Translation: what the library writes, aligned by the model's own attention, sentence by sentence."""

from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import InputInvalid, InputTooLong, ModelUnavailable
from core.runtime.bundle import ModelBundle
from core.tasks.translation import TASK, TranslationRequest, TranslationResult, merge, words_of
from tests.tasks.causal import decoder
from tests.tasks.translators import translator


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return translator(tmp_path_factory.mktemp("models"))


def answer(bundle: ModelBundle, request: TranslationRequest) -> TranslationResult:
    with torch.inference_mode():
        (result,) = TASK.run(bundle, [request])
    return result


@pytest.mark.parametrize("target", ["es", "en"])
@pytest.mark.parametrize("beams", [1, 4])
def test_each_sentence_is_what_the_library_writes(model: ModelBundle, target: str, beams: int) -> None:
    sentence = "The dog eats an apple today."
    result = answer(model, TranslationRequest(sentence, target, beams))
    vocabulary = model.tokenizer.get_vocab()
    ids = torch.tensor([[vocabulary[f">>{target}<<"], *model.tokenizer(sentence)["input_ids"]]])
    net: Any = model.model
    with torch.inference_mode():
        out = net.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            num_beams=beams,
            do_sample=False,
            max_length=None,
            max_new_tokens=min(47, 2 * ids.shape[1] + 20),
        )
    assert result.sentences[0].candidates[0].text == model.tokenizer.decode(out[0], skip_special_tokens=True).strip()
    scores = [candidate.score for candidate in result.sentences[0].candidates]
    assert scores == sorted(scores, reverse=True) and len(scores) <= beams


def test_attention_adds_up_and_has_the_words_of_both_sides(model: ModelBundle) -> None:
    result = answer(model, TranslationRequest("The girl eats an apple.", "es"))
    alignment = result.sentences[0].alignment
    assert alignment.source == ("The", "girl", "eats", "an", "apple.")
    assert " ".join(alignment.target).split() == result.sentences[0].candidates[0].text.split()
    assert len(alignment.weights) == 2
    for layer in (*alignment.weights, alignment.mean()):
        assert len(layer) == len(alignment.target)
        for row in layer:
            assert len(row) == 5 and 0 < sum(row) <= 1 + 1e-4


def test_sentences_and_white_space_stay_where_they_were(model: ModelBundle) -> None:
    text = "The dog runs. It rains!\n\n  The girl eats."
    result = answer(model, TranslationRequest(text, "es"))
    assert [text[s.start : s.end] for s in result.sentences] == ["The dog runs.", "It rains!", "The girl eats."]
    best = [sentence.candidates[0].text for sentence in result.sentences]
    assert result.text == f"{best[0]} {best[1]}\n\n  {best[2]}"


def test_a_batch_writes_what_each_alone_does(model: ModelBundle) -> None:
    texts = ["The dog runs.", "The girl eats an apple in the field today. It rains."]
    with torch.inference_mode():
        together = TASK.run(model, [TranslationRequest(text, "es") for text in texts])
    assert [one.text for one in together] == [answer(model, TranslationRequest(text, "es")).text for text in texts]


def test_what_does_not_fit_is_cut_and_said(model: ModelBundle) -> None:
    result = answer(model, TranslationRequest("apple " * 60 + "field.", "es"))
    assert result.sentences[0].cut
    assert not answer(model, TranslationRequest("An apple.", "es")).sentences[0].cut


def test_words_and_their_attention_by_hand() -> None:
    words, numbers = words_of([">>es<<", "▁the", "▁do", "g", "</s>"], [True, False, False, False, True])
    assert words == [["▁the"], ["▁do", "g"]] and numbers == [-1, 0, 1, 1, -1]
    weights = torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.0], [0.0, 0.6, 0.2, 0.1, 0.1], [1.0, 0.0, 0.0, 0.0, 0.0]])
    merged = merge(weights, [0, 0, -1], numbers)
    assert merged.tolist() == [[pytest.approx(0.4), pytest.approx(0.5)]]


def test_bad_input(model: ModelBundle, tmp_path: Path) -> None:
    with pytest.raises(InputInvalid):
        answer(model, TranslationRequest("  ", "es"))
    with pytest.raises(InputTooLong, match="5000"):
        answer(model, TranslationRequest("x" * 5001, "es"))
    with pytest.raises(ModelUnavailable, match="no traduce"):
        answer(decoder(tmp_path), TranslationRequest("x", "es"))
