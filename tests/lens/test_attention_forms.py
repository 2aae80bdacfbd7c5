"""Words, hidden special tokens, means, rollout and norms against cases worked by hand."""

import numpy as np
import pytest
import torch

from core.errors import InputInvalid
from core.lens.attention import AttentionMap, Kind, Token
from core.lens.attention_forms import (
    hide_special,
    mean_heads,
    merge_words,
    norm_weighted,
    received,
    rollout,
    shown_groups,
    word_places,
)
from core.lens.attention_inputs import TextPair
from core.lens.attention_reading import TASK
from tests.lens.attention_models import SENTENCE, family, minilm_eager


def token(text: str, word: int, *, continues: bool = False) -> Token:
    return Token(text, text, 0, len(text), 0, word < 0, word, continues)


def amap(weights: object, tokens: tuple[Token, ...], kind: Kind = "encoder") -> AttentionMap:
    array = np.array(weights, dtype=np.float32)
    return AttentionMap("x", kind, tokens, tokens, array)


WORDS = (token("[CLS]", -1), token("toke", 0), token("niza", 0, continues=True), token("[SEP]", -1))
FOUR = [
    [0.1, 0.2, 0.3, 0.4],
    [0.0, 0.5, 0.25, 0.25],
    [0.2, 0.1, 0.1, 0.6],
    [0.25, 0.25, 0.25, 0.25],
]


def test_words_receive_the_sum_and_give_the_mean() -> None:
    merged = merge_words(amap([[FOUR]], WORDS))
    assert [t.text for t in merged.rows] == ["[CLS]", "tokeniza", "[SEP]"]
    assert merged.rows is merged.columns
    # "tokeniza" looks: mean of (0, .75, .25) and (.2, .2, .6).
    expected = [[0.1, 0.5, 0.4], [0.1, 0.475, 0.425], [0.25, 0.5, 0.25]]
    assert merged.weights[0, 0] == pytest.approx(np.array(expected), abs=1e-6)


def test_special_tokens_hidden_with_and_without_rescaling() -> None:
    plain = hide_special(amap([[FOUR]], WORDS), renormalize=False)
    assert plain.weights[0, 0] == pytest.approx(np.array([[0.5, 0.25], [0.1, 0.1]]))
    scaled = hide_special(amap([[FOUR]], WORDS), renormalize=True)
    assert scaled.weights[0, 0] == pytest.approx(np.array([[2 / 3, 1 / 3], [0.5, 0.5]]))


def test_a_row_that_only_looked_at_special_tokens_stays_empty() -> None:
    weights = [[[[1, 0, 0, 0], [0.5, 0, 0, 0.5], [0, 1, 0, 0], [1, 0, 0, 0]]]]
    assert hide_special(amap(weights, WORDS), renormalize=True).weights[0, 0].tolist() == [[0, 0], [1, 0]]


def test_nothing_but_special_tokens() -> None:
    marks = (token("[CLS]", -1), token("[SEP]", -1))
    with pytest.raises(InputInvalid, match="tokens especiales"):
        hide_special(amap([[[[0.5, 0.5], [0.5, 0.5]]]], marks), renormalize=True)


def test_mean_over_heads() -> None:
    two = (token("a", 0), token("b", 1))
    weights = [[[[1, 0], [0.5, 0.5]], [[0, 1], [0.1, 0.9]]]]
    assert mean_heads(amap(weights, two)).weights == pytest.approx(np.array([[[[0.5, 0.5], [0.3, 0.7]]]]))


def test_rollout_by_hand() -> None:
    """Abnar and Zuidema 2020: two layers of two tokens."""
    two = (token("a", 0), token("b", 1))
    first = [[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]]  # two heads; their mean: [[0, 1], [.5, .5]]
    second = [[[0.5, 0.5], [0.5, 0.5]]] * 2
    found = rollout(amap([first, second], two)).weights
    # Layer 1: .5·[[0, 1], [.5, .5]] + .5·I
    one = np.array([[0.5, 0.5], [0.25, 0.75]])
    # Layer 2: (.5·[[.5, .5], [.5, .5]] + .5·I) · layer 1 = [[.75, .25], [.25, .75]] · layer 1
    two_layers = np.array([[0.4375, 0.5625], [0.3125, 0.6875]])
    assert found.shape == (2, 1, 2, 2)
    assert found[0, 0] == pytest.approx(one) and found[1, 0] == pytest.approx(two_layers)


def test_rollout_of_a_decoder_sees_nothing_to_come() -> None:
    with torch.inference_mode():
        real = TASK.run(family("gpt2").with_attention(), [TextPair("El perro y un gato.")])[0].map
    found = rollout(real).weights
    assert (np.triu(found, 1) == 0).all()
    assert np.abs(found.sum(-1) - 1).max() < 1e-5


def test_no_rollout_of_cross_attention() -> None:
    with pytest.raises(InputInvalid):
        rollout(amap([[FOUR]], WORDS, "cross"))


def test_norms_by_hand() -> None:
    """Kobayashi et al. 2020, figure 1: much looked at, but with a short vector."""
    two = (token("a", 0), token("b", 1))
    weights = [[[[0.8, 0.2], [0.5, 0.5]]]]
    found = norm_weighted(amap(weights, two), np.array([[[1.0, 8.0]]], dtype=np.float32))
    # 0.8·1 against 0.2·8: 0.8 / 2.4 and 1.6 / 2.4
    assert found.weights[0, 0] == pytest.approx(np.array([[1 / 3, 2 / 3], [1 / 9, 8 / 9]]))
    with pytest.raises(ValueError, match="norms"):
        norm_weighted(amap(weights, two), np.ones((1, 2, 2), dtype=np.float32))


def test_on_the_real_model_rows_still_sum_to_one() -> None:
    with torch.inference_mode():
        real = TASK.run(minilm_eager(), [TextPair(SENTENCE, "Internationalization of tokenizers.")])[0].map
    for made in (merge_words(real), mean_heads(real), rollout(real), hide_special(real, renormalize=True)):
        assert np.abs(made.weights.sum(-1, dtype=np.float64) - 1).max() < 1e-5
    merged = merge_words(hide_special(real, renormalize=True))
    assert "internationalization" in [t.text for t in merged.rows]
    kept = hide_special(real, renormalize=False)
    assert kept.weights.sum(-1).max() < 1 + 1e-5 and kept.weights.sum(-1).mean() < 0.9


def test_received_is_the_mean_over_rows_and_heads() -> None:
    assert received(amap([[FOUR, FOUR]], WORDS), 0, (0, 1)) == pytest.approx(np.mean(FOUR, axis=0))


@pytest.mark.parametrize(
    ("special", "words", "expected"),
    [
        (True, False, [(0,), (1,), (2,), (3,)]),
        (True, True, [(0,), (1, 2), (3,)]),
        (False, False, [(1,), (2,)]),
        (False, True, [(1, 2)]),
    ],
)
def test_which_tokens_stand_behind_what_is_shown(special: bool, words: bool, expected: list[tuple[int, ...]]) -> None:
    assert shown_groups(WORDS, special=special, words=words) == expected


def test_words_are_found_whatever_the_vocabulary_made_of_them() -> None:
    tokens = (token("nino", 0), token("toke", 1), token("niza", 1, continues=True), token("nino", 2))
    assert word_places(tokens, "Niño") == (0,)
    assert word_places(tokens, "niño#1") == (3,)
    assert word_places(tokens, "tokeniza") == (1, 2)
    assert word_places(tokens, "niño#2") == () == word_places(tokens, "gato")
