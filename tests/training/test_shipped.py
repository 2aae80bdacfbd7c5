"""What ships under core/models: whole, as small as promised, free of pickles, and as good as its card says."""

import hashlib
import json
from pathlib import Path

import pytest

from core.catalog import MODELS_FOLDER, entries
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from core.training import samples
from core.training.evaluate import SCORED, filled, shipped_scores

FOLDERS = sorted(folder for folder in MODELS_FOLDER.iterdir() if folder.is_dir())
MIB = 2**20


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_model_has_a_card_and_its_files_are_those_of_the_card(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n") and "license:" in card and "core.training.recipes" in card
    kept = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    files = {file.name for file in folder.iterdir()} - {"README.md", "scores.json"}
    assert set(kept["files"]) == files
    for name, digest in kept["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_nothing_in_it_is_a_pickle(folder: Path) -> None:
    for file in folder.iterdir():
        assert file.suffix in {".json", ".txt", ".md", ".safetensors"}, file.name
        # Pickles begin with a protocol mark, zip archives (what torch.save writes) with PK.
        assert file.read_bytes()[:2] not in {b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK"}


def test_sizes() -> None:
    sizes = {file: file.stat().st_size for folder in FOLDERS for file in folder.iterdir()}
    assert max(sizes.values()) < 50 * MIB
    assert sum(sizes.values()) < 150 * MIB


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_catalogue_knows_it_and_it_loads(folder: Path) -> None:
    found = [entry for entry in entries().values() if entry.embedded == f"core:{folder.name}"]
    # What writes both languages is one folder and two entries.
    assert len(found) == (2 if folder.name in {"mini-mt", "writer"} else 1)
    for model in found:
        assert model.tier == "workshop"
        if model.weights is not None:
            bundle = load_bundle(model, Settings(offline=True, device="cpu"), CPU)
            assert bundle.source == "embedded"
            # Whoever copies the catalogue's figure tells the truth about the model's size.
            assert sum(p.numel() for p in bundle.model.parameters()) == model.weights.parameters


@pytest.mark.parametrize("model", SCORED)
def test_the_sample_scores_what_the_card_says(model: str) -> None:
    kept = json.loads((MODELS_FOLDER / model / "scores.json").read_text(encoding="utf-8"))["sample"]
    (found,) = shipped_scores(model, None)
    assert found["Test set"] == "hand-written"
    # Another machine rounds differently: one answer of the sample may tip over.
    room = 1.5 if kept["metric"] == "chrf" else 1.5 / int(str(kept["n"])) + 0.005
    assert float(str(found[kept["metric"]])) == pytest.approx(kept["score"], abs=room)


def test_the_hand_written_gaps_take_one_piece_each_and_are_scored_by_rank() -> None:
    import torch
    from transformers import BertConfig, BertForPreTraining, BertTokenizer

    gaps = samples.masked("es")
    tokenizer = BertTokenizer.from_pretrained(str(MODELS_FOLDER / "wordpiece-es"))
    assert all(len(tokenizer.tokenize(word)) == 1 and text.count("[MASK]") == 1 for word, text in gaps)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    model = BertForPreTraining(BertConfig(vocab_size=31_000, **sizes)).eval()
    # A model that always says "la", then "de": its share is that of the gaps where they stand.
    with torch.no_grad():
        model.cls.predictions.bias.zero_()
        for rank, word in enumerate(("la", "de")):
            model.cls.predictions.bias[tokenizer.convert_tokens_to_ids(word)] = 100.0 - rank
    words = [word for word, _text in gaps]
    found = filled(model, tokenizer, gaps)
    assert found["n"] == len(gaps) >= 60
    assert found["top1"] == words.count("la") / len(gaps) > 0
    assert found["top5"] >= (words.count("la") + words.count("de")) / len(gaps)
