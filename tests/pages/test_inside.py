"""The page Por dentro on the models that ship, and on small random ones under the names of references."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog import entry
from core.settings import get_settings
from core.ui.inside.state import VIEWS
from tests.conftest import ROOT
from tests.pages import test_guess as guesses
from tests.pages.conftest import OpenApp, texts
from tests.runtime.models import write_model
from tests.tasks.causal import write_decoder

TEXT = "The keys to the old cabinet are on the table."


def shown(app: AppTest) -> str:
    return texts(app).replace("\\", "")


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """Imports what the first visitor would wait for: on a busy machine that takes longer than a run may."""
    from transformers import AutoModel, AutoTokenizer, BertModel  # noqa: F401


def area(app: AppTest) -> Any:
    return next(item for item in app.text_area if item.key == "in_text")


def press(app: AppTest, key: str) -> None:
    next(item for item in app.button if item.key == key).click().run()


def components(app: AppTest, key: str) -> list[Any]:
    return [item for item in app.get("bidi_component") if key in item.proto.id]


@pytest.mark.parametrize("lang", ["es", "en"])
def test_it_opens_on_a_step_with_formula_shape_values_and_their_origin(open_app: OpenApp, lang: str) -> None:
    app = open_app("inside", lang=lang)
    assert app.title[0].value == {"es": "Por dentro", "en": "Inside a model"}[lang]
    assert not app.warning and not app.error
    assert app.latex[0].value.count("E_i") == 1
    said = shown(app)
    assert re.search(
        {"es": r"\(lote 1, tokens \d+, oculta 384\)", "en": r"\(batch 1, tokens 10, hidden 384\)"}[lang], said
    )
    assert {"es": "¿De dónde sale", "en": "Where does"}[lang] in said
    assert "modeling_bert.py" in said and any("inputs_embeds + token_type" in item.value for item in app.code)
    assert {"es": "Recalculado desde los pesos", "en": "Recomputed from the weights"}[lang] in said
    assert len(components(app, "in_heat")) == 1 and len(components(app, "in_origin")) == 1


@pytest.mark.parametrize("lang", ["es", "en"])
@pytest.mark.parametrize("view", [view for view in VIEWS if view != "walk"])
def test_the_other_views_open(open_app: OpenApp, lang: str, view: str) -> None:
    app = open_app("inside", lang=lang, view=view)
    assert not app.warning and not app.error
    assert app.query_params["view"] == view
    if view == "parameters":
        assert {"es": "23\u202f077\u202f146", "en": "22,713,216"}[lang] in shown(app)
        assert len(app.get("plotly_chart")) == 1


def test_an_example_opens_its_value(open_app: OpenApp) -> None:
    app = open_app("inside", lang="es", example="agreement-en")
    assert area(app).value == TEXT
    state = app.session_state
    assert (state["in_step"], state["in_head"], state["in_row"], state["in_column"]) == (
        "encoder.3.attention.weights",
        1,
        7,
        2,
    )
    assert "¿De dónde sale 0,778?" in shown(app)
    assert "example" not in app.query_params


def test_a_link_opens_the_very_value_and_the_steps_are_walked(open_app: OpenApp) -> None:
    app = open_app(
        "inside", lang="es", text=TEXT, model="minilm", step="encoder.3.attention.scores", head="1", row="7", column="2"
    )
    assert "¿De dónde sale 6,627?" in shown(app) and "escala 0,177" in shown(app)
    press(app, "in_next")
    assert app.session_state["in_step"] == "encoder.3.attention.mask"
    press(app, "in_back")
    press(app, "in_back")
    assert app.session_state["in_step"] == "encoder.3.attention.value"
    assert app.query_params["step"] == "encoder.3.attention.value"


@pytest.mark.parametrize(
    "query",
    [
        {"step": "encoder.77.nothing"},
        {"step": "encoder.0.attention.query", "head": "99", "row": "900", "column": "-7"},
        {"head": "x"},
        {"view": "<b>"},
        {"model": "nobody/nothing"},
        {"added": "1-x"},
        {"example": "nobody"},
    ],
)
def test_a_broken_link_opens_the_page(open_app: OpenApp, query: dict[str, str]) -> None:
    app = open_app("inside", lang="es", **query)
    assert not app.error and not app.warning and len(components(app, "in_heat")) == 1


@pytest.mark.parametrize(("text", "words"), [("   \n", "el texto está vacío"), ("dog " * 600, "602 tokens")])
@pytest.mark.parametrize("view", ["walk", "answer"])
def test_bad_texts_are_answered_with_a_sentence_and_kept(open_app: OpenApp, text: str, words: str, view: str) -> None:
    app = open_app("inside", lang="es", view=view)
    area(app).set_value(text).run()
    assert [words in item.value for item in app.warning] == [True]
    assert not app.error and area(app).value == text


def test_a_long_text_shows_shapes_and_says_what_is_left_out(open_app: OpenApp) -> None:
    app = open_app("inside", lang="es", step="encoder.0.attention.query")
    area(app).set_value("dog " * 100).run()
    assert not app.error and not app.warning
    assert "El texto tiene 102 tokens" in shown(app) and "quedan fuera los mapas" in shown(app)
    assert not components(app, "in_heat") and len(app.dataframe) == 1
    assert "(lote 1, cabezas 12, tokens 102, tamaño de cabeza 32)" in shown(app)


@pytest.mark.parametrize("text", ["<script>alert(1)</script> <b>x</b>", "😀" * 40, "[MASK] ## </s>", "$x^2$ `c` **b**"])
def test_strange_texts(open_app: OpenApp, text: str) -> None:
    app = open_app("inside", lang="es", step="encoder.0.attention.weights")
    area(app).set_value(text).run()
    assert not app.error and not app.exception and not app.warning
    for item in app.markdown:
        assert ("<script>" not in item.value and not item.allow_html) or "<style>" in item.value


def test_a_head_gives_its_verdict(open_app: OpenApp) -> None:
    app = open_app("inside", lang="es", example="sentiment-head-en")
    assert "El veredicto de la cabeza" in [item.value for item in app.header]
    assert len(app.get("plotly_chart")) == 1
    press(app, "in_open_end")
    assert app.session_state["in_view"] == "walk" and app.session_state["in_step"] == "head.probabilities"


@pytest.fixture
def references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random models under the names of references."""
    write_model(tmp_path / entry("bert-cased").id, "PreTraining")
    write_decoder(tmp_path / entry("tinystories").id)
    monkeypatch.setenv("TALLER_MODELS_DIR", str(tmp_path))
    get_settings.cache_clear()


