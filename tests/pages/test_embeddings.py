"""The Embeddings page on the model that ships, and on a small random decoder under the name of a reference."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog import entry
from core.i18n import set_language
from core.settings import get_settings
from core.ui.embeddings.state import PARTS
from tests.conftest import ROOT
from tests.pages.conftest import OpenApp, texts
from tests.tasks.causal import write_decoder

SAID = {
    "sum": ("differ", "difieren como mucho en"),
    "positions": ("The position table of", "La tabla de posiciones de"),
    "neighbours": ("Neighbours of “king”", "Vecinos de «madre»"),
    "contexts": ("has the same meaning", "tiene el mismo significado"),
    "sentences": ("two unrelated sentences", "no tienen nada que ver"),
    "cosine": ("Pythagoras", "Pitágoras"),
    "batch": ("no error warns you", "ningún error avisa"),
}


def widget(app: AppTest, kind: str, key: str) -> Any:
    return next(item for item in app.get(kind) if item.key == key)


def plain(app: AppTest) -> str:
    return texts(app).replace("\\", "")


@pytest.mark.parametrize("lang", ["es", "en"])
@pytest.mark.parametrize("part", list(PARTS))
def test_every_part_opens_with_a_result(open_app: OpenApp, lang: str, part: str) -> None:
    app = open_app("embeddings", lang=lang, part=part)
    assert app.title[0].value == "Embeddings"
    assert not app.warning and not app.error
    assert SAID[part][lang == "es"] in plain(app)
    assert bool(app.get("plotly_chart")) == (part != "batch")
    assert len(app.get("download_button")) >= 1 and app.code, "files, the link and the code"


def test_the_sum_shows_its_numbers_and_the_token_of_the_link(open_app: OpenApp) -> None:
    app = open_app("embeddings", lang="es", model="minilm", text="The cat sees a cat.", second="", token="2")
    assert "«cat» está 2 veces" in plain(app)
    assert any("vector_sum" in item.proto.component_name for item in app.get("bidi_component"))
    app.button(key="em_to_neighbours").click().run()
    assert app.session_state["em_part"] == "neighbours" and "Vecinos de «cat»" in plain(app)


def test_an_example_opens_its_part_and_fills_it(open_app: OpenApp) -> None:
    app = open_app("embeddings", lang="es", example="light-en")
    assert app.session_state["em_part"] == "contexts" and widget(app, "text_input", "em_word").value == "light"
    assert "| luz" in widget(app, "text_area", "em_lines").value
    widget(app, "selectbox", "em_example_choice").select("monday-en").run()
    assert app.session_state["em_part"] == "neighbours" and widget(app, "text_input", "em_piece").value == "monday"
    assert "example" not in app.query_params


def test_examples_without_a_model_of_their_language_are_not_offered(open_app: OpenApp) -> None:
    from core.ui.embeddings.models import here

    options = widget(open_app("embeddings", lang="es"), "selectbox", "em_example_choice").options
    assert any("«bank»" in option for option in options)
    assert any("«banco»" in option for option in options) == any("es" in item.languages for item in here())


def test_a_link_opens_the_very_view(open_app: OpenApp) -> None:
    lines = "I sat on the bank. | seat\nThe bank lends money. | money\nA bank of sand. | seat\nMy bank called. | money"
    query = {"part": "contexts", "word": "bank", "lines": lines, "layer": "3", "points": "all", "dimensions": "3"}
    app = open_app("embeddings", lang="en", **query)
    again = dict(app.query_params.items())
    for name, value in query.items():
        assert again[name] == value, name
    assert again["model"] == "minilm" and app.session_state["em_layer"] == 3
    assert "no meaning given" not in plain(app) and not app.warning


@pytest.mark.parametrize(
    "query",
    [
        {"part": "nothing"},
        {"layer": "999", "part": "contexts"},
        {"layer": "-1", "part": "contexts"},
        {"token": "500"},
        {"count": "7", "anchor": "9999", "part": "positions"},
        {"anchor": "500", "count": "32", "part": "positions"},
        {"pick": "99", "part": "neighbours"},
        {"measure": "<b>", "part": "neighbours"},
        {"model": "nobody"},
        {"example": "nobody"},
        {"pair": "ZZ", "part": "cosine"},
        {"seed": "99999999", "method": "tsne", "part": "contexts"},
    ],
)
def test_a_broken_link_opens_the_page(open_app: OpenApp, query: dict[str, str]) -> None:
    app = open_app("embeddings", lang="es", **query)
    assert not app.error and not app.warning and not app.exception


@pytest.mark.parametrize(
    ("part", "kind", "key", "value", "said"),
    [
        ("sum", "text_area", "em_text", "  \n", "vacío"),
        ("sum", "text_area", "em_text", "dog " * 600, "tokens"),
        ("neighbours", "text_input", "em_piece", "   ", "vacío"),
        ("contexts", "text_input", "em_word", "", "Escribe la palabra"),
        ("contexts", "text_input", "em_word", "banks", "1, 2, 3, 4, 5, 6, 7, 8"),
        ("contexts", "text_area", "em_lines", "The bank.", "al menos dos"),
        ("contexts", "text_area", "em_lines", "The bank.\n" * 30, "30 frases"),
        ("sentences", "text_area", "em_pairs", "a | b\nc", "en estas líneas: 2"),
        ("sentences", "text_area", "em_pairs", "a | b", "al menos tres parejas"),
        ("cosine", "text_input", "em_vector_a", "uno dos", "«uno» no es un número"),
        ("cosine", "text_input", "em_vector_b", "1 2 3", "mismas dimensiones"),
        ("cosine", "text_input", "em_vector_c", "1 2 3 4 5", "tiene 5 números"),
        ("batch", "text_area", "em_batch", "", "vacío"),
        ("batch", "text_area", "em_batch", "a\n" * 9, "9 frases"),
    ],
)
def test_bad_input_is_answered_with_a_sentence_and_kept(
    open_app: OpenApp, part: str, kind: str, key: str, value: str, said: str
) -> None:
    app = open_app("embeddings", lang="es", part=part)
    widget(app, kind, key).set_value(value).run()
    assert not app.error and not app.exception
    assert [said in item.value.replace("\\", "") for item in app.warning] == [True]
    assert widget(app, kind, key).value == value


def test_a_vector_of_zeros_has_no_cosine_and_the_others_do(open_app: OpenApp) -> None:
    app = open_app("embeddings", lang="es", part="cosine", a="0 0", b="1 2", c="2 1")
    assert len(app.warning) >= 2 and all("ceros" in item.value for item in app.warning)
    assert not app.error and len(app.dataframe[0].value) == 1


@pytest.mark.parametrize("text", ["<script>alert(1)</script> **b** $x$", "😀😀 ñ", "[CLS] [SEP] [MASK] ##", "a"])
def test_strange_texts(open_app: OpenApp, text: str) -> None:
    for part, kind, key in (("sum", "text_area", "em_text"), ("neighbours", "text_input", "em_piece")):
        app = open_app("embeddings", lang="es", part=part)
        widget(app, kind, key).set_value(text).run()
        assert not app.error and not app.exception and not app.warning
        for item in app.markdown:
            assert "<script>" not in item.value or "<style>" in item.value


def test_static_vectors_are_one_point_and_that_is_said(open_app: OpenApp) -> None:
    app = open_app("embeddings", lang="es", part="contexts")
    app.select_slider[0].set_value(0).run()
    assert "son todos el mismo punto" in plain(app) and not app.warning
    assert "No mira la frase" in plain(app)


def test_tsne_is_named_with_what_it_cannot_say(open_app: OpenApp) -> None:
    app = open_app("embeddings", lang="es", part="contexts", method="tsne")
    assert "no significan nada" in plain(app) and "perplejidad" in plain(app)
    assert "varianza" not in plain(app)
    app = open_app("embeddings", lang="es", part="contexts", method="tsne", word="a", lines="a b\na c\na d")
    assert ["cinco puntos" in item.value for item in app.warning] == [True]


@pytest.fixture
def references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A random Llama under TinyStories' name."""
    write_decoder(tmp_path / entry("tinystories").id)
    monkeypatch.setenv("TALLER_MODELS_DIR", str(tmp_path))
    get_settings.cache_clear()


