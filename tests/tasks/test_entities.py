"""Entities: hand-worked aggregation of pieces, spans, windows, offsets, refusals."""

from itertools import pairwise, product
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core.errors import InputInvalid
from core.runtime.bundle import ModelBundle
from core.tasks.entities import TASK, EntitiesRequest, Order, Strategy, TaggedWord, legal_path, spans
from tests.tasks.stubs import bundle, piece_ids

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def tagging(table: dict[str, tuple[float, ...]], window: int = 512) -> ModelBundle:
    """A model that gives pieces the named probabilities wherever they stand, and everything else "O"."""
    known = dict(zip(piece_ids(*table), table.values(), strict=True))
    other = (0.96, 0.01, 0.01, 0.01, 0.01)

    def answer(input_ids: torch.Tensor, **_rest: Any) -> Any:
        rows = [[known.get(int(i), other) for i in row] for row in input_ids]
        return SimpleNamespace(logits=torch.tensor(rows).log())

    return bundle(answer, window=window, labels=LABELS)


def find(model: ModelBundle, text: str, strategy: Strategy = "first", order: Order = "sequence") -> Any:
    return TASK.run(model, [EntitiesRequest(text, strategy, order)])[0]


# "Valparaíso" is cut into val ##para ##iso: its pieces disagree.
PIECES = {
    "val": (0.1, 0.5, 0.1, 0.2, 0.1),
    "##para": (0.1, 0.1, 0.1, 0.6, 0.1),
    "##iso": (0.02, 0.01, 0.01, 0.95, 0.01),
}


@pytest.mark.parametrize(
    ("strategy", "kind", "score"),
    [("first", "PER", 0.5), ("average", "LOC", (0.2 + 0.6 + 0.95) / 3), ("max", "LOC", 0.95)],
)
def test_the_strategies_on_a_hand_worked_word(strategy: Strategy, kind: str, score: float) -> None:
    result = find(tagging(PIECES), "Vivo en Valparaíso.", strategy)
    assert [piece.piece for piece in result.pieces if piece.word == 2] == ["val", "##para", "##iso"]
    (entity,) = result.entities
    assert (entity.text, entity.kind) == ("Valparaíso", kind)
    assert entity.score == pytest.approx(score, rel=1e-4)
    assert "Vivo en Valparaíso."[entity.start : entity.end] == "Valparaíso"


def test_without_agreement_a_word_falls_apart() -> None:
    result = find(tagging(PIECES), "Vivo en Valparaíso.", "simple")
    # Each piece was tagged B-, so each begins an entity of its own.
    assert [(e.text, e.kind) for e in result.entities] == [("Val", "PER"), ("para", "LOC"), ("íso", "LOC")]
    assert [e.score for e in result.entities] == pytest.approx([0.5, 0.6, 0.95], rel=1e-4)


def test_tags_become_spans() -> None:
    def words(*tags: str) -> list[TaggedWord]:
        return [TaggedWord("x", 2 * n, 2 * n + 1, tag, 0.5) for n, tag in enumerate(tags)]

    def found(*tags: str) -> list[tuple[str, int, int]]:
        return [(e.kind, e.start // 2, (e.end + 1) // 2) for e in spans("x " * 9, words(*tags))]

    assert found("B-PER", "I-PER", "O", "B-LOC") == [("PER", 0, 2), ("LOC", 3, 4)]
    assert found("B-PER", "B-PER") == [("PER", 0, 1), ("PER", 1, 2)]
    assert found("B-PER", "I-LOC", "I-LOC") == [("PER", 0, 1), ("LOC", 1, 3)]
    # Some models write I- alone, as CoNLL-2003 did.
    assert found("I-LOC", "I-LOC", "O", "I-LOC") == [("LOC", 0, 2), ("LOC", 3, 4)]
    assert found("O") == []


def brute_force(chances: torch.Tensor) -> list[int]:
    """The likeliest of all sequences in which each ``I-`` follows its own kind."""

    def legal(path: tuple[int, ...]) -> bool:
        names = ["O", *(LABELS[tag] for tag in path)]
        return all(not tag.startswith("I-") or last[2:] == tag[2:] for last, tag in pairwise(names))

    paths = [path for path in product(range(len(LABELS)), repeat=len(chances)) if legal(path)]
    return list(max(paths, key=lambda path: sum(float(chances[n, tag].log()) for n, tag in enumerate(path))))


@pytest.mark.parametrize("seed", range(12))
def test_the_path_is_the_likeliest_of_all_legal_ones(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    chances = (2 * torch.randn(6, len(LABELS), generator=generator)).softmax(-1)
    chances[0, LABELS.index("B-LOC")] = 2.0  # a text whose model opens entities with B-
    assert legal_path(chances, LABELS) == brute_force(chances)


def test_words_that_contradict_one_another_agree_as_a_sequence() -> None:
    model = tagging({"new": (0.05, 0.1, 0.05, 0.75, 0.05), "london": (0.01, 0.0, 0.55, 0.04, 0.4)})
    assert [(e.text, e.kind) for e in find(model, "In New London.", order="alone").entities] == [
        ("New", "LOC"),
        ("London", "PER"),
    ]
    together = find(model, "In New London.")
    (entity,) = together.entities
    assert (entity.text, entity.kind) == ("New London", "LOC")
    assert entity.score == pytest.approx((0.75 + 0.4) / 2, rel=1e-4)
    # What each piece says by itself is shown as it is.
    assert [piece.tag for piece in together.pieces if piece.piece == "london"] == ["I-PER"]
    assert [word.tag for word in together.words][1:3] == ["B-LOC", "I-LOC"]


def test_a_model_that_writes_no_b_is_understood() -> None:
    # As CoNLL-2003: I- alone, B- only between two neighbours of one kind.
    model = tagging({"london": (0.02, 0.0, 0.0, 0.03, 0.95), "ana": (0.05, 0.0, 0.95, 0.0, 0.0)})
    found = find(model, "London and London Ana")
    assert [(e.text, e.kind) for e in found.entities] == [("London", "LOC"), ("London", "LOC"), ("Ana", "PER")]


def test_long_texts_are_read_in_windows_and_nothing_is_counted_twice() -> None:
    model = tagging({"london": (0.01, 0.01, 0.01, 0.96, 0.01)}, window=32)
    places = (0, 25, 31, 60, 119)
    words = ["word"] * 120
    for place in places:
        words[place] = "London"
    text = " ".join(words)
    result = find(model, text)
    assert result.windows > 3
    assert [text[e.start : e.end] for e in result.entities] == ["London"] * len(places)
    assert len(result.words) == 120


def test_offsets_are_characters_of_the_text_as_it_was_typed() -> None:
    text = "👩‍👩‍👧 ¡Hola!  LONDON\t y  london"
    result = find(tagging({"london": (0.0, 0.0, 0.0, 1.0, 0.0)}), text)
    assert [text[e.start : e.end] for e in result.entities] == ["LONDON", "london"]


def test_a_batch_answers_as_each_alone() -> None:
    model = tagging(PIECES, window=32)
    texts = ["Valparaíso", "nada de nada", "Valparaíso y " * 40]
    together = TASK.run(model, [EntitiesRequest(text) for text in texts])
    for text, result in zip(texts, together, strict=True):
        alone = find(model, text)
        assert [(e.start, e.end, e.kind) for e in result.entities] == [(e.start, e.end, e.kind) for e in alone.entities]


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(InputInvalid, match="vacío"):
        find(tagging({}), " \n ")
