"""«Predice antes» on the real pages: the question first, then the answer, the tally, and the room."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import OpenApp
from tests.pages.conftest import texts as escaped_texts

TEXT = "I love this film, it is wonderful."


def texts(app: AppTest) -> str:
    """What the page says, success messages too, without Markdown's escapes."""
    said = "\n".join(str(element.value) for element in app.success)
    return f"{escaped_texts(app)}\n{said}".replace("\\", "")


def form_key(app: AppTest) -> str:
    (key,) = [
        item.key for item in [*app.text_input, *app.radio, *app.selectbox] if str(item.key).startswith("guess_field")
    ]
    return str(key)


def press(app: AppTest, label: str) -> AppTest:
    (button,) = [item for item in app.button if item.label == label]
    return button.click().run()


def sentiment(open_app: OpenApp, **query: str) -> AppTest:
    return open_app("tasks", lang="es", task="sentiment", tl="en", text=TEXT, **query)


def test_without_the_mode_the_answer_is_there_at_once(open_app: OpenApp) -> None:
    assert "Positivo" in texts(sentiment(open_app))


def test_first_the_question_then_the_answer_and_the_tally(open_app: OpenApp) -> None:
    app = sentiment(open_app, guess="1")
    assert "¿Qué crees?" in texts(app) and "Positivo ·" not in texts(app)
    assert [item.label for item in app.button if item.label == "El código"] == []
    app.radio(key=form_key(app)).set_value("positive")
    press(app, "Comprobar")
    assert "Acertaste: «positivo»." in texts(
        app,
    )
    assert "Positivo ·" in texts(app) and "Aciertos: 1 de 1" in texts(app)
    # The same question isn't asked twice.
    app.run()
    assert "Positivo ·" in texts(app)


def test_a_wrong_guess_says_what_the_model_said(open_app: OpenApp) -> None:
    app = sentiment(open_app, guess="1")
    app.radio(key=form_key(app)).set_value("negative")
    press(app, "Comprobar")
    assert "Dijiste «negativo»" in texts(app) and "«positivo»" in texts(app) and "Aciertos: 0 de 1" in texts(app)


def test_nothing_chosen_asks_again_and_looking_is_allowed(open_app: OpenApp) -> None:
    app = sentiment(open_app, guess="1")
    press(app, "Comprobar")
    assert "Elige o escribe una respuesta primero." in texts(app) and "Positivo ·" not in texts(app)
    press(app, "Ver sin adivinar")
    assert "Positivo ·" in texts(app) and "Aciertos" not in texts(app)


def test_bad_input_is_still_answered_with_its_message(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="sentiment", tl="en", text=" ", guess="1")
    assert app.warning and "¿Qué crees?" not in texts(app)


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("tokenization", {"text": "The tokenizers are here.", "models": "bert-uncased"}),
        ("attention", {"text": "The girl ran because she was late.", "model": "minilm"}),
        ("tasks", {"task": "zero-shot", "tl": "en", "text": "The match ended in a draw."}),
    ],
)
def test_the_pages_that_ask(open_app: OpenApp, page: str, query: dict[str, str]) -> None:
    app = open_app(page, lang="es", guess="1", **query)
    assert "¿Qué crees?" in texts(app)
    assert not app.get("plotly_chart")
    press(app, "Ver sin adivinar")
    assert "¿Qué crees?" not in texts(app)


def room_of(app: AppTest) -> str:
    found: Any = app.session_state["room"]
    return str(found)


def test_two_sessions_share_a_room(open_app: OpenApp) -> None:
    teacher = sentiment(open_app, guess="1")
    press(teacher, "Abrir una sala")
    code = room_of(teacher)
    assert len(code) == 4 and f"Sala **{code}**" in texts(teacher)
    assert "0 respuestas" in texts(teacher)
    assert dict(teacher.query_params.items())["room"] in (code, [code])
    student = sentiment(open_app, room=code.lower())
    student.radio(key=form_key(student)).set_value("negative")
    press(student, "Comprobar")
    assert "La clase: 1 respuesta" in texts(student)
    teacher.run()
    assert f"Sala {code}: 1 respuesta" in texts(teacher), "how many, not what"
    press(teacher, "Ver sin adivinar")
    assert "La clase: 1 respuesta" in texts(teacher)
    press(teacher, "Salir de la sala")
    assert room_of(teacher) == "" and "La clase" not in texts(teacher)


@pytest.mark.parametrize("code", ["ZZZZ", "<b>hola</b>", "😀", "../.."])
def test_a_room_that_is_not_there_is_said_and_the_page_works(open_app: OpenApp, code: str) -> None:
    app = sentiment(open_app, room=code)
    assert not app.exception and room_of(app) == ""
    if code != "😀" and code != "../..":
        assert "No hay ninguna sala" in texts(app)
        press(app, "Ver sin adivinar")
    assert "Positivo ·" in texts(app)
