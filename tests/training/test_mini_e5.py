"""mini-e5's recipe: which pieces stay, and that a text whose pieces all stayed is read as by the whole model."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from core.training.recipes import e5, mini_e5
from tests.training.test_e5 import PIECES, tiny_e5


@pytest.fixture(scope="module")
def packed() -> e5.Packed:
    return tiny_e5(hidden=96, inner=64)


def ids_of(*pieces: str) -> list[int]:
    return [PIECES.index(piece) for piece in pieces]


def test_the_most_used_pieces_of_both_languages_stay_and_every_character(packed: e5.Packed) -> None:
    spanish = Counter(dict(zip(ids_of("▁casa", "▁la", "a"), (50, 40, 1), strict=True)))
    english = Counter(dict(zip(ids_of("▁ca", "sa"), (9, 1), strict=True)))
    kept = mini_e5.chosen(packed, {"es": spanish, "en": english}, pieces=9)
    # Four marks; "a", a character, though hardly used; then the most used: 0.36 for the English one, as for ours.
    assert [PIECES[index] for index in kept] == ["<s>", "<pad>", "</s>", "<unk>", "▁la", "▁ca", "▁casa", "a"]
    assert mini_e5.used(e5.tokenizer(packed), iter(["la casa", "la"])) == Counter(
        dict(zip(ids_of("▁la", "▁casa"), (2, 1), strict=True))
    )


def test_what_stays_is_read_as_by_the_whole_model(packed: e5.Packed, tmp_path: Path) -> None:
    kept = [index for index, piece in enumerate(PIECES[:-1]) if piece != "▁ca"]
    words = mini_e5.build_tokenizer(packed, kept)
    mini_e5.export(mini_e5.build_model(packed, kept), words, tmp_path)
    tokenizer: Any = AutoTokenizer.from_pretrained(str(tmp_path))
    assert tokenizer.tokenize("la casa") == ["▁la", "▁casa"]
    # What was left out is spelt in pieces that stayed.
    assert tokenizer.tokenize("sasa") == ["▁", "sa", "sa"]
    pair = tokenizer("la", "casa")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(pair) == ["<s>", "▁la", "</s>", "</s>", "▁casa", "</s>"]
    assert tokenizer.mask_token_id == len(kept) and tokenizer.pad_token_id == 1

    cut = AutoModel.from_pretrained(str(tmp_path), dtype=torch.float32).eval()
    whole = e5.model(packed)
    ids = [0, *e5.tokenizer(packed).encode("la casa").ids, 2]
    with torch.inference_mode():
        ours = cut(**tokenizer("la casa", return_tensors="pt")).last_hidden_state.numpy()
        theirs = whole(torch.tensor([ids])).last_hidden_state.numpy()
    # Word embeddings were kept in eight bits: three of fraction.
    assert np.allclose(ours, theirs, atol=0.1) and not np.array_equal(ours, theirs)
    cosine = (ours * theirs).sum(-1) / np.linalg.norm(ours, axis=-1) / np.linalg.norm(theirs, axis=-1)
    assert cosine.min() > 0.998
