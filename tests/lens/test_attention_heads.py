"""Head statistics, patterns, ranks and sinks: by hand on small matrices, and on the real model."""

import numpy as np
import pytest
import torch

from core.lens.attention import AttentionMap, Kind, Token, word_groups
from core.lens.attention_heads import (
    BROAD_EVENNESS,
    NEAR_SHARE,
    PLACE_SHARE,
    SINK_SHARE,
    HeadStatistics,
    head_statistics,
    pooled,
    rank_heads,
    sinks,
)
from core.lens.attention_inputs import TextPair
from core.lens.attention_reading import TASK
from core.lens.attention_survey import TASK as SURVEY
from core.lens.attention_survey import SurveyRequest
from tests.lens.attention_models import SENTENCE, family, minilm_eager


def token(text: str, *, special: bool = False, word: int = 0) -> Token:
    return Token(text, text, 0, 1, 0, special, -1 if special else word, False)


MARKED = (token("[CLS]", special=True), token("a"), token("b", word=1), token("[SEP]", special=True))
PLAIN = tuple(token(letter, word=index) for index, letter in enumerate("abcd"))


def one(weights: object, tokens: tuple[Token, ...], kind: Kind = "encoder") -> AttentionMap:
    return AttentionMap("x", kind, tokens, tokens, np.array([[weights]], dtype=np.float32))


def test_shares_by_hand() -> None:
    weights = [
        [1.0, 0.0, 0.0, 0.0],  # of [CLS], which doesn't count
        [0.1, 0.2, 0.3, 0.4],
        [0.5, 0.25, 0.25, 0.0],
        [0.0, 0.0, 0.0, 1.0],  # of [SEP]
    ]
    found = head_statistics(one(weights, MARKED))
    assert found.rows == 2
    assert found.itself[0, 0] == pytest.approx((0.2 + 0.25) / 2)
    assert found.previous[0, 0] == pytest.approx((0.1 + 0.25) / 2)
    assert found.next[0, 0] == pytest.approx((0.3 + 0.0) / 2)
    assert found.first[0, 0] == pytest.approx((0.1 + 0.5) / 2)
    assert found.separators[0, 0] == pytest.approx((0.4 + 0.0) / 2)
    # |i - j|: row 1: .1·1 + .3·1 + .4·2 = 1.2; row 2: .5·2 + .25·1 = 1.25
    assert found.distance[0, 0] == pytest.approx((1.2 + 1.25) / 2)
    # Row 2 has the entropy of (½, ¼, ¼): 1.5 bits.
    first = -sum(p * np.log2(p) for p in (0.1, 0.2, 0.3, 0.4))
    assert found.entropy[0, 0] == pytest.approx((first + 1.5) / 2, abs=1e-6)
    assert found.evenness[0, 0] == pytest.approx((first + 1.5) / 2 / 2, abs=1e-6)
    assert found.near[0, 0] == pytest.approx(1.0)


def test_a_decoder_is_measured_on_what_it_sees() -> None:
    even = [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [1 / 3, 1 / 3, 1 / 3, 0], [0.25, 0.25, 0.25, 0.25]]
    found = head_statistics(one(even, PLAIN, "decoder"))
    # Spread evenly over what is in sight is as even as can be. The first row has no choice and doesn't count.
    assert found.rows == 3
    assert found.evenness[0, 0] == pytest.approx(1.0)
    assert found.pattern(0, 0) == ("broad", pytest.approx(1.0))
    assert found.first[0, 0] == pytest.approx((0.5 + 1 / 3 + 0.25) / 3)
    assert found.next[0, 0] == 0


def shifted(offset: int, share: float = 1.0, size: int = 9) -> list[list[float]]:
    """Rows that give ``share`` to the token at ``offset`` and the rest evenly to all others."""
    rows = np.full((size, size), (1 - share) / (size - 1))
    for row in range(size):
        rows[row] = (1 - share) / (size - 1)
        rows[row, min(max(row + offset, 0), size - 1)] = share
    return [list(map(float, row)) for row in rows]


NINE = tuple(token(letter, word=index) for index, letter in enumerate("abcdefghi"))


@pytest.mark.parametrize(
    ("weights", "pattern"),
    [
        (shifted(-1), "previous"),
        (shifted(1), "next"),
        (shifted(0), "itself"),
        (shifted(-1, PLACE_SHARE + 0.01), "previous"),
        (shifted(-1, PLACE_SHARE - 0.05), "broad"),
        (shifted(-4, 0.9), "mixed"),
        (np.full((9, 9), 1 / 9), "broad"),
        ((np.array(shifted(-1)) + np.array(shifted(0)) + np.array(shifted(1))) / 3, "near"),
    ],
)
def test_patterns(weights: object, pattern: str) -> None:
    found = head_statistics(one(weights, NINE))
    assert found.pattern(0, 0)[0] == pattern


