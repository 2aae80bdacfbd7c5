"""Glosario: both languages, search, links, every concept's card, and a model for every task."""

import csv
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from core.catalog import TASKS, entries, entry
from core.course.glossary import concept, concepts, find_concepts
from core.ui.concepts.choose import API_CODE, hub_code, local_code, suitable
from core.ui.concepts.form import STATE
from core.ui.concepts.glossary import code, table, whole
from core.ui.links import parse
from tests.conftest import ROOT
from tests.fresh import run_fresh
from tests.pages.conftest import OpenApp, texts


def run(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(
    ("lang", "title", "words"),
    [("es", "Glosario y conceptos", "**89** conceptos"), ("en", "Glossary and concepts", "**89** concepts")],
)
def test_the_glossary_in_both_languages(open_app: OpenApp, lang: str, title: str, words: str) -> None:
    app = open_app("concepts", lang=lang)
    assert app.title[0].value == title
    assert words in texts(app)
    assert "## " + {"es": "Cadena de Márkov", "en": "Markov chain"}[lang] in texts(app)
    assert app.get("latex") or "P(x_{t+1}" in str(app.main)
    app.button(key="con_every").click().run()
    assert texts(app).count("## ") == len(concepts())
    assert not app.error and not app.exception


def test_a_link_opens_one_concept_and_leads_to_where_it_is_seen(open_app: OpenApp) -> None:
    app = open_app("concepts", lang="es", concept="fertility")
    shown = texts(app)
    assert shown.count("## ") == 1 and "## Fertilidad" in shown
    assert "https://arxiv.org/abs/2012.15613" in shown
    links = [link.proto for link in app.get("page_link")]
    assert any(link.page == "tokenization" and "example=spanish-shattered" in link.query_string for link in links)


def test_search_finds_names_first_without_accents_and_says_when_nothing_is_found(open_app: OpenApp) -> None:
    assert find_concepts("ATENCION", "es")[0].id == "attention"
    assert {item.id for item in find_concepts("attention", "es")} >= {"self-attention", "cross-attention"}
    assert find_concepts("markov", "en")[0].id == "markov-chain"
    app = open_app("concepts", lang="es", search="fertilidad")
    assert "## Fertilidad" in texts(app)
    app.text_input(key="con_search").set_value("<b>zzz</b>").run()
    assert "Ningún concepto dice eso" in texts(app)
    assert app.text_input(key="con_search").value == "<b>zzz</b>"


@pytest.mark.parametrize(
    "query",
    [{"concept": "x"}, {"view": "x"}, {"task": "x"}, {"size": "7"}, {"licence": "x"}, {"model": "x"}, {"about": "fr"}],
)
def test_a_link_that_makes_no_sense_opens_a_page(open_app: OpenApp, query: dict[str, str]) -> None:
    for view in ("glossary", "choose"):
        app = open_app("concepts", lang="es", **{"view": view, **query})
        assert app.title[0].value == "Glosario y conceptos"
        assert not app.error and not app.exception


def test_files_and_code_hold_every_concept(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(csv.DictReader(io.StringIO(table(concepts()).decode("utf-8-sig"))))
    assert [row["id"] for row in rows] == [item.id for item in concepts()]
    assert json.loads(whole([concept("fertility")]))[0]["term"] == {"es": "Fertilidad", "en": "Fertility"}
    state = {param.key: param.default for param in STATE.params} | {"con_search": "fertilidad \"'"}
    monkeypatch.setattr("core.ui.concepts.glossary.st.session_state", state)
    assert run(code()) == ""
    state["con_search"] = "fertilidad"
    assert run(code()).startswith("Fertilidad · ")


# --- choosing a model -----------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["es", "en"])
@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_model_with_three_routes(open_app: OpenApp, task: str, lang: str) -> None:
    about = "en" if task in ("summarization",) else lang
    app = open_app("concepts", lang=lang, view="choose", task=task, about=about)
    assert not app.error and not app.exception
    assert len(app.dataframe[0].value) == len(suitable(task, about, 0, None)) >= 1
    assert len(app.tabs) == 3
    assert any("chat_completion" in block.value for block in app.code)


def test_conditions_narrow_and_what_is_here_comes_first() -> None:
    found = suitable("similarity", "en", 0, None)
    assert [item.key for item in found] == ["minilm", "mini-e5", "paraphrase-multi"]
    assert [item.key for item in suitable("similarity", "en", 25, None)] == ["minilm"]
    assert [item.key for item in suitable("similarity", "en", 0, "MIT")] == ["mini-e5"]
    assert suitable("similarity", "en", 25, "MIT") == []
    assert {item.licence for item in suitable("fill-mask", "es", 0, "MIT")} == {"MIT"}


def test_nothing_fits_and_the_page_says_so(open_app: OpenApp) -> None:
    app = open_app("concepts", lang="es", view="choose", task="next-sentence", about="es", licence="MIT")
    assert "Ningún modelo del catálogo cumple todo eso" in texts(app)
    assert app.selectbox(key="con_licence").value == "MIT"


@pytest.mark.parametrize("key", ["minilm", "sentiment-en", "wordpiece-es"])
def test_the_code_for_this_machine_runs(key: str) -> None:
    done = run_fresh(local_code(entry(key)))
    assert done.returncode == 0, done.stderr[-2000:]
    printed = done.stdout.strip().splitlines()[-1]
    if key == "wordpiece-es":
        assert "transform" in printed
    else:
        assert 22_000_000 < int(printed) < 24_000_000


def test_the_code_for_the_hub_names_a_class_there_is_and_the_models_id() -> None:
    import transformers

    for item in entries().values():
        if item.weights is not None and item.embedded is None:
            program = hub_code(item)
            compile(program, item.key, "exec")
            assert repr(item.id) in program
            name = program.split("import ")[1].split(",")[0]
            assert hasattr(transformers, name), name


@pytest.fixture
def chat_server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that speaks the protocol of chat APIs; yields its address and what it was asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append({"path": self.path, "key": self.headers["Authorization"], **body})
            reply = {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": body["model"],
                "system_fingerprint": "",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "length",
                        "message": {"role": "assistant", "content": f"{len(body['messages'])} messages"},
                    }
                ],
                "usage": {"prompt_tokens": 21, "completion_tokens": 2, "total_tokens": 23},
            }
            data = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", asked
    server.shutdown()
    server.server_close()


