"""Written answers and summaries: what the library writes, with the probabilities of one pass over it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from core.catalog import entry
from core.errors import InputInvalid, InputTooLong, ModelUnavailable
from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from core.tasks.text2text import TASK, Text2TextRequest, Text2TextResult, added_words, copied_share, prompt_for
from tests.tasks.causal import decoder
from tests.tasks.translators import translator

TEXT = "The dog runs in the field. The girl eats an apple."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return translator(tmp_path_factory.mktemp("models"))


def answer(bundle: ModelBundle, request: Text2TextRequest) -> Text2TextResult:
    with torch.inference_mode():
        (result,) = TASK.run(bundle, [request])
    return result


@pytest.mark.parametrize("beams", [1, 3])
def test_the_text_is_the_librarys_and_the_figures_its_own(model: ModelBundle, beams: int) -> None:
    result = answer(model, Text2TextRequest(TEXT, "summary", tokens=12, beams=beams))
    net: Any = model.model
    ids = model.tokenizer(TEXT, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        out = net.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            num_beams=beams,
            do_sample=False,
            max_length=None,
            max_new_tokens=12,
        )
        chances = net(input_ids=ids, decoder_input_ids=out[:, :-1]).logits[0].softmax(-1)
    assert result.text == model.tokenizer.decode(out[0], skip_special_tokens=True).strip()
    assert result.prompt == TEXT and not result.cut
    expected = [
        float(chances[place, token])
        for place, token in enumerate(out[0, 1:].tolist())
        if token not in model.tokenizer.all_special_ids
    ]
    assert [one.probability for one in result.written] == pytest.approx(expected, abs=1e-4)


def test_an_answer_is_asked_for_in_words(model: ModelBundle) -> None:
    result = answer(model, Text2TextRequest(TEXT, "answer", "Who eats?", tokens=3))
    assert result.prompt.endswith("Question: Who eats?") and TEXT in result.prompt


def test_two_berts_read_question_and_text_as_a_pair() -> None:
    bundle = load_bundle(entry("mini-mt-en-es"), Settings(offline=True, device="cpu"), CPU)
    prompt = prompt_for(bundle, Text2TextRequest("Ana nació en Lima.", "answer", "¿Dónde nació?"))
    assert bundle.token_ids([prompt])[0] == bundle.tokenizer("¿Dónde nació?", "Ana nació en Lima.")["input_ids"]


def test_t5_is_told_to_summarize(model: ModelBundle) -> None:
    model.model.config.model_type = "t5"
    try:
        assert answer(model, Text2TextRequest("An apple.", "summary", tokens=2)).prompt == "summarize: An apple."
    finally:
        model.model.config.model_type = "marian"


def test_what_does_not_fit_is_said(model: ModelBundle) -> None:
    assert answer(model, Text2TextRequest("apple " * 100, "summary", tokens=2)).cut


def test_how_much_was_copied_by_hand() -> None:
    assert added_words("The dog flies, flies HIGH", "the DOG runs") == ("flies", "high")
    assert copied_share("The dog flies.", "the DOG runs") == pytest.approx(2 / 3)
    assert copied_share("…", "x") is None


def test_bad_input(model: ModelBundle, tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match="pregunta"):
        answer(model, Text2TextRequest(TEXT, "answer", " "))
    with pytest.raises(InputInvalid, match="vacío"):
        answer(model, Text2TextRequest(" ", "summary"))
    with pytest.raises(InputTooLong):
        answer(model, Text2TextRequest("x" * 50_001, "summary"))
    with pytest.raises(ModelUnavailable, match="no escribe"):
        answer(decoder(tmp_path), Text2TextRequest(TEXT, "summary"))
