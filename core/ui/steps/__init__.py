"""Draws stages of a process as numbered cards with rows of chips (a Streamlit component v2 of ours).

Everything shown goes through ``textContent``: user text can't become markup.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from core.ui.scripts import script

ChipKind = Literal["plain", "piece", "hit", "miss", "merged", "changed", "special", "unknown", "dim"]

_FOLDER = Path(__file__).parent
_COMPONENT = st.components.v2.component(
    "taller_steps",
    html="<ol class='stages'></ol>",
    css=(_FOLDER / "steps.css").read_text(encoding="utf-8"),
    js=script(_FOLDER / "steps.js"),
)


@dataclass(frozen=True, slots=True)
class Chip:
    """One box: its text, what it means, and a smaller line under it (an id, a score).

    White space in the text is made visible, except in ``"dim"`` chips, which hold words of ours.
    """

    text: str
    kind: ChipKind = "plain"
    sub: str = ""
    spoken: str = ""


@dataclass(frozen=True, slots=True)
class ChipRow:
    """A line of chips with what it is on the left and a remark on the right."""

    label: str
    chips: tuple[Chip, ...]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its title, a sentence on what it did, and its rows."""

    title: str
    note: str
    rows: tuple[ChipRow, ...] = ()
    number: int | None = None


def _visible(text: str) -> str:
    """White space that would not be seen, made visible."""
    return text.replace(" ", "·").replace("\n", "⏎").replace("\t", "→").replace("\u00a0", "⍽")


def payload(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """What JavaScript receives."""
    return [
        {
            "title": stage.title,
            "note": stage.note,
            "number": stage.number,
            "rows": [
                {
                    "label": row.label,
                    "remark": row.remark,
                    "chips": [
                        [c.text if c.kind == "dim" else _visible(c.text), c.kind, c.sub, c.spoken] for c in row.chips
                    ],
                }
                for row in stage.rows
            ],
        }
        for stage in stages
    ]


def step_view(stages: Sequence[Stage], *, key: str) -> None:
    """Shows ``stages`` one under the other."""
    _COMPONENT(data=payload(stages), key=key)
