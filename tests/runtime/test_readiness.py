"""Readiness: what each page needs, when it works, and what a measurement really does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from core.catalog import ModelEntry, entries, entry
from core.errors import ModelUnavailable
from core.runtime import pool as pools
from core.runtime import readiness
from core.runtime.hub import Located
from core.runtime.pool import ModelPool
from core.runtime.readiness import REPEATS, SENTENCES, Need, PageNeeds, check, measure
from core.settings import Settings
from tests.runtime.models import tiny_entry, write_model


@pytest.mark.parametrize("language", ["es", "en"])
def test_the_sentence_has_thirty_words(language: str) -> None:
    assert len(SENTENCES[language].split()) == 30


# --- what is needed ---------------------------------------------------------------------------------------


def need(key: str, here: bool, *languages: str) -> Need:
    return Need(replace(entry("beto-cased"), key=key, languages=languages), "model", here, 0.0 if here else 9.0)


@pytest.mark.parametrize(
    ("needs", "works", "complete"),
    [
        ((need("a", True, "es"), need("b", True, "en")), True, True),
        ((need("a", True, "es", "en"), need("b", False, "en")), True, False),
        ((need("a", True, "es"), need("b", False, "en")), False, False),
        ((need("a", False, "es", "en"),), False, False),
    ],
)
def test_a_page_works_with_one_model_for_each_language(needs: tuple[Need, ...], works: bool, complete: bool) -> None:
    page = PageNeeds("tasks", needs)
    assert (page.works, page.complete) == (works, complete)


def test_all_missing_and_all_present(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "locate", lambda item, settings: None)
    page = check(Settings(offline=True))[0]
    assert page.needs and not page.works
    for item in page.needs:
        assert not item.here and item.missing_mib == item.entry.tokenizer.download_mib
    monkeypatch.setattr(readiness, "locate", lambda item, settings: Located(Path("x"), "hub_cache"))
    page = check(Settings(offline=True))[0]
    assert page.works and page.complete and not any(item.missing_mib for item in page.needs)


def test_a_new_page_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "NEEDS", {"attention": ("model", ("fill-mask",))})
    monkeypatch.setattr(readiness, "locate_model", lambda item, settings: None)
    (page,) = check(Settings(offline=True))
    assert page.page == "attention"
    assert [item.entry.key for item in page.needs] == [e.key for e in entries().values() if "fill-mask" in e.tasks]
    beto = next(item for item in page.needs if item.entry.key == "beto-cased")
    assert beto.entry.weights and beto.missing_mib == beto.entry.weights.download_mib


# --- measuring --------------------------------------------------------------------------------------------


class Clock:
    """A clock on which the turns of ``measure`` take what is written down, in milliseconds."""

    def __init__(self, *turns: float) -> None:
        self.moments = [moment for turn in turns for moment in (0.0, turn / 1000)]

    def perf_counter(self) -> float:
        return self.moments.pop(0)


@pytest.fixture
def tiny_pool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModelPool:
    known = {"es": tiny_entry("es", languages=("es",)), "en": tiny_entry("en", languages=("en",))}
    for key in known:
        write_model(tmp_path / "test" / key)
    known["gone"] = tiny_entry("gone")
    monkeypatch.setattr(pools, "entries", lambda: known)
    return ModelPool(Settings(models_dir=tmp_path, offline=True, device="cpu", memory_fraction=0.5))


def test_the_median_without_the_first_turn(tiny_pool: ModelPool, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(9000, 50, 10, 30, 20, 4000)
    monkeypatch.setattr(readiness, "time", clock)
    assert measure(tiny_pool, "es") == pytest.approx(30)
    assert not clock.moments, "one turn that does not count, and five"


@pytest.mark.parametrize("key", ["es", "en"])
def test_each_turn_reads_the_sentence_of_the_models_language(tiny_pool: ModelPool, key: str) -> None:
    lengths: list[int] = []
    with tiny_pool.use(key) as bundle:
        expected = bundle.encode([SENTENCES[key]], truncate=True)["input_ids"].shape[1]
        hook = bundle.model.register_forward_pre_hook(
            lambda _model, _args, inputs: lengths.append(inputs["input_ids"].shape[1]), with_kwargs=True
        )
    measure(tiny_pool, key)
    hook.remove()
    assert lengths == [expected] * (REPEATS + 1)
    assert [model.in_use for model in tiny_pool.loaded()] == [0]


def test_a_model_that_is_not_here_says_so(tiny_pool: ModelPool) -> None:
    with pytest.raises(ModelUnavailable):
        measure(tiny_pool, "gone")


class FakeInputs(dict[str, torch.Tensor]):
    def to(self, _device: str) -> "FakeInputs":
        return self


class FakePool:
    """A pool with one model on a device that this machine needn't have."""

    def __init__(self, kind: str, item: ModelEntry) -> None:
        self.calls: list[dict[str, Any]] = []
        self.bundle = SimpleNamespace(
            entry=item,
            device=SimpleNamespace(kind=kind, name=kind),
            encode=lambda texts, truncate: FakeInputs(input_ids=torch.ones((1, 7), dtype=torch.long)),
            model=lambda **inputs: self.calls.append(inputs),
        )

    @contextmanager
    def use(self, _key: str) -> Iterator[Any]:
        yield self.bundle


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_turn_ends_when_the_card_has_computed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = {"cuda": 0, "mps": 0}
    for name in waits:
        monkeypatch.setattr(
            getattr(torch, name), "synchronize", lambda name=name: waits.update({name: waits[name] + 1})
        )
    measure(cast(ModelPool, FakePool(kind, entry("beto-cased"))), "x")
    assert waits == {"cuda": 0, "mps": 0} | {kind: REPEATS + 1}


def test_an_encoder_decoder_gets_a_first_token_to_continue() -> None:
    pool = FakePool("cpu", replace(entry("beto-cased"), architecture="encoder-decoder"))
    measure(cast(ModelPool, pool), "x")
    assert {tuple(call["decoder_input_ids"].shape) for call in pool.calls} == {(1, 1)}