def test_a_decoder_writes_token_by_token(open_app: OpenApp, references: None) -> None:
    app = open_app("inside", lang="es", model="tinystories", text="El perro", view="answer")
    assert "Escrito hasta ahora** (0 tokens)" in shown(app)
    press(app, "in_add_0")
    press(app, "in_add_1")
    assert "Escrito hasta ahora** (2 tokens)" in shown(app) and "KV cache" in shown(app)
    assert app.query_params["added"].count("-") == 1
    press(app, "in_undo")
    assert "-" not in app.query_params["added"]
    press(app, "in_restart")
    assert "(0 tokens)" in shown(app)
    # Another text: what was written after the last one is gone.
    press(app, "in_add_0")
    area(app).set_value("Un gato").run()
    assert "(0 tokens)" in shown(app)


def test_both_heads_of_a_bert_that_was_pre_trained(open_app: OpenApp, references: None) -> None:
    app = open_app("inside", lang="es", model="bert-cased", text="hola mundo", second="el niño", view="answer")
    assert "¿Qué palabra pondría aquí?" in [item.value for item in app.header]
    app = open_app("inside", lang="es", model="bert-cased", text="hola [MASK]", second="el niño", step="head.follows")
    assert not app.error and not app.warning and "¿De dónde sale" in shown(app)


def test_without_any_model_the_page_says_where_to_get_one(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.ui.attention_page import models

    monkeypatch.setattr(models, "here", lambda: [])
    app = open_app("inside", lang="es")
    assert "Ningún modelo de este equipo se puede recorrer" in shown(app)
    app = open_app("inside", lang="es", view="race")
    assert not app.warning


def test_the_race_is_run_and_shown(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.lens import race as lens
    from core.ui.inside import race

    monkeypatch.setattr(race, "run_apart", lambda device, **options: lens.run_apart(device, lengths=(4, 8), **options))
    app = open_app("inside", lang="es", view="race")
    press(app, "in_race_start")
    job = race.track()._job
    assert job is not None and job.wait(60)
    app.run()
    assert len(app.get("plotly_chart")) == 2 and not app.warning and not app.error
    assert "526\u202f336" in shown(app) and "Al **generar**" in shown(app)


def test_no_torch_until_a_model_is_asked_for() -> None:
    program = (
        "import sys\n"
        "import core.ui.inside.form, core.ui.inside.walk, core.ui.inside.answer, core.ui.inside.parameters\n"
        "import core.ui.inside.race, core.lens.forward_reading\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules, 'too early'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-800:]


def test_por_dentro_asks_where_the_parameters_are_and_what_the_head_will_say(open_app: OpenApp) -> None:
    app = open_app("inside", lang="es", view="parameters", model="minilm", guess="1")
    assert "¿Qué crees?" in guesses.texts(app) and not app.get("plotly_chart")
    app.radio(key=guesses.form_key(app)).set_value("attention")
    guesses.press(app, "Comprobar")
    assert "Dijiste «Atención», que va en el puesto 3. El modelo: «Embeddings»." in guesses.texts(app)
    assert app.get("plotly_chart")
    app.session_state["in_view"] = "answer"
    app.session_state["in_model"] = "sentiment-en"
    app.session_state["in_text"] = guesses.TEXT
    app.run()
    assert "¿Qué dirá" in guesses.texts(app) and not app.get("plotly_chart")
    app.radio(key=guesses.form_key(app)).set_value("positive")
    guesses.press(app, "Comprobar")
    assert "Acertaste: «positivo»." in guesses.texts(app) and "Aciertos: 1 de 2" in guesses.texts(app)
