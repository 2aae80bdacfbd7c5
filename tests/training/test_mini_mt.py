"""mini-mt's recipe on a handful of pairs: rows both ways, batches, it can learn by heart, chrF, export."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from core.errors import ModelUnavailable
from core.runtime.loading import with_encoder
from core.training.recipes import adapters, mini_mt
from core.training.recipes.loop import Schedule, tensors, train
from core.training.recipes.mini_mt import (
    END,
    PAD,
    WANTED,
    Batches,
    Test,
    build_model,
    build_tokenizer,
    chrf,
    export,
    losses,
    rows,
    score,
    translate,
)

Test.__test__ = False  # type: ignore[attr-defined]  # a test set, not a test

PAIRS = [
    ("The boy eats an apple.", "El niño come una manzana."),
    ("The girl reads a book.", "La niña lee un libro."),
    ("Where is my dog?", "¿Dónde está mi perro?"),
    ("I do not know.", "No lo sé."),
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return build_tokenizer(adapters.load_tokenizer(mini_mt.BASE).backend_tokenizer)  # type: ignore[attr-defined]


def reader(pieces: int) -> Any:
    """A random encoder of mini-e5's kind."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    return BertModel(BertConfig(vocab_size=pieces, pad_token_id=PAD, **sizes), add_pooling_layer=False).eval()


def test_each_pair_comes_both_ways(tokenizer: Tokenizer) -> None:
    first, second = rows(PAIRS[:1], tokenizer)
    assert first["labels"][0] == tokenizer.token_to_id(WANTED["es"])
    assert second["labels"][0] == tokenizer.token_to_id(WANTED["en"])
    assert first["labels"][-1] == second["labels"][-1] == END
    assert tokenizer.decode(first["labels"].tolist()) == "El niño come una manzana."
    # What the encoder reads has <s> where what the decoder writes has the mark of its language.
    assert list(first["ids"][1:]) == list(second["labels"][1:])


def test_the_encoder_never_reads_a_piece_that_it_does_not_know(tokenizer: Tokenizer) -> None:
    known = adapters.load_tokenizer(mini_mt.BASE).vocab_size
    assert min(tokenizer.token_to_id(mark) for mark in WANTED.values()) == known
    assert max(max(row["ids"]) for row in rows(PAIRS, tokenizer)) < known


def test_what_is_too_long_is_left_out(tokenizer: Tokenizer) -> None:
    assert rows([("word " * 200, "palabra")], tokenizer) == []


def test_batches_hold_about_as_many_tokens_and_each_row_once_an_epoch(tokenizer: Tokenizer) -> None:
    found = rows(PAIRS * 40, tokenizer)
    batches = Batches(found, 120, 1, narrow=3, vocabulary=tokenizer.get_vocab_size())
    seen = 0
    for index in range(batches.per_epoch):
        batch = batches[index]
        seen += len(batch["ids"])
        assert len(batch["ids"]) * max(batch["ids"].shape[1], batch["labels"].shape[1]) <= 120
        assert ("pieces" in batch) == (index < 3)
        if "pieces" in batch:
            known = batch["labels"][batch["labels"] >= 0]
            assert set(known.tolist()) <= set(batch["pieces"].tolist())
    assert seen == len(found)
    again = Batches(found, 120, 1, narrow=3, vocabulary=tokenizer.get_vocab_size())
    assert all(np.array_equal(again[5][name], batches[5][name]) for name in batches[5])
    # The next epoch comes in another order.
    assert not np.array_equal(batches[batches.per_epoch]["ids"], batches[0]["ids"])


def test_with_all_pieces_competing_the_narrow_loss_is_the_whole_one(tokenizer: Tokenizer) -> None:
    pieces = tokenizer.get_vocab_size()
    model = build_model(reader(pieces), pieces, taken=(0, 1))
    found = rows(PAIRS, tokenizer)
    batch = tensors(Batches(found, 10_000, 1).collate(found), "cpu")
    whole = float(losses(model, batch)["loss"])
    with torch.no_grad():
        read = model.encoder(input_ids=batch["ids"], attention_mask=batch["attention"]).last_hidden_state
    kept = {"read": read, "attention": batch["attention"], "labels": batch["labels"]}
    assert float(losses(model, kept)["loss"]) == whole
    narrow = float(losses(model, {**batch, "pieces": torch.arange(pieces)})["loss"])
    assert narrow == pytest.approx(whole, abs=1e-5)
    assert float(losses(model, {**batch, "pieces": batch["labels"].clamp(min=0).unique()})["loss"]) < whole


