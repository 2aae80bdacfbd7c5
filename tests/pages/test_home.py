"""Home: both languages, six steps with a click each, the machine, and no torch."""

import subprocess
import sys

import pytest

from core.runtime.gpu import GpuSample, parse_query
from core.runtime.machine import Gpu, describe
from core.runtime.telemetry import Telemetry
from core.ui.home import STEPS, TOUR
from tests.conftest import ROOT
from tests.pages.conftest import OpenApp, texts


class Card:
    """A way to read one card."""

    source = "nvml"

    def __init__(self, samples: tuple[GpuSample, ...]) -> None:
        self.samples = samples

    def read(self) -> tuple[GpuSample, ...]:
        return self.samples


@pytest.mark.parametrize(
    ("lang", "words"),
    [("es", ("Empieza por aquí", "Este equipo", "núcleo")), ("en", ("Start here", "This machine", "core"))],
)
def test_home_in_both_languages(open_app: OpenApp, lang: str, words: tuple[str, ...]) -> None:
    app = open_app(lang=lang)
    assert app.title[0].value == "Taller de Transformers"
    shown = texts(app)
    assert all(word in shown for word in words)
    assert not app.error


@pytest.mark.parametrize("lang", ["es", "en"])
def test_six_steps_each_a_click_from_what_it_says(open_app: OpenApp, lang: str) -> None:
    links = open_app(lang=lang).get("page_link")[:8]
    pages = [link.proto.page for link in links]
    assert pages == ["tokenization", "embeddings", "attention", "inside", "tasks", "finetuning", "timeline", "concepts"]
    wanted = [*(step.links[lang] for step in STEPS), TOUR]
    assert [f"{link.proto.page}?{link.proto.query_string}" for link in links[:7]] == wanted


def test_with_a_card_its_readings_and_nvidia_smi_are_shown(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    card = parse_query("0, NVIDIA Test, 580.65, 37, 12, 1024, 8192, 45, 71.5, 250, 1980, 2619, Disabled")
    monkeypatch.setattr("core.runtime.machine._gpus", lambda: (Gpu("NVIDIA Test", 8.0, "580.65"),))
    monkeypatch.setattr("core.ui.home.nvidia_smi_output", lambda: "| NVIDIA-SMI 580.65 |")
    sampler = Telemetry(open_gpus=lambda: Card(card))
    monkeypatch.setattr("core.ui.home.telemetry", lambda: sampler)
    monkeypatch.setattr("core.ui.readings.telemetry", lambda: sampler)
    describe.cache_clear()
    try:
        app = open_app(lang="es")
        shown = texts(app) + "".join(str(view.proto.json) for view in app.get("bidi_component"))
        assert "NVIDIA Test · 8 GiB · 580.65" in shown
        assert "37" in shown
        assert "1,0 de 8,0 GiB" in shown
        app.toggle(key="home_smi").set_value(True).run()
        assert [code.value for code in app.code] == ["| NVIDIA-SMI 580.65 |"]
    finally:
        describe.cache_clear()


def test_home_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "from core.ui import resources\n"
        "resources._WARM_UP_DELAY_S = 3600\n"
        "app = AppTest.from_file('app.py', default_timeout=60).run()\n"
        "assert app.title[0].value == 'Taller de Transformers', app\n"
        "loaded = {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
