"""The plots of sizes and of training compute against time. Each function returns the figure and its alternative."""

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
    """

    name: str
    day: date
    value: float
    words: str
    family: str
    event: str = ""
    open: bool = False
    here: bool = False


def _labelled(points: Sequence[Point]) -> set[str]:
    """Names whose labels have room, those of the largest values and of our own models first.

    Room is reckoned for a narrow plot, in shares of its width and height, so that a phone can be read, too.
    """
    import math

    days = [point.day.toordinal() for point in points]
    logs = [math.log10(point.value) for point in points]
    wide = max(days) - min(days) or 1
    high = max(logs) - min(logs) or 1
    taken: list[tuple[float, float, float]] = []
    kept: set[str] = set()
    for index in sorted(range(len(points)), key=lambda i: (not points[i].here, -logs[i])):
        x, y = (days[index] - min(days)) / wide, (logs[index] - min(logs)) / high
        half = 0.012 * len(points[index].name) + 0.02
        # The label stands above its point (left of ours) and must cover no other one.
        x, label = (x - half, y) if points[index].here else (x, y + 0.045)
        others = [i for i in range(len(points)) if i != index]
        covers = any(
            abs(x - (days[i] - min(days)) / wide) < half and abs(label - (logs[i] - min(logs)) / high) < 0.03
            for i in others
        )
        if not covers and all(abs(x - a) > half + b or abs(y - c) > 0.075 for a, b, c in taken):
            taken.append((x, half, y))
            kept.add(points[index].name)
    return kept


def against_time(points: Sequence[Point], title: str, ticks: Sequence[tuple[float, str]]) -> tuple["go.Figure", str]:
    """Points on a time axis and a logarithmic one, by family; ours as stars.

    Args:
        points: the models.
        title: of the vertical axis.
        ticks: values of the vertical axis and how they are written.
    """
    go = graph_objects()
    names = _labelled(points)
    figure = go.Figure()
    groups = [(family, False) for family in FAMILIES] + [("", True)]
    for family, here in groups:
        chosen = [p for p in points if p.here == here and (here or p.family == family)]
        if not chosen:
            continue
        figure.add_scatter(
            x=[point.day for point in chosen],
            y=[point.value for point in chosen],
            mode="markers+text",
            name=_("de esta aplicación, hoy") if here else _(FAMILY_NAMES[family]),
            text=[escaped(point.name) if point.name in names else "" for point in chosen],
            textposition="middle left" if here else "top center",
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
    first, last = min(p.day for p in points), max(p.day for p in points)
    lay_out(
        figure,
        height=560,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        font={"size": 14},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 14}},
        dragmode="pan",
        xaxis={
            "range": [date(first.year - 1, 7, 1), date(last.year + 1, 9, 1)],
            "automargin": True,
            "tickfont": {"size": 14},
        },
        yaxis={
            "type": "log",
            "title": title,
            "automargin": True,
            "tickmode": "array",
            "tickvals": [value for value, _label in ticks],
            "ticktext": [label for _value, label in ticks],
            "tickfont": {"size": 14},
        },
    )
    ordered = sorted(points, key=lambda point: point.day)
    alt = "; ".join(f"{point.day.year} {point.name}: {point.words}" for point in ordered)
    return figure, f"{title}. {alt}"
