"""A model that a visitor has tuned, on the pages Tareas and Atención: theirs alone, and gone when they delete it."""

import secrets
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.training.data import DataSet
from core.training.run import RunFolder
from core.training.tuned import key_of
from core.training.tuning.request import TuningRequest
from core.training.worker import work
from core.ui.resources import model_pool
from tests.pages.conftest import OpenApp, go_to, texts
from tests.training import tiny

ME, STRANGER = secrets.token_hex(16), secrets.token_hex(16)
SETS = {"sentiment": tiny.colours, "entities": tiny.animals, "questions": tiny.where}
FIELDS = {
    "sentiment": {"text": "veo el gato"},
    "entities": {"text": "veo el gato"},
    "questions": {"question": "que ve luis ?", "text": "luis ve el gato . hay un rojo"},
}
ANSWER = {"sentiment": "### Animal", "entities": "### 1 entidad", "questions": "### «gato»"}
NOT_YOURS = "ya no está, o es de otra persona"


@pytest.fixture(autouse=True)
def machine(tuning_machine: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its queue starts no worker: the tests train by themselves."""
    monkeypatch.setattr("core.training.jobs.TrainingJobs.begin", lambda _self: None)
    # A model this small is only held up by a second thread.
    monkeypatch.setattr("core.training.tuning.tune.cores", lambda: 1)
    return tuning_machine


def trained(runs: Path, data: DataSet, epochs: int) -> RunFolder:
    """A run of mine that has really learnt."""
    request = TuningRequest(
        data.task, tiny.BASE, epochs=epochs, learning_rate=3e-3, batch=8, max_length=32, sentences=("veo el gato",)
    )
    run = RunFolder.create(runs / secrets.token_hex(8), request, data, name="clientes.csv · LoRA", owner=ME, place=1)
    assert work(run) == 0
    return run


def become(app: AppTest, owner: str, page: str, **query: str) -> AppTest:
    app.session_state["_owner"] = owner
    go_to(app, page, **query)
    assert not app.exception
    return app


def models_of(app: AppTest) -> list[str]:
    return next(box.options for box in app.selectbox if box.label in ("Modelo", "Model"))


@pytest.mark.parametrize("task", SETS)
def test_in_tasks_it_answers_its_owner_and_nobody_else(open_app: OpenApp, machine: Path, task: str) -> None:
    run = trained(machine, SETS[task](), 20)
    query = {"task": task, "tl": "es", "model": key_of(run.id), **FIELDS[task]}
    mine = become(open_app("home", lang="es"), ME, "tasks", **query)
    assert not mine.warning, [w.value for w in mine.warning]
    assert ANSWER[task] in texts(mine)
    assert "tuyo · clientes.csv · LoRA" in models_of(mine)
    assert "entrenaste tú" in texts(mine)
    if task == "entities":  # a stranger meets nothing there that the others don't show
        return
    other = become(open_app("home", lang="es"), STRANGER, "tasks", **query)
    assert not any("clientes" in name for box in other.selectbox for name in box.options)
    assert "clientes" not in texts(other)
    assert ANSWER[task] not in texts(other)
    assert NOT_YOURS in texts(other)


def test_in_attention_and_gone_once_it_is_deleted(open_app: OpenApp, machine: Path) -> None:
    run = trained(machine, tiny.colours(), 1)
    key = key_of(run.id)
    query = {"model": key, "text": "veo el gato"}
    mine = become(open_app("home", lang="es"), ME, "attention", **query)
    assert not mine.warning
    assert mine.session_state["at_model"] == key
    assert mine.get("bidi_component")
    assert model_pool().state(key) == "ready"
    other = become(open_app("home", lang="es"), STRANGER, "attention", **query)
    assert NOT_YOURS in texts(other)
    assert other.session_state["at_model"] != key
    # The machine's readings are everybody's: they say that there is a model, and not whose.
    system = become(open_app("home", lang="es"), STRANGER, "system", view="models")
    assert "un modelo de otra persona" in texts(system)
    assert "clientes" not in texts(system)
    owner = become(open_app("home", lang="es"), ME, "finetuning", view="runs")
    links = {link.proto.page: link.proto.query_string for link in owner.get("page_link")}
    assert key in links["tasks"] and "task=sentiment" in links["tasks"]
    assert key in links["attention"]
    # Deleted while it is open in another tab.
    owner.button(key=f"tn_delete_sure_{run.id}").click().run()
    assert not run.path.exists()
    assert model_pool().state(key) == "absent"
    mine.run()
    assert not mine.exception
    assert NOT_YOURS in texts(mine)
    assert mine.session_state["at_model"] != key
