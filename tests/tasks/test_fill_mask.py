"""Masked words: hand-worked probabilities, several gaps, words in several pieces, refusals."""

import itertools
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core.errors import InputInvalid, InputTooLong
from core.runtime.bundle import ModelBundle
from core.tasks.common import Clock
from core.tasks.fill_mask import MAX_MASKS, TASK, FillMaskRequest, gaps_of
from core.tasks.generation import next_token
from core.training.recipes.adapters import load_tokenizer
from tests.tasks.causal import decoder
from tests.tasks.stubs import bundle, piece_ids

SIZE = 30_522


def guessing(table: dict[str, dict[str, float]], two_heads: bool = False) -> ModelBundle:
    """A model that fills a mask by the piece before it: piece → scores of pieces; everything else scores −20."""
    known = {
        piece_ids(before)[0]: dict(zip(piece_ids(*scores), scores.values(), strict=True))
        for before, scores in table.items()
    }

    def answer(input_ids: torch.Tensor, **_rest: Any) -> Any:
        logits = torch.full((*input_ids.shape, SIZE), -20.0)
        for row, ids in enumerate(input_ids.tolist()):
            for place in range(1, len(ids)):
                for piece, score in known.get(ids[place - 1], {}).items():
                    logits[row, place, piece] = score
        return SimpleNamespace(prediction_logits=logits) if two_heads else SimpleNamespace(logits=logits)

    made = bundle(answer)
    made.model.config.vocab_size = SIZE  # type: ignore[union-attr, assignment]
    return made


def fill(model: ModelBundle, text: str, **options: Any) -> Any:
    return TASK.run(model, [FillMaskRequest(text, **options)])[0]


COLOURS = {"is": {"red": math.log(0.5), "blue": math.log(0.3), "green": math.log(0.2)}}


@pytest.mark.parametrize("two_heads", [False, True])
def test_probabilities_of_a_hand_worked_gap(two_heads: bool) -> None:
    result = fill(guessing(COLOURS, two_heads), "the car is [MASK] .", top=3)
    (gap,) = result.gaps
    assert [c.text for c in gap.candidates] == ["red", "blue", "green"]
    assert [c.probability for c in gap.candidates] == pytest.approx([0.5, 0.3, 0.2], abs=1e-3)
    assert gap.entropy_bits == pytest.approx(-sum(p * math.log2(p) for p in (0.5, 0.3, 0.2)), abs=0.01)
    assert "the car is [MASK] ."[gap.start : gap.end] == "[MASK]"
    assert result.tokens == 7


def test_every_way_to_write_a_gap_is_understood() -> None:
    for text in ("the car is [MASK] .", "the car is [mask].", "the car is <mask>.", "the car is ____."):
        (gap,) = fill(guessing(COLOURS), text, top=1).gaps
        assert gap.candidates[0].text == "red", text
        assert text[gap.start : gap.end].strip("[]<>_").lower() in {"mask", ""}


def test_several_gaps_are_answered_in_their_order() -> None:
    model = guessing({**COLOURS, "my": {"dog": 5.0}})
    first, second = fill(model, "my [MASK] is [MASK] .", top=1).gaps
    assert (first.candidates[0].text, second.candidates[0].text) == ("dog", "red")
    assert first.start < first.end < second.start


def test_words_of_several_pieces_compete_by_their_mean() -> None:
    # "token ##ization": each further piece has 0.9; the rivals of one piece 0.6 and 0.1.
    word = "tokenization"
    pieces = load_tokenizer("minilm").tokenize(word)
    assert len(pieces) > 1
    table = {"in": {pieces[0]: math.log(0.3), "rome": math.log(0.6), "oslo": math.log(0.1)}}
    for before, after in itertools.pairwise(pieces):
        table[before] = {after: math.log(0.9), "the": math.log(0.1)}
    (gap,) = fill(guessing(table), "they live in [MASK] .", top=5, pieces=len(pieces)).gaps
    found = {c.text: c for c in gap.candidates}
    assert found[word].pieces == tuple(pieces)
    assert found[word].probability == pytest.approx((0.3 * 0.9 ** (len(pieces) - 1)) ** (1 / len(pieces)), rel=0.02)
    assert [c.text for c in gap.candidates][:2] == ["rome", word]
    # A piece that begins a word may not follow inside one, nor the other way round.
    assert not any("##" in c.text or c.pieces[0].startswith("##") for c in gap.candidates)
    assert "tokenthe" not in found and "token the" not in found
    # Asked for single pieces alone, the word isn't there.
    (single,) = fill(guessing(table), "they live in [MASK] .", top=5).gaps
    assert word not in {c.text for c in single.candidates}


def test_a_batch_answers_as_each_alone() -> None:
    model = guessing({**COLOURS, "my": {"dog": 5.0}})
    texts = ["my [MASK] .", "the car that i saw is [MASK] .", "my [MASK] is [MASK]"]
    together = TASK.run(model, [FillMaskRequest(text, top=2) for text in texts])
    for text, result in zip(texts, together, strict=True):
        alone = fill(model, text, top=2)
        assert [[c.text for c in g.candidates] for g in result.gaps] == [
            [c.text for c in g.candidates] for g in alone.gaps
        ]
        assert result.tokens == alone.tokens


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", InputInvalid, "vacío"),
        ("no gap here", InputInvalid, "Falta el hueco"),
        ("[MASK] " * 200, InputTooLong, f"200 huecos y aquí caben {MAX_MASKS}"),
        ("word " * 600 + "[MASK]", InputTooLong, "512"),
    ],
)
def test_bad_input_is_refused_with_a_reason(text: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fill(guessing(COLOURS), text)


def test_gaps_are_found_in_code_points() -> None:
    text = "👩‍👩‍👧 ñ [MASK] y <mask>"
    assert [text[start:end] for start, end in gaps_of(text)] == ["[MASK]", "<mask>"]


def test_a_causal_model_reads_only_what_stands_before_the_gap(tmp_path: Path) -> None:
    model = decoder(tmp_path)

    def ask(text: str) -> Any:
        with torch.inference_mode():
            return TASK.run(model, [FillMaskRequest(text, top=5)])[0]

    one, other = ask("El niño comió una [MASK] roja."), ask("El niño comió una [MASK] y un gato corre.")
    assert one.left_only and one.gaps[0].candidates == other.gaps[0].candidates
    with torch.inference_mode():
        chances, _tokens = next_token(model, "El niño comió una", Clock())
    assert one.gaps[0].candidates[0].probability == pytest.approx(float(chances.max()), abs=1e-6)
    # The second gap is read after the first one's own best token.
    assert len(ask("El niño [MASK] una [MASK].").gaps) == 2
    with pytest.raises(InputInvalid, match="nada antes"):
        ask("[MASK] niño")
