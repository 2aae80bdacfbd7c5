"""Línea de tiempo: both languages, filters, paths, links to events, bad links, files, and no torch."""

import csv
import io
import json
import subprocess
import sys
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.course.timeline import event, events, tours
from core.ui.timeline.events import code, table, whole
from core.ui.timeline.form import STATE
from tests.conftest import ROOT
from tests.pages.conftest import OpenApp, texts


def axis(app: AppTest) -> dict[str, Any]:
    """What the time axis was given."""
    sent = [str(view.proto.json) for view in app.get("bidi_component")]
    found: dict[str, Any] = next(json.loads(text) for text in sent if '"marks"' in text)
    return found


@pytest.mark.parametrize(
    ("lang", "title", "words"),
    [("es", "Línea de tiempo", "Toca un hecho"), ("en", "Timeline", "Tap an event")],
)
@pytest.mark.parametrize("view", ["events", "sizes", "compute"])
def test_views_in_both_languages(open_app: OpenApp, lang: str, title: str, words: str, view: str) -> None:
    app = open_app("timeline", lang=lang, view=view)
    assert app.title[0].value == title
    assert words in texts(app)
    assert not app.error
    if view == "events":
        assert len(axis(app)["marks"]) == len(events())
    else:
        plot = json.loads(app.get("plotly_chart")[0].proto.spec)
        assert plot["layout"]["yaxis"]["type"] == "log"


def test_a_link_opens_the_card_of_its_event(open_app: OpenApp) -> None:
    app = open_app("timeline", lang="es", event="bert-2018")
    shown = texts(app)
    assert "## BERT" in shown and "11 de octubre de 2018" in shown
    assert "Se suele decir:" in shown and "144 capas" in shown and "12 capas con 12 cabezas" in shown
    assert "https://arxiv.org/abs/1810.04805" in shown
    assert "110 millones" in shown
    links = [link.proto for link in app.get("page_link")]
    assert any(link.page == "tasks" and "task=fill-mask" in link.query_string for link in links)
    english = texts(open_app("timeline", lang="en", event="bert-2018"))
    assert "11 October 2018" in english and "It is often said:" in english and "110 million" in english


def test_next_and_previous_step_through_what_the_filters_leave(open_app: OpenApp) -> None:
    app = open_app("timeline", lang="es", search="márkov", event="markov-cadenas-1906")
    assert app.button(key="tl_previous").disabled
    app.button(key="tl_next").click().run()
    assert app.selectbox(key="tl_event").value == "markov-onegin-1913"
    assert app.button(key="tl_next").disabled
    assert "**2** de 86 hechos" in texts(app)
    app.button(key="tl_clear").click().run()
    assert app.text_input(key="tl_search").value == ""
    assert "de 86 hechos" not in texts(app)
    assert app.selectbox(key="tl_event").value == "markov-onegin-1913"


def test_filters_by_category_language_and_person(open_app: OpenApp) -> None:
    app = open_app("timeline", lang="es")
    app.multiselect(key="tl_category").set_value(["spanish"]).run()
    app.selectbox(key="tl_about").set_value("es").run()
    app.selectbox(key="tl_person").set_value("José Cañete").run()
    assert "**2** de 86 hechos" in texts(app)
    assert [mark[0] for mark in axis(app)["marks"]] == ["beto-2019", "albeto-2022"]
    assert app.query_params["person"] == "José Cañete"


def test_nothing_found_says_so_and_keeps_what_was_typed(open_app: OpenApp) -> None:
    app = open_app("timeline", lang="es", search="<b>zzzz</b> **x**")
    assert "Ningún hecho cumple todo eso" in texts(app)
    assert app.text_input(key="tl_search").value == "<b>zzzz</b> **x**"
    assert not app.error


@pytest.mark.parametrize("tour", list(tours()))
def test_a_path_goes_to_its_end_and_leads_to_a_page(open_app: OpenApp, tour: str) -> None:
    stops = tours()[tour].stops
    app = open_app("timeline", lang="es", tour=tour)
    for number, stop in enumerate(stops, 1):
        shown = texts(app)
        assert f"## {event(stop.event).titles['es']}" in shown.replace("\\", "")
        assert app.button(key="tl_tour_next").disabled == (number == len(stops))
        if number < len(stops):
            app.button(key="tl_tour_next").click().run()
    assert app.success[0].value.replace("\\", "") == tours()[tour].ending["es"]
    assert app.get("page_link")
    assert app.query_params["stop"] == str(len(stops))
    app.button(key="tl_tour_previous").click().run()
    assert not app.success
    app.button(key="tl_tour_leave").click().run()
    assert not app.get("progress") and "tour" not in app.query_params


@pytest.mark.parametrize(
    "query",
    [
        {"event": "nothing"},
        {"view": "x"},
        {"stop": "999", "tour": "attention"},
        {"stop": "-1", "tour": "attention"},
        {"tour": "x"},
        {"category": "x,y"},
        {"about": "xx"},
        {"person": "Nobody"},
        {"even": "7"},
        {"search": "~zAAAA"},
    ],
)
def test_a_link_that_makes_no_sense_opens_a_page(open_app: OpenApp, query: dict[str, str]) -> None:
    app = open_app("timeline", lang="es", **query)
    assert app.title[0].value == "Línea de tiempo"
    assert not app.error and not app.exception


def test_files_hold_every_event_with_its_source() -> None:
    rows = list(csv.DictReader(io.StringIO(table(events()).decode("utf-8-sig"))))
    assert len(rows) == len(events()) and all(row["url"].startswith("https://") for row in rows)
    data = json.loads(whole([event("beto-2019")]))
    assert data[0]["title"]["en"] and data[0]["models"][0]["parameters"] == 110_000_000


def test_the_code_prints_what_the_page_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {param.key: param.default for param in STATE.params} | {"tl_search": "atención 'x\" márkov"}
    monkeypatch.setattr("core.ui.timeline.events.st.session_state", state)
    done = subprocess.run([sys.executable, "-c", code()], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    state["tl_search"], state["tl_category"] = "Márkov", ["statistics"]
    done = subprocess.run([sys.executable, "-c", code()], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("1913-02-05 · Márkov cuenta letras")


def test_the_page_imports_neither_torch_nor_transformers() -> None:
    program = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "from core.ui import resources\n"
        "resources._WARM_UP_DELAY_S = 3600\n"
        "app = AppTest.from_file('app.py', default_timeout=60).run()\n"
        "app.query_params['event'] = 'bert-2018'\n"
        "app.switch_page('pages/timeline.py').run()\n"
        "assert app.title[0].value == 'Línea de tiempo', app\n"
        "assert not app.exception and not app.error\n"
        "loaded = {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
