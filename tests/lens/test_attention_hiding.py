"""The masking test: what is hidden can't be seen, and nothing else changes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from core.errors import InputInvalid
from core.lens.attention import word_groups
from core.lens.attention_hiding import MAX_WORDS, TASK, Hiding, HidingRequest, agreement
from core.lens.attention_inputs import TextPair, prepare
from core.runtime.bundle import ModelBundle
from tests.lens.attention_models import SENTENCE, family, minilm, reference


def words(bundle: ModelBundle, pair: TextPair) -> tuple[tuple[int, ...], ...]:
    return tuple(word_groups(prepare(bundle, pair).columns))


def hide(bundle: ModelBundle, text: str, row: int, hidden: int, only: tuple[int, int] | None = None) -> Hiding:
    pair = TextPair(text)
    groups = words(bundle, pair)
    with torch.inference_mode():
        return TASK.run(bundle, [HidingRequest(pair, groups[row], groups, hidden, only)])[0]


def test_an_encoder_without_a_head_tells_how_far_its_vector_moves() -> None:
    found = hide(minilm(), SENTENCE, 9, 2)
    assert found.measure == "vector" and found.changed is None and found.guesses == ()
    assert 0.001 < found.effect < 2
    assert found.effects.shape == (18,) and np.isnan(found.effects[9]) and found.effects[2] == found.effect
    assert np.isfinite(np.delete(found.effects, 9)).all()


def test_the_vector_against_the_models_own_mask() -> None:
    """The last token hidden by ``attention_mask``: for all other tokens that is the very same."""
    bundle = minilm()
    pair = TextPair("The dog runs")
    groups = words(bundle, pair)
    with torch.inference_mode():
        found = TASK.run(bundle, [HidingRequest(pair, (1,), groups, len(groups) - 1)])[0]
        encoded = bundle.encode(["The dog runs"])
        before = bundle.model(**encoded)[0][0, 1]
        encoded["attention_mask"][0, -1] = 0
        after = bundle.model(**encoded)[0][0, 1]
    assert found.effect == pytest.approx(float((after - before).norm() / before.norm()), rel=1e-3)


def test_a_model_with_gaps_predicts_the_hidden_row() -> None:
    found = hide(family("bert"), "hola mundo . el niño", 2, 1)
    assert found.measure == "gap" and found.changed is not None
    assert 0 <= found.effect <= 1
    assert len(found.guesses) >= 5
    assert [g.before for g in found.guesses[:5]] == sorted((g.before for g in found.guesses[:5]), reverse=True)
    # The total variation distance over all words is at least that of the words shown.
    assert found.effect >= sum(abs(g.before - g.after) for g in found.guesses) / 2 - 1e-6


def test_before_is_what_the_model_says_of_a_gap() -> None:
    bundle = family("bert")
    found = hide(bundle, "hola mundo . el niño", 2, 1)
    with torch.inference_mode():
        logits = bundle.model(**bundle.encode(["hola [MASK] . el niño"])).logits[0, 2]
    values, ids = logits.softmax(-1).topk(5)
    assert [g.before for g in found.guesses[:5]] == pytest.approx(values.tolist(), abs=1e-5)
    assert found.guesses[0].text == bundle.tokenizer.decode([int(ids[0])])


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_decoder_predicts_the_next_token(name: str) -> None:
    bundle = family(name)
    found = hide(bundle, "El perro y un gato.", 3, 0)
    assert found.measure == "next" and 0 < found.effect <= 1
    # What comes later is out of its sight.
    assert np.isnan(found.effects[3:]).all() and np.isfinite(found.effects[:3]).all()


def test_the_first_token_of_a_decoder_can_be_hidden_without_breaking_it() -> None:
    found = hide(family("llama"), "El perro y un gato.", 4, 0)
    assert np.isfinite(found.effect) and all(np.isfinite([g.before, g.after]).all() for g in found.guesses)


def test_in_one_head_only() -> None:
    everywhere = hide(minilm(), SENTENCE, 9, 2)
    one_head = hide(minilm(), SENTENCE, 9, 2, (0, 2))
    assert 0 < one_head.effect < everywhere.effect


def test_the_head_that_is_cut_is_the_one_that_was_named() -> None:
    """In the last layer, where nothing comes after, cutting another head must do something else."""
    effects = {hide(family("gpt2"), "El perro y un gato.", 3, 0, (2, head)).effect for head in range(4)}
    assert len(effects) == 4


@pytest.mark.parametrize("name", ["bart", "t5"])
def test_encoder_decoders(name: str) -> None:
    bundle = family(name)
    pair = TextPair("El perro come.", "La una y la otra.")
    inputs = prepare(bundle, pair)
    groups = tuple(word_groups(inputs.columns))
    with torch.inference_mode():
        found = TASK.run(bundle, [HidingRequest(pair, (3,), groups, 1)])[0]
        inside = TASK.run(bundle, [HidingRequest(TextPair("El perro come.", kind="encoder"), (0,), groups, 1)])[0]
    assert found.measure == "next" and found.effect > 0 and np.isfinite(found.effects).all()
    assert inside.measure == "vector" and inside.effect > 0


def test_a_real_alignment(shared_dir: Path) -> None:
    """To write the sound of "m", the letter "m" matters more than the first ones do."""
    bundle = reference("g2p-en", shared_dir)
    pair = TextPair("transformer")
    inputs = prepare(bundle, pair)
    letters = [t.text for t in inputs.columns]
    row = [t.text for t in inputs.rows].index("m") - 1  # the row that predicts it
    groups = tuple((i,) for i in range(len(letters)))
    with torch.inference_mode():
        found = TASK.run(bundle, [HidingRequest(pair, (row,), groups, letters.index("m"))])[0]
    assert found.guesses[0].text == "m" and found.changed
    assert int(np.nanargmax(found.effects)) == letters.index("m")


@pytest.mark.parametrize(("row", "hidden"), [(2, 2)])
def test_a_word_is_not_hidden_from_itself(row: int, hidden: int) -> None:
    with pytest.raises(InputInvalid, match="tapar"):
        hide(minilm(), SENTENCE, row, hidden)


def test_nor_from_a_decoder_that_can_not_see_it() -> None:
    with pytest.raises(InputInvalid, match="tapar"):
        hide(family("gpt2"), "El perro y un gato.", 1, 3)


def test_long_texts_try_one_word_alone() -> None:
    found = hide(minilm(), "dog cat " * (MAX_WORDS // 2), 5, 2)
    assert found.effects.size == 0 and found.effect > 0


def test_all_effects_are_those_of_one_at_a_time() -> None:
    together = hide(minilm(), "The river bank was muddy.", 3, 1)
    alone = hide(minilm(), "The river bank was muddy.", 3, 2)
    assert together.effects[2] == pytest.approx(alone.effect, rel=1e-3)


def test_agreement_is_kendalls_tau_without_what_can_not_be_hidden() -> None:
    attention, effects = [0.5, 0.1, 0.2, 0.9], [0.7, 0.1, float("nan"), 0.2]
    assert agreement(attention, effects) == pytest.approx(kendalltau([0.5, 0.1, 0.9], [0.7, 0.1, 0.2]).statistic)
    assert agreement([0.1, 0.2, 0.3], [1.0, 2.0, 3.0]) == pytest.approx(1.0)
    assert agreement([0.1, 0.2], [0.1, 0.2]) is None
    assert agreement([0.1, 0.1, 0.1], [1.0, 2.0, 3.0]) is None
