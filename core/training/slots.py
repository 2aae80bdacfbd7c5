"""Marked stretches of a sentence: written inline, as positions in the text, or as one IOB2 tag a word.

Inline, a stretch stands in brackets behind its name: ``pon [artist: Mercedes Sosa] en [playlist: mis tardes]``.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from core.training.data import OUTSIDE, Tagged, spans

# A word with what belongs inside it ("o'clock", "9:30", "4,5"), or a sign by itself.
_WORD: Final = re.compile(r"\w+(?:['’.,:\-]\w+)*|[^\w\s]")
_MARK: Final = re.compile(r"\[(?P<name>[^\W\d][\w-]*):\s*(?P<value>[^\[\]]*?)\s*\]")
_TIGHT_LEFT: Final = frozenset(",.;:!?)]}»%…”")
_TIGHT_RIGHT: Final = frozenset("([{«¿¡“")


@dataclass(frozen=True, slots=True)
class Slot:
    """A stretch of a text that has a name.

    Attributes:
        name: such as ``"artist"``.
        start: first character.
        end: one after the last.
    """

    name: str
    start: int
    end: int


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where the words and signs of a text stand, as (first character, one after the last)."""
    return [match.span() for match in _WORD.finditer(text)]


def parse(line: str) -> tuple[str, tuple[Slot, ...]]:
    """Text and slots of a line with inline marks.

    Raises:
        ValueError: a bracket that is no mark, or a mark without content. Its text is the offending stretch.
    """
    text, slots, last = "", [], 0
    for match in _MARK.finditer(line):
        text += line[last : match.start()]
        if not match["value"]:
            raise ValueError(match[0])
        slots.append(Slot(match["name"], len(text), len(text) + len(match["value"])))
        text += match["value"]
        last = match.end()
    text += line[last:]
    stray = re.search(r"[\[\]].{0,20}", text)
    if stray:
        raise ValueError(stray[0])
    return text, tuple(slots)


def mark(text: str, slots: Iterable[Slot]) -> str:
    """A text with its slots written inline; ``parse`` reverses it."""
    line, last = "", 0
    for slot in sorted(slots, key=lambda slot: slot.start):
        line += f"{text[last : slot.start]}[{slot.name}: {text[slot.start : slot.end]}]"
        last = slot.end
    return line + text[last:]


def tag(text: str, slots: Sequence[Slot]) -> Tagged:
    """Words and IOB2 tags of a text whose slots are known by position.

    A word belongs to the slot in which it begins; where a slot begins inside a word, the word is cut there.
    """
    borders = sorted({place for slot in slots for place in (slot.start, slot.end)})
    words, tags = [], []
    previous: Slot | None = None
    for start, end in word_spans(text):
        cuts = [start, *(place for place in borders if start < place < end), end]
        for begin, finish in pairwise(cuts):
            own = next((slot for slot in slots if slot.start <= begin < slot.end), None)
            words.append(text[begin:finish])
            tags.append(OUTSIDE if own is None else f"{'I' if own is previous else 'B'}-{own.name}")
            previous = own
    return Tagged(tuple(words), tuple(tags))


def written(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Words as a sentence is written, without spaces before commas, and where each of them stands in it."""
    text, places = "", []
    for word in words:
        if text and word not in _TIGHT_LEFT and text[-1] not in _TIGHT_RIGHT:
            text += " "
        places.append((len(text), len(text) + len(word)))
        text += word
    return text, places


def slots_of(tagged: Tagged) -> tuple[str, tuple[Slot, ...]]:
    """A tagged sentence as text with slots, to show it."""
    text, places = written(tagged.words)
    return text, tuple(Slot(kind, places[first][0], places[last - 1][1]) for kind, first, last in spans(tagged.tags))
