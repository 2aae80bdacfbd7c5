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
    app.session_state["tk_generation_en_0_token"] = 4
    app.run()
    assert "En lugar de" in texts(app) and app.get("plotly_chart")


def test_every_way_to_choose_side_by_side(open_app: OpenApp) -> None:
    app = open_app("tasks", lang="es", task="generation", tl="en", strategy="all", tokens="6", p="0.9")
    writing = write(app)
    # Each control alone: temperature, top-k and top-p are three texts, and only one of them is in force in each.
    assert [(one.request.strategy, one.request.temperature, one.request.top_k, one.request.top_p) for one in writing][
        1:4
    ] == [("sampling", 0.8, 0, 1.0), ("sampling", 1.0, 50, 1.0), ("sampling", 1.0, 0, 0.9)]
    assert [one.request.strategy for one in writing] == ["greedy", "sampling", "sampling", "sampling", "beam"]
    shown = texts(app).replace("\\", "")
    for name in ("la más probable", "temperatura 0,8", "top-k 50", "top-p 0,90", "búsqueda en haz de 4"):
        assert f"### {name}" in shown
    # One row of buttons for all of them: link, code, downloads.
    assert [str(item.key) for item in app.get("download_button")]
    assert "Los otros haces" in [item.label for item in app.expander]


def test_two_models_write_on_one_beginning(open_app: OpenApp, tmp_path: Path) -> None:
    folder = write_decoder(tmp_path / entry("gpt2-es").id, seed=1)
    weights = entry("gpt2-es").weights
    assert weights is not None
    for name in weights.files:
        if "*" not in name and not (folder / name).exists():
            (folder / name).write_text("{}", encoding="utf-8")
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    app = open_app("tasks", lang="es", task="generation", tl="en", tokens="4", versus="gpt2-es")
    writing = write(app)
    assert [one.model for one in writing] == ["tinystories", "gpt2-es"]
    shown = texts(app).replace("\\", "")
    assert all(f"### {entry(key).name('es')}" in shown for key in ("tinystories", "gpt2-es"))


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
