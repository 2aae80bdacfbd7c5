"""The section "Datos" of Ajuste fino: three sources, columns to change, and a form that outlives its errors."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.i18n import set_language
from core.settings import get_settings
from core.training.data import DataSet, Labelled, Question, Tagged, tag_list
from core.training.ours import our_data
from core.training.reading import MAX_BYTES, build, guess_columns, read_upload
from core.ui.downloads import csv_bytes
from core.ui.tuning import upload
from core.ui.tuning.data_view import Shown, json_lines, label_title, table
from tests.conftest import ROOT
from tests.pages.conftest import texts as marked_up

DEMO = ROOT / "tests/browser/apps/data_demo.py"
ROWS = [(f"Me encantó la obra número {n}", "bueno") for n in range(12)]
ROWS += [(f"No volvería nunca al teatro {n}", "malo") for n in range(12)]
CSV = "texto;etiqueta\n" + "".join(f"{text};{label}\n" for text, label in ROWS)

OpenDemo = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("TALLER_OFFLINE", "1")
    monkeypatch.setenv("TALLER_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    st.cache_resource.clear()
    yield
    get_settings.cache_clear()
    st.cache_resource.clear()
    set_language("es")


@pytest.fixture
def demo() -> OpenDemo:
    def open_(task: str = "classification", **query: str) -> AppTest:
        app = AppTest.from_file(str(DEMO), default_timeout=60)
        for name, value in {"task": task, "lang": "es", **query}.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception
        return app

    return open_


def choose(app: AppTest, source: str) -> AppTest:
    app.segmented_control(key="td_source").set_value(source).run()
    assert not app.exception
    return app


def give(app: AppTest, name: str, data: bytes | str, place: int = 0) -> AppTest:
    content = data.encode() if isinstance(data, str) else data
    app.get("file_uploader")[place].upload(name, content, "text/csv").run()
    assert not app.exception
    return app


def texts(app: AppTest) -> str:
    """Everything on the page as a person reads it, without the marks that keep Markdown from reading it."""
    return marked_up(app).replace("\\", "")


def made(app: AppTest) -> str:
    """What the demo wrote below the section."""
    return str(app.text[-1].value)


@pytest.mark.parametrize("lang", ["es", "en"])
@pytest.mark.parametrize("task", ["classification", "entities", "questions"])
def test_our_sets_are_there_at_once(demo: OpenDemo, task: str, lang: str) -> None:
    app = demo(task, lang=lang)
    data = our_data(task, lang)
    assert made(app) == f"train={len(data.train)} test={len(data.test)} labels={len(data.labels)} language={lang}"
    assert str(len(data.train)) in texts(app)
    assert not app.warning
    other = "en" if lang == "es" else "es"
    set_language(lang)  # AppTest finds an option by its words, in the language of the test
    app.segmented_control(key="td_language").set_value(other).run()
    assert made(app).endswith(f"language={other}")


def test_a_link_opens_the_set_it_names(demo: OpenDemo) -> None:
    assert made(demo("classification", dl="en")).endswith("language=en")
    assert "CC0" in texts(demo("entities", data="snips"))
    # A file stays where it is: the link opens the uploader.
    assert made(demo("classification", data="upload")) == "no data"
    # Questions have no SNIPS: the link opens ours.
    assert made(demo("questions", data="snips")).startswith("train=")


def test_a_file_is_read_and_its_columns_can_be_changed(demo: OpenDemo) -> None:
    app = choose(demo(), "upload")
    assert made(app) == "no data"
    give(app, "datos.csv", CSV)
    assert made(app) == "train=20 test=4 labels=2 language=es"
    boxes = {box.label: box for box in app.selectbox}
    assert (boxes["Texto"].value, boxes["Etiqueta"].value) == ("texto", "etiqueta")
    boxes["Etiqueta"].set_value("texto").run()
    assert made(app) == "no data" and "elegida para dos cosas" in texts(app)
    {box.label: box for box in app.selectbox}["Etiqueta"].set_value("etiqueta").run()
    assert made(app).startswith("train=20")
    app.selectbox(key="td_share").set_value(50).run()
    assert made(app).startswith("train=12 test=12")


def test_a_bad_row_keeps_the_form_and_can_be_left_out(demo: OpenDemo) -> None:
    app = give(choose(demo(), "upload"), "datos.csv", (CSV + ";malo\n").encode("cp1252"))
    assert "Fila 26: el texto está vacío" in texts(app)
    assert made(app) == "no data"
    assert {box.label for box in app.selectbox} >= {"Texto", "Etiqueta"}
    app.toggle(key="td_leave_out").set_value(True).run()
    assert made(app).startswith("train=20 test=4")
    assert "1 de 25" in texts(app) and "Windows-1252" in texts(app)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("bomba.csv", b"PK\x03\x04" + bytes(100), "ZIP"),
        ("una.csv", "texto,etiqueta\nhola,a\n", "1 ejemplo"),
        ("clase.csv", CSV.replace("malo", "bueno"), "misma etiqueta"),
        ("sola.csv", "texto\n" + "una frase\n" * 5, "no hay columna para"),
        ("roto.json", "[{]", "no es JSON"),
        ("vacio.csv", b"", "vacío"),
    ],
)
def test_what_can_not_be_used_is_told_and_another_file_goes_on(
    demo: OpenDemo, name: str, data: bytes | str, words: str
) -> None:
    app = give(choose(demo(), "upload"), name, data)
    assert words in texts(app)
    assert made(app) == "no data"
    assert made(give(app, "datos.csv", CSV)).startswith("train=20")


def test_a_file_that_is_too_large_is_not_read(demo: OpenDemo) -> None:
    app = give(choose(demo(), "upload"), "enorme.csv", b"a" * (MAX_BYTES + 1))
    assert "10,0 MiB" in texts(app)
    assert app.session_state[upload.FILE].data == b""


def test_a_test_file_of_its_own(demo: OpenDemo) -> None:
    app = give(choose(demo(), "upload"), "datos.csv", CSV)
    give(app, "prueba.csv", "texto;etiqueta\nQué gran noche;bueno\nQué horror;malo\n", place=1)
    assert made(app).startswith("train=24 test=2")
    give(app, "prueba.csv", "texto;etiqueta\nQué gran noche;bueno\nNi fu ni fa;regular\n", place=1)
    assert "solo están en la prueba: «regular»" in texts(app)


def test_the_file_is_kept_while_other_data_or_another_task_is_looked_at(demo: OpenDemo) -> None:
    app = give(choose(demo(), "upload"), "datos.csv", CSV)
    choose(app, "ours")
    choose(app, "upload")
    assert made(app).startswith("train=20")
    assert "Sigo con «datos.csv»" in texts(app)
    app.button(key="td_file_forget").click().run()
    assert made(app) == "no data"


def test_leaks_and_copies_are_told(demo: OpenDemo) -> None:
    rows = (
        "".join(f"{text};{label};train\n" for text, label in ROWS)
        + f"{ROWS[0][0]}!;bueno;test\n{ROWS[12][0]};malo;test\n"
    )
    app = give(choose(demo(), "upload"), "datos.csv", "texto;etiqueta;split\n" + rows + f"{ROWS[1][0]};bueno;train\n")
    said = "\n".join(str(warning.value) for warning in app.warning)
    assert "2 de 2 ejemplos de prueba" in said and "1 de 25 ejemplos repite otro" in said


def test_snips_that_is_not_here_says_what_it_is_and_does_not_touch_the_network(demo: OpenDemo) -> None:
    app = demo("classification", data="snips")
    assert made(app) == "no data"
    assert "14\u202f484" in texts(app) and "sin conexión" in texts(app)


def test_snips_that_is_here(demo: OpenDemo, tmp_path: Path) -> None:
    folder = tmp_path / "data/snips"
    folder.mkdir(parents=True)
    for part, count in (("train", 700), ("validation", 6)):
        lines = (
            json.dumps({"text": f"play {n}", "intent": ("PlayMusic", "RateBook")[n % 2], "slots": [["track", 5, 6]]})
            for n in range(count)
        )
        (folder / f"{part}.jsonl").write_text("\n".join(lines))
    app = demo("classification", data="snips", snips="500")
    assert made(app) == "train=500 test=6 labels=2 language=en"
    app.selectbox(key="td_snips").set_value(2000).run()
    assert made(app).startswith("train=700")


@pytest.mark.parametrize("source", ["ours", "upload"])
def test_the_code_loads_the_same_set(demo: OpenDemo, source: str, tmp_path: Path) -> None:
    app = demo()
    if source == "upload":
        give(choose(app, "upload"), "datos.csv", CSV)
        (tmp_path / "datos.csv").write_text(CSV, encoding="utf-8")
    code = str(app.code[-1].value) + "\nprint(len(data.train), len(data.test), data.labels)\n"
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    train, test, _labels = ran.stdout.split(" ", 2)
    assert made(app).startswith(f"train={train} test={test}")


# --- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["classification", "entities", "questions"])
def test_files_that_are_taken_home_are_read_as_the_same_set(task) -> None:
    data = our_data(task, "es")
    for name, content in (("data.csv", csv_bytes(*table(data))), ("data.jsonl", json_lines(data))):
        records = read_upload(content, name)
        again = build(task, records, guess_columns(task, records)).data
        assert len(again.train) == len(data.train) and len(again.test) == len(data.test)
        if name == "data.jsonl" and task != "classification":
            assert (again.train, again.test, again.labels) == (data.train, data.test, data.labels)
        if task == "classification":
            texts_of = [(e.text, again.labels[e.label]) for e in again.train if isinstance(e, Labelled)]
            assert texts_of == [(e.text, data.labels[e.label]) for e in data.train if isinstance(e, Labelled)]
        if task == "questions":
            first = [e for e in again.train if isinstance(e, Question)]
            assert [e.answers[:1] for e in first] == [e.answers[:1] for e in data.train if isinstance(e, Question)]
        if task == "entities":
            assert again.train == data.train


def test_no_cell_of_a_file_is_run_as_a_formula() -> None:
    train = (Labelled("=1+1", 0), Labelled("@SUM(A1)", 1))
    data = DataSet("classification", "x", "es", "x", "", train, train, ("+a", "-b"))
    rows = list(csv.reader(io.StringIO(csv_bytes(*table(data)).decode("utf-8-sig"))))
    assert [row[:2] for row in rows[1:3]] == [["'=1+1", "'+a"], ["'@SUM(A1)", "'-b"]]
    assert json.loads(json_lines(data).splitlines()[0])["text"] == "=1+1"


def test_labels_have_names_in_both_languages() -> None:
    assert (label_title("rate_book"), label_title("answered"), label_title("mío")) == (
        "puntuar un libro",
        "con respuesta",
        "mío",
    )
    set_language("en")
    assert (label_title("rate_book"), label_title("unanswered")) == ("rate a book", "without answer")
    sentence = Tagged(("Ana", "va"), ("B-PER", "O"))
    shown = Shown.of(DataSet("entities", "x", "es", "", "", (sentence,), (sentence,), tag_list(["PER"])), key="x")
    assert shown.counts == {"PER": (1, 1)}
