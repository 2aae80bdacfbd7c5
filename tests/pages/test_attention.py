"""The Atención page on the model that ships, and on small random ones under the names of references."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog import entry
from core.settings import get_settings
from core.ui.attention_page.state import PARTS
from tests.pages.conftest import OpenApp, texts
from tests.runtime.models import write_model
from tests.tasks.causal import write_decoder

PAIR = {"text": "The cat sleeps.", "second": "A small cat is sleeping."}


def select(app: AppTest, key: str) -> Any:
    return next(item for item in app.selectbox if item.key == key)


def area(app: AppTest, key: str) -> Any:
    return next(item for item in app.text_area if item.key == key)


def press(app: AppTest, key: str) -> None:
    next(item for item in app.button if item.key == key).click().run()


def drawings(app: AppTest) -> list[Any]:
    return [item for item in app.get("bidi_component") if "drawing" in item.proto.id]


def charts(app: AppTest) -> list[Any]:
    return list(app.get("plotly_chart"))


@pytest.mark.parametrize("lang", ["es", "en"])
def test_it_opens_on_a_sentence_with_a_drawing_captions_and_the_test_beside_it(open_app: OpenApp, lang: str) -> None:
    app = open_app("attention", lang=lang)
    shown = texts(app)
    assert app.title[0].value == {"es": "Atención", "en": "Attention"}[lang]
    assert not app.warning and not app.error
    assert len(drawings(app)) == 1
    number = {"es": "0,778", "en": "0.778"}[lang]
    assert number in shown.replace("\\", ""), "the weight of the pair that is chosen"
    assert "arxiv.org/abs/1902.10186" in shown and "arxiv.org/abs/1908.04626" in shown
    assert {"es": "Sumidero", "en": "Attention sink"}[lang] in shown and "CLS" in shown
    assert {"es": "τ de Kendall", "en": "Kendall’s τ"}[lang] in shown
    assert charts(app)


@pytest.mark.parametrize("lang", ["es", "en"])
@pytest.mark.parametrize("part", [part for part in PARTS if part != "look"])
def test_the_other_parts_open(open_app: OpenApp, lang: str, part: str) -> None:
    app = open_app("attention", lang=lang, part=part)
    assert not app.warning and not app.error
    assert app.query_params["part"] == part
    assert bool(charts(app)) == (part in ("find", "map"))


def test_an_example_sets_text_layer_head_view_and_tokens(open_app: OpenApp) -> None:
    app = open_app("attention", lang="es", example="pronoun-en")
    assert area(app, "at_text").value.startswith("The girl")
    state = app.session_state
    assert (state["at_view"], state["at_layer"], state["at_heads"]) == ("head", 2, (4,))
    assert "0,718" in texts(app), "from she to girl"
    assert select(app, "at_hide_row").value == 9 and select(app, "at_hide_column").value == 2
    select(app, "at_example_choice").select("negation-en").run()
    assert area(app, "at_text").value.startswith("I did not")
    assert app.session_state["at_layer"] == 2 and app.session_state["at_heads"] == (1,)


def test_examples_of_models_that_are_not_here_are_not_offered(open_app: OpenApp) -> None:
    offered = select(open_app("attention", lang="es"), "at_example_choice").options
    assert any("Pronombre: ¿quién es «she»?" in option for option in offered)
    if "mini-beto" not in {key for key in ("mini-beto",) if _is_here(key)}:
        assert not any("«ella»" in option for option in offered)


def _is_here(key: str) -> bool:
    from core.catalog import entries
    from core.runtime.loading import locate_model

    return key in entries() and locate_model(entry(key), get_settings()) is not None


def test_a_link_opens_the_very_view(open_app: OpenApp) -> None:
    app = open_app(
        "attention",
        lang="es",
        **PAIR,
        view="matrix",
        layer="2",
        heads="9",
        row="2",
        column="7",
        words="1",
        weights="norms",
    )
    state = app.session_state
    assert (state["at_view"], state["at_layer"], state["at_heads"]) == ("matrix", 2, (9,))
    assert state["at_words"] is True and state["at_form"] == "norms"
    again = dict(app.query_params.items())
    assert again["text"] == PAIR["text"] and again["second"] == PAIR["second"] and again["model"] == "minilm"
    assert (again["row"], again["column"], again["weights"]) == ("2", "7", "norms")


@pytest.mark.parametrize(
    "query",
    [
        {"layer": "99", "heads": "77", "row": "500", "column": "-3"},
        {"layer": "-4"},
        {"heads": "x"},
        {"view": "<b>"},
        {"model": "nobody/nothing"},
        {"kind": "cross"},
        {"from": "999", "to": "-9", "part": "find"},
        {"example": "nobody"},
        {"part": "compare", "versus": "minilm"},
        {"lines": "ab"},
        {"lines": "<b>"},
    ],
)
def test_a_broken_link_opens_the_page(open_app: OpenApp, query: dict[str, str]) -> None:
    app = open_app("attention", lang="es", **query)
    assert not app.error and not app.warning


@pytest.mark.parametrize("form", ["norms", "mean", "rollout"])
@pytest.mark.parametrize("special", ["keep", "hide", "rescale"])
def test_every_form_of_the_weights(open_app: OpenApp, form: str, special: str) -> None:
    app = open_app("attention", lang="es", **PAIR, weights=form, special=special, words="1")
    assert not app.error and not app.warning and len(drawings(app)) == 1
    assert ("sin reescalar: cada fila" in texts(app)) == (special == "hide")


def test_hiding_in_one_head_only(open_app: OpenApp) -> None:
    app = open_app("attention", lang="es", example="agreement-en")
    everywhere = texts(app)
    app.radio[0].set_value("head").run()
    assert not app.error and not app.exception
    assert texts(app) != everywhere and "Capa 4, cabeza 2" in texts(app)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"text": "   \n"}, "el texto está vacío"),
        ({"text": "dog " * 600}, "602 tokens"),
        ({"text": "dog " * 300, "second": "cat " * 300}, "Los dos textos suman 603 tokens"),
    ],
)
@pytest.mark.parametrize("part", ["look", "find", "compare"])
def test_bad_texts_are_answered_with_a_sentence_and_kept(
    open_app: OpenApp, query: dict[str, str], words: str, part: str
) -> None:
    app = open_app("attention", lang="es", part=part)
    area(app, "at_text").set_value(query["text"])
    area(app, "at_second").set_value(query.get("second", ""))
    app.run()
    if part == "compare":
        assert not app.error, "nothing is compared yet"
        return
    assert [words in item.value for item in app.warning] == [True]
    assert not app.error and area(app, "at_text").value == query["text"]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script> <b>x</b>",
        "😀" * 512,
        "[CLS] [SEP] [MASK] ## </s>",
        "a",
        ".",
        "$x^2$ `c` **b** :red[r]",
    ],
)
def test_strange_texts(open_app: OpenApp, text: str) -> None:
    app = open_app("attention", lang="es")
    area(app, "at_text").set_value(text).run()
    assert not app.error and not app.exception and not app.warning
    assert len(drawings(app)) == 1
    for item in app.markdown:
        assert ("<script>" not in item.value and not item.allow_html) or "<style>" in item.value


def test_the_head_that_links_two_words_is_found_and_opened(open_app: OpenApp) -> None:
    app = open_app("attention", lang="es", text="The keys to the old cabinet are on the table.", part="find")
    select(app, "at_from").select(7).run()
    select(app, "at_to").select(2).run()
    assert "1. **Capa 4, cabeza 2**: 0,778" in texts(app)
    press(app, "at_find_open_1")
    assert app.session_state["at_part"] == "look" and app.session_state["at_layer"] == 3
    assert app.session_state["at_heads"] == (1,) and "0,778" in texts(app)


def test_the_map_opens_a_head(open_app: OpenApp) -> None:
    app = open_app("attention", lang="es", part="map", measure="previous")
    assert "24 frases" in texts(app)
    select(app, "at_map_head").select(2).run()
    assert "mira al token anterior\\: 0,9" in texts(app) or "mira al token anterior\\: 1,0" in texts(app)
    press(app, "at_map_open")
    assert (app.session_state["at_part"], app.session_state["at_heads"]) == ("look", (2,))


def test_a_comparison_whose_model_is_not_here_says_what_to_download(open_app: OpenApp) -> None:
    app = open_app("attention", lang="es", part="compare")
    suggested = [item for item in app.button if str(item.key).startswith("at_suggest_")]
    assert len(suggested) == 2
    app = open_app("attention", lang="es", part="compare", versus="gpt2")
    shown = texts(app).replace("\\", "")
    assert "GPT-2 no está en este equipo" in shown and "124 millones" in shown
    assert not drawings(app)


@pytest.fixture
def references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random models under the names of references."""
    write_model(tmp_path / entry("beto-cased").id, "MaskedLM", as_bin=True)
    write_decoder(tmp_path / entry("tinystories").id)
    monkeypatch.setenv("TALLER_MODELS_DIR", str(tmp_path))
    get_settings.cache_clear()


