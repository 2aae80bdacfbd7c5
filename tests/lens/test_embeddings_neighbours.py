"""Neighbours in the vocabulary against a comparison of every pair, one by one."""

import numpy as np
import pytest
import torch

from core.errors import InputInvalid
from core.lens.embeddings_neighbours import (
    MEASURES,
    TASK,
    Measure,
    NeighbourRequest,
    Neighbours,
    mean_pair_cosine,
)
from core.runtime.bundle import ModelBundle
from tests.lens.attention_models import family, minilm


def near(text: str, *, bundle: ModelBundle | None = None, **options: object) -> Neighbours:
    with torch.inference_mode():
        return TASK.run(bundle or minilm(), [NeighbourRequest(text, **options)])[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("measure", MEASURES)
def test_the_nearest_are_those_of_a_full_comparison(measure: Measure) -> None:
    found = near("king", measure=measure, special=True, count=10)
    table = minilm().model.get_input_embeddings().weight.detach().numpy().astype(np.float64)
    number = found.pieces[0][0]
    if measure == "centred":
        table = table - table.mean(0)
    values = table @ table[number]
    if measure != "dot":
        values = values / (np.linalg.norm(table, axis=1) * np.linalg.norm(table[number]))
    values[number] = -np.inf
    best = np.argsort(-values)[:10]
    assert [one.id for one in found.found] == best.tolist()
    assert [getattr(one, measure) for one in found.found] == pytest.approx(values[best].tolist(), abs=1e-4)


def test_the_piece_itself_special_and_unused_ones_are_left_out() -> None:
    found = near("[MASK]", count=30)
    pieces = {one.piece for one in found.found}
    assert len(found.found) == 30 and "[MASK]" not in pieces
    assert not any(piece.startswith("[unused") or piece == "[CLS]" for piece in pieces)
    assert any(one.piece.startswith("[unused") for one in near("[unused5]", special=True).found)
    assert not any(one.piece.startswith("[unused") for one in near("[unused5]").found)


def test_the_mean_cosine_of_all_pairs_is_exact() -> None:
    torch.manual_seed(0)
    weight = torch.randn(40, 6) + 0.7
    weight[3] = 0
    unit = torch.nn.functional.normalize(weight[[at for at in range(40) if at != 3]], dim=1).double()
    products = unit @ unit.T
    expected = float(products[~torch.eye(39, dtype=torch.bool)].mean())
    found = mean_pair_cosine(weight, weight.norm(dim=1), torch.zeros(6))
    assert found == pytest.approx(expected, abs=1e-6) and found > 0.1
    centred = weight - weight.mean(0)
    assert mean_pair_cosine(weight, centred.norm(dim=1), weight.mean(0)) < found


def test_the_histogram_counts_every_other_piece_once() -> None:
    found = near("monday")
    assert int(found.counts.sum()) == found.vocabulary - 1 == 30_521
    assert len(found.edges) == len(found.counts) + 1


def test_a_word_of_several_pieces() -> None:
    found = near("tokenization", pick=1)
    assert [piece for _number, piece in found.pieces] == ["token", "##ization"]
    assert found.pick == 1 and near("tokenization", pick=9).pick == 0
    assert [piece for _number, piece in near("##ing").pieces] == ["##ing"], "a piece by its very name"


@pytest.mark.parametrize("name", ["gpt2", "llama", "bart", "t5", "roberta"])
def test_other_families(name: str) -> None:
    found = near("El perro", bundle=family(name), count=3)
    assert len(found.found) <= 3 and np.isfinite(found.mean_cosine)


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_nothing_typed(text: str) -> None:
    with pytest.raises(InputInvalid):
        near(text)
