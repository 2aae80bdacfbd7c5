"""Which model answers: what is on disk decides, the reference first, and the reader is told why."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.catalog import ModelEntry, WeightsSpec
from core.errors import ModelUnavailable
from core.runtime import choice as module
from core.runtime.choice import choose
from core.settings import Settings
from tests.runtime.models import tiny_entry, write_model


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(models_dir=tmp_path, offline=True)


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[ModelEntry]:
    """A workshop model, which is here, then two reference models, which are not."""
    write_model(tmp_path / "test/small")
    weights = WeightsSpec("MaskedLM", "safetensors", ("*",), 20_000, 0.1, None)
    found = [
        replace(tiny_entry(key), tier="workshop" if key == "small" else "reference", weights=weights)
        for key in ("small", "famous", "other")
    ]
    monkeypatch.setattr(module, "entries_for", lambda task, language: found)
    return found


@pytest.mark.usefixtures("catalogue")
def test_the_workshops_model_answers_and_says_so(settings: Settings) -> None:
    chosen = choose("fill-mask", "es", settings)
    assert chosen.entry.key == "small"
    assert chosen.better is not None and chosen.better.key == "famous"
    assert "pequeño del taller" in chosen.why and "famous" in chosen.why


@pytest.mark.usefixtures("catalogue")
def test_the_reference_answers_by_itself_once_it_is_here(settings: Settings, tmp_path: Path) -> None:
    write_model(tmp_path / "test/other")
    chosen = choose("fill-mask", "es", settings)
    assert (chosen.entry.key, chosen.why, chosen.better) == ("other", "", None)
    assert [entry.key for entry in chosen.others] == ["small"]
    # Both side by side is the reader's choice.
    assert choose("fill-mask", "es", settings, "small").entry.key == "small"


@pytest.mark.usefixtures("catalogue")
def test_whoever_asks_for_an_absent_model_is_told(settings: Settings) -> None:
    chosen = choose("fill-mask", "es", settings, "other")
    assert chosen.entry.key == "small"
    assert "other no está en este equipo" in chosen.why
    assert chosen.better is not None and chosen.better.key == "other"
    assert choose("fill-mask", "es", settings, "nonsense").entry.key == "small"


def test_none_at_all(settings: Settings, catalogue: list[ModelEntry], tmp_path: Path) -> None:
    (tmp_path / "test/small/config.json").unlink()
    with pytest.raises(ModelUnavailable, match="famous, other"):
        choose("fill-mask", "es", settings)


def test_a_model_of_the_readers_own_answers_where_it_is_asked_to_or_alone(
    settings: Settings, catalogue: list[ModelEntry], tmp_path: Path
) -> None:
    write_model(tmp_path / "test/mine")
    own = [replace(catalogue[0], key="mine", id="test/mine")]
    assert choose("fill-mask", "es", settings, own=own).entry.key == "small"
    chosen = choose("fill-mask", "es", settings, "mine", own)
    assert (chosen.entry.key, chosen.why) == ("mine", "")
    (tmp_path / "test/small/config.json").unlink()
    assert choose("fill-mask", "es", settings, own=own).entry.key == "mine"


def test_another_tasks_models_come_behind_the_tasks_own_and_are_no_better(
    settings: Settings, catalogue: list[ModelEntry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, famous, other = catalogue
    by_task = {"coreference": [small], "fill-mask": [famous, other]}
    monkeypatch.setattr(module, "entries_for", lambda task, language: by_task[task])
    write_model(tmp_path / "test/other")
    chosen = choose("coreference", "es", settings, instead=("fill-mask",))
    # The reference model that is missing has never learnt this task.
    assert (chosen.entry.key, chosen.why, chosen.better) == ("small", "", None)
    assert [entry.key for entry in chosen.others] == ["other"]
    assert choose("coreference", "es", settings, "other", instead=("fill-mask",)).entry.key == "other"
    (tmp_path / "test/small/config.json").unlink()
    assert choose("coreference", "es", settings, instead=("fill-mask",)).entry.key == "other"
