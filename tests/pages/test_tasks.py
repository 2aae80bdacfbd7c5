"""The Tareas page on the models that ship, and on small reference models in a folder.

AppTest formats the options of fields outside the page, in Spanish: pages that are used further are read in it.
"""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog import entry
from core.settings import get_settings
from core.ui.tasks.page import _COMMON, FIELD_NAMES
from core.ui.tasks.registry import CARDS
from tests.pages.conftest import OpenApp, texts
from tests.runtime.models import write_model
from tests.tasks.causal import write_decoder
from tests.tasks.translators import write_translator

# Tasks that the models which ship can do, in Spanish and in English.
HERE = (
    "fill-mask",
    "coreference",
    "sentiment",
    "entities",
    "summary",
    "zero-shot",
    "similarity",
    "next-sentence",
    "translation",
)
HERE_TOO = (("questions", "es"), ("questions", "en"))


def button(app: AppTest, end: str) -> Any:
    return next(item for item in app.button if str(item.key).endswith(end))


def field(app: AppTest, end: str) -> Any:
    return next(item for item in app.text_area if str(item.key).endswith(end))


@pytest.fixture
def references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random models with the right heads under the names of references."""
    write_model(tmp_path / entry("beto-cased").id, "MaskedLM", as_bin=True)
    write_model(tmp_path / entry("mbert").id, "PreTraining")
    monkeypatch.setenv("TALLER_MODELS_DIR", str(tmp_path))
    get_settings.cache_clear()


@pytest.mark.parametrize(("slug", "tl"), [*((slug, tl) for slug in HERE for tl in ("es", "en")), *HERE_TOO])
@pytest.mark.parametrize("lang", ["es", "en"])
def test_a_task_answers_as_soon_as_it_is_opened(open_app: OpenApp, slug: str, tl: str, lang: str) -> None:
    app = open_app("tasks", lang=lang, task=slug, tl=tl)
    shown = texts(app)
    assert app.title[0].value == {"es": "Tareas", "en": "Tasks"}[lang]
    assert not app.warning and not app.error
    assert ("modelo" if lang == "es" else "model") in shown and " ms" in shown.replace("\u00a0", " ").replace(
        "\u202f", " "
    )
    assert app.get("plotly_chart") or slug == "entities"


@pytest.mark.parametrize(("slug", "tl"), [("next-sentence", "es"), ("translation", "en")])
def test_without_a_model_the_form_stays_and_downloads_are_offered(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, slug: str, tl: str
) -> None:
    # As if somebody had taken the models out of the image.
    monkeypatch.setattr("core.runtime.loading.embedded_folder", lambda _entry: None)
    app = open_app("tasks", lang="es", task=slug, tl=tl)
    assert "Ningún modelo de este equipo" in texts(app)
    assert app.text_area, "what was typed stays"
    assert "millones de parámetros" in texts(app)


def test_every_field_may_stand_in_a_link() -> None:
    for card in CARDS:
        names = [field.name for field in card.view().fields]
        assert set(names) <= FIELD_NAMES and len(set(names)) == len(names), card.slug
    assert not FIELD_NAMES & _COMMON


@pytest.mark.parametrize("slug", HERE)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", {"similarity": "al menos dos frases", "": "el texto está vacío"}),
        ("   \n", {"similarity": "al menos dos frases", "": "el texto está vacío"}),
        ("x " * 25_001, {"similarity": "al menos dos frases", "": "aquí caben 50"}),
    ],
)
def test_bad_texts_are_answered_with_a_sentence_and_kept(
    open_app: OpenApp, slug: str, text: str, words: dict[str, str]
) -> None:
    app = open_app("tasks", lang="es", task=slug, tl="en")
    field(app, "_text").set_value(text)
    app.run()
    assert words.get(slug, words[""]) in texts(app).replace("\\", "")
    assert field(app, "_text").value == text
    assert not app.error


def test_markup_is_shown_letter_for_letter(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="zero-shot", tl="en")
    field(app, "_labels").set_value("<script>alert(1)</script>, **bold**")
    app.run()
    assert not app.error
    heading = next(item.value for item in app.markdown if item.value.startswith("### "))
    assert "<script>" not in heading and "**bold**" not in heading


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("solo una", "al menos dos etiquetas"),
        ("", "al menos dos etiquetas"),
        ("a, b, A", "repetidas"),
        (", ".join(f"etiqueta {n}" for n in range(500)), "Hay 500 etiquetas"),
    ],
)
def test_labels_that_make_no_sense(open_app: OpenApp, labels: str, words: str) -> None:
    app = open_app("tasks", lang="es", task="zero-shot", tl="en")
    field(app, "_labels").set_value(labels)
    app.run()
    assert words in texts(app).replace("\\", "")
    assert field(app, "_labels").value == labels


def test_a_text_in_another_language_gets_a_hint_and_an_answer(open_app: OpenApp) -> None:
    app = open_app(
        "tasks", lang="es", task="sentiment", tl="en", text="El camarero fue muy amable y la comida estaba rica."
    )
    assert "parece estar en español" in texts(app)
    assert app.get("plotly_chart")


def test_a_long_text_says_what_was_not_read(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="sentiment", tl="en")
    field(app, "_text").set_value("The food was good. " * 200 + "THE END")
    app.run()
    assert "se quedó sin leer desde" in texts(app)


def test_a_link_opens_task_text_and_model(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="en", task="zero-shot", tl="en", text="Rain on the coast.", labels="a, b")
    assert field(app, "_text").value == "Rain on the coast."
    assert field(app, "_labels").value == "a, b"
    assert dict(app.query_params)["task"] in ("zero-shot", ["zero-shot"])


def test_what_a_link_says_wrongly_is_left_out(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="en", task="nonsense", tl="fr", model="nobody", mode="x")
    assert app.session_state["tk_task"] == "sentiment"
    assert not app.exception and not app.error


def test_another_task_keeps_the_text_of_the_first(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="sentiment", tl="en")
    field(app, "_text").set_value("My own words, which I like.")
    app.run()
    app.session_state["tk_task"] = "entities"
    app.run()
    assert app.session_state["tk_task"] == "entities"
    assert app.query_params["task"] in ("entities", ["entities"])
    app.session_state["tk_task"] = "sentiment"
    app.run()
    assert field(app, "_text").value == "My own words, which I like."


def test_two_models_side_by_side(open_app: OpenApp, references: None) -> None:
    app = open_app("tasks", lang="es", task="fill-mask", tl="es", text="hola [MASK] .", versus="mbert")
    shown = texts(app)
    assert entry("beto-cased").name("es") in shown.replace("\\", "") and entry("mbert").name("es") in shown.replace(
        "\\", ""
    )
    assert len(app.get("plotly_chart")) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [("hola mundo", "Falta el hueco"), ("[MASK] " * 200, "200 huecos"), ("", "está vacío")],
)
def test_gaps_that_are_missing_or_too_many(open_app: OpenApp, references: None, text: str, words: str) -> None:
    app = open_app("tasks", lang="es", task="fill-mask", tl="es")
    field(app, "_text").set_value(text)
    app.run()
    assert words in texts(app).replace("\\", "")
    assert field(app, "_text").value == text


def test_next_sentence(open_app: OpenApp, references: None) -> None:
    app = open_app("tasks", lang="es", task="next-sentence", tl="es")
    assert "RoBERTa" in texts(app)
    field(app, "_second").set_value("")
    app.run()
    assert "está vacío" in texts(app)


def test_contrast_pairs_say_what_changed(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="sentiment", tl="en", mode="contrast")
    assert "Lo que más cambia de A a B" in texts(app)
    assert app.get("plotly_chart")
    field(app, "_pair_b").set_value(field(app, "_pair_a").value)
    app.run()
    assert "son iguales" in texts(app)


def test_many_rows_are_answered_and_can_be_downloaded(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="sentiment", tl="en", mode="batch")
    field(app, "_pasted").set_value("I love it.\nI hate it.\nI love it.\n<b>It opens at ten.</b>")
    app.run()
    button(app, "_batch_start").click().run(timeout=120)
    run = app.session_state["tk_sentiment_en_batch_run"]
    assert run.job.wait(120)
    app.run()
    (table,) = [frame.value for frame in app.dataframe if "negativo" in frame.value.columns]
    assert list(table.iloc[:, 1])[:3] == ["positivo", "negativo", "positivo"]
    assert table.iloc[3, 0] == "<b>It opens at ten.</b>"


def test_the_fields_of_a_task_are_there_in_its_other_views(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="zero-shot", tl="en", mode="batch", labels="rain, sun")
    assert field(app, "_labels").value == "rain, sun"
    app = open_app("tasks", lang="es", task="entities", tl="en", mode="contrast")
    assert any(str(item.key).endswith("_strategy") for item in app.get("button_group"))


def test_the_tags_of_words_are_chosen_together_or_each_by_itself(open_app: OpenApp) -> None:
    def order(app: AppTest) -> Any:
        return next(item for item in app.get("button_group") if str(item.key).endswith("_order"))

    app = open_app("tasks", lang="es", task="entities", tl="es")
    assert order(app).value == "sequence" and not order(app).disabled
    assert any("came.append" in item.value for item in app.code)
    app = open_app("tasks", lang="es", task="entities", tl="es", order="alone")
    assert order(app).value == "alone"
    assert any("order=alone" in item.value for item in app.code)
    assert not any("came.append" in item.value for item in app.code)
    # What keeps the tags of its pieces has none to choose.
    app = open_app("tasks", lang="es", task="entities", tl="es", strategy="simple")
    assert order(app).disabled


def test_a_contrast_pair_has_a_link_and_its_code(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="sentiment", tl="en", mode="contrast", a="It rains.", b="It pours.")
    assert field(app, "_pair_a").value == "It rains." and field(app, "_pair_b").value == "It pours."
    (link,) = [item.value for item in app.code if "mode=contrast" in item.value]
    assert "a=It+rains." in link and "b=It+pours." in link
    (program,) = [item.value for item in app.code if "from_pretrained" in item.value]
    assert "It rains." in program and "It pours." in program


def test_integrated_gradients_show_that_they_add_up(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="sentiment", tl="en", explain="both", text="I hate it.")
    shown = texts(app).replace("\\", "")
    assert "Oclusión" in shown and "Gradientes integrados" in shown and "completitud" in shown
    assert not app.error


def test_several_labels_need_a_model_of_entailment(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="zero-shot", tl="en", several="1")
    assert app.toggle[0].disabled
    assert "no implicación" in texts(app)


def test_several_labels_each_on_its_own(open_app: OpenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {0: "contradiction", 1: "neutral", 2: "entailment"}
    folder = write_model(tmp_path / entry("selectra-nli").id, "SequenceClassification", id2label=labels)
    (folder / "special_tokens_map.json").write_text("{}", encoding="utf-8")
    monkeypatch.setenv("TALLER_MODELS_DIR", str(tmp_path))
    get_settings.cache_clear()
    app = open_app("tasks", lang="es", task="zero-shot", tl="es", text="hola mundo", labels="el, mundo", several="1")
    assert not app.toggle[0].disabled and app.toggle[0].value
    assert "no suman 100" in texts(app)


def test_bert_beside_gpt_on_one_text(open_app: OpenApp, references: None, tmp_path: Path) -> None:
    folder = write_decoder(tmp_path / entry("tinystories").id)
    (folder / "special_tokens_map.json").write_text("{}", encoding="utf-8")
    app = open_app("tasks", lang="es", task="fill-mask", tl="es", text="hola [MASK] .", versus="tinystories")
    shown = texts(app)
    assert "Modelo causal" in shown and len(app.get("plotly_chart")) == 2
    app = open_app("tasks", lang="es", task="fill-mask", tl="es", text="[MASK] mundo", versus="tinystories")
    assert "aquí no hay nada antes" in texts(app)


def test_the_exam_of_next_sentences(open_app: OpenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.tasks.common import Timing
    from core.tasks.next_sentence import TASK, NextSentenceResult

    write_model(tmp_path / entry("mbert").id, "PreTraining")
    monkeypatch.setenv("TALLER_MODELS_DIR", str(tmp_path))
    get_settings.cache_clear()
    # The random model reads 32 tokens: whole sentences of its one-letter vocabulary would not fit.
    monkeypatch.setattr(
        type(TASK), "run", lambda _self, _bundle, rs: [NextSentenceResult(0.75, 9, Timing(0, 0, 0)) for _r in rs]
    )
    app = open_app("tasks", lang="es", task="next-sentence", tl="es")
    button(app, "_exam").click().run(timeout=60)
    assert "al azar: dice que sí en 8 de 8" in texts(app).replace("\\", "")
    assert any("pareja" in frame.value.columns and len(frame.value) == 24 for frame in app.dataframe)


def test_a_file_that_is_no_table_is_refused_in_words(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="sentiment", tl="en", mode="batch")
    app.get("file_uploader")[0].upload("hoja.xlsx", b"PK\x03\x04" + bytes(50), "application/octet-stream").run()
    assert "guárdala como CSV" in texts(app).replace("\\", "")


def test_a_summary_in_the_models_own_words(open_app: OpenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_translator(tmp_path / entry("t5-summary").id)
    folder, weights = tmp_path / entry("t5-summary").id, entry("t5-summary").weights
    assert weights is not None
    for name in weights.files:
        if "*" not in name and not (folder / name).exists():
            (folder / name).write_text("{}", encoding="utf-8")
    monkeypatch.setenv("TALLER_MODELS_DIR", str(tmp_path))
    get_settings.cache_clear()
    text = "The dog runs. It rains. The girl eats. An apple is red."
    app = open_app("tasks", lang="es", task="summary", tl="en", text=text, count="1")
    assert "Extraída" not in texts(app)
    button(app, "_written_go").click().run(timeout=120)
    shown = texts(app)
    assert "Extraída" in shown and "Escrita" in shown
    assert entry("t5-summary").name("es") in shown.replace("\\", "")


def test_an_answer_in_the_models_own_words(open_app: OpenApp) -> None:
    text = "El faro fue construido en 1871 con piedra de la isla."
    app = open_app("tasks", lang="es", task="questions", tl="es", text=text, question="¿Cuándo fue construido el faro?")
    button(app, "_written_go").click().run(timeout=120)
    assert not app.exception
    shown = texts(app).replace("\\", "")
    assert "Extraída" in shown and "Escrita" in shown and "de sus palabras están en el texto" in shown
    assert entry("writer-es").name("es") in shown
    assert [one.value for one in app.text].count("1871") == 2
    table = next(frame.value for frame in app.dataframe if list(frame.value) == ["pieza", "probabilidad"])
    assert "".join(table["pieza"]).replace("▁", "") == "1871" and table["probabilidad"].between(0, 1).all()
    assert any("Seq2SeqLM" in one.value or "EncoderDecoderModel" in one.value for one in app.code)


def test_without_a_model_that_writes_one_is_offered(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="summary", tl="en")
    assert "Ningún modelo de este equipo" in texts(app)
    assert entry("t5-summary").name("es") in texts(app).replace("\\", "")