@pytest.mark.parametrize("part", [part for part in PARTS if part != "cosine"])
def test_a_decoder_says_what_it_lacks(open_app: OpenApp, references: None, part: str) -> None:
    query = {"word": "gato", "lines": "Un gato.\nEl gato come.\nMi gato."} if part == "contexts" else {}
    app = open_app("embeddings", lang="es", part=part, model="tinystories", piece="El", **query)
    shown = plain(app)
    assert not app.error and not app.warning and not app.exception
    wanted = {
        "sum": "no tiene vectores de segmento",
        "positions": "gira las consultas y las claves",
        "contexts": "solo ha visto lo que va antes",
        "sentences": "",
        "batch": "solo mira hacia atrás",
        "neighbours": "Vecinos de «El»",
    }
    assert wanted[part] in shown or wanted[part] in " ".join(item.value for item in app.info)


def test_a_model_that_is_not_here_is_replaced_and_that_is_said(open_app: OpenApp) -> None:
    app = open_app("embeddings", lang="es", model="gpt2", text="The cat sleeps.")
    assert widget(app, "selectbox", "em_model").value == "minilm"
    assert any("GPT" in item.value and "no está en este equipo" in item.value for item in app.info)


def test_without_any_model_the_page_says_where_to_get_one_and_cosine_still_works(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.ui.embeddings import models

    monkeypatch.setattr(models, "here", lambda: [])
    assert "Ningún modelo de este equipo tiene embeddings" in plain(open_app("embeddings", lang="es"))
    app = open_app("embeddings", lang="es", part="cosine")
    assert "Ningún modelo de este equipo tiene embeddings" not in plain(app) and "Pitágoras" in plain(app)


NO_TORCH = """
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=60)
app.query_params["part"] = "cosine"
app.run()
app.switch_page("pages/embeddings.py")
app.query_params["part"] = "cosine"
app.run()
assert not app.exception and app.title[0].value == "Embeddings", app.exception
print([name for name in ("torch", "transformers", "sklearn") if name in sys.modules])
"""


def test_no_torch_until_a_model_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_TORCH], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


