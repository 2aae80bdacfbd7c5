"""Extractive answers: hand-worked scores, windows, impossible stretches, no answer, offsets, refusals."""

import math
import string
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core.errors import InputInvalid, InputTooLong
from core.runtime.bundle import ModelBundle
from core.tasks.question_answering import TASK, QuestionRequest
from tests.tasks.stubs import bundle, piece_ids


def pointing(firsts: dict[str, float], lasts: dict[str, float], window: int = 512) -> ModelBundle:
    """A model that scores pieces wherever they stand: 0 but for those named; "[CLS]" is "it doesn't say"."""
    first = dict(zip(piece_ids(*firsts), firsts.values(), strict=True))
    last = dict(zip(piece_ids(*lasts), lasts.values(), strict=True))

    def answer(input_ids: torch.Tensor, **_rest: Any) -> Any:
        def scores(table: dict[int, float]) -> torch.Tensor:
            return torch.tensor([[table.get(int(i), 0.0) for i in row] for row in input_ids])

        return SimpleNamespace(start_logits=scores(first), end_logits=scores(last))

    return bundle(answer, window=window)


def ask(model: ModelBundle, question: str, context: str, **options: Any) -> Any:
    return TASK.run(model, [QuestionRequest(question, context, **options)])[0]


def test_the_probabilities_are_those_of_a_hand_worked_case() -> None:
    # Three tokens: six stretches forward. First "b" 2, last "c" 1: b–c scores 3, and so on; [CLS] scores 0.
    result = ask(pointing({"b": 2.0}, {"c": 1.0}), "q", "a b c", top=6)
    scores = {"a": 0.0, "a b": 0.0, "a b c": 1.0, "b": 2.0, "b c": 3.0, "c": 1.0}
    total = sum(math.exp(value) for value in scores.values()) + 1.0
    best = result.answers[0]
    assert (best.text, best.start, best.end) == ("b c", 2, 5)
    assert best.probability == pytest.approx(math.exp(3.0) / total, rel=1e-5)
    assert result.no_answer == pytest.approx(1 / total, rel=1e-5)
    # What overlaps a better answer is no other answer.
    assert [answer.text for answer in result.answers] == ["b c", "a"]


def test_an_answer_never_ends_before_it_begins_nor_stands_in_the_question() -> None:
    model = pointing({"z": 9.0, "c": 5.0}, {"z": 9.0, "a": 5.0})
    assert ask(model, "z z z", "a b c").answers[0].text in {"a", "c", "a b c"}
    assert all("z" not in answer.text for answer in ask(model, "z", "a b c").answers)


def test_no_answer_is_longer_than_allowed() -> None:
    model = pointing({"a": 5.0}, {"e": 5.0})
    assert ask(model, "q", "a b c d e", longest=5).answers[0].text == "a b c d e"
    assert len(ask(model, "q", "a b c d e", longest=3).answers[0].text.split()) <= 3


def test_the_text_may_not_say_it() -> None:
    sure = ask(pointing({"[CLS]": 8.0}, {"[CLS]": 8.0}), "q", "a b c")
    assert sure.no_answer > 0.99
    assert ask(pointing({"b": 8.0}, {"b": 8.0}), "q", "a b c").no_answer < 0.01


def test_the_answer_is_found_in_whichever_window_it_stands() -> None:
    model = pointing({"treasure": 6.0}, {"treasure": 6.0}, window=64)
    for place in (0, 37, 150, 299):
        words = ["word"] * 300
        words[place] = "treasure"
        context = " ".join(words)
        result = ask(model, "where is it", context)
        assert result.windows > 3
        assert result.answers[0].text == "treasure"
        assert context[result.answers[0].start : result.answers[0].end] == "treasure"
        assert any(token.text == "treasure" and token.first > 0.5 for token in result.tokens)


def test_offsets_are_characters_of_the_text_as_it_was_typed() -> None:
    context = "  ¡Olé! 👩‍👩‍👧  La  niña  vive en MÁDRID."
    result = ask(pointing({"madrid": 5.0}, {"madrid": 5.0}), "dónde", context)
    assert result.answers[0].text == "MÁDRID"
    assert context[result.answers[0].start : result.answers[0].end] == "MÁDRID"


