"""The questions that pages ask first, and how a guess is judged."""

import numpy as np
import pytest
import torch

from core.catalog import entry
from core.lens.attention import word_groups
from core.lens.attention_inputs import TextPair
from core.lens.attention_reading import TASK
from core.lens.forward_reading import Candidate, ForwardRequest
from core.lens.tokenization import compare
from core.runtime.tokenizer import TokenizerBundle, TokenizerStore
from core.settings import Settings
from core.tasks.classification import TASK as SENTIMENT
from core.tasks.classification import ClassificationRequest
from core.ui.attention_page.guess import look_question
from core.ui.guess import Question, question_key
from core.ui.inside.guess import gap_question, next_question
from core.ui.tasks.sentiment import VIEW
from core.ui.tokenization.guess import cut_question
from tests.lens.attention_models import SENTENCE, minilm_eager


@pytest.fixture(scope="module")
def bert() -> TokenizerBundle:
    return TokenizerStore(Settings(offline=True)).get("bert-uncased")


def test_a_guess_is_judged_by_its_place() -> None:
    question = Question("k", "?", ("mesa", "puerta"))
    assert (question.place(" Mesa "), question.place("puerta"), question.place("casa")) == (1, 2, None)


def test_all_who_see_the_same_have_the_same_question() -> None:
    assert question_key("a", ("b", 1)) == question_key("a", ("b", 1)) != question_key("a", ("b", 2))
    assert question_key("\ud83d")  # half an emoji is text, too


def test_the_cut_of_a_word(bert: TokenizerBundle) -> None:
    comparison = compare("The tokenizers desayunaron", [bert])
    question = cut_question(comparison, -1)
    assert question is not None
    pieces = [token.piece for token in comparison.rows[0].tokens if token.unit == 1]
    word = comparison.segments[2]
    assert word.text == "tokenizers"
    chosen = cut_question(comparison, word.unit)
    assert chosen is not None
    assert chosen.answers == ("|".join(piece.removeprefix("##") for piece in pieces),)
    assert chosen.place("Token-ize | ##rs") == (1 if pieces == ["token", "##ize", "##rs"] else chosen.place("x"))
    assert chosen.place("|".join(pieces)) == 1 and chosen.place("tokenizers") is None


def test_no_question_where_no_word_is_cut_in_letters(bert: TokenizerBundle) -> None:
    assert cut_question(compare("😀 … a b", [bert]), -1) is None


def test_where_a_word_looks() -> None:
    pair = TextPair(SENTENCE)
    with torch.inference_mode():
        amap = TASK.run(minilm_eager(), [pair])[0].map
    row = next(index for index, token in enumerate(amap.rows) if token.text == "she")
    question = look_question("minilm", "MiniLM", pair, amap, row)
    assert question is not None and "«she»" in question.ask
    mean = amap.weights.mean((0, 1))[row]
    groups = word_groups(amap.columns)
    own = [
        index
        for index, group in enumerate(groups)
        if not amap.columns[group[0]].special and row not in group and amap.columns[group[0]].text.isalnum()
    ]
    sums = [float(mean[list(groups[index])].sum()) for index in own]
    assert question.answers[0] == str(own[int(np.argmax(sums))])
    assert sorted(question.answers) == sorted(question.options) and len(question.options) == len(own)
    assert question.names(question.answers[0]).split(". ")[1] == amap.columns[groups[int(question.answers[0])][0]].text


def test_a_text_of_one_word_asks_nothing() -> None:
    pair = TextPair("Hello")
    with torch.inference_mode():
        amap = TASK.run(minilm_eager(), [pair])[0].map
    assert look_question("minilm", "MiniLM", pair, amap, None) is None


def test_labels_are_offered_in_an_order_that_tells_nothing() -> None:
    from core.runtime.device import CPU
    from core.runtime.loading import load_bundle

    bundle = load_bundle(entry("sentiment-en"), Settings(offline=True), CPU)
    for text in ("I love it.", "I hate it."):
        request = ClassificationRequest(text)
        with torch.inference_mode():
            (result,) = SENTIMENT.run(bundle, [request])
        assert VIEW.guess is not None
        question = VIEW.guess(request, result, bundle.entry)
        assert question is not None
        assert question.answers[0] == result.labels[0].name
        assert question.options == ("negative", "neutral", "positive")
        assert question.names("negative") == "negativo"


def test_the_next_token_and_the_hidden_word() -> None:
    item, wanted = entry("mini-beto"), ForwardRequest("La niña abrió la [MASK].")
    found = (Candidate(7, " mesa", 0.4), Candidate(8, "mesa", 0.3), Candidate(9, "\n", 0.2), Candidate(5, "casa", 0.1))
    question = gap_question(item, wanted, 5, "[MASK]", found)
    assert question is not None and question.answers == ("mesa", "casa") and "«[MASK]»" in question.ask
    assert question.key != gap_question(item, wanted, 4, "[MASK]", found).key  # type: ignore[union-attr]
    following = next_question(item, wanted, found)
    assert following is not None and following.place("Casa") == 2
    # What is likeliest can't be typed: there is nothing to guess.
    assert next_question(item, wanted, found[2:]) is None and gap_question(item, wanted, 5, "x", found[2:]) is None