LIGHTEST = {
    "embeddings": {"part": "cosine"},
    "attention": {"part": "evidence"},
    "inside": {"view": "race"},
    "finetuning": {"view": "runs"},
    "tasks": {"task": "translation"},
}


@pytest.mark.parametrize(
    ("page", "lang"),
    [
        *((page, lang) for page in ("embeddings", "attention", "tokenization", "timeline") for lang in ("es", "en")),
        ("inside", "es"),
        ("concepts", "en"),
        ("finetuning", "en"),
        ("tasks", "es"),
        *((page, lang) for page in ("home", "system") for lang in ("es", "en")),
    ],
)
def test_for_the_classroom(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, page: str, lang: str) -> None:
    if page == "tasks":
        # As if somebody had taken the models out of the image: the lesson has to say so.
        monkeypatch.setattr("core.runtime.loading.embedded_folder", lambda _entry: None)
    app = open_app(page, lang=lang, **LIGHTEST.get(page, {}))
    names = {"es": "Para el aula", "en": "For the classroom"}
    assert names[lang] in [item.label for item in app.expander]
    begins = {"es": "minuto 0 a", "en": "minute 0 to"}[lang]
    assert begins not in plain(app), "folded, it costs nothing"
    app.session_state[f"class_open_{page}"] = True
    app.run()
    assert begins in plain(app)
    switch = f"class_{page}"
    missing = {"es": "hace esta tarea todavía", "en": "does this task yet"}[lang]
    assert (missing in plain(app)) == (page == "tasks")
    # AppTest sends choices back by their names, and makes those in this process's language.
    set_language(lang)
    app.session_state[switch] = "questions"
    app.run()
    assert "**3. " in texts(app)
    app.session_state[switch] = "mistakes"
    app.run()
    assert {"es": "**Se suele decir:**", "en": "**It is often said:**"}[lang] in texts(app)
    app.session_state[switch] = "qr"
    app.run()
    assert not app.error and not app.exception
    assert len(app.get("image")) == 1
