"""The Atención page's data: whole, and true of the real models."""

import pytest
import torch

from core.catalog import entries
from core.course.attention import AttentionExample, attention_example, attention_examples, corpus, evidence_cards
from core.lens.attention_forms import word_places
from core.lens.attention_heads import rank_heads
from core.lens.attention_inputs import TextPair
from core.lens.attention_reading import TASK
from core.runtime.device import CPU
from core.runtime.loading import load_bundle, locate_model
from core.settings import Settings


@pytest.mark.parametrize("example", attention_examples(), ids=lambda example: example.id)
def test_every_claim_holds_on_the_real_model(example: AttentionExample) -> None:
    settings = Settings(offline=True)
    if example.model not in entries() or locate_model(entries()[example.model], settings) is None:
        pytest.skip(f"{example.model} is not on this machine")
    bundle = load_bundle(entries()[example.model], settings, CPU).with_attention()
    with torch.inference_mode():
        amap = TASK.run(bundle, [TextPair(example.a, example.b)])[0].map
    assert example.claims
    for claim in example.claims:
        row, column = word_places(amap.rows, claim.row), word_places(amap.columns, claim.column)
        assert row and column, claim
        if example.part == "find":
            found = rank_heads(amap, row, column)[0].most
        else:
            assert example.layer < amap.layers and example.head < amap.heads
            block = amap.weights[example.layer, example.head][list(row)][:, list(column)]
            found = float(block.sum(-1).mean())
        assert claim.least <= found <= claim.most, (claim, found)


def test_each_theme_is_there_in_both_languages() -> None:
    for theme in ("pronoun", "agreement", "negation", "homograph", "pair"):
        for language in ("es", "en"):
            assert attention_example(f"{theme}-{language}").language == language
    with pytest.raises(KeyError):
        attention_example("nobody")


def test_what_opens_is_among_the_claims() -> None:
    for example in attention_examples():
        assert any((c.row, c.column) == (example.row, example.column) for c in example.claims), example.id
        for reader in ("es", "en"):
            assert example.title(reader) and example.teaches(reader).endswith((".", "?"))


def test_cards_cite_both_sides() -> None:
    cards = evidence_cards()
    assert {card.kind for card in cards} == {"is", "not", "with-care"}
    sources = " ".join(card.source for card in cards)
    assert "Jain & Wallace (2019)" in sources and "Wiegreffe & Pinter (2019)" in sources
    assert all(card.url.startswith("https://arxiv.org/abs/") for card in cards)


def test_the_corpus_says_the_same_in_both_languages() -> None:
    assert len(corpus("es")) == len(corpus("en")) >= 24
    assert len(set(corpus("es"))) == len(corpus("es")) and len(set(corpus("en"))) == len(corpus("en"))
