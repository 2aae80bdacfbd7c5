"""What goes into the first layer, recomputed for each family, and what a family lacks."""

from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import InputInvalid, InputTooLong
from core.lens.embeddings import TASK, InputEmbeddings, SumRequest
from core.runtime.bundle import ModelBundle
from tests.lens.attention_models import family, minilm, reference

SPANISH = "hola mundo . el niño"


def added(bundle: ModelBundle, first: str, second: str = "") -> InputEmbeddings:
    with torch.inference_mode():
        return TASK.run(bundle, [SumRequest(first, second)])[0]


@pytest.mark.parametrize(
    ("name", "kinds", "position", "segment", "normalized", "first_row"),
    [
        ("bert", ["word", "position", "segment"], "learned", "learned", True, 0),
        ("roberta", ["word", "position", "segment"], "learned", "learned", True, 1),
        ("electra", ["word", "position", "segment"], "learned", "learned", True, 0),
        ("gpt2", ["word", "position"], "learned", "none", False, 0),
        ("llama", ["word"], "rotary", "none", False, None),
        ("bart", ["word", "position"], "learned", "none", True, 2),
        ("t5", ["word"], "relative", "none", False, None),
    ],
)
def test_the_sum_is_what_the_first_layer_gets(
    name: str, kinds: list[str], position: str, segment: str, normalized: bool, first_row: int | None
) -> None:
    found = added(family(name), SPANISH)
    assert found.difference < 1e-5
    assert [part.kind for part in found.parts] == kinds
    assert (found.position_kind, found.segment_kind) == (position, segment)
    assert (found.normalized is not None) == normalized
    place = found.part("position")
    assert (place.rows[:2] if place else None) == (None if first_row is None else (first_row, first_row + 1))
    assert np.array_equal(found.total, np.sum([part.vectors for part in found.parts], axis=0, dtype=np.float32))


def test_a_wrong_part_would_be_noticed() -> None:
    found = added(minilm(), "The cat sleeps.")
    assert found.difference < 1e-5
    assert found.normalized is not None
    # The difference is measured against the model: leaving the positions out is seen at once.
    without = found.total - found.parts[1].vectors
    norm = minilm().model.embeddings.LayerNorm
    with torch.inference_mode():
        wrong = norm(torch.from_numpy(without)).numpy()
    assert np.abs(wrong - found.normalized).max() > 0.5


@pytest.mark.parametrize("key", ["tinystories", "g2p-en"])
def test_small_real_models(shared_dir: Path, key: str) -> None:
    assert added(reference(key, shared_dir), "cat").difference < 1e-5


def test_a_scaled_embedding_is_scaled() -> None:
    from transformers import MarianConfig, MarianModel

    torch.manual_seed(3)
    like = family("bart")
    config = MarianConfig(
        vocab_size=len(like.tokenizer),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=64,
        scale_embedding=True,
        pad_token_id=1,
        eos_token_id=1,
        decoder_start_token_id=1,
        forced_eos_token_id=None,
    )
    from dataclasses import replace

    found = added(replace(like, model=MarianModel(config).eval()), "El perro")
    assert found.scale == pytest.approx(4.0)
    assert found.position_kind == "sinusoidal" and found.difference < 1e-5


def test_a_table_of_one_segment_is_said() -> None:
    from dataclasses import replace

    from transformers import RobertaConfig, RobertaModel

    like = family("roberta")
    config = RobertaConfig(
        vocab_size=len(like.tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=40, type_vocab_size=1, pad_token_id=0,
    )  # fmt: skip
    found = added(replace(like, model=RobertaModel(config).eval()), SPANISH)
    assert found.segment_kind == "one" and found.difference < 1e-5


def test_the_second_text_gets_another_segment_and_the_same_word_another_sum() -> None:
    found = added(minilm(), "The cat sleeps.", "A small cat is resting.")
    segment = found.part("segment")
    assert segment is not None
    split = [token.segment for token in found.tokens].index(1)
    assert set(segment.rows[:split]) == {0} and set(segment.rows[split:]) == {1}
    one, two = (at for at, token in enumerate(found.tokens) if token.text == "cat")
    word = found.parts[0].vectors
    assert np.array_equal(word[one], word[two])
    assert np.abs(found.total[one] - found.total[two]).max() > 0.05


def test_order_is_in_the_positions_alone() -> None:
    found = added(minilm(), "The dog bites the man.", "The man bites the dog.")
    words = sorted(found.ids[1:7]), sorted(found.ids[8:14])
    assert words[0] == words[1], "the same words in both"


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [("  ", InputInvalid, "vacío"), ("\n\n", InputInvalid, "vacío"), ("dog " * 600, InputTooLong, "602 tokens")],
)
def test_texts_that_cannot_be_read(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        added(minilm(), text)