def test_thresholds_decide() -> None:
    def made(**values: float) -> HeadStatistics:
        zero = np.zeros((1, 1))
        names = ("entropy", "evenness", "distance", "itself", "previous", "next", "first", "separators", "near")
        return HeadStatistics(**{name: zero + values.get(name, 0.0) for name in names}, rows=1)

    assert made(first=PLACE_SHARE).pattern(0, 0) == ("first", PLACE_SHARE)
    assert made(separators=0.8, first=0.1).pattern(0, 0) == ("separators", 0.8)
    assert made(near=NEAR_SHARE, evenness=BROAD_EVENNESS - 0.01).pattern(0, 0) == ("near", NEAR_SHARE)
    assert made(near=NEAR_SHARE - 0.01, evenness=BROAD_EVENNESS).pattern(0, 0) == ("broad", BROAD_EVENNESS)
    assert made(near=0.1, evenness=0.1, itself=0.2).pattern(0, 0) == ("mixed", 0.2)


def test_the_model_that_ships_has_a_head_that_looks_at_the_previous_token() -> None:
    with torch.inference_mode():
        found = SURVEY.run(minilm_eager(), [SurveyRequest((SENTENCE, "The river bank was muddy after the rain."))])[0]
    assert found.texts == 2 and found.tokens == 18 + 11
    kinds = {found.statistics.pattern(layer, head)[0] for layer in range(6) for head in range(12)}
    assert {"previous", "first", "broad"} <= kinds
    assert found.statistics.pattern(0, 2)[0] == "previous"
    assert found.statistics.previous[0, 2] > 0.95


def test_pooled_is_the_mean_over_rows() -> None:
    with torch.inference_mode():
        parts = [
            head_statistics(TASK.run(minilm_eager(), [TextPair(text)])[0].map) for text in (SENTENCE, "Two words.")
        ]
    whole = pooled(parts)
    assert whole.rows == parts[0].rows + parts[1].rows
    expected = (parts[0].entropy * parts[0].rows + parts[1].entropy * parts[1].rows) / whole.rows
    assert np.allclose(whole.entropy, expected)


def test_ranking_puts_the_head_that_links_two_words_first() -> None:
    weights = np.full((2, 2, 4, 4), 0.25, dtype=np.float32)
    weights[1, 0, 2] = [0.0, 0.9, 0.1, 0.0]
    weights[0, 1, 1] = [0.1, 0.1, 0.7, 0.1]
    ranked = rank_heads(AttentionMap("x", "encoder", PLAIN, PLAIN, weights), (2,), (1,))
    assert (ranked[0].layer, ranked[0].head, ranked[0].there) == (1, 0, pytest.approx(0.9))
    assert (ranked[1].layer, ranked[1].head, ranked[1].back) == (0, 1, pytest.approx(0.7))
    assert len(ranked) == 4 and ranked[1].most == ranked[1].back


def test_ranking_adds_up_pieces() -> None:
    weights = np.full((1, 1, 4, 4), 0.25, dtype=np.float32)
    (link,) = rank_heads(AttentionMap("x", "encoder", PLAIN, PLAIN, weights), (0,), (2, 3))
    assert link.there == pytest.approx(0.5) and link.back == pytest.approx(0.25)


def test_a_decoder_only_looks_back() -> None:
    with torch.inference_mode():
        amap = TASK.run(family("gpt2").with_attention(), [TextPair("El perro y un gato.")])[0].map
    groups = word_groups(amap.rows)
    assert all(link.there == 0 for link in rank_heads(amap, groups[0], groups[-1]))
    assert rank_heads(amap, groups[0], groups[-1])[0].back > 0


def test_sinks() -> None:
    with torch.inference_mode():
        amap = TASK.run(minilm_eager(), [TextPair(SENTENCE)])[0].map
    (sink,) = sinks(amap)
    assert amap.columns[sink.column].text == "[CLS]"
    assert sink.share > SINK_SHARE and sink.even == pytest.approx(1 / len(amap.columns)) and sink.heads > 10
    even = one(np.full((9, 9), 1 / 9), NINE)
    assert sinks(even) == []


def test_the_first_token_of_a_decoder_is_no_sink_for_being_seen_by_all() -> None:
    even = np.tril(np.ones((9, 9)))
    even /= even.sum(-1, keepdims=True)
    assert sinks(one(even, NINE, "decoder")) == []
    first = np.zeros((9, 9))
    first[:, 0] = 1
    (sink,) = sinks(one(first, NINE, "decoder"))
    assert sink.column == 0 and sink.share == 1 and sink.even == pytest.approx(sum(1 / n for n in range(2, 10)) / 8)


def test_cross_attention_has_no_previous() -> None:
    rows, columns = PLAIN[:2], PLAIN
    weights = np.full((1, 1, 2, 4), 0.25, dtype=np.float32)
    found = head_statistics(AttentionMap("x", "cross", rows, columns, weights))
    assert found.previous[0, 0] == 0 and found.distance[0, 0] == 0
    assert found.entropy[0, 0] == pytest.approx(2.0) and found.pattern(0, 0)[0] == "broad"
