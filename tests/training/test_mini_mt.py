"""mini-mt's recipe on a handful of pairs: rows both ways, loss, it can learn by heart, chrF, export."""

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, MarianMTModel

from core.training.recipes import mini_mt
from core.training.recipes.adapters import Shuffled
from core.training.recipes.loop import Schedule, train
from core.training.recipes.mini_mt import (
    WANTED,
    Test,
    build_model,
    chrf,
    collate,
    export,
    losses,
    rows,
    score,
    train_tokenizer,
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
def tokenizer(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    return train_tokenizer(PAIRS * 5, tmp_path_factory.mktemp("bpe") / "bpe.json")


def test_each_pair_comes_both_ways(tokenizer) -> None:  # type: ignore[no-untyped-def]
    first, second = rows(PAIRS[:1], tokenizer)
    end = tokenizer.token_to_id("</s>")
    assert first["ids"][0] == tokenizer.token_to_id(WANTED["es"])
    assert second["ids"][0] == tokenizer.token_to_id(WANTED["en"])
    assert first["ids"][-1] == first["labels"][-1] == end
    assert tokenizer.decode(first["labels"].tolist()).strip() == "El niño come una manzana."
    assert list(first["ids"][1:]) == list(second["labels"])


def test_what_is_too_long_is_left_out(tokenizer) -> None:  # type: ignore[no-untyped-def]
    assert rows([("word " * 200, "palabra")], tokenizer) == []


def test_it_can_learn_by_heart_and_translate_back(tokenizer, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    model = build_model(tokenizer.get_vocab_size(), width=64, encoder=1, decoder=1)
    model.config.dropout = 0.0
    batches = Shuffled(rows(PAIRS, tokenizer), 8, collate)
    schedule = Schedule(steps=150, learning_rate=5e-3, matrix_rate=5e-3, warmup=0.1)
    train(model, batches, losses, schedule, tmp_path / "run", device="cpu")
    model.eval()
    assert translate(model, tokenizer, [en for en, _es in PAIRS], "es", "cpu") == [es for _en, es in PAIRS]
    test = Test("en", [es for _en, es in PAIRS], [[en] for en, _es in PAIRS])
    assert score(model, tokenizer, test, "cpu")["chrf"] > 95
    export(model, tokenizer, tmp_path / "model")
    loaded = MarianMTModel.from_pretrained(tmp_path / "model", dtype=torch.float32).eval()
    auto = AutoTokenizer.from_pretrained(tmp_path / "model")
    out = loaded.generate(**auto([WANTED["es"] + "The girl reads a book."], return_tensors="pt"), max_new_tokens=20)
    assert auto.decode(out[0], skip_special_tokens=True).strip() == "La niña lee un libro."


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
