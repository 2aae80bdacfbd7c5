"""Two components of ours: a heat map of a matrix whose cells can be chosen, and the list of numbers behind a cell.

Plotly's heat maps report no clicks, and a matrix of 64 × 3072 values is no table: so a small picture of all of it,
and beside it a window of numbers that the arrow keys move. Everything shown goes through ``textContent``.
"""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import streamlit as st

from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.ui.scripts import script
from core.ui.triggers import sent

_FOLDER = Path(__file__).parent
_CSS = (_FOLDER / "heat.css").read_text(encoding="utf-8")
_HEAT = st.components.v2.component(
    "taller_heat",
    html="<div class='heat'></div>",
    css=_CSS,
    js=script(_FOLDER / "heat.js"),
)
_ORIGIN = st.components.v2.component(
    "taller_origin",
    html="<div class='origin'></div>",
    css=_CSS,
    js=script(_FOLDER / "origin.js"),
)
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# Colours reach their end at this quantile of the absolute values: in BERT a single dimension can be twenty times as
# large as the rest, and everything else would look grey.
_FULL_COLOUR = 0.99


@dataclass(frozen=True)
class Plane:
    """What to draw.

    Attributes:
        values: ``(rows, columns)``; −inf is drawn hatched.
        rows: a name for each row.
        columns: a name for each column, or empty: then they are numbered from 0.
        row_axis: what the rows are, in words.
        column_axis: what the columns are.
    """

    values: npt.NDArray[np.float32]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    row_axis: str
    column_axis: str


def number(value: float) -> str:
    """A value in as many figures as it takes to tell it from others."""
    if value == float("-inf"):
        return "−∞"
    if value == 0:
        return "0"
    size = abs(value)
    if size < 0.0005:
        digits, power = f"{value:.1e}".split("e")
        digits = digits if get_language() == "en" else digits.replace(".", ",")
        return f"{digits}·10".replace("-", "−") + str(int(power)).translate(_RAISED)
    decimals = 0 if float(value).is_integer() and size >= 100 else 1 if size >= 1000 else 2 if size >= 100 else 3
    return format_number(value, decimals).replace("-", "−")


def colour_range(values: npt.NDArray[np.float32]) -> tuple[float, bool]:
    """The absolute value at which the colour is full, and whether there are negative values."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 1.0, False
    signed = bool((finite < 0).any())
    top = float(np.quantile(np.abs(finite), _FULL_COLOUR)) if finite.size > 200 else float(np.abs(finite).max())
    return (top or float(np.abs(finite).max()) or 1.0), signed


def message(plane: Plane, chosen: tuple[int, int] | None, spoken: str) -> bytes:
    """What JavaScript receives: length of the header, header as JSON, and the values as float32."""
    top, signed = colour_range(plane.values)
    finite = plane.values[np.isfinite(plane.values)]
    largest = float(np.abs(finite).max()) if finite.size else 0.0
    legend = _("De −{n} (naranja) a {n} (azul)") if signed else _("De 0 (sin color) a {n} (azul)")
    legend = legend.format(n=number(top))
    if largest > 1.0001 * top:
        legend += ". " + _("Lo mayor llega a ±{n} y se ve del mismo color").format(n=number(largest))
    header = {
        "shape": list(plane.values.shape),
        "rows": list(plane.rows),
        "columns": list(plane.columns),
        "chosen": list(chosen) if chosen is not None else None,
        "top": top,
        "signed": signed,
        "decimal": "." if get_language() == "en" else ",",
        "labels": {
            "picture": spoken,
            "legend": legend,
            "numbers": _("Los números alrededor de la casilla elegida"),
            "help": _("Pulsa en el mapa o en un número para ver de qué números sale. Con el teclado: flechas e Intro."),
            "row": plane.row_axis,
            "column": plane.column_axis,
        },
    }
    head = json.dumps(header, ensure_ascii=False).encode()
    head += b" " * (-(4 + len(head)) % 4)
    values = np.ascontiguousarray(plane.values, dtype="<f4")
    return struct.pack("<I", len(head)) + head + values.tobytes()


def heat_view(
    plane: Plane,
    *,
    chosen: tuple[int, int] | None,
    spoken: str,
    key: str,
    on_choose: Callable[[int, int], None],
) -> None:
    """Draws a matrix.

    Args:
        plane: the matrix.
        chosen: the cell that is marked.
        spoken: what the picture shows, for those who can't see it.
        key: Streamlit's key.
        on_choose: called with row and column before the page runs again.
    """
    rows, columns = plane.values.shape

    def changed() -> None:
        cell = sent(key, "cell")
        if isinstance(cell, (list, tuple)) and len(cell) == 2 and all(isinstance(at, (int, float)) for at in cell):
            row, column = int(cell[0]), int(cell[1])
            if 0 <= row < rows and 0 <= column < columns:
                on_choose(row, column)

    _HEAT(data=message(plane, chosen, spoken), key=key, on_cell_change=changed)


@dataclass(frozen=True, slots=True)
class Number:
    """A number that took part: what it says, what it is, and where a click on it leads (an opaque key; "" nowhere)."""

    text: str
    name: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A product of numbers, and what it adds to the value."""

    numbers: tuple[Number, ...]
    adds: str
    size: float


def origin_view(
    lines: Sequence[Line], *, rest: str, key: str, on_go: Callable[[str], None], caption: str, adds: bool = True
) -> None:
    """Lists the numbers behind a value.

    Args:
        lines: the largest first.
        rest: a sentence about those that aren't listed; ``""`` for none.
        key: Streamlit's key.
        on_go: called with the target of the number that was clicked.
        caption: what the list is.
        adds: whether to show what each line adds.
    """
    targets = {item.target for line in lines for item in line.numbers if item.target}
    widest = max((abs(line.size) for line in lines if np.isfinite(line.size)), default=0.0) or 1.0

    def changed() -> None:
        target = sent(key, "go")
        if isinstance(target, str) and target in targets:
            on_go(target)

    data = {
        "caption": caption,
        "rest": rest,
        "adds": adds,
        "go": _("ir a ese valor"),
        "lines": [
            {
                "numbers": [[item.text, item.name, item.target] for item in line.numbers],
                "adds": line.adds,
                "share": max(-1.0, min(1.0, line.size / widest)) if np.isfinite(line.size) else 0.0,
            }
            for line in lines
        ],
    }
    _ORIGIN(data=data, key=key, on_go_change=changed)
