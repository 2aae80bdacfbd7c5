"""Home: both languages, three examples with a click each, the machine, and no torch."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.pages.conftest import OpenApp, texts


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


def test_three_examples_one_click_each(open_app: OpenApp) -> None:
    links = open_app(lang="es").get("page_link")
    assert len(links) == 3
    assert all("example=" in link.proto.query_string for link in links)


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
