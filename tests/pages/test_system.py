"""Sistema: both languages, every view, what operators may do, downloads, readiness, and no torch on opening."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.catalog import entries, entry
from core.runtime.downloads import DownloadState
from core.runtime.events import Event, EventLog
from core.runtime.gpu import GpuSample, parse_query
from core.runtime.pool import LoadedModel
from core.runtime.readiness import check
from core.runtime.telemetry import Telemetry
from core.settings import Settings, get_settings
from core.ui.system import catalogue, live, models, readiness
from tests.conftest import ROOT
from tests.fresh import run_fresh
from tests.pages.conftest import OpenApp, texts
from tests.pages.test_home import Card

BETO = entry("beto-cased")


def all_gauges(app: Any) -> list[list[dict[str, Any]]]:
    views = (str(view.proto.json) for view in app.get("bidi_component"))
    return [json.loads(view)["cards"] for view in views if "cards" in view]


def gauges(app: Any) -> list[dict[str, Any]]:
    return all_gauges(app)[0]


@pytest.mark.parametrize(
    ("lang", "view", "words"),
    [
        ("es", "now", ("Qué pasó", "Procesos", "nvidia-smi", "Qué significa cada número")),
        ("en", "now", ("What happened", "Processes", "nvidia-smi", "What each number means")),
        ("es", "models", ("Modelos en memoria", "Ningún modelo está en memoria", "Versiones")),
        ("en", "models", ("Models in memory", "No model is in memory", "Versions")),
        ("es", "catalogue", (f"{len(entries())} modelos", "BETO", "110 millones de parámetros")),
        ("en", "catalogue", (f"{len(entries())} models", "BETO", "110 million parameters")),
        ("es", "ready", ("Tokenización", "Preparar lo que falta", "por bajar")),
        ("en", "ready", ("Tokenization", "Prepare what is missing", "to download")),
    ],
)
def test_every_view_in_both_languages(open_app: OpenApp, lang: str, view: str, words: tuple[str, ...]) -> None:
    app = open_app("system", lang=lang, view=view)
    assert app.title[0].value == {"es": "Sistema", "en": "System"}[lang]
    shown = texts(app)
    for word in words:
        assert word in shown.replace("\\", ""), word
    assert not app.error


def test_gauges_have_values_meters_and_words(open_app: OpenApp) -> None:
    processor, memory = gauges(open_app("system", lang="es"))[:2]
    assert processor["title"] == "Procesador" and processor["value"].endswith("%")
    assert 0 <= processor["share"] <= 1 and processor["cores"]
    assert "GiB" in memory["value"] and 0 < memory["share"] < 1
    assert "últimos" in memory["alt"]


def _card(line: str) -> tuple[GpuSample, ...]:
    return parse_query(line)


def with_cards(monkeypatch: pytest.MonkeyPatch, samples: tuple[GpuSample, ...]) -> None:
    sampler = Telemetry(open_gpus=lambda: Card(samples))
    for name in ("core.ui.readings.telemetry", "core.ui.system.live.telemetry"):
        monkeypatch.setattr(name, lambda: sampler)


LINE = "{index}, NVIDIA Test, 580.65, {use}, 12, 1024, 8192, 45, 71.5, 250, 1980, 2619, {mig}"


def test_under_mig_it_says_why_there_is_no_utilization(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    with_cards(monkeypatch, _card(LINE.format(index=0, use="[N/A]", mig="Enabled")))
    card = gauges(open_app("system", lang="es"))[2]
    assert card["value"] == "N/A" and card["share"] is None
    assert "MIG" in card["why"]
    assert ["Temperatura", "45 °C"] in card["facts"] and ["Potencia", "72 W / 250 W"] in card["facts"]


def test_two_cards_are_told_apart(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [LINE.format(index=index, use=37 + index, mig="Disabled") for index in (0, 1)]
    with_cards(monkeypatch, _card("\n".join(lines)))
    titles = [card["title"] for card in gauges(open_app("system", lang="es"))[2:]]
    assert titles == ["GPU 0 · NVIDIA Test", "Memoria de GPU 0", "GPU 1 · NVIDIA Test", "Memoria de GPU 1"]


def test_loads_are_marked_on_the_memory_they_took(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    with_cards(monkeypatch, _card(LINE.format(index=0, use=37, mig="Disabled")))
    log = EventLog()
    log.add(Event("load", "beto-cased", 440 * 2**20, "cuda:0"))
    log.add(Event("load", "minilm", 87 * 2**20, "cpu"))
    log.add(Event("training", "mi-clasificador", 0, "cuda:0"))
    monkeypatch.setattr("core.ui.readings.events", lambda: log)
    monkeypatch.setattr("core.ui.system.live.events", lambda: log)
    app = open_app("system", lang="es")
    cards = {card["title"]: [text for _age, text in card["marks"]] for card in gauges(app)}
    assert cards["Memoria"] == ["cargaste all-MiniLM-L6-v2 (inglés): +87 MiB"]
    assert cards["Memoria de la tarjeta"][0] == "cargaste BETO (español, cased): +440 MiB"
    assert cards["NVIDIA Test"] == ["entrenamiento: mi-clasificador"]
    assert any("cargaste BETO" in str(table.value) for table in app.table)


def test_nvidia_smi_is_shown_letter_for_letter(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "nvidia_smi_output", lambda: "| NVIDIA-SMI 580.65 |")
    app = open_app("system", lang="es")
    app.toggle(key="sys_smi").set_value(True).run()
    assert "| NVIDIA-SMI 580.65 |" in [code.value for code in app.code]
    monkeypatch.setattr(live, "nvidia_smi_output", lambda: None)
    app.run()
    assert "nvidia-smi no está instalado" in texts(app)


def test_a_bad_link_opens_the_first_view(open_app: OpenApp) -> None:
    app = open_app("system", lang="es", view="nada", task="todo", tier="x", here="7")
    assert not app.exception and gauges(app)


# --- models in memory -------------------------------------------------------------------------------------


class FakePool:
    def __init__(self, in_use: int = 0) -> None:
        self.held = [
            LoadedModel("minilm", "x/y", "cpu", "float32", 87 * 2**20, 3, in_use, time.time() - 180, 1.5, "una nota")
        ]
        self.asked: list[str] = []
        self.device = self.known_device = type("D", (), {"name": "cpu"})()

    def loaded(self) -> list[LoadedModel]:
        return self.held

    def used_bytes(self, device: object = None) -> int:
        return 87 * 2**20

    def budget_bytes(self, device: object = None) -> int:
        return 870 * 2**20

    def state(self, key: str) -> str:
        return "ready"

    def unload(self, key: str) -> bool:
        self.asked.append(key)
        if self.held[0].in_use:
            return False
        self.held = []
        return True


def put_pool(monkeypatch: pytest.MonkeyPatch, pool: FakePool) -> None:
    monkeypatch.setattr(models, "model_pool", lambda: pool)
    monkeypatch.setattr("core.ui.readings.model_pool", lambda: pool)


@pytest.fixture
def at_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    # AppTest's visitor has no address.
    monkeypatch.setattr("core.ui.system.operator._on_this_machine", lambda: True)


@pytest.mark.usefixtures("at_the_machine")
def test_a_model_is_listed_and_can_be_unloaded(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = FakePool()
    put_pool(monkeypatch, pool)
    app = open_app("system", lang="es", view="models")
    shown = texts(app).replace("\\", "")
    sidebar, budget = sorted((cards for cards in all_gauges(app)), key=len, reverse=True)
    assert budget[0]["value"] == "87 de 870 MiB en cpu" and budget[0]["share"] == 0.1
    assert sidebar[-1]["value"].startswith("1 modelo · 87 MiB")
    for words in ("87 MiB", "float32", "3 usos", "hace 3 min", "cargado en 1,5 s", "una nota"):
        assert words in shown, words
    app.button(key="unload_cpu_minilm").click().run()
    assert pool.asked == ["minilm"]
    assert "ya no está en memoria" in texts(app)


@pytest.mark.usefixtures("at_the_machine")
def test_a_model_in_use_stays(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = FakePool(in_use=2)
    put_pool(monkeypatch, pool)
    app = open_app("system", lang="es", view="models")
    assert "en uso ahora" in texts(app)
    app.button(key="unload_cpu_minilm").click().run()
    assert pool.held and "está en uso en este momento" in texts(app)


def test_only_who_knows_the_word_may_unload(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLER_OPERATOR_TOKEN", "sésamo")
    get_settings.cache_clear()
    monkeypatch.setattr("core.ui.system.operator._PAUSE_S", 0.0)
    pool = FakePool()
    put_pool(monkeypatch, pool)
    app = open_app("system", lang="es", view="models")
    assert not [button for button in app.button if button.key == "unload_cpu_minilm"]
    app.text_input(key="operator_token").set_value("abracadabra").run()
    assert "No es esa" in texts(app)
    assert not [button for button in app.button if button.key == "unload_cpu_minilm"]
    app.text_input(key="operator_token").set_value("sésamo").run()
    app.button(key="unload_cpu_minilm").click().run()
    assert pool.asked == ["minilm"]


def test_guesses_must_take_their_time(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLER_OPERATOR_TOKEN", "sésamo")
    get_settings.cache_clear()
    monkeypatch.setattr("core.ui.system.operator._PAUSE_S", 3600.0)
    put_pool(monkeypatch, FakePool())
    app = open_app("system", lang="es", view="models")
    app.text_input(key="operator_token").set_value("abracadabra").run()
    app.text_input(key="operator_token").set_value("sésamo").run()
    assert "demasiado seguido" in texts(app)
    assert not [button for button in app.button if button.key == "unload_cpu_minilm"]


@pytest.mark.parametrize(
    ("address", "headers", "allowed"),
    [
        (None, {}, True),
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("203.0.113.9", {}, False),
        ("unix:", {}, False),
        (None, {"X-Forwarded-For": "203.0.113.9"}, False),
    ],
)
def test_without_a_word_only_this_machine_may(
    address: str | None, headers: dict[str, str], allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.ui.system import operator

    context = type("Context", (), {"ip_address": address, "headers": headers})()
    monkeypatch.setattr(operator.st, "context", context)
    assert operator.is_operator() is allowed
    monkeypatch.setattr(operator, "get_settings", lambda: Settings(downloads="operator"))
    assert operator.may_download() is allowed
    monkeypatch.setattr(operator, "get_settings", lambda: Settings(downloads="everyone"))
    assert operator.may_download()


def test_a_real_model_is_loaded_from_the_page(open_app: OpenApp) -> None:
    app = open_app("system", lang="es", view="models")
    app.button(key="models_load_now").click().run(timeout=120)
    assert "all-MiniLM-L6-v2" in texts(app).replace("\\", "")
    assert "87 MiB" in texts(app)


# --- catalogue --------------------------------------------------------------------------------------------


class FakeDownloads:
    def __init__(self, state: DownloadState | None = None) -> None:
        self.now = state
        self.started: list[str] = []
        self.stopped: list[str] = []

    def state(self, entry: Any) -> DownloadState:
        return self.now if self.now and self.now.entry.key == entry.key else DownloadState("idle", entry)

    def states(self) -> dict[str, DownloadState]:
        return {self.now.entry.key: self.now} if self.now else {}

    def start(self, entry: Any) -> None:
        self.started.append(entry.key)

    def cancel(self, entry: Any) -> None:
        self.stopped.append(entry.key)
        assert self.now
        self.now = replace(self.now, status="cancelled")

    def free_disk_bytes(self) -> int:
        return 10 * 2**30


def put_downloads(monkeypatch: pytest.MonkeyPatch, fake: FakeDownloads) -> None:
    for name in ("catalogue", "download", "readiness"):
        monkeypatch.setattr(f"core.ui.system.{name}.downloads", lambda: fake)


def test_filters_and_their_link(open_app: OpenApp) -> None:
    app = open_app("system", lang="es", view="catalogue", task="ner", models="es")
    shown = texts(app).replace("\\", "")
    assert "2 modelos**" in shown and "BETO, entidades" in shown and "licencia sin declarar" in shown
    app.selectbox(key="sys_tier").set_value("workshop").run()
    shown = texts(app).replace("\\", "")
    assert "1 modelo**" in shown and "BETO, entidades" not in shown
    assert app.query_params["tier"] in ("workshop", ["workshop"])


def test_filters_that_nothing_meets(open_app: OpenApp) -> None:
    app = open_app("system", lang="es", view="catalogue", task="summarization", models="es", tier="workshop")
    assert "Ningún modelo del catálogo cumple todo eso" in texts(app)


def test_the_rest_is_one_click_away(open_app: OpenApp) -> None:
    app = open_app("system", lang="es", view="catalogue")
    assert "Letras → sonidos" not in texts(app)
    app.button(key="cat_every").click().run()
    assert "Letras → sonidos" in texts(app)


def test_a_download_begins_with_its_size_on_the_button(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDownloads()
    put_downloads(monkeypatch, fake)
    app = open_app("system", lang="es", view="catalogue")
    button = app.button(key="cat_beto-cased_start")
    assert "420 MiB" in button.label
    button.click().run()
    assert fake.started == ["beto-cased"]


def test_progress_and_stopping(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    mib = 2**20
    fake = FakeDownloads(DownloadState("running", BETO, 105 * mib, 420 * mib, 5 * mib))
    put_downloads(monkeypatch, fake)
    app = open_app("system", lang="es", view="catalogue")
    (bar,) = app.get("progress")
    text = bar.proto.text.replace("\\", "")
    assert "105 de 420 MiB" in text and "5,0 MiB/s" in text and "faltan 63 s" in text
    assert bar.proto.value == 25
    app.button(key="cat_beto-cased_stop").click().run()
    assert fake.stopped == ["beto-cased"]
    assert "descarga detenida" in texts(app)
    assert app.button(key="cat_beto-cased_start").label.startswith("Seguir")


def test_a_failure_is_told_and_can_be_tried_again(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDownloads(DownloadState("failed", BETO, reason="unreachable"))
    put_downloads(monkeypatch, fake)
    app = open_app("system", lang="es", view="catalogue")
    assert "el hub de modelos no responde" in texts(app)
    app.button(key="cat_beto-cased_start").click().run()
    assert fake.started == ["beto-cased"]


def test_visitors_may_be_kept_from_downloading(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLER_DOWNLOADS", "operator")
    monkeypatch.setenv("TALLER_OPERATOR_TOKEN", "sésamo")
    get_settings.cache_clear()
    app = open_app("system", lang="es", view="catalogue")
    assert "Solo quien administra" in texts(app)
    assert not [button for button in app.button if str(button.key).endswith("_start")]


# --- readiness --------------------------------------------------------------------------------------------


def test_an_unplugged_machine_still_works(open_app: OpenApp) -> None:
    pages = {page.page: page for page in check(Settings(offline=True, models_dir=None))}
    assert pages["tokenization"].works and not pages["tokenization"].complete
    # Until a Spanish model ships, the tasks answer in English alone.
    assert "tasks" in pages
    app = open_app("system", lang="es", view="ready")
    assert any("funciona; faltan" in str(badge.value) for badge in app.get("badge")) or "funciona" in texts(app)


def test_everything_missing_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    page = check(Settings(offline=True))[0]
    gone = replace(page, needs=tuple(replace(need, here=False) for need in page.needs))
    whole = replace(page, needs=tuple(replace(need, here=True) for need in page.needs))
    assert readiness._verdict(gone)[1] == "red"
    assert readiness._verdict(whole)[1] == "green"


def test_one_button_prepares_what_was_chosen(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDownloads()
    put_downloads(monkeypatch, fake)
    app = open_app("system", lang="es", view="ready")
    app.multiselect(key="ready_models").set_value(["tinystories", "g2p-en"]).run()
    assert "5,5 MiB" in texts(app)
    app.button(key="ready_prepare").click().run()
    assert fake.started == ["tinystories", "g2p-en"]


def test_what_does_not_fit_is_not_begun(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDownloads()
    fake.free_disk_bytes = lambda: 100 * 2**20  # type: ignore[method-assign]
    put_downloads(monkeypatch, fake)
    app = open_app("system", lang="es", view="ready")
    assert "No caben" in texts(app)
    assert app.button(key="ready_prepare").disabled


def test_latency_is_measured_on_the_real_model(open_app: OpenApp) -> None:
    app = open_app("system", lang="es", view="ready")
    app.button(key="ready_measure").click().run(timeout=180)
    found = app.session_state["ready_latencies"]
    shipped = ("minilm", "mini-beto", "mini-bert", "sentences-es", "mini-e5", "mini-gpt", "mini-gpt-en")
    heads = (
        "sentiment-es",
        "sentiment-en",
        "entities-es",
        "entities-en",
        "next-sentence",
        "coreference",
        "questions-es",
        "questions-en",
    )
    assert list(found) == [*shipped, *heads, "mini-mt-es-en", "mini-mt-en-es", "writer-es", "writer-en"]
    assert 0 < found["minilm"] < 60_000


def test_the_printed_summary_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    page = check(Settings(offline=True))[0]
    evil = replace(page.needs[0], entry=replace(page.needs[0].entry, names={"es": "<script>x</script>", "en": "x"}))
    text = readiness.summary_html([replace(page, needs=(evil,))], {"minilm": 12.5}).decode()
    assert "<script>" not in text and "&lt;script&gt;" in text
    assert "12,5 ms" in text
    assert "http" not in text.lower().replace("http-equiv", "")


# --- code, imports ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [live.CODE, models.CODE, catalogue.CODE, readiness.CODE], ids=range(4))
def test_the_code_that_is_shown_runs(code: str) -> None:
    done = run_fresh(code, alone=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip()


def test_opening_imports_no_torch() -> None:
    code = (
        "import sys, os\n"
        "os.environ['TALLER_WARM_UP'] = '0'\n"
        "from streamlit.testing.v1 import AppTest\n"
        "app = AppTest.from_file('app.py', default_timeout=60).run()\n"
        "for view in ('now', 'models', 'catalogue', 'ready'):\n"
        "    app.query_params['view'] = view\n"
        "    app.switch_page('pages/system.py').run()\n"
        "    assert app.title[0].value in ('Sistema', 'System'), app\n"
        "loaded = {'torch', 'sentence_transformers'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_paths_of_the_machine_are_not_in_the_summary() -> None:
    text = readiness.summary_html(check(Settings(offline=True)), {}).decode()
    assert str(Path.home()) not in text and str(ROOT) not in text
