"""Counts of parameters against PyTorch's own."""

import pytest

from core.lens.parameters import count_parameters
from tests.lens.attention_models import minilm
from tests.lens.forward_models import NEW, OLD, forward_family


@pytest.mark.parametrize("name", [*OLD, *NEW])
def test_every_parameter_is_counted_once(name: str) -> None:
    model = forward_family(name).model
    count = count_parameters(model)
    assert count.total == model.num_parameters() == sum(group.count for group in count.groups)
    named = [shape[0] for group in count.groups for shape in group.shapes]
    assert len(named) == len(set(named)) == len(list(model.parameters()))
    places = [(group.stack, group.layer, group.part, group.piece) for group in count.groups]
    assert len(places) == len(set(places))
    assert not any(group.part == "other" for group in count.groups)


def test_the_numbers_of_the_encoder_that_ships() -> None:
    count = count_parameters(minilm().model)
    assert count.total == 22_713_216
    by = {(group.layer, group.part, group.piece): group.count for group in count.groups}
    assert by[None, "embeddings", "words"] == 30_522 * 384
    assert by[None, "embeddings", "positions"] == 512 * 384
    assert by[0, "attention", "query"] == 384 * 384 + 384
    assert by[5, "feed-forward", "up"] == 384 * 1536 + 1536
    assert by[None, "head", "pooler.dense"] == 384 * 384 + 384


def test_tied_tensors_are_named_and_counted_with_the_embeddings() -> None:
    count = count_parameters(forward_family("gpt2").model)
    assert ("lm_head.weight", "transformer.wte.weight") in count.tied
    assert not any(group.part == "head" for group in count.groups)
    bart = count_parameters(forward_family("bart").model)
    words = [group for group in bart.groups if group.piece == "words"]
    assert len(words) == 1 and words[0].count == 300 * 32


def test_an_architecture_that_is_not_described_is_counted_all_the_same() -> None:
    import transformers as tf

    model = tf.MambaForCausalLM(tf.MambaConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, state_size=4))
    count = count_parameters(model)
    assert count.total == model.num_parameters() and {group.part for group in count.groups} == {"other"}
