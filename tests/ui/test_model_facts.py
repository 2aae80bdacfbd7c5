"""What is said of a model's score, measure by measure."""

import pytest

from core.catalog import Score, entries, scores
from core.i18n import set_language
from core.ui.model_facts import TESTS, main_scores, score_text


@pytest.mark.parametrize(
    ("score", "es", "en"),
    [
        (Score("OpeNER", "accuracy", 0.843, 1267), "aciertos 84,3", "right answers 84.3"),
        (Score("es-novels", "bits_per_character", 1.6255, 900), "bits por carácter 1,63 en novelas", "1.63 on novels"),
        (Score("Tatoeba", "chrf", 51.26, 900), "chrF 51,3 en Tatoeba", "chrF 51.3 on Tatoeba"),
    ],
)
def test_each_measure_is_said_in_its_own_unit(score: Score, es: str, en: str) -> None:
    for language, words in (("es", es), ("en", en)):
        set_language(language)
        found = score_text(score)
        assert words in found


def test_every_score_of_a_shipped_model_can_be_said() -> None:
    said = [score_text(score) for key in entries() for score in scores(key)]
    assert len(said) > 10 and all("{" not in text for text in said)
    # What has no translation is a name: each of its words has a capital or is a language's sign.
    names = {score.test for key in entries() for score in scores(key)} - set(TESTS)
    assert names and all(
        word in ("es", "en") or word != word.lower() or word.isdigit() for word in " ".join(names).split()
    )


def test_a_card_of_two_languages_is_judged_in_both() -> None:
    assert [score.test for score in main_scores(scores("next-sentence"))] == [
        "es, up to 128 tokens",
        "en, up to 128 tokens",
    ]
    assert main_scores(scores("questions-es")) == [scores("questions-es")[0]]
    assert main_scores(()) == []


def test_a_direction_shows_its_own_scores() -> None:
    assert [score.test for score in scores("mini-mt-en-es")] == ["Tatoeba en→es", "documentation en→es"]
    assert [score.test for score in scores("mini-mt-es-en")] == ["Tatoeba es→en", "documentation es→en"]
