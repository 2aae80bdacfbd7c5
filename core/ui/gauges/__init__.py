"""Live gauges (a Streamlit component v2 of ours): a value, a meter, ten minutes of curve, and what happened.

The component itself asks for new readings, and only while its tab can be seen; call it inside a fragment, so
that nothing else on the page runs again. Everything shown goes through ``textContent``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import streamlit as st

from core.i18n import gettext as _
from core.ui.scripts import script

_FOLDER = Path(__file__).parent
_COMPONENT = st.components.v2.component(
    "taller_gauges",
    html="<ul class='gauges'></ul>",
    css=(_FOLDER / "gauges.css").read_text(encoding="utf-8"),
    js=script(_FOLDER / "gauges.js"),
)

SPAN_S: Final = 600


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened ``age_s`` seconds ago, in a few words."""

    age_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Gauge:
    """One reading.

    Attributes:
        title: what is read.
        value: the newest reading, in words.
        share: the same from 0 to 1; ``None`` if it can't be told.
        why: a sentence where there is no reading.
        curve: pairs of age in seconds and percent, oldest first.
        alt: the curve in words.
        marks: what happened meanwhile, oldest first.
        cores: percent of each of several parts, such as a processor's cores.
        cores_alt: the parts in words.
        facts: further readings, as pairs of name and value.
    """

    title: str
    value: str
    share: float | None
    why: str = ""
    curve: tuple[tuple[float, float], ...] = ()
    alt: str = ""
    marks: tuple[Mark, ...] = ()
    cores: tuple[float, ...] = ()
    cores_alt: str = ""
    facts: tuple[tuple[str, str], ...] = ()


def payload(gauges: Sequence[Gauge], *, every_s: float, compact: bool) -> dict[str, Any]:
    """What JavaScript receives."""
    return {
        "compact": compact,
        "every": round(every_s * 1000),
        "span": SPAN_S,
        "axis": [_("hace 10 min"), _("hace 5 min"), _("ahora")],
        "cards": [
            {
                "title": gauge.title,
                "value": gauge.value,
                "share": None if gauge.share is None else round(min(1.0, max(0.0, gauge.share)), 4),
                "why": gauge.why,
                "curve": [] if compact else [[round(age, 1), round(value, 1)] for age, value in gauge.curve],
                "alt": gauge.alt,
                "marks": [[round(mark.age_s, 1), mark.text] for mark in gauge.marks if mark.age_s <= SPAN_S],
                "cores": [] if compact else [round(percent) for percent in gauge.cores],
                "cores_alt": gauge.cores_alt,
                "facts": [] if compact else [list(fact) for fact in gauge.facts],
            }
            for gauge in gauges
        ],
    }


def gauge_view(gauges: Sequence[Gauge], *, key: str, every_s: float = 2.0, compact: bool = False) -> None:
    """Shows ``gauges``, and runs the surrounding fragment again every ``every_s`` seconds while the tab is seen.

    Args:
        gauges: the readings.
        key: the component's key, unique on the page.
        every_s: seconds between readings.
        compact: values and meters alone, for the sidebar.
    """
    _COMPONENT(data=payload(gauges, every_s=every_s, compact=compact), key=key, on_tick_change=lambda: None)