def test_the_four_steps_of_an_api_call_work(chat_server: tuple[str, list[dict[str, Any]]]) -> None:
    address, asked = chat_server
    environment = {"API_URL": address, "API_KEY": "secret", "API_MODEL": "some/model", "NO_PROXY": "127.0.0.1"}
    assert run(API_CODE, HF_HUB_OFFLINE="0", **environment).splitlines() == ["2 messages", "length 21 2"]
    (request,) = asked
    assert request["path"] == "/v1/chat/completions" and request["key"] == "Bearer secret"
    assert request["model"] == "some/model" and request["max_tokens"] == 100
    assert [message["role"] for message in request["messages"]] == ["system", "user"]


def test_the_pages_that_concepts_name_have_what_the_link_asks_for() -> None:
    from core.course.attention import attention_example
    from core.course.embeddings import embedding_example
    from core.course.examples import example
    from core.course.inside import inside_example
    from core.course.timeline import event, tours
    from core.ui.attention_page.state import PARTS as ATTENTION_PARTS
    from core.ui.embeddings.state import PARTS as EMBEDDINGS_PARTS
    from core.ui.inside.state import VIEWS as INSIDE_VIEWS
    from core.ui.system.form import VIEWS as SYSTEM_VIEWS
    from core.ui.tasks.registry import BY_SLUG
    from core.ui.tokenization.form import VIEWS as TOKENIZATION_VIEWS

    views = {
        "system": SYSTEM_VIEWS,
        "tokenization": TOKENIZATION_VIEWS,
        "timeline": ("events", "sizes", "compute"),
        "inside": INSIDE_VIEWS,
    }
    parts = {"attention": ATTENTION_PARTS, "embeddings": EMBEDDINGS_PARTS}
    known = {
        "attention": attention_example,
        "embeddings": embedding_example,
        "inside": inside_example,
        "tokenization": example,
    }
    for item in concepts():
        if item.see:
            page, query = parse(item.see)
            assert query.get("view") is None or query["view"] in views[page], item.see
            assert query.get("part") is None or query["part"] in parts[page], item.see
            assert query.get("task") is None or query["task"] in BY_SLUG, item.see
            assert query.get("tour") is None or query["tour"] in tours(), item.see
            if "example" in query:
                known[page](query["example"])
            if "event" in query:
                event(query["event"])


def test_the_page_imports_neither_torch_nor_transformers() -> None:
    run(
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "from core.ui import resources\n"
        "resources._WARM_UP_DELAY_S = 3600\n"
        "app = AppTest.from_file('app.py', default_timeout=60).run()\n"
        "for view in ('glossary', 'choose'):\n"
        "    app.query_params['view'] = view\n"
        "    app.switch_page('pages/concepts.py').run()\n"
        "    assert app.title[0].value == 'Glosario y conceptos', app\n"
        "    assert not app.exception and not app.error\n"
        "loaded = {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
