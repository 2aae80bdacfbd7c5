"""The payload of the marked text: cut by code points, whole characters, nothing lost, nothing overlapping."""

from itertools import pairwise
from typing import Any

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from core.ui.marked import TONES, Link, Mark, build_payload


def test_pieces_and_marks_by_hand() -> None:
    text = "Ana vive en Lima."
    found = build_payload(text, [Mark(12, 16, "lugar", tone=2), Mark(0, 3, tone=0, title="x", id=7)])
    assert found["pieces"] == [["Ana", 1], [" vive en ", -1], ["Lima", 0], [".", -1]]
    assert [mark["tone"] for mark in found["marks"]] == [2, 0]
    assert found["marks"][1]["id"] == 7 and found["marks"][0]["id"] == -1


def test_marks_take_whole_characters() -> None:
    text = "👩‍🔬 y cafe\u0301"  # a family of code points, and an accent that stands alone
    found = build_payload(text, [Mark(0, 1), Mark(6, len(text) - 1)])
    assert found["pieces"][0] == ["👩‍🔬", 0]
    assert found["pieces"][-1] == ["cafe\u0301", 1]


def test_two_pieces_of_one_character_do_not_show_it_twice() -> None:
    text = "a👩‍🔬b"
    found = build_payload(text, [Mark(1, 2, id=1), Mark(2, 4, id=2)])
    assert "".join(piece[0] for piece in found["pieces"]) == text
    assert [piece for piece in found["pieces"] if piece[1] >= 0] == [["👩‍🔬", 0]]


@pytest.mark.parametrize(
    "marks",
    [[Mark(0, 3), Mark(2, 5)], [Mark(3, 3)], [Mark(4, 2)], [Mark(-1, 2)], [Mark(0, 99)], [Mark(0, 1, tone=TONES)]],
)
def test_marks_that_make_no_sense(marks: list[Mark]) -> None:
    with pytest.raises(ValueError, match=r"mark|tone"):
        build_payload("hola mundo", marks)


def test_a_link_needs_its_marks() -> None:
    with pytest.raises(ValueError, match="link"):
        build_payload("hola mundo", [Mark(0, 4)], [Link(0, 1)])
    found = build_payload("hola mundo", [Mark(0, 4), Mark(5, 10)], [Link(1, 0, "98 %", 0.98)])
    assert found["links"] == [[1, 0, "98 %", 0.98]]


def test_legend_tells_tones_from_weights() -> None:
    assert build_payload("x", [], legend=((2, "a"), (-1.0, "b")))["legend"] == [[2, True, "a"], [-1.0, False, "b"]]


def test_weights_stay_within_bounds() -> None:
    found = build_payload("ab", [Mark(0, 1, weight=7.0), Mark(1, 2, weight=-7.0)])
    assert [mark["weight"] for mark in found["marks"]] == [1.0, -1.0]


@given(st.text(max_size=60), st.lists(st.integers(0, 60), max_size=12))
def test_the_pieces_are_the_text_and_no_character_is_cut(text: str, cuts: list[int]) -> None:
    bounds = sorted({cut for cut in cuts if cut <= len(text)})
    marks = [Mark(a, b) for a, b in list(pairwise(bounds))[::2]]
    found: dict[str, Any] = build_payload(text, marks)
    assert "".join(piece[0] for piece in found["pieces"]) == text
    edges = {0, *(match.end() for match in regex.finditer(r"\X", text))}
    at = 0
    for piece, _mark in found["pieces"]:
        at += len(piece)
        assert at in edges
