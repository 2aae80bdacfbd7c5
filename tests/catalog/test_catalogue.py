"""The catalogue: every entry is whole, and the tokenizers at hand are what it says they are."""

import re
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from core.catalog import ModelEntry, entries, entry
from core.runtime.hub import has_tokenizer, locate
from core.runtime.tokenizer import TokenizerStore, load_tokenizer
from core.settings import Settings

ALL = list(entries().values())


@pytest.mark.parametrize("model", ALL, ids=lambda m: m.key)
def test_entry_is_whole(model: ModelEntry) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", model.key)
    assert model.id.count("/") == 1
    assert all(model.names[language] and model.teaches[language] for language in ("es", "en"))
    assert model.tier in {"workshop", "reference"}
    assert set(model.languages) <= {"es", "en"}
    assert model.licence
    assert model.window >= 512
    assert model.tokenizer.algorithm in {"WordPiece", "BPE", "Unigram"}
    if model.tier == "workshop":
        assert model.embedded
    else:
        assert "tokenizer_config.json" in model.tokenizer.files
        assert not any(name.endswith((".bin", ".safetensors")) for name in model.tokenizer.files)


def test_keys_and_ids_are_unique() -> None:
    assert len({m.key for m in ALL}) == len(ALL)
    assert len({m.id for m in ALL}) == len(ALL)


def test_unknown_key() -> None:
    with pytest.raises(KeyError):
        entry("no-such-model")


def test_embedded_tokenizers_are_whole() -> None:
    for model in ALL:
        if model.embedded:
            found = locate(model, Settings(offline=True))
            assert found is not None, model.key
            assert has_tokenizer(found.folder)


TEXT = "El niño, ¿cuántos años tenía? The boy's 3.14 — ESPAÑA 👩‍👩‍👧 [MASK]\n\tfin"


@pytest.mark.parametrize("key", ["bert-uncased", "wordpiece-es"])
def test_embedded_equal_autotokenizer(key: str) -> None:
    _check_against_autotokenizer(key, Settings(offline=True))


@pytest.mark.parametrize("key", ["beto-cased", "beto-uncased", "bert-cased", "mbert", "gpt2"])
def test_reference_tokenizers_equal_autotokenizer(key: str, shared_dir: Path) -> None:
    _check_against_autotokenizer(key, Settings(models_dir=shared_dir / "hub"))


def _check_against_autotokenizer(key: str, settings: Settings) -> None:
    model = entry(key)
    bundle = TokenizerStore(settings).get(key)
    assert bundle.path is not None
    auto = AutoTokenizer.from_pretrained(str(bundle.path))
    assert bundle.encode(TEXT).ids == auto(TEXT)["input_ids"]
    assert type(auto).__name__ == model.tokenizer.class_name
    assert bundle.algorithm == model.tokenizer.algorithm
    assert len(bundle.vocabulary) == model.tokenizer.vocabulary


def test_loading_leaves_no_truncation_or_padding(tmp_path: Path) -> None:
    found = locate(entry("bert-uncased"), Settings(offline=True))
    assert found is not None
    bundle = load_tokenizer(found.folder, entry("bert-uncased"), found.source)
    assert bundle.backend.truncation is None
    assert bundle.backend.padding is None
    assert len(bundle.encode("hola " * 3000).ids) > 3000
