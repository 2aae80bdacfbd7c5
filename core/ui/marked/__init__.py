"""A text with marks on it: entities, answers, weights of words, chosen sentences, produced tokens, links.

A Streamlit component v2 of ours. Python cuts the text into pieces (offsets in code points would mean something
else in JavaScript), ``marked.js`` draws them with ``textContent`` alone. A mark that has an ``id`` can be chosen
by click, touch or keyboard; the choice comes back in one script run, and is ``None`` in all others.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import regex
import streamlit as st

from core.i18n import gettext as _
from core.ui.scripts import script
from core.ui.triggers import sent

_FOLDER: Final = Path(__file__).parent
_VIEW = st.components.v2.component(
    "taller_marked",
    html="<div class='mk'></div>",
    css=(_FOLDER / "marked.css").read_text(encoding="utf-8"),
    js=script(_FOLDER / "marked.js"),
)
# Categories that have a colour and an underline of their own in marked.css.
TONES: Final = 8


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of a text that stands out.

    Attributes:
        start: where it begins, in code points.
        end: where it ends; what stands there is no longer part of it.
        label: a short caption beside it, such as ``"persona · 98 %"``.
        tone: its category, from 0 to 7: a colour and an underline of its own.
        weight: how strongly it is shaded, from −1 to 1; negative ones have another colour and are hatched.
        title: a sentence shown while it is pointed at or has the focus.
        id: what comes back when it is chosen; ``None`` if it can't be.
    """

    start: int
    end: int
    label: str = ""
    tone: int | None = None
    weight: float | None = None
    title: str = ""
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """An arrow over the text from one mark to another, by their places in the list of marks.

    Attributes:
        source: where it begins.
        target: where it points.
        label: what stands on it.
        strength: from 0 to 1, how thick it is.
    """

    source: int
    target: int
    label: str = ""
    strength: float = 1.0


def _snapped(text: str, marks: Sequence[Mark]) -> list[tuple[int, int]]:
    """Where each mark begins and ends, widened so that no visible character is cut in two.

    Raises:
        ValueError: a mark outside the text, an empty one, or two that overlap.
    """
    bounds = [0, *(match.end() for match in regex.finditer(r"\X", text))]
    begin, finish = {}, {}
    for low, high in itertools.pairwise(bounds):
        for place in range(low, high):
            begin[place] = low
            finish[place + 1] = high
    spans: list[tuple[int, int]] = []
    before = 0
    for index in sorted(range(len(marks)), key=lambda i: marks[i].start):
        mark = marks[index]
        if not 0 <= mark.start < mark.end <= len(text):
            raise ValueError(f"mark {mark.start}–{mark.end} is not inside a text of {len(text)} characters")
        if mark.start < before:
            raise ValueError(f"mark {mark.start}–{mark.end} overlaps the one before it")
        before = mark.end
    last = 0
    order = sorted(range(len(marks)), key=lambda i: marks[i].start)
    found: dict[int, tuple[int, int]] = {}
    for index in order:
        # Two pieces of one character: the first has it, the second begins after it.
        low = max(last, begin[marks[index].start])
        high = max(low, finish[marks[index].end])
        found[index] = (low, high)
        last = high
    spans = [found[index] for index in range(len(marks))]
    return spans


def build_payload(
    text: str,
    marks: Sequence[Mark],
    links: Sequence[Link] = (),
    legend: Sequence[tuple[float, str]] = (),
    selected: int | None = None,
) -> dict[str, Any]:
    """What ``marked.js`` draws: strings, numbers and lists only.

    Raises:
        ValueError: as ``_snapped``, a tone that doesn't exist, or a link to no mark.
    """
    if any(mark.tone is not None and not 0 <= mark.tone < TONES for mark in marks):
        raise ValueError(f"a tone is from 0 to {TONES - 1}")
    if any(not (0 <= link.source < len(marks) and 0 <= link.target < len(marks)) for link in links):
        raise ValueError("a link without its mark")
    spans = _snapped(text, marks)
    pieces: list[list[Any]] = []
    at = 0
    for index in sorted(range(len(marks)), key=lambda i: spans[i]):
        low, high = spans[index]
        if high == low:
            continue
        if low > at:
            pieces.append([text[at:low], -1])
        pieces.append([text[low:high], index])
        at = high
    if at < len(text):
        pieces.append([text[at:], -1])
    return {
        "pieces": pieces,
        "marks": [
            {
                "label": mark.label,
                "tone": -1 if mark.tone is None else mark.tone,
                "weight": None if mark.weight is None else round(max(-1.0, min(1.0, mark.weight)), 3),
                "title": mark.title,
                "id": -1 if mark.id is None else mark.id,
            }
            for mark in marks
        ],
        "links": [[link.source, link.target, link.label, round(link.strength, 3)] for link in links],
        "legend": [[key, isinstance(key, int), words] for key, words in legend],
        "selected": -1 if selected is None else selected,
        "labels": {
            "more": _("Mostrar más"),
            "text": _("Texto con marcas"),
            "link": _("«{source}» apunta a «{target}» {label}"),
            "chosen": _("elegida"),
        },
    }


def marked_text(
    text: str,
    marks: Sequence[Mark],
    *,
    links: Sequence[Link] = (),
    legend: Sequence[tuple[float, str]] = (),
    selected: int | None = None,
    key: str,
    on_choose: Callable[[int], None] | None = None,
) -> None:
    """Draws the text.

    Args:
        text: any text; it is shown letter for letter.
        marks: stretches that stand out; they may not overlap.
        links: arrows between marks.
        legend: pairs of a tone (an ``int``) or a weight (a ``float``) and what it means.
        selected: the ``id`` of the mark that keeps a ring.
        key: Streamlit's key, unique on the page.
        on_choose: called with the ``id`` of a mark that was clicked, before the page runs again.

    Raises:
        ValueError: as ``build_payload``.
    """

    def changed() -> None:
        chosen = sent(key, "mark")
        # The value comes from a browser: anything but the id of one of these marks is nothing.
        known = isinstance(chosen, int) and not isinstance(chosen, bool) and any(mark.id == chosen for mark in marks)
        if known and on_choose is not None:
            on_choose(chosen)

    _VIEW(data=build_payload(text, marks, links, legend, selected), key=key, on_mark_change=changed)
