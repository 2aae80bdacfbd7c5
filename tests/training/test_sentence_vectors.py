"""Sentence vectors' recipe: pooling, retrieval, and that a student is drawn to its teacher."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.training.recipes import adapters
from core.training.recipes.loop import Schedule, train
from core.training.recipes.sentence_vectors import collate, losses, pooled, retrieval, targets, vectors
from core.training.recipes.sentence_vectors import tests as held_pairs

PAIRS = [
    ("The dog sleeps.", "El perro duerme."),
    ("I would like a coffee.", "Quisiera un café."),
    ("The train leaves at eight.", "El tren sale a las ocho."),
    ("She teaches mathematics.", "Ella enseña matemáticas."),
    ("It is raining in Madrid.", "Llueve en Madrid."),
    ("We lost the match.", "Perdimos el partido."),
    ("My house has two floors.", "Mi casa tiene dos pisos."),
    ("He bought a red car.", "Compró un coche rojo."),
]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return adapters.load_tokenizer("minilm")


def test_retrieval_counts_both_ways() -> None:
    vectors = np.eye(3)
    assert retrieval(vectors, vectors) == {"en→es": 1.0, "es→en": 1.0, "pairs": 3}
    assert retrieval(vectors, vectors[[1, 0, 2]])["en→es"] == pytest.approx(1 / 3, abs=1e-3)


def test_padding_changes_no_vector(tokenizer: Any) -> None:
    from core.training.recipes.sentence_vectors import teacher

    model = teacher("cpu")
    texts = ["A short one.", "A much longer sentence that fills the batch with padding for its neighbours."]
    together = vectors(model, tokenizer, texts, "cpu")
    alone = np.concatenate([vectors(model, tokenizer, [text], "cpu") for text in texts])
    assert np.allclose(together, alone, atol=0.02)
    assert np.allclose(np.linalg.norm(together.astype(np.float32), axis=1), 1, atol=5e-3)


def test_a_student_is_drawn_to_its_teacher(tokenizer: Any, tmp_path: Path) -> None:
    # MiniLM itself is the student here: what it must learn is where Spanish sentences belong.
    goals = targets(PAIRS, tmp_path / "targets.npy", "cpu")
    assert goals.shape == (8, 384) and targets(PAIRS, tmp_path / "targets.npy", "cpu").shape == (8, 384)
    encoded = tokenizer([es for _en, es in PAIRS])["input_ids"]
    rows = [{"ids": ids, "target": goal} for ids, goal in zip(encoded, goals, strict=True)]
    model = adapters.build("minilm", None, rank=8)
    before = vectors(model.eval(), tokenizer, [es for _en, es in PAIRS], "cpu")
    train(model, adapters.Shuffled(rows, 8, collate), losses, Schedule(40, 3e-3), tmp_path / "run", device="cpu")
    after = vectors(model.eval(), tokenizer, [es for _en, es in PAIRS], "cpu")
    near_before, near_after = ((found * goals).astype(np.float32).sum(1).mean() for found in (before, after))
    assert near_after > near_before + 0.2
    assert retrieval(goals, after)["en→es"] == 1.0
    # The vectors come back from the files.
    from core.runtime.loading import with_adapter

    adapters.export(model, "minilm", tmp_path / "model")
    merged = with_adapter(adapters.base_folder("minilm"), tmp_path / "model", None).eval()
    with torch.inference_mode():
        batch = {name: torch.from_numpy(array) for name, array in collate([{"ids": encoded[0]}]).items()}
        assert np.allclose(pooled(merged, batch)[0].numpy(), after[0].astype(np.float32), atol=0.03)


def test_a_thousand_pairs_measure(shared_dir: Path) -> None:
    held = held_pairs(shared_dir / "data")
    assert set(held) == {"Tatoeba", "documentation"}
    for pairs in held.values():
        assert len(pairs) > 900 and len({es for _en, es in pairs}) == len(pairs)