def test_it_learns_by_heart_and_its_two_halves_are_put_together_again(tokenizer: Tokenizer, tmp_path: Path) -> None:
    pieces = tokenizer.get_vocab_size()
    encoder = reader(pieces)
    before = {name: weight.clone() for name, weight in encoder.state_dict().items()}
    model = build_model(encoder, pieces, taken=(0, 1))
    found = rows(PAIRS, tokenizer)
    schedule = Schedule(steps=120, learning_rate=5e-3, matrix_rate=5e-3, warmup=0.1)
    train(model, Batches(found, 10_000, 1), losses, schedule, tmp_path / "run", device="cpu")
    model.eval()
    # The encoder ships on its own, for other tasks too: it must stay as it was.
    assert all(torch.equal(weight, before[name]) for name, weight in model.encoder.state_dict().items())
    spanish = [es for _en, es in PAIRS]
    assert translate(model, tokenizer, [en for en, _es in PAIRS], "es", "cpu") == spanish
    assert score(model, tokenizer, Test("en", spanish, [[en] for en, _es in PAIRS]), "cpu")["chrf"] > 95
    encoder.save_pretrained(tmp_path / "encoder")
    export(model, tokenizer, tmp_path / "decoder")
    loaded: Any = with_encoder(tmp_path / "encoder", tmp_path / "decoder", 2).eval()
    assert translate(loaded, tokenizer, [PAIRS[1][0]], "es", "cpu") == [PAIRS[1][1]]
    assert len(with_encoder(tmp_path / "encoder", tmp_path / "decoder", 1).encoder.encoder.layer) == 1
    both: Any = with_encoder(tmp_path / "encoder", tmp_path / "decoder", 2, also=1).eval().encoder
    ids = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        states = loaded.encoder(input_ids=ids, output_hidden_states=True).hidden_states
        assert torch.equal(both(input_ids=ids).last_hidden_state, states[2] + states[1])


def test_a_decoder_without_all_its_weights_or_of_another_kind_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    pieces = tokenizer.get_vocab_size()
    model = build_model(reader(pieces), pieces, taken=(0, 1))
    model.encoder.save_pretrained(tmp_path / "encoder")
    export(model, tokenizer, tmp_path / "decoder")
    file = tmp_path / "decoder/model.safetensors"
    state = load_file(file)
    lost = "bert.encoder.layer.1.crossattention.self.query.weight"
    save_file({name: weight for name, weight in state.items() if name != lost}, file, metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match="crossattention"):
        with_encoder(tmp_path / "encoder", tmp_path / "decoder", 2)
    (tmp_path / "decoder/config.json").write_text('{"model_type": "t5"}', encoding="utf-8")
    with pytest.raises(ModelUnavailable, match="no son de este modelo"):
        with_encoder(tmp_path / "encoder", tmp_path / "decoder", 2)


def test_chrf_takes_the_nearest_reference() -> None:
    assert chrf(["no lo sé"], [["ni idea", "no lo sé"]]) == pytest.approx(100)
    assert chrf(["abc def"], [["xyz uvw"]]) == pytest.approx(0)
    assert 20 < chrf(["el niño come"], [["el niño comía"]]) < 100


def test_no_pair_repeats_a_test_sentence(shared_dir: Path) -> None:
    data = shared_dir / "data"
    held = mini_mt.tests(data)
    assert {name: len(test.sources) for name, test in held.items()}["Tatoeba en→es"] == 1500
    known = {text for test in held.values() for text in test.sources}
    known |= {text for test in held.values() for references in test.references for text in references}
    pairs = mini_mt.training(data)
    assert len(pairs) > 150_000
    # Formulas of one or two words ("Gracias.") are no leak.
    long = {text for text in known if len(text.split()) > 4}
    assert not [pair for pair in pairs if pair[0] in long or pair[1] in long]
