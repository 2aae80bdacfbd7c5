"""The English heads' recipe: it learns on a little text, and what is written loads with both heads."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import BertModel

from core.runtime.loading import with_adapter
from core.training.recipes import adapters, mini_beto
from core.training.recipes.corpora import Document
from core.training.recipes.english_heads import _Mixed, build_model, documents, frequent, losses, novels, own_rows
from core.training.recipes.loop import Schedule, train
from core.training.recipes.mini_beto import Special, read_text

TEXTS = [
    "The boy ate an apple. The girl read a book.",
    "London is a large city. It rains there.",
    "My dog sleeps all day.",
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    found = Tokenizer.from_file(str(adapters.base_folder("minilm") / "tokenizer.json"))
    found.no_truncation()
    found.no_padding()
    return found


def test_both_heads_learn_and_come_back_from_the_files(tokenizer: Tokenizer, tmp_path: Path) -> None:
    found = [Document("en-novels", str(n), (text,) * 3) for n, text in enumerate(TEXTS * 8)]
    texts = {"en-novels": read_text(iter(found), tokenizer)}
    special = Special.of(tokenizer)
    batches = _Mixed(texts, special, mini_beto.Options(steps=30, batch=8, length=24))
    rows = frequent(texts, 20)
    assert {tokenizer.token_to_id(piece) for piece in (".", "the", "an", "dog")} <= set(rows) and len(rows) == 20
    model = build_model(rank=4, rows=rows)
    before = mini_beto.evaluate(model.get_base_model(), batches, 4, "cpu")
    train(model, mini_beto.Named(batches), losses, Schedule(30, 3e-3, warmup=0.1), tmp_path / "run", device="cpu")
    after = mini_beto.evaluate(model.get_base_model(), batches, 4, "cpu")
    assert after.top1 > before.top1 + 0.2
    adapters.export(model, "minilm", tmp_path / "model")
    # The output layer is the embeddings: it must not be written a second time.
    assert (tmp_path / "model/adapter_model.safetensors").stat().st_size < 2_000_000
    merged = with_adapter(adapters.base_folder("minilm"), tmp_path / "model", "PreTraining").eval()
    ids = torch.tensor([tokenizer.encode("London is a large [MASK].").ids])
    with torch.inference_mode():
        ours, theirs = merged(input_ids=ids), model.eval()(input_ids=ids)
    assert torch.allclose(ours.prediction_logits, theirs.prediction_logits, atol=0.05)
    assert torch.allclose(ours.seq_relationship_logits, theirs.seq_relationship_logits, atol=0.05)
    # The pieces that had embeddings of their own to learn have other ones now, and the rest the same.
    old = BertModel.from_pretrained(adapters.base_folder("minilm")).embeddings.word_embeddings.weight
    moved = (merged.bert.embeddings.word_embeddings.weight - old).abs().amax(1) > 1e-3
    assert moved[rows].any() and int(moved.sum()) == int(moved[rows].sum())


def test_novels_are_held_apart_whole(shared_dir: Path) -> None:
    data = shared_dir / "data"
    ids = {split: {document.id for document in novels(data, split)} for split in ("train", "dev", "test")}
    assert len(ids["train"]) > 80 and len(ids["dev"]) >= 3 and len(ids["test"]) >= 3
    assert not ids["train"] & (ids["dev"] | ids["test"]) and not ids["dev"] & ids["test"]
    test = {document.paragraphs[0] for document in documents(data, "documentation-en", "test")}
    train_side = {document.paragraphs[0] for document in documents(data, "documentation-en", "train")}
    assert not {text for text in test if len(text.split()) > 4} & train_side


def test_the_adapter_that_ships_goes_on_as_it_is() -> None:
    rows = own_rows("mini-bert")
    assert len(rows) == 800 == len(set(rows))
    again = build_model(rows=rows, start="mini-bert").eval().get_base_model()
    shipped = with_adapter(adapters.base_folder("minilm"), adapters.base_folder("mini-bert"), "PreTraining").eval()
    ids = torch.tensor([[101, 1996, 3899, 103, 2012, 1996, 10412, 1012, 102]])  # the dog [MASK] at the cat.
    with torch.inference_mode():
        assert torch.allclose(
            again(input_ids=ids).prediction_logits, shipped(input_ids=ids).prediction_logits, atol=1e-3
        )
