"""The guess at a text's language: right where it is clear, silent where it isn't."""

import pytest

from core.tasks.language import likely_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("El camarero fue muy amable y la comida estaba rica.", "es"),
        ("¿Dónde está la biblioteca del barrio?", "es"),
        ("The waiter was kind and the food was good.", "en"),
        ("I don't know what they said about him.", "en"),
        ("Hola", None),
        ("", None),
        ("Madrid Barcelona Sevilla Valencia Bilbao", None),
        ("Der Kellner war freundlich und das Essen gut.", None),
        ("12 34 56 78 90", None),
    ],
)
def test_clear_texts_are_told_apart_and_others_are_not(text: str, language: str | None) -> None:
    assert likely_language(text) == language


def test_a_text_in_both_languages_is_neither() -> None:
    text = "La canción que dice la chica es muy bonita but they said that you and she are late"
    assert likely_language(text) is None
