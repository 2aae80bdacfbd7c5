"""The batch's tensors are the tokenizer's own, and the mask does what is said of it."""

import numpy as np
import pytest
import torch

from core.errors import InputInvalid, InputTooLong
from core.lens.embeddings_batch import TASK, BatchRequest, BatchTensors
from core.runtime.bundle import ModelBundle
from tests.lens.attention_models import family, minilm

SENTENCES = ("Hello.", "The cat sleeps on the sofa.", "Tomorrow it will rain on the coast.")


def batch(sentences: tuple[str, ...], bundle: ModelBundle | None = None) -> BatchTensors:
    with torch.inference_mode():
        return TASK.run(bundle or minilm(), [BatchRequest(sentences)])[0]


def test_the_tensors_are_the_tokenizers() -> None:
    found, expected = batch(SENTENCES), minilm().encode(list(SENTENCES))
    assert np.array_equal(found.ids, expected["input_ids"].numpy())
    assert np.array_equal(found.mask, expected["attention_mask"].numpy())
    assert found.padding == (0, "[PAD]") and found.has_padding
    assert found.embedded == found.output == (3, found.ids.shape[1], 384)


def test_without_the_dimension_the_library_refuses() -> None:
    found = batch(SENTENCES)
    assert found.refusal.startswith("ValueError: ") and found.shape_without == (4,)


def test_the_mask_keeps_padding_out_and_forgetting_it_is_seen() -> None:
    found = batch(SENTENCES)
    assert max(found.with_mask) < 1e-4
    longest = int(found.mask.sum(1).argmax())
    assert found.without_mask[longest] < 1e-4, "nothing is filled up there"
    assert found.without_mask[0] > 0.5 and found.cosine_without[0] < 0.9


def test_a_decoder_looks_back_only_so_that_padding_behind_changes_nothing() -> None:
    found = batch(("El perro.", "El perro y un gato en el campo."), family("gpt2"))
    assert found.causal and max(found.without_mask) < 1e-4


def test_a_tokenizer_without_padding_gets_a_stand_in() -> None:
    import copy
    from dataclasses import replace

    tokenizer = copy.deepcopy(family("llama").tokenizer)
    tokenizer.pad_token = None
    found = batch(("El perro.", "El perro y un gato."), replace(family("llama"), tokenizer=tokenizer))
    assert not found.has_padding and found.padding[1] == "</s>"


@pytest.mark.parametrize(
    ("sentences", "error"),
    [((), InputInvalid), (("a",) * 7, InputTooLong), (("dog " * 70,), InputTooLong), (("a", " "), InputInvalid)],
)
def test_bad_requests(sentences: tuple[str, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        batch(sentences)
