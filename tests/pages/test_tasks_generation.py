"""Generation on the Tareas page: tokens arrive, can be asked about, and a stop keeps them."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog import entry
from core.settings import get_settings
from tests.pages.conftest import OpenApp, texts
from tests.tasks.causal import write_decoder


@pytest.fixture(autouse=True)
def decoder(unplugged: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A random decoder under the name of a small reference model."""
    folder = write_decoder(tmp_path / entry("tinystories").id)
    (folder / "special_tokens_map.json").write_text("{}", encoding="utf-8")
    monkeypatch.setenv("TALLER_MODELS_DIR", str(tmp_path))
    get_settings.cache_clear()


def write(app: AppTest) -> list[Any]:
    """Presses the button and waits for the end of all that is written."""
    next(item for item in app.button if str(item.key).endswith("_go")).click().run(timeout=60)
    writing: list[Any] = app.session_state["tk_generation_en_writing"]
    for one in writing:
        assert one.job.wait(60)
    app.run()
    return writing


def test_a_text_is_written_when_the_button_is_pressed_and_not_before(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="generation", tl="en", text="El perro", tokens="12", seed="3")
    assert "Pulsa «Escribir»" in texts(app)
    (one,) = write(app)
    result = one.job.result().result
    assert len(result.steps) == 12
    shown = texts(app).replace("\\", "")
    assert "Llegó al número de tokens" in shown and "12 tokens" in shown and "perplejidad" in shown
    assert "Toca un token" in shown
    app.session_state["tk_generation_en_sampling_token"] = 4
    app.run()
    assert "En lugar de" in texts(app) and app.get("plotly_chart")


def test_three_strategies_side_by_side(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="generation", tl="en", strategy="all", tokens="6")
    writing = write(app)
    assert [one.request.strategy for one in writing] == ["greedy", "sampling", "beam"]
    shown = texts(app)
    assert all(f"### {name}" in shown for name in ("la más probable", "al azar", "búsqueda en haz"))
    assert "Los otros haces" in [item.label for item in app.expander]


def test_what_changed_after_writing_is_said(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="generation", tl="en", tokens="4")
    write(app)
    assert "Cambiaste algo" not in texts(app)
    next(item for item in app.text_area if str(item.key).endswith("_text")).set_value("Otra cosa")
    app.run()
    assert "Cambiaste algo" in texts(app)


def test_a_link_with_more_tokens_than_this_server_allows(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="generation", tl="en", tokens="1000")
    assert app.session_state["tk_generation_en_tokens"] == get_settings().generation_tokens
    assert not app.exception


def test_a_text_that_is_too_long_says_so_and_stays(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="generation", tl="en", tokens="4")
    text = "palabra " * 7000
    next(item for item in app.text_area if str(item.key).endswith("_text")).set_value(text)
    app.run()
    write(app)
    assert "aquí caben 50" in texts(app).replace("\\", "")
    assert next(item for item in app.text_area if str(item.key).endswith("_text")).value == text
