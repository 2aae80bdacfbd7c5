"""A time axis with lanes (a Streamlit component v2 of ours): every event is a button at its date.

Labels never overlap: in each lane an event takes the first row in which it has room at the present zoom and width,
so that the picture can be read from all of history down to a month, on a wall and on a phone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import streamlit as st

from core.i18n import gettext as _
from core.ui.scripts import script
from core.ui.triggers import sent

_FOLDER: Final = Path(__file__).parent
_VIEW = st.components.v2.component(
    "taller_chronology",
    html="<div class='chrono'></div>",
    css=(_FOLDER / "chronology.css").read_text(encoding="utf-8"),
    js=script(_FOLDER / "chronology.js"),
)
# Where the axis may change its scale: decades while little happened, then every year.
_OLD_KNOTS: Final = (1900, 1920, 1940, 1960, 1980, 1990, 2000, 2010)
# How much of the width goes by time; the rest goes by how much happened.
_BY_TIME: Final = 0.3


@dataclass(frozen=True, slots=True)
class Mark:
    """One event on the axis.

    Attributes:
        id: what a click reports.
        day: where it stands.
        lane: the key of its lane.
        title: what its button says.
        spoken: what a screen reader says: title, date and more.
    """

    id: str
    day: date
    lane: str
    title: str
    spoken: str


def as_years(day: date) -> float:
    """A day as a number of years: the middle of 2020 is about 2020.5."""
    start = date(day.year, 1, 1)
    return day.year + (day - start).days / (date(day.year + 1, 1, 1) - start).days


def scale(days: Sequence[date], *, by_time: float = _BY_TIME) -> list[tuple[int, float]]:
    """A time axis that gives room to where the events are, as pairs of a year and its place from 0 to 1.

    Between two of them the axis is even. Without this, a century of thirteen events would take nine tenths of the
    width, and the decade with the other seventy would not be readable.

    Args:
        days: the events'.
        by_time: 1 for an even axis, 0 for room by number of events alone.

    Raises:
        ValueError: there are no days.
    """
    if not days:
        raise ValueError("an axis needs at least one event")
    years = [as_years(day) for day in days]
    first, last = int(min(years)), int(max(years)) + 1
    knots = sorted({first, last, *(k for k in (*_OLD_KNOTS, *range(2012, 2100)) if first < k < last)})
    places = [0.0]
    for left, right in pairwise(knots):
        time = (right - left) / (last - first)
        events = sum(left <= year < right for year in years) / len(years)
        places.append(places[-1] + by_time * time + (1 - by_time) * events)
    return [(knot, place / places[-1]) for knot, place in zip(knots, places, strict=True)]


def payload(
    marks: Sequence[Mark],
    lanes: Mapping[str, str],
    *,
    selected: str | None,
    stops: Sequence[str],
    even: bool,
    follow: str,
) -> dict[str, Any]:
    """What JavaScript receives."""
    used = {mark.lane for mark in marks}
    return {
        "marks": [[m.id, round(as_years(m.day), 4), m.lane, m.title, m.spoken] for m in marks],
        "lanes": [[key, label, index] for index, (key, label) in enumerate(lanes.items()) if key in used],
        "scale": scale([mark.day for mark in marks], by_time=1.0 if even else _BY_TIME),
        "selected": selected,
        "stops": list(stops),
        "follow": follow,
        "labels": {
            "view": _("Línea de tiempo"),
            "closer": _("Acercar"),
            "farther": _("Alejar"),
            "all": _("Verlo todo"),
            "help": _("Con las flechas vas de un hecho a otro; con + y − acercas y alejas; Intro abre la ficha."),
        },
    }


def chronology(
    marks: Sequence[Mark],
    lanes: Mapping[str, str],
    *,
    selected: str | None = None,
    stops: Sequence[str] = (),
    even: bool = False,
    follow: str = "",
    key: str,
    on_choose: Callable[[str], None],
) -> None:
    """Draws the axis.

    Args:
        marks: the events, oldest first; at least one.
        lanes: names by key, from top to bottom; those without an event are left out.
        selected: the event that keeps a ring.
        stops: ids of a path's events, in its order; they are numbered and the others fade.
        even: whether the axis gives every year the same room.
        follow: a CSS class; its element is scrolled into sight after a click.
        key: Streamlit's key, unique on the page.
        on_choose: called with the ``id`` of an event that was clicked, before the page runs again.
    """

    def changed() -> None:
        chosen = sent(key, "event")
        # The value comes from a browser: anything but the id of one of these events is nothing.
        if isinstance(chosen, str) and any(mark.id == chosen for mark in marks):
            on_choose(chosen)

    data = payload(marks, lanes, selected=selected, stops=stops, even=even, follow=follow)
    _VIEW(data=data, key=key, on_event_change=changed)
