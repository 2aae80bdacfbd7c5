"""mini-gpt's recipe on a handful of sentences: text to tokens, windows, loss, bits per character, export."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.training.recipes import mini_gpt
from core.training.recipes.loop import Schedule, train
from core.training.recipes.mini_gpt import (
    CONTEXT,
    END,
    PIECES,
    Options,
    Windows,
    bits_per_character,
    build_model,
    encode,
    export,
    losses,
    sample,
)

TEXTS = [
    "El niño comió una manzana.\nLa niña cantó.",
    "¿Dónde está mi ñandú?",
    "Había una vez un zorro y una liebre.",
] * 40


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory, monkeypatch_module: pytest.MonkeyPatch) -> object:
    monkeypatch_module.setattr(mini_gpt, "_texts", lambda data, split, source: iter(TEXTS))
    return mini_gpt.train_tokenizer(Path(), tmp_path_factory.mktemp("bpe") / "bpe.json")


@pytest.fixture(scope="module")
def monkeypatch_module() -> object:
    patch = pytest.MonkeyPatch()
    yield patch
    patch.undo()


def test_every_text_is_kept_and_ended(tokenizer) -> None:  # type: ignore[no-untyped-def]
    ids = encode(iter(TEXTS * 20), tokenizer)  # more than one group of 512
    end = tokenizer.token_to_id(END)
    assert int((ids == end).sum()) == len(TEXTS) * 20
    assert tokenizer.decode(ids[: list(ids).index(end)].tolist()) == TEXTS[0]


def test_windows_follow_from_seed_and_index() -> None:
    texts = {"es-novels": np.arange(1000, dtype=np.uint16), "tatoeba": np.arange(2000, 2600, dtype=np.uint16)}
    options = Options(batch=64, length=16)
    batch = Windows(texts, options)[5]["ids"]
    assert batch.shape == (64, 17)
    assert (np.diff(batch, axis=1) == 1).all()
    assert np.array_equal(batch, Windows(texts, options)[5]["ids"])
    assert not np.array_equal(batch, Windows(texts, options)[6]["ids"])
    # Both sources are drawn, the novels more often, as SHARES says.
    assert 0.6 < (batch[:, 0] < 1000).mean() < 1.0


def test_it_learns_what_it_reads_and_bits_fall(tokenizer, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ids = np.tile(encode(iter(TEXTS), tokenizer), 3)
    torch.manual_seed(0)
    model = build_model(layers=1, width=32, heads=2)
    options = Options(steps=40, batch=8, length=32)
    before, characters = bits_per_character(model.eval(), ids, tokenizer, "cpu", 400)
    schedule = Schedule(steps=40, learning_rate=1e-2, matrix_rate=1e-2)
    train(model, Windows({"es-novels": ids}, options), losses, schedule, tmp_path, device="cpu")
    after, _same = bits_per_character(model.eval(), ids, tokenizer, "cpu", 400)
    # An untrained model gives each of 8,192 pieces the same chance.
    tokens = 400
    assert before == pytest.approx(tokens * math.log2(PIECES) / characters, rel=0.05)
    assert after < 0.6 * before


def test_bits_do_not_depend_on_where_windows_are_cut(tokenizer) -> None:  # type: ignore[no-untyped-def]
    model = build_model(layers=1, width=32, heads=2).eval()
    ids = encode(iter(TEXTS), tokenizer)
    bits, characters = bits_per_character(model, ids, tokenizer, "cpu", CONTEXT)
    assert characters == len(
        tokenizer.decode(ids[1 : CONTEXT + 1].tolist(), skip_special_tokens=False).replace(END, "\n")
    )
    with torch.inference_mode():
        row = torch.from_numpy(ids[: CONTEXT + 1].astype(np.int64))[None]
        nats = float(losses(model, {"ids": row})["loss"]) * CONTEXT
    assert bits == pytest.approx(nats / math.log(2) / characters, rel=0.01)


def test_the_exported_model_is_an_ordinary_one(tokenizer, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model = build_model(layers=1, width=32, heads=2)
    export(model, tokenizer, tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    auto = AutoTokenizer.from_pretrained(tmp_path)
    assert auto("El niño")["input_ids"] == tokenizer.encode("El niño").ids
    assert auto.decode(auto("El niño comió")["input_ids"]) == "El niño comió"
    assert sample(loaded, tokenizer, "El niño", tokens=5).startswith("El niño")
    assert not list(tmp_path.glob("*.bin"))


def test_a_saved_model_goes_on_with_its_weights_and_pieces(tokenizer, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model = build_model(layers=1, width=32, heads=2)
    export(model, tokenizer, tmp_path)
    again, pieces = mini_gpt.saved_model(tmp_path)
    assert pieces.encode("El niño comió").ids == tokenizer.encode("El niño comió").ids
    assert all(weight.dtype == torch.float32 and weight.requires_grad for weight in again.parameters())
    assert again.lm_head.weight is again.transformer.wte.weight
    for name, weight in model.named_parameters():
        # Eight bits of the table of words, sixteen of the rest.
        torch.testing.assert_close(again.get_parameter(name), weight, atol=1e-3, rtol=0.07)
