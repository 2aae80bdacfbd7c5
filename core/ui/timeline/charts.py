"""The plots of sizes and of training compute against time. Each function returns the figure and its alternative."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from core.course.timeline import FAMILIES
from core.i18n import gettext as _
from core.ui.charts import escaped, graph_objects, lay_out
from core.ui.navigation import N_

if TYPE_CHECKING:
    import plotly.graph_objects as go

FAMILY_NAMES: Final = {
    "encoder": N_("codificador"),
    "decoder": N_("decodificador"),
    "encoder-decoder": N_("codificador-decodificador"),
    "other": N_("no es un transformer de texto"),
}
# Shapes besides colours: the plot must be readable without colour vision.
_SYMBOLS: Final = {"encoder": "circle", "decoder": "square", "encoder-decoder": "diamond", "other": "cross"}


# Pixels of the plot's inside on a phone 390 wide, of a letter and a line of its labels, and of half a marker.
_WIDE: Final = 255.0
_HIGH: Final = 340.0
_LETTER: Final = 6.6
_LINE: Final = 16.0
_MARKER: Final = 8.0
_PLACES: Final = ("top center", "middle right", "middle left", "bottom center")
# Letters of a line of a label that several stars share.
_LONGEST: Final = 26


@dataclass(frozen=True, slots=True)
class Point:
    """One model in a plot.

    Attributes:
        name: what its label says.
        day: when it came out.
        value: what the vertical axis shows.
        words: the value as a person reads it.
        family: one of ``FAMILIES``.
        event: the id of its event, reported by a click; ``""`` for none.
        open: drawn hollow, for figures that were estimated here.
        here: a model that ships with this app.
        told: the guided paths stop there, so its label comes before the others'.
    """

    name: str
    day: date
    value: float
    words: str
    family: str
    event: str = ""
    open: bool = False
    here: bool = False
    told: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """What the two axes show: days since the year 1, and powers of ten."""

    days: tuple[int, int]
    powers: tuple[float, float]

    def pixels(self, point: Point) -> tuple[float, float]:
        """Where a point is in the plot on a phone, from its upper left corner."""
        x = (point.day.toordinal() - self.days[0]) / (self.days[1] - self.days[0])
        y = (math.log10(point.value) - self.powers[0]) / (self.powers[1] - self.powers[0])
        return _WIDE * x, _HIGH * (1 - y)


def _box(x: float, y: float, width: float, height: float | None = None) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a rectangle around a point; a square by default."""
    high = width if height is None else height
    return x - width / 2, y - high / 2, x + width / 2, y + high / 2


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _joined(lines: tuple[str, ...], name: str) -> tuple[str, ...]:
    """A label with one more name: in the first line that has room for it, or in one of its own."""
    longer = [f"{line} · {name}" for line in lines]
    room = next((index for index, line in enumerate(longer) if len(line) <= _LONGEST), None)
    return (*lines, name) if room is None else (*lines[:room], longer[room], *lines[room + 1 :])


def _names(points: Sequence[Point], frame: Frame) -> list[tuple[str, ...]]:
    """The lines of each label: stars of ours that lie on one another share theirs, and the others have none."""
    names: list[tuple[str, ...]] = [(point.name,) for point in points]
    places = {index: frame.pixels(point) for index, point in enumerate(points) if point.here}
    for index in places:
        if not names[index]:
            continue
        group = [index]
        # Whoever lies on one of the group belongs to it, too: the list grows while it is gone through.
        for member in group:
            for other in places:
                near = other not in group and math.dist(places[member], places[other]) < _MARKER
                if near and names[other]:
                    names[index] = _joined(names[index], points[other].name)
                    names[other] = ()
                    group.append(other)
        # The shortest on top: our models are small, and the crowd stands above them.
        names[index] = tuple(sorted(names[index], key=len))
    return names


