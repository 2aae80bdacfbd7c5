"""The Ajuste fino page in Python: form, link, refusals, and one real run from the button to the result."""

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.settings import get_settings
from core.training.ours import our_data
from core.training.run import RunFolder, State
from core.ui.tuning import state as keys
from core.ui.tuning.code import program
from core.ui.tuning.data_section import LANGUAGE
from core.ui.tuning.state import VIEWS
from tests.fresh import run_fresh
from tests.pages.conftest import OpenApp, texts
from tests.training import tiny

LANGUAGES = ("es", "en")


@pytest.fixture(autouse=True)
def machine(tuning_machine: Path) -> Path:
    return tuning_machine


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody starts workers: runs stay in the queue."""
    monkeypatch.setattr("core.training.jobs.TrainingJobs.begin", lambda _self: None)


def press(app: AppTest, key: str) -> AppTest:
    return app.button(key=key).click().run()


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_in_both_languages(open_app: OpenApp, idle: None, view: str, lang: str) -> None:
    app = open_app("finetuning", lang=lang, view=view, dl="es")
    assert app.title[0].value == {"es": "Ajuste fino", "en": "Fine-tuning"}[lang]
    assert not app.error
    assert not app.warning
    assert app.session_state[keys.VIEW] == view


@pytest.mark.parametrize("task", ["classification", "entities", "questions"])
def test_every_task_has_a_form_that_can_be_sent(open_app: OpenApp, idle: None, machine: Path, task: str) -> None:
    app = open_app("finetuning", lang="es", task=task, dl="es", base=tiny.BASE)
    assert not app.error
    press(app, "tn_go")
    assert not app.warning
    assert app.session_state[keys.VIEW] == "runs"
    (run,) = [RunFolder(path) for path in machine.iterdir() if path.is_dir()]
    assert run.request.task == task
    assert run.request.sentences
    assert run.data.digest == our_data(task, "es").digest  # type: ignore[arg-type]
    assert run.state == State()
    assert "Es el siguiente" in texts(app)


def test_a_link_brings_the_whole_form(open_app: OpenApp, idle: None) -> None:
    app = open_app(
        "finetuning",
        lang="es",
        dl="en",
        base="minilm",
        method="lora",
        start="random",
        epochs="7",
        rate="0.0005",
        batch="4",
        length="40",
        seed="9",
        own="play it again",
    )
    state = app.session_state
    assert (state[keys.METHOD], state[keys.START], state[keys.BASE]) == ("lora", "random", "minilm")
    assert (state[keys.EPOCHS], state[keys.RATE], state[keys.BATCH]) == (7, 0.0005, 4)
    assert (state[keys.LENGTH], state[keys.SEED], state[keys.SENTENCES]) == (40, 9, "play it again")
    assert state[LANGUAGE] == "en"


def test_what_a_link_says_wrongly_is_left_out(open_app: OpenApp, idle: None) -> None:
    app = open_app(
        "finetuning",
        lang="es",
        task="dance",
        method="<b>",
        epochs="-3",
        rate="nan",
        batch="many",
        base="../x",
        view="x",
        start="1",
    )
    assert not app.error
    assert app.session_state[keys.METHOD] == "head"
    assert app.session_state[keys.EPOCHS] >= 1


def test_a_recipe_sets_the_numbers_and_a_method_brings_its_own(open_app: OpenApp, idle: None) -> None:
    app = open_app("finetuning", lang="es", dl="es", base=tiny.BASE)
    assert app.session_state[keys.PRESET] == "quick"
    head = app.session_state[keys.EPOCHS]
    app.button_group(key=keys.PRESET).set_value("thorough").run()
    assert app.session_state[keys.METHOD] == "full"
    assert app.session_state[keys.EPOCHS] < head
    app.button_group(key=keys.METHOD).set_value("lora").run()
    assert app.session_state[keys.PRESET] == "balanced"
    app.number_input(key=keys.EPOCHS).set_value(9).run()
    assert app.session_state[keys.PRESET] is None
    assert app.session_state[keys.METHOD] == "lora"


def test_a_head_alone_on_questions_comes_with_a_word_of_warning(open_app: OpenApp, idle: None) -> None:
    app = open_app("finetuning", lang="es", dl="es", task="questions")
    assert "la cabeza sola apenas aprende" in texts(app)
    app.button_group(key=keys.PRESET).set_value("balanced").run()
    assert "la cabeza sola apenas aprende" not in texts(app)
    app.button_group(key=keys.TASK).set_value("classification").run()
    assert "la cabeza sola apenas aprende" not in texts(app)


def test_the_base_follows_task_and_language_until_somebody_chooses_one(open_app: OpenApp, idle: None) -> None:
    app = open_app("finetuning", lang="es", dl="es")
    assert app.session_state[keys.BASE] == "mini-beto"
    app.button_group(key=keys.TASK).set_value("questions").run()
    assert app.session_state[keys.BASE] == "mini-e5"
    app.button_group(key=LANGUAGE).set_value("en").run()
    assert app.session_state[keys.BASE] == "minilm"
    app.selectbox(key=keys.BASE).set_value("mini-e5").run()
    app.button_group(key=keys.TASK).set_value("entities").run()
    assert app.session_state[keys.BASE] == "mini-e5"
    linked = open_app("finetuning", lang="es", dl="es", task="questions", base="mini-beto")
    assert linked.session_state[keys.BASE] == "mini-beto"


def test_own_sentences_stay_when_the_task_changes(open_app: OpenApp, idle: None) -> None:
    app = open_app("finetuning", lang="es", dl="es")
    assert "jazz" in app.session_state[keys.SENTENCES]
    app.text_area(key=keys.SENTENCES).set_value("mi frase").run()
    app.button_group(key=keys.TASK).set_value("entities").run()
    assert app.session_state[keys.SENTENCES] == "mi frase"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (keys.SENTENCES, "\n".join("abcdefghi"), "Caben 8 frases"),
        (keys.SENTENCES, "x" * 2001, "Caben 8 frases"),
        (keys.RAW, "muy corto", "200 caracteres"),
    ],
)
def test_what_cannot_be_run_gets_a_message_and_stays(
    open_app: OpenApp, idle: None, key: str, value: str, words: str
) -> None:
    app = open_app("finetuning", lang="es", dl="es", base=tiny.BASE, start="adapted")
    app.text_area(key=key).set_value(value).run()
    assert any(words in warning.value.replace("\\", "") for warning in app.warning)
    assert app.session_state[key] == value
    assert not app.error


def test_the_queue_has_room_for_so_many_and_the_form_stays(open_app: OpenApp, idle: None) -> None:
    app = open_app("finetuning", lang="es", dl="es", base=tiny.BASE)
    for _turn in range(get_settings().training_per_session):
        press(app, "tn_go")
        app.button_group(key=keys.VIEW).set_value("train").run()
    app.text_area(key=keys.SENTENCES).set_value("mi frase").run()
    press(app, "tn_go")
    assert any("Ya tienes 3" in warning.value for warning in app.warning)
    assert app.session_state[keys.SENTENCES] == "mi frase"


def test_nobody_sees_anothers_runs(open_app: OpenApp, idle: None, machine: Path) -> None:
    mine = open_app("finetuning", lang="es", dl="es", base=tiny.BASE)
    press(mine, "tn_go")
    (id_,) = [path.name for path in machine.iterdir() if path.is_dir()]
    other = open_app("finetuning", lang="es", view="runs")
    assert "Todavía no has entrenado nada" in texts(other)
    other.session_state[keys.CHOSEN] = id_
    other.run()
    assert "Todavía no has entrenado nada" in texts(other)
    assert not other.get("selectbox")


def test_cancelling_a_run_that_waits(open_app: OpenApp, idle: None, machine: Path) -> None:
    app = open_app("finetuning", lang="es", dl="es", base=tiny.BASE)
    press(app, "tn_go")
    (id_,) = [path.name for path in machine.iterdir() if path.is_dir()]
    press(app, f"tn_cancel_{id_}")
    assert "Lo cancelaste" in texts(app)
    press(app, f"tn_delete_sure_{id_}")
    assert not (machine / id_).exists()
    assert "Todavía no has entrenado nada" in texts(app)


def test_the_comparison_begins_what_is_missing(open_app: OpenApp, idle: None, machine: Path) -> None:
    app = open_app("finetuning", lang="es", dl="es", base=tiny.BASE, view="compare")
    press(app, "tn_methods")
    begun = [RunFolder(path).request.method for path in machine.iterdir() if path.is_dir()]
    assert sorted(begun) == ["full", "head", "lora"]
    assert "Todos están hechos o en marcha" in texts(app)


def test_one_real_run_from_the_button_to_the_result(open_app: OpenApp, machine: Path) -> None:
    app = open_app("finetuning", lang="es", dl="es", base=tiny.BASE, own="pon <b>jazz</b>")
    press(app, "tn_go")
    (run,) = [RunFolder(path) for path in machine.iterdir() if path.is_dir()]
    end = time.monotonic() + 150
    while run.result is None or run.state is None or run.state.status != "done":
        assert time.monotonic() < end, (run.state, (run.path / "log.txt").read_text())
        time.sleep(0.5)
    time.sleep(1)
    app.run()
    assert not app.error
    shown = texts(app)
    metrics = {metric.label: metric.value for metric in app.metric}
    result = run.result
    assert metrics["Exactitud (accuracy)"] == f"{100 * result['value']:.1f}".replace(".", ",") + "\u202f%"
    assert "Los peores errores" in "".join(heading.value for heading in app.header)
    assert "congelado" in shown
    assert len(app.get("plotly_chart")) >= 4
    app.text_input(key=f"tn_try_text_{run.id}").set_value("¿va a llover?")
    app.button[0].run()
    assert not app.error
    # The code that the page shows, in a fresh interpreter, prints the very measure.
    code = program(run.request, run.data)
    assert code.strip() in [block.value.strip() for block in app.code]
    done = run_fresh(code, alone=False, timeout=180)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"accuracy {result['value']:.4f} (n = {result['n']})"
