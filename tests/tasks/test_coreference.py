"""Coreference: mentions and pronouns by rule, substitution by hand, and scores on a model whose answers are known."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core.catalog import entry
from core.errors import InputInvalid, InputTooLong
from core.tasks.coreference import (
    TASK,
    CoreferenceRequest,
    find_mentions,
    find_pronouns,
    question,
    substituted,
)
from tests.tasks.stubs import bundle, piece_ids


def mentions(text: str, language: Any) -> list[str]:
    return [text[start:end] for start, end in find_mentions(text, language)]


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("El trofeo no cabe en la maleta porque ella es pequeña.", "es", ["El trofeo", "la maleta"]),
        ("Ana llamó a Marta Ruiz porque ella tenía fiebre.", "es", ["Ana", "Marta Ruiz"]),
        ("Cuando llovía, mi abuela cerraba la ventana.", "es", ["mi abuela", "la ventana"]),
        ("The trophy does not fit in the suitcase because it is small.", "en", ["The trophy", "the suitcase"]),
        ("Paul tried to call George on the phone, but he was out.", "en", ["Paul", "George", "the phone"]),
        ("The nurse spoke to the Queen Victoria statue.", "en", ["The nurse", "the Queen Victoria"]),
        ("", "en", []),
    ],
)
def test_mentions(text: str, language: Any, found: list[str]) -> None:
    assert mentions(text, language) == found


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("Ana llamó a Marta porque ella tenía fiebre y él no.", "es", ["ella", "él"]),
        ("Los niños rompieron los platos.", "es", []),
        ("Compró el libro y lo leyó.", "es", ["lo"]),
        ("He gave her his book, and it was hers.", "en", ["He", "her", "his", "it"]),
    ],
)
def test_pronouns(text: str, language: Any, found: list[str]) -> None:
    assert [text[start:end] for start, end in find_pronouns(text, language)] == found


@pytest.mark.parametrize(
    ("text", "pronoun", "candidate", "language", "made"),
    [
        ("The cat ate. It slept.", "It", "The cat", "en", "The cat ate. The cat slept."),
        ("The cat ate, and it slept.", "it", "The cat", "en", "The cat ate, and the cat slept."),
        ("Paul lost his hat.", "his", "Paul", "en", "Paul lost Paul's hat."),
        ("Ann saw her.", "her", "Ann", "en", "Ann saw Ann."),
        ("El gato comió y él durmió.", "él", "El gato", "es", "El gato comió y el gato durmió."),
    ],
)
def test_substitution(text: str, pronoun: str, candidate: str, language: Any, made: str) -> None:
    at, start = text.index(pronoun), text.index(candidate)
    request = CoreferenceRequest(text, (at, at + len(pronoun)), (), language)
    whole, (low, high) = substituted(request, (start, start + len(candidate)))
    assert whole == made
    assert whole[low:high].lower() == candidate.lower()


def test_scores_on_a_model_whose_answers_are_known() -> None:
    the, cat, dog = (piece_ids(word)[0] for word in ("the", "cat", "dog"))

    def answers(**inputs: torch.Tensor) -> Any:
        ids = inputs["input_ids"]
        logits = torch.full((*ids.shape, 30522), -20.0)
        logits[..., the], logits[..., cat], logits[..., dog] = 2.0, 1.0, 0.0
        return SimpleNamespace(logits=logits)

    text = "The cat saw the dog and it ran."
    request = CoreferenceRequest(text, (24, 26), ((0, 7), (12, 19)), "en")
    with torch.inference_mode():
        (result,) = TASK.run(bundle(answers), [request])
    norm = math.log(sum(math.exp(value) for value in (2.0, 1.0, 0.0)) + 30519 * math.exp(-20.0))
    assert [mention.text for mention in result.mentions] == ["The cat", "the dog"]
    assert result.mentions[0].score == pytest.approx((2.0 - norm + 1.0 - norm) / 2, abs=1e-4)
    assert result.mentions[1].score == pytest.approx((2.0 - norm + 0.0 - norm) / 2, abs=1e-4)
    assert result.mentions[0].share == pytest.approx(1 / (1 + math.exp(-0.5)), abs=1e-4)
    assert result.way == "substitution"


def test_the_question_is_the_words_around_the_pronoun() -> None:
    text = "Uno dos tres. " + "palabra " * 10 + "y Ana dijo que ella no venía. " + "otra " * 20
    (pronoun,) = find_pronouns(text, "es")
    asked = question(CoreferenceRequest(text, pronoun, (), "es"))
    assert " que «ella» no " in asked and "Uno" not in asked
    assert asked.startswith("palabra ") and asked.endswith(" otra"), "no word is cut"
    assert question(CoreferenceRequest("Ella vino.", (0, 4), (), "es")) == "«Ella» vino."


def test_a_model_that_points_is_asked_for_the_places_of_the_candidates_in_the_text() -> None:
    text = "The cat saw the dog and it ran."
    request = CoreferenceRequest(text, (24, 26), ((0, 7), (12, 19)), "en")
    seen = {}

    def answers(**inputs: torch.Tensor) -> Any:
        (ids,) = inputs["input_ids"].tolist()
        seen["ids"] = ids
        cut = ids.index(102)  # what stands before [SEP] is the question, which names the candidates, too
        first, last = torch.zeros(1, len(ids)), torch.zeros(1, len(ids))
        first[0, :cut] = last[0, :cut] = 50.0
        the, cat, dog = (piece_ids(word)[0] for word in ("the", "cat", "dog"))
        first[0, ids.index(the, cut)] = 1.0
        first[0, ids.index(dog, cut) - 1] = 0.5
        last[0, ids.index(cat, cut)] = 1.0
        last[0, ids.index(dog, cut)] = 2.5
        return SimpleNamespace(start_logits=first, end_logits=last)

    plain = bundle(answers)
    weights = replace(entry("questions-en").weights, base=None)  # type: ignore[type-var]  # it has weights
    points = replace(plain, entry=replace(plain.entry, weights=weights))
    with torch.inference_mode():
        (result,) = TASK.run(points, [request])
    assert piece_ids("«")[0] in seen["ids"]
    assert result.way == "pointing"
    assert [(mention.text, mention.score) for mention in result.mentions] == [("the dog", 3.0), ("The cat", 2.0)]
    assert result.mentions[0].share == pytest.approx(1 / (1 + math.exp(-1)), abs=1e-5)
    short = replace(points, entry=replace(points.entry, window=12))
    with pytest.raises(InputTooLong, match="12"):
        TASK.run(short, [request])


def test_bad_input() -> None:
    silent = bundle(lambda **inputs: None)
    with pytest.raises(InputInvalid, match="pronombre"):
        TASK.run(silent, [CoreferenceRequest("La casa.", (0, 0), ((0, 2), (3, 7)), "es")])
    with pytest.raises(InputInvalid, match="dos candidatos"):
        TASK.run(silent, [CoreferenceRequest("Ella vino.", (0, 4), (), "es")])
    with pytest.raises(InputTooLong, match="20"):
        TASK.run(silent, [CoreferenceRequest("Ella vino.", (0, 4), ((5, 9),) * 20, "es")])
    with pytest.raises(InputInvalid):
        TASK.run(silent, [CoreferenceRequest("", (0, 1), ((0, 1), (0, 1)), "es")])


def test_the_article_that_a_contraction_has_swallowed_comes_back() -> None:
    text = "La página web llama al modelo transformer y espera hasta que él responde."
    (pronoun,) = find_pronouns(text, "es")
    mentions = find_mentions(text, "es")
    assert [text[start:end] for start, end in mentions] == ["La página", "modelo"]
    request = CoreferenceRequest(text, pronoun, tuple(mentions), "es")
    whole, (start, end) = substituted(request, mentions[1])
    assert whole.endswith("hasta que el modelo responde.") and whole[start:end] == "el modelo"
