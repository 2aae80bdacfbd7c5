"""The catalogue: every entry is whole, and the tokenizers at hand are what it says they are."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from core.catalog import TASKS, ModelEntry, entries, entries_for, entry
from core.runtime.hub import has_tokenizer, locate
from core.runtime.loading import locate_model
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
    assert model.window >= 64
    assert model.tokenizer.algorithm in {"WordPiece", "BPE", "Unigram", "WordLevel"}
    assert model.tasks and set(model.tasks) <= set(TASKS)
    if model.tier == "workshop":
        assert model.embedded
    else:
        assert "tokenizer_config.json" in model.tokenizer.files
        assert not any(name.endswith((".bin", ".safetensors")) for name in model.tokenizer.files)


HEADS = {
    "fill-mask": {"MaskedLM", "PreTraining"},
    "next-sentence": {"NextSentencePrediction", "PreTraining", "SequenceClassification"},
    "sentiment": {"SequenceClassification"},
    "zero-shot": {"SequenceClassification", None},  # by entailment, or by likeness of vectors
    "ner": {"TokenClassification"},
    "question-answering": {"QuestionAnswering"},
    "summarization": {"Seq2SeqLM"},
    "translation-en-es": {"Seq2SeqLM"},
    "translation-es-en": {"Seq2SeqLM"},
    "text-generation": {"CausalLM"},
    "text2text": {"Seq2SeqLM", "CausalLM"},
    "similarity": {None},
}
FAMILIES = {"CausalLM": "decoder", "Seq2SeqLM": "encoder-decoder"}


@pytest.mark.parametrize("model", [m for m in ALL if m.weights], ids=lambda m: m.key)
def test_weights_are_described(model: ModelEntry) -> None:
    weights = model.weights
    assert weights is not None
    for task in set(model.tasks) & set(HEADS):
        assert weights.head in HEADS[task], task
    assert model.architecture == FAMILIES.get(weights.head or "", "encoder")
    assert weights.parameters > 100_000
    assert weights.revision is None or re.fullmatch(r"[0-9a-f]{40}", weights.revision)
    assert model.limits["es"] and model.limits["en"]
    if model.tier == "workshop":
        assert weights.download_mib == 0 and model.embedded
        return
    # From half precision to single precision, with the tokenizer's files.
    assert 1.9 < weights.download_mib * 2**20 / weights.parameters < 4.6
    ends = {"safetensors": "model.safetensors", "bin": "pytorch_model.bin"}
    assert ends[weights.format] in weights.files
    assert {"config.json", "tokenizer_config.json"} <= set(weights.files)
    # A pattern that takes all of a repository would bring the same weights in four formats.
    assert not any(name.startswith("*") for name in weights.files)


def test_what_cant_do_a_task_doesnt_claim_it() -> None:
    # BETO's files have no pooler and no head for the next sentence.
    assert "next-sentence" not in entry("beto-cased").tasks
    assert {m.key for m in entries_for(task="next-sentence", language="es", tier="reference")} == {"mbert"}


@pytest.mark.parametrize("key", ["tinystories", "g2p-en"])
def test_checked_entries_are_what_the_files_say(key: str, shared_dir: Path) -> None:
    model = entry(key)
    found = locate_model(model, Settings(models_dir=shared_dir / "hub"))
    assert found is not None and model.weights is not None
    fetched = [f for f in found.folder.iterdir() if any(fnmatch(f.name, p) for p in model.weights.files)]
    assert model.verified
    assert sum(f.stat().st_size for f in fetched) / 2**20 == pytest.approx(model.weights.download_mib, abs=0.1)
    assert len(AutoTokenizer.from_pretrained(found.folder)) == model.tokenizer.vocabulary


def test_keys_and_ids_are_unique() -> None:
    assert len({m.key for m in ALL}) == len(ALL)
    assert len({m.id for m in ALL}) == len(ALL)


def test_unknown_key() -> None:
    with pytest.raises(KeyError):
        entry("no-such-model")


def test_embedded_tokenizers_are_whole() -> None:
    for model in ALL:
        if model.embedded and "tokenization" in model.tasks:
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