def test_full_beside_triangular(open_app: OpenApp, references: None) -> None:
    app = open_app("attention", lang="es", model="minilm", part="compare", versus="tinystories", text="The cat sleeps.")
    shown = texts(app)
    assert len(drawings(app)) == 2 and not app.warning
    assert "Completa: cada token ve toda la frase" in shown.replace("\\", "") and "Triangular" in shown


def test_one_side_that_can_not_read_it_does_not_spoil_the_other(open_app: OpenApp, references: None) -> None:
    app = open_app(
        "attention", lang="es", model="minilm", part="compare", versus="tinystories", text="The cat sleeps. " * 40
    )
    # The random decoder's positions end at 64; the page's limit for it is the catalogue's.
    assert len(drawings(app)) >= 1 and not app.exception


def test_a_spanish_text_gets_the_spanish_model_when_it_is_here(open_app: OpenApp, references: None) -> None:
    app = open_app("attention", lang="es", text="La niña no pudo abrir la puerta porque era muy pequeña.")
    assert select(app, "at_model").value == "beto-cased"
    assert "hueco" in texts(app), "a model with an MLM head predicts the hidden word"


def test_a_decoder_predicts_what_comes_next(open_app: OpenApp, references: None) -> None:
    app = open_app("attention", lang="es", model="tinystories", text="El perro y un gato.")
    assert "lo que vendría después de" in texts(app)
    assert len(charts(app)) == 2


def test_a_model_that_a_link_asks_for_and_is_not_here_is_replaced_and_that_is_said(open_app: OpenApp) -> None:
    app = open_app("attention", lang="es", model="gpt2", text="The cat sleeps.")
    assert select(app, "at_model").value == "minilm"
    assert any("GPT" in item.value and "no está en este equipo" in item.value for item in app.info)


def test_without_any_model_the_page_says_where_to_get_one(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.ui.attention_page import models

    monkeypatch.setattr(models, "here", lambda: [])
    app = open_app("attention", lang="es")
    assert "Ningún modelo de este equipo tiene atenciones" in texts(app)
    app = open_app("attention", lang="es", part="evidence")
    assert "No es evidencia" in texts(app)
