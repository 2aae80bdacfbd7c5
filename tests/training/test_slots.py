"""Inline marks, positions and IOB2 tags say the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.training.data import spans
from core.training.slots import Slot, mark, parse, slots_of, tag, word_spans


def test_inline_marks_become_text_and_slots() -> None:
    text, slots = parse("pon [artist: Mercedes Sosa] en [playlist: mis tardes], porfa")
    assert text == "pon Mercedes Sosa en mis tardes, porfa"
    assert [(slot.name, text[slot.start : slot.end]) for slot in slots] == [
        ("artist", "Mercedes Sosa"),
        ("playlist", "mis tardes"),
    ]
    assert tag(text, slots).words == ("pon", "Mercedes", "Sosa", "en", "mis", "tardes", ",", "porfa")
    assert tag(text, slots).tags == ("O", "B-artist", "I-artist", "O", "B-playlist", "I-playlist", "O", "O")


def test_two_slots_side_by_side_are_two() -> None:
    assert tag(*parse("[city: Lima] [city: Quito]")).tags == ("B-city", "B-city")
    # Where a slot begins inside what is written as one word, the word is cut.
    found = tag("mesa para4", (Slot("people", 9, 10),))
    assert (found.words, found.tags) == (("mesa", "para", "4"), ("O", "O", "B-people"))


@pytest.mark.parametrize(
    ("line", "stray"),
    [
        ("pon [artista Mercedes]", "[artista Mercedes]"),
        ("pon [a: ]", "[a: ]"),
        ("pon ] ya", "] ya"),
        ("a [x: b", "[x: b"),
    ],
)
def test_a_bracket_that_is_no_mark_is_told(line: str, stray: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(line)
    assert str(caught.value) == stray


def test_words_keep_hours_decimals_and_apostrophes_whole() -> None:
    text = "¿a las 9:30, don't, 4,5 o bien-estar?"
    assert [text[a:b] for a, b in word_spans(text)] == [
        "¿",
        "a",
        "las",
        "9:30",
        ",",
        "don't",
        ",",
        "4,5",
        "o",
        "bien-estar",
        "?",
    ]


NAMES = st.sampled_from(["artist", "city", "party_size"])
PIECES = st.lists(
    st.tuples(
        st.sampled_from([None, "artist", "city", "date-time"]),
        st.lists(st.sampled_from(["Ana", "va", "7", "sí"]), min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=6,
)


@given(PIECES)
def test_marks_positions_and_tags_are_one_thing(pieces) -> None:
    line = " ".join(f"[{name}: {' '.join(words)}]" if name else " ".join(words) for name, words in pieces)
    text, slots = parse(line)
    assert mark(text, slots) == line
    tagged = tag(text, slots)
    assert slots_of(tagged) == (text, slots)
    assert [(kind, " ".join(tagged.words[a:b])) for kind, a, b in spans(tagged.tags)] == [
        (name, " ".join(words)) for name, words in pieces if name
    ]