def test_a_batch_answers_as_each_alone() -> None:
    model = pointing({"b": 2.0, "x": 4.0}, {"c": 1.0, "y": 3.0}, window=64)
    requests = [QuestionRequest("q", "a b c"), QuestionRequest("who is it", "x y " * 90), QuestionRequest("q", "b")]
    together = TASK.run(model, requests)
    for request, result in zip(requests, together, strict=True):
        (alone,) = TASK.run(model, [request])
        assert result.answers[0].text == alone.answers[0].text
        assert result.answers[0].probability == pytest.approx(alone.answers[0].probability, rel=1e-4)
        assert result.windows == alone.windows


@pytest.mark.parametrize(
    ("question", "context", "error", "words"),
    [
        ("", "a text", InputInvalid, "Escribe una pregunta"),
        ("q", "   \n", InputInvalid, "vacío"),
        ("q", "a" * 50_001, InputTooLong, "50 000|50\u202f000"),
        ("why " * 400, "a text", InputInvalid, "demasiado larga"),
    ],
)
def test_bad_input_is_refused_with_a_reason(question: str, context: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ask(pointing({}, {}), question, context)


# Question, text, where the model points to (first and last piece), and what people answered; "" for no answer.
SAMPLE = (
    (
        "Where?",
        "The dynasty had an impact on medieval Europe.",
        ("medieval", "europe"),
        ("the medieval Europe",),
    ),
    ("Where?", "The dynasty had an impact on medieval Europe.", ("europe", "europe"), ("medieval Europe",)),
    ("When?", "It was opened in the spring of 1876, after three years.", ("spring", "1876"), ("the spring of 1876.",)),
    ("When?", "It was opened in the spring of 1876, after three years.", ("1876", "1876"), ("1876", "spring of 1876")),
    ("Who?", "The engineer's daughter lit it.", ("the", "daughter"), ("engineers daughter", "a daughter")),
    ("Who?", "The engineer's daughter lit it.", ("lit", "it"), ("The engineer's daughter",)),
    ("What colour?", "The lighthouse was built with stone.", ("[CLS]", "[CLS]"), ("",)),
    ("What colour?", "The lighthouse was built with stone.", ("stone", "stone"), ("",)),
    ("How many?", "About twenty-five boats came.", ("twenty", "five"), ("twenty-five", "25")),
    ("How many?", "About twenty-five boats came.", ("about", "boats"), ("twenty-five",)),
)

# What the functions of SQuAD's official evaluate-v2.0.py print for the answers below, one figure a question.
EXACT = [1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
F1 = [1.0, 0.6667, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.5]


def squad_words(text: str) -> list[str]:
    """Words as SQuAD's scorer takes them: lower case, punctuation taken out, English articles left out."""
    bare = "".join(sign for sign in text.lower() if sign not in string.punctuation)
    return [word for word in bare.split() if word not in {"a", "an", "the"}]


def squad_f1(guess: str, right: str) -> float:
    ours, theirs = Counter(squad_words(guess)), Counter(squad_words(right))
    common = (ours & theirs).total()
    if not ours or not theirs or not common:
        return float(ours == theirs)
    return 2 * common / (ours.total() + theirs.total())


def test_a_sample_scores_what_squads_official_script_gives_it() -> None:
    guesses = []
    for question, context, (first, last), _right in SAMPLE:
        result = ask(pointing({first: 9.0}, {last: 9.0}), question, context)
        said = result.answers[0].probability >= result.no_answer
        guesses.append(result.answers[0].text if said else "")
    exact = [
        max(float(squad_words(guess) == squad_words(right)) for right in rights)
        for guess, (_q, _c, _p, rights) in zip(guesses, SAMPLE, strict=True)
    ]
    f1 = [
        max(squad_f1(guess, right) for right in rights)
        for guess, (_q, _c, _p, rights) in zip(guesses, SAMPLE, strict=True)
    ]
    assert exact == EXACT
    assert f1 == pytest.approx(F1, abs=1e-4)
