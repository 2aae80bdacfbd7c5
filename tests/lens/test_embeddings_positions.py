"""Position vectors, the fixed ones by hand, and what RoPE leaves against the library's own rotation."""

import math

import numpy as np
import pytest
import torch

from core.lens.embeddings_positions import (
    TASK,
    PositionRequest,
    PositionVectors,
    cosines,
    rotary_similarity,
    sinusoids,
)
from tests.lens.attention_models import family, minilm


def positions(name: str, count: int = 16) -> PositionVectors:
    bundle = minilm() if name == "minilm" else family(name)
    with torch.inference_mode():
        return TASK.run(bundle, [PositionRequest(count)])[0]


def test_the_vectors_are_the_tables_rows() -> None:
    found = positions("minilm", 40)
    weight = minilm().model.embeddings.position_embeddings.weight.detach().numpy()
    assert found.table == (512, 384) and np.array_equal(found.vectors, weight[:40])
    bart = positions("bart", 5)
    table = family("bart").model.get_encoder().embed_positions.weight.detach().numpy()
    assert bart.first_row == 2 and np.array_equal(bart.vectors, table[2:7])
    assert positions("roberta").first_row == 1
    assert len(positions("minilm", 4_000).vectors) == 512, "no more than there are"


def test_learnt_positions_are_most_like_the_ones_beside_them() -> None:
    matrix = cosines(positions("minilm", 128).vectors)
    assert matrix.shape == (128, 128) and np.allclose(matrix.diagonal(), 1, atol=1e-5)
    row = matrix[20].copy()
    row[20] = -1
    assert set(np.argsort(-row)[:2]) == {19, 21}


@pytest.mark.parametrize(("name", "kind"), [("llama", "rotary"), ("t5", "relative")])
def test_models_without_position_vectors_say_so(name: str, kind: str) -> None:
    found = positions(name)
    assert found.kind == kind and not len(found.vectors) and found.path == ""
    assert bool(len(found.frequencies)) == (kind == "rotary")


def test_the_fixed_vectors_by_hand() -> None:
    vectors = sinusoids(6, 8)
    assert vectors[0].tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    assert vectors[3, 2] == pytest.approx(math.sin(3 / 10000 ** (2 / 8)), abs=1e-6)
    assert vectors[5, 7] == pytest.approx(math.cos(5 / 10000 ** (6 / 8)), abs=1e-6)
    matrix = cosines(sinusoids(50, 64))
    for distance in (1, 7, 20):
        along = [matrix[at, at + distance] for at in range(50 - distance)]
        assert np.ptp(along) < 1e-5, "likeness depends on the distance alone"
    assert sinusoids(3, 5).shape == (3, 5)


def test_a_row_of_zeros_is_like_nothing() -> None:
    matrix = cosines(np.array([[0, 0], [3, 4]], dtype=np.float32))
    assert matrix.tolist() == [[0, 0], [0, 1]]


def test_rope_against_the_librarys_own_rotation() -> None:
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    bundle = family("llama")
    frequencies = positions("llama").frequencies
    size = 2 * len(frequencies)
    rotary = bundle.model.base_model.rotary_emb
    # Every pair of dimensions (i, i + size/2) has the length 1.
    vector = torch.cat([torch.full((size // 2,), 0.6), torch.full((size // 2,), 0.8)])
    states = vector.expand(1, 1, 30, size)
    cos, sin = rotary(states, torch.arange(30)[None])
    turned, _same = apply_rotary_pos_emb(states, states, cos, sin)
    products = (turned[0, 0] @ turned[0, 0, 0]) / (vector @ vector)
    ours = rotary_similarity(frequencies, range(30))
    assert np.abs(products.detach().numpy() - ours).max() < 1e-5 and ours[0] == 1
