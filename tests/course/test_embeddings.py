"""The Embeddings page's examples: whole, and true of the real models."""

import numpy as np
import pytest
import torch

from core.catalog import entries
from core.course.embeddings import EmbeddingExample, embedding_example, embedding_examples, first_example
from core.lens.embeddings_contexts import TASK as CONTEXTS
from core.lens.embeddings_contexts import ContextRequest, separation
from core.lens.embeddings_neighbours import TASK as NEIGHBOURS
from core.lens.embeddings_neighbours import NeighbourRequest
from core.lens.embeddings_pooling import TASK as POOLING
from core.lens.embeddings_pooling import PoolingRequest
from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU
from core.runtime.loading import load_bundle, locate_model
from core.settings import Settings

ALL = embedding_examples()
PARTS = ("sum", "positions", "neighbours", "contexts", "sentences", "cosine", "batch")


def bundle_of(example: EmbeddingExample) -> ModelBundle:
    assert example.claims is not None
    key, settings = example.claims.model, Settings(offline=True)
    if key not in entries() or locate_model(entries()[key], settings) is None:
        pytest.skip(f"{key} is not on this machine")
    return load_bundle(entries()[key], settings, CPU)


@pytest.mark.parametrize("example", [item for item in ALL if item.claims], ids=lambda item: item.id)
def test_every_claim_holds_on_the_real_model(example: EmbeddingExample) -> None:
    bundle, claims = bundle_of(example), example.claims
    assert claims is not None
    with torch.inference_mode():
        if example.part == "neighbours":
            request = NeighbourRequest(example.piece, measure=example.measure)  # type: ignore[arg-type]
            found = NEIGHBOURS.run(bundle, [request])[0]
            assert len(found.pieces) == 1, "one piece of its vocabulary"
            assert claims.among and set(claims.among) <= {near.piece for near in found.found}
        elif example.part == "contexts":
            read = CONTEXTS.run(bundle, [ContextRequest(example.word, example.lines)])[0]
            assert claims.nearest is not None
            apart = separation(read.at(len(read.layers) - 1), example.senses["es"])
            assert apart.nearest >= claims.nearest > separation(read.at(None), example.senses["es"]).nearest
        else:
            ways = {one.pooling: one for one in POOLING.run(bundle, [PoolingRequest(example.pairs)])[0]}
            assert claims.first is not None
            assert ways["mean"].first >= claims.first and ways["mean"].first >= ways["cls"].first


@pytest.mark.parametrize(("key", "layer"), [("bank-en", 3), ("light-en", 2)])
def test_the_layer_that_an_example_names_is_the_one(key: str, layer: int) -> None:
    example = embedding_example(key)
    with torch.inference_mode():
        read = CONTEXTS.run(bundle_of(example), [ContextRequest(example.word, example.lines)])[0]
    shares = [separation(read.at(at), example.senses["en"]).nearest for at in range(7)]
    assert min(shares[layer:]) == 1 and shares[layer - 1] < 1, shares
    for reader in ("es", "en"):
        assert str(layer) in example.teaches(reader)


def test_the_dot_product_brings_long_vectors_forward() -> None:
    example = embedding_example("long-vectors-en")
    with torch.inference_mode():
        dot, cosine = NEIGHBOURS.run(
            bundle_of(example),
            [NeighbourRequest(example.piece, measure="dot"), NeighbourRequest(example.piece, measure="cosine")],
        )
    names = [near.piece for near in cosine.found[:10]]
    assert "liverpool" not in names and "leeds" not in names
    assert np.mean([near.norm for near in dot.found]) > np.mean([near.norm for near in cosine.found])


def test_every_part_has_an_example_in_both_languages() -> None:
    for part in PARTS:
        for language in ("es", "en"):
            assert first_example(part, language) is not None, (part, language)
    assert {item.part for item in ALL} == set(PARTS)
    with pytest.raises(KeyError):
        embedding_example("nobody")


@pytest.mark.parametrize("example", ALL, ids=lambda item: item.id)
def test_texts_are_whole(example: EmbeddingExample) -> None:
    for reader in ("es", "en"):
        assert example.title(reader) and example.teaches(reader).endswith((".", "?"))
        assert "“" not in example.teaches("es") and "«" not in example.teaches("en")
    if example.part == "contexts":
        assert len(set(example.senses["es"])) == len(set(example.senses["en"])) == 2
        assert len(example.lines) == len(set(example.lines)) == 8
        # Each sense as often as the other: else the majority would look like understanding.
        assert all(example.senses["es"].count(sense) == 4 for sense in example.senses["es"])
    if example.part == "sentences":
        flat = [sentence for pair in example.pairs for sentence in pair]
        assert len(example.pairs) == 24 and len(set(flat)) == 48
        assert "24" in example.teaches("es") and "24" in example.teaches("en")
    if example.part == "cosine":
        assert len(example.vectors) == 3
