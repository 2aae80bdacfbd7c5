"""What pages keep is told of a model's present files and never of those that stood there before."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st

from core.i18n import set_language
from core.lens import embeddings, forward_reading
from core.lens.attention_inputs import TextPair
from core.settings import get_settings
from core.tasks import fill_mask
from core.ui.attention_page import readings as attention
from core.ui.embeddings import readings as vectors
from core.ui.inside import readings as inside
from core.ui.resources import model_pool
from core.ui.tasks.answers import answer
from tests.training import tiny

MODEL = tiny.BASE
TEXT = "veo el gato"
PAIR = TextPair(TEXT)
WALK = forward_reading.ForwardRequest(TEXT)
SUM = embeddings.SumRequest(TEXT)


def projected() -> Any:
    found = vectors.reading(embeddings.TASK, SUM, MODEL)
    return vectors.projection(MODEL, "sum", found.parts[0].vectors, 2, "pca", 0)


def step() -> Any:
    return inside.values(MODEL, WALK, inside.outline(MODEL, WALK).steps[-1].id, None)


def origin() -> Any:
    (norm,) = (one for one in inside.outline(MODEL, WALK).steps if one.id == "encoder.embeddings.norm")
    return inside.origin(MODEL, WALK, norm.id, (1, 0))


# Every function of the pages that keeps what a model computed, and the numbers to compare.
READ: dict[str, Callable[[], Any]] = {
    "answers": lambda: answer(fill_mask.TASK, fill_mask.FillMaskRequest("veo el [MASK]"), MODEL),
    "attention": lambda: attention.reading(MODEL, PAIR),
    "attention, in a form": lambda: attention.shown_map(MODEL, PAIR, "rollout", "keep", False),
    "attention, statistics": lambda: attention.statistics(MODEL, PAIR),
    "attention, vectors": lambda: attention.vectors(MODEL, PAIR, 0, 0),
    "attention, hiding": lambda: attention.hiding(MODEL, PAIR, (1,), ((1,), (2,), (3,)), 1, None),
    "attention, survey": lambda: attention.survey(MODEL, (TEXT, "un pez azul")),
    "inside, outline": lambda: inside.outline(MODEL, WALK),
    "inside, values": step,
    "inside, origin": origin,
    "inside, parameters": lambda: inside.parameters(MODEL),
    "embeddings": lambda: vectors.reading(embeddings.TASK, SUM, MODEL),
    "embeddings, projection": projected,
}
# A model's size is the same with other weights: that it was counted anew is seen by the object alone.
SAME_NUMBERS = {"inside, outline", "inside, parameters"}
TIMES = {"timing", "milliseconds", "queue_ms", "load_ms", "compute_ms"}


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for name, value in {"MODELS_DIR": tmp_path / "models", "DEVICE": "cpu", "OFFLINE": "1"}.items():
        monkeypatch.setenv(f"TALLER_{name}", str(value))
    set_language("es")
    get_settings.cache_clear()
    st.cache_resource.clear()
    yield
    get_settings.cache_clear()
    st.cache_resource.clear()
    set_language("es")


def downloaded_again(tmp_path: Path, seed: int) -> None:
    """The files of a folder of models are replaced, one by one, with the dates of an archive."""
    for file in tiny.write_encoder(tmp_path / "fresh", seed=seed).iterdir():
        place = tmp_path / "models" / file.relative_to(tmp_path / "fresh")
        place.parent.mkdir(parents=True, exist_ok=True)
        os.utime(file, (0, 0))
        file.replace(place)


def another_commit(tmp_path: Path, seed: int) -> None:
    """The hub's cache gets the files of a newer commit beside those of the old one."""
    folder = tiny.write_encoder(tmp_path / "fresh", seed=seed)
    name = "models--" + "--".join(folder.relative_to(tmp_path / "fresh").parts)
    repository = tmp_path / "cache" / name
    commit = f"{seed:040x}"
    (repository / "snapshots").mkdir(parents=True, exist_ok=True)
    folder.rename(repository / "snapshots" / commit)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(commit, encoding="ascii")


def numbers(value: Any) -> list[np.ndarray]:
    """All arrays and fractions that a result holds, times left out, in order."""
    found: list[np.ndarray] = []
    todo, seen = [value], set()
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if hasattr(one, "__array__") and getattr(one, "ndim", 0):
            found.append(np.asarray(one))
        elif isinstance(one, (list, tuple)):
            todo += one
        elif isinstance(one, dict):
            todo += one.values()
        elif isinstance(one, float):
            found.append(np.array([one]))
        elif hasattr(one, "__dataclass_fields__"):
            todo += [getattr(one, name) for name in one.__dataclass_fields__ if name not in TIMES]
    return found


@pytest.mark.parametrize("replace_files", [downloaded_again, another_commit])
def test_a_model_whose_files_were_replaced_is_read_afresh(
    replace_files: Callable[[Path, int], None], tmp_path: Path
) -> None:
    replace_files(tmp_path, 1)
    first = {name: read() for name, read in READ.items()}
    again = {name: read() for name, read in READ.items()}
    assert [name for name in READ if again[name] is not first[name]] == []
    replace_files(tmp_path, 2)
    fresh = {name: read() for name, read in READ.items()}
    assert [name for name in READ if fresh[name] is first[name]] == []
    for name in READ.keys() - SAME_NUMBERS:
        before, after = numbers(first[name]), numbers(fresh[name])
        assert before and any(
            one.shape != other.shape or not np.array_equal(one, other) for one, other in zip(before, after, strict=True)
        ), name
    # What is told now is what these weights say and nothing of before: as a process that has just begun would.
    st.cache_resource.clear()
    for name in READ:
        own = numbers(READ[name]())
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(numbers(fresh[name]), own, strict=True)), name


def test_files_that_are_gone_or_half_copied_leave_the_loaded_model_in_its_place(tmp_path: Path) -> None:
    downloaded_again(tmp_path, 1)
    first = attention.reading(MODEL, PAIR)
    (weights,) = (tmp_path / "models").rglob("pytorch_model.bin")
    weights.unlink()
    assert attention.reading(MODEL, PAIR) is first
    assert len(model_pool().loaded()) == 1
    other = attention.reading(MODEL, TextPair("un pez azul"))
    assert len(other.map.rows) > 3


def test_a_language_has_its_own_words() -> None:
    found = {}
    for language in ("es", "en"):
        set_language(language)
        found[language] = attention.reading("mini-beto", PAIR)
    assert found["es"] is not found["en"]