def label_boxes(lines: Sequence[str], x: float, y: float, place: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each line of a label in a ``textposition`` around the point at ``(x, y)``."""
    high = _LINE * len(lines)
    upper = {"top": y - _MARKER - high, "middle": y - high / 2, "bottom": y + _MARKER}[place.split()[0]]
    boxes = []
    for number, line in enumerate(lines):
        width = _LETTER * len(line)
        # Lines keep to the point's side.
        left = {"center": x - width / 2, "right": x + _MARKER + 2, "left": x - _MARKER - 2 - width}[place.split()[1]]
        top = upper + _LINE * number
        boxes.append((left, top, left + width, top + _LINE))
    return boxes


def _placed(points: Sequence[Point], names: Sequence[tuple[str, ...]], frame: Frame) -> dict[int, str]:
    """Where the label of each point stands, for those that have room: by the point's place in ``points``.

    Those of our own models come first, then those that the paths tell of, then those of the largest values. Room
    is reckoned on a phone: a label covers no other point, touches no other label and stays inside; whoever has a
    wider screen finds more room, not less.
    """
    middles = [frame.pixels(point) for point in points]
    markers = [_box(x, y, 2 * _MARKER) for x, y in middles]
    taken: list[tuple[float, float, float, float]] = []
    kept: dict[int, str] = {}
    order = sorted(range(len(points)), key=lambda i: (not points[i].here, not points[i].told, -points[i].value))
    for index in (i for i in order if names[i]):
        for name in sorted(_PLACES, key=lambda place: points[index].here and place != "middle left"):
            lines = label_boxes(names[index], *middles[index], name)
            inside = all(
                left >= 0 and right <= _WIDE and top >= 0 and bottom <= _HIGH for left, top, right, bottom in lines
            )
            # A star that shares this label may lie under it.
            others = [box for other, box in enumerate(markers) if other != index and names[other]]
            if inside and not any(_overlap(line, box) for line in lines for box in [*others, *taken]):
                taken += lines
                kept[index] = name
                break
    return kept


def against_time(points: Sequence[Point], title: str, ticks: Sequence[tuple[float, str]]) -> tuple["go.Figure", str]:
    """Points on a time axis and a logarithmic one, by family; ours as stars.

    Args:
        points: the models.
        title: of the vertical axis.
        ticks: values of the vertical axis and how they are written.
    """
    go = graph_objects()
    first, last = min(p.day for p in points), max(p.day for p in points)
    frame = Frame(
        (date(first.year - 1, 7, 1).toordinal(), date(last.year + 1, 9, 1).toordinal()),
        (math.log10(min(p.value for p in points)) - 0.4, math.log10(max(p.value for p in points)) + 0.4),
    )
    names = _names(points, frame)
    places = _placed(points, names, frame)
    figure = go.Figure()
    groups = [(family, False) for family in FAMILIES] + [("", True)]
    for family, here in groups:
        indices = [i for i, p in enumerate(points) if p.here == here and (here or p.family == family)]
        chosen = [points[i] for i in indices]
        if not chosen:
            continue
        figure.add_scatter(
            x=[point.day for point in chosen],
            y=[point.value for point in chosen],
            mode="markers+text",
            name=_("de esta aplicación, hoy") if here else _(FAMILY_NAMES[family]),
            text=["<br>".join(map(escaped, names[i])) if i in places else "" for i in indices],
            textposition=[places.get(i, "top center") for i in indices],
            textfont={"size": 13},
            cliponaxis=False,
            customdata=[[point.event, escaped(point.name), point.words] for point in chosen],
            hovertemplate="<b>%{customdata[1]}</b><br>%{customdata[2]}<br>%{x|%Y-%m}<extra></extra>",
            marker={
                "size": 16 if here else 12,
                "symbol": ["star" if here else _SYMBOLS[family] + ("-open" if point.open else "") for point in chosen],
                "line": {"width": 2},
            },
        )
    lay_out(
        figure,
        height=600,
        # Above the plot, the buttons to zoom and, below them, what the vertical axis shows: beside it, its title
        # would take a phone's room.
        margin={"l": 10, "r": 10, "t": 64, "b": 10},
        font={"size": 14},
        legend={"orientation": "h", "y": -0.1, "yanchor": "top", "x": 0, "font": {"size": 14}},
        dragmode="pan",
        xaxis={
            "range": [date.fromordinal(day) for day in frame.days],
            "automargin": True,
            "tickfont": {"size": 14},
        },
        yaxis={
            "type": "log",
            "range": frame.powers,
            "automargin": True,
            "tickmode": "array",
            "tickvals": [value for value, _label in ticks],
            "ticktext": [label for _value, label in ticks],
            "tickfont": {"size": 14},
        },
    )
    figure.add_annotation(
        text=title, x=0, y=1, xref="paper", yref="paper", xanchor="left", yanchor="bottom", showarrow=False
    )
    ordered = sorted(points, key=lambda point: point.day)
    alt = "; ".join(f"{point.day.year} {point.name}: {point.words}" for point in ordered)
    return figure, f"{title}. {alt}"
