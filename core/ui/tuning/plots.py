"""The plots of a run: curves while it learns, confusion, vectors on a map, quality against time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from core.i18n import format_duration, format_number, format_percent
from core.i18n import gettext as _
from core.ui.charts import escaped, graph_objects, lay_out

if TYPE_CHECKING:
    import plotly.graph_objects as go

_SYMBOLS: Final = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star", "hexagon", "pentagon", "bowtie")
_MARGIN: Final = {"l": 10, "r": 10, "t": 10, "b": 10}
_NARROW: Final = 21


def short(text: str, most: int = 22) -> str:
    """A label that leaves room for the plot, safe for plotly."""
    return escaped(text if len(text) <= most else text[: most - 1] + "…")


def loss_curve(lines: Sequence[Mapping[str, Any]], stage: str = "train") -> tuple["go.Figure", str]:
    """The loss of each report against the epoch.

    Args:
        lines: a run's progress; at least one step of the stage.
        stage: ``"train"`` or ``"adapt"``.
    """
    go = graph_objects()
    steps = [line for line in lines if line.get("kind") == "step" and line.get("stage") == stage]
    x, y = [line["epoch"] for line in steps], [line["loss"] for line in steps]
    figure = go.Figure(go.Scatter(x=x, y=y, mode="lines+markers" if len(x) < 40 else "lines", line={"width": 3}))
    lay_out(
        figure,
        height=260,
        margin=_MARGIN,
        font={"size": 14},
        showlegend=False,
        xaxis={"title": _("época"), "automargin": True, "rangemode": "tozero"},
        yaxis={"title": _("pérdida (loss)"), "automargin": True, "rangemode": "tozero"},
    )
    return figure, _("Pérdida: de {first} a {last}, en {n} puntos").format(
        first=format_number(y[0], 3), last=format_number(y[-1], 3), n=len(y)
    )


def metric_curve(lines: Sequence[Mapping[str, Any]], name: str) -> tuple["go.Figure", str]:
    """The measure after each epoch, in percent; at least one.

    Args:
        lines: a run's progress.
        name: of the measure.
    """
    go = graph_objects()
    epochs = [line for line in lines if line.get("kind") == "epoch" and line.get("stage") == "train"]
    x, y = [line["epoch"] for line in epochs], [100 * line["value"] for line in epochs]
    figure = go.Figure(go.Scatter(x=x, y=y, mode="lines+markers", line={"width": 3, "dash": "dot"}))
    lay_out(
        figure,
        height=260,
        margin=_MARGIN,
        font={"size": 14},
        showlegend=False,
        xaxis={"title": _("época"), "automargin": True, "rangemode": "tozero", "tickformat": "d"},
        yaxis={"title": f"{name}, %", "automargin": True, "range": [0, 103]},
    )
    return figure, f"{name}: " + "; ".join(
        f"{epoch}: {format_percent(value / 100)}" for epoch, value in zip(x, y, strict=True)
    )


def confused(labels: Sequence[str], matrix: Sequence[Sequence[int]], most: int) -> list[str]:
    """What was taken for what, the most frequent first.

    Args:
        labels: the classes.
        matrix: how many, ``(right, said)``.
        most: of the list.
    """
    wrong = [
        (value, right, said)
        for right, row in zip(labels, matrix, strict=True)
        for said, value in zip(labels, row, strict=True)
        if value and right != said
    ]
    wrong.sort(key=lambda item: -item[0])
    return [_("{n} de «{right}» salieron como «{said}»").format(n=n, right=r, said=s) for n, r, s in wrong[:most]]


def most_confused(
    labels: Sequence[str], matrix: Sequence[Sequence[int]], most: int, *, outside: bool
) -> tuple[list[str], list[list[int]]]:
    """The matrix of the classes that are confused most, and of all the others as one.

    Args:
        labels: the classes.
        matrix: how many, ``(right, said)``.
        most: classes that keep a row and a column of their own.
        outside: whether the last class means "nothing", which then is one of them.

    Returns:
        Names and numbers, in the order of ``labels``, the others before "nothing", or last. Their own number holds what
        was confused among them, too. What has few classes comes back as it is.
    """
    count = len(labels)
    if count <= most + 1:
        return list(labels), [list(row) for row in matrix]
    wrong = [sum(matrix[i]) + sum(row[i] for row in matrix) - 2 * matrix[i][i] for i in range(count)]
    if outside:
        wrong[-1] = sum(map(sum, matrix)) + 1
    kept = sorted(sorted(range(count), key=lambda i: -wrong[i])[:most])
    rest = [i for i in range(count) if i not in kept]
    groups = [[i] for i in kept]
    groups.insert(len(groups) - outside, rest)
    names = [labels[i] for i in kept]
    names.insert(len(names) - outside, _("las otras {n}").format(n=format_number(len(rest))))
    return names, [[sum(matrix[i][j] for i in rows for j in columns) for columns in groups] for rows in groups]


def confusion(labels: Sequence[str], matrix: Sequence[Sequence[int]], *, outside: bool) -> tuple["go.Figure", str]:
    """What was right against what the model said.

    Args:
        labels: the classes.
        matrix: how many, ``(right, said)``.
        outside: whether the last class means "nothing": its many hits would hide all else, so they have no colour.
    """
    go = graph_objects()
    names = [short(label, _NARROW) for label in labels]
    totals = [max(1, sum(row)) for row in matrix]
    # What never happened has no colour, or of two dozen kinds all would be dark.
    shade: list[list[float | None]] = [
        [value / total if value else None for value in row] for row, total in zip(matrix, totals, strict=True)
    ]
    if outside:
        shade[-1][-1] = None
    figure = go.Figure(
        go.Heatmap(
            z=shade,
            x=names,
            y=names,
            text=[[format_number(value) if value else "" for value in row] for row in matrix],
            texttemplate="%{text}",
            textfont={"size": 14},
            colorscale="Cividis",
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=2,
            ygap=2,
            hovertemplate="%{y} → %{x}: %{text}<extra></extra>",
        )
    )
    lay_out(
        figure,
        height=140 + 34 * len(names),
        margin=_MARGIN,
        font={"size": 13},
        xaxis={
            "title": _("lo que dijo"),
            "side": "top",
            "tickangle": -45,
            "automargin": True,
            "type": "category",
            # The hits of "nothing" are the largest number and stand in the last column, narrow on a phone.
            "range": [-0.5, len(names) - (0.2 if outside else 0.5)],
        },
        yaxis={"title": _("lo correcto"), "autorange": "reversed", "automargin": True, "type": "category"},
    )
    return figure, _("Matriz de confusión.") + " " + ("; ".join(confused(labels, matrix, 12)) or _("Sin errores."))


def vector_map(
    places: Sequence[Sequence[float]], labels: Sequence[str], texts: Sequence[str], classes: Sequence[str]
) -> tuple["go.Figure", str]:
    """Vectors on their two main axes, a symbol and a colour a class.

    Args:
        places: ``(n, 2)``.
        labels: each one's class.
        texts: each one's text, shown while it is pointed at.
        classes: in the legend's order.
    """
    go = graph_objects()
    figure = go.Figure()
    for index, name in enumerate(classes):
        own = [i for i, label in enumerate(labels) if label == name]
        if not own:
            continue
        figure.add_trace(
            go.Scatter(
                x=[places[i][0] for i in own],
                y=[places[i][1] for i in own],
                mode="markers",
                name=short(name),
                marker={"size": 9, "symbol": _SYMBOLS[index % len(_SYMBOLS)], "opacity": 0.8},
                text=[short(texts[i], 70) for i in own],
                hovertemplate="%{text}<extra>" + short(name) + "</extra>",
            )
        )
    lay_out(
        figure,
        height=380,
        margin=_MARGIN,
        font={"size": 13},
        legend={"orientation": "h", "y": -0.05, "yanchor": "top", "x": 0},
        xaxis={"showticklabels": False, "zeroline": False},
        yaxis={"showticklabels": False, "zeroline": False, "scaleanchor": "x"},
    )
    return figure, _("Mapa de {n} vectores de {k} clases").format(n=len(places), k=len(set(labels)))


def quality_and_time(rows: Sequence[Mapping[str, Any]], metric: str) -> tuple["go.Figure", str]:
    """Each run's measure against its seconds, with its interval; larger marks trained more parameters.

    Args:
        rows: ``name``, ``value``, ``low``, ``high``, ``seconds``, ``trained`` of each.
        metric: the measure's name.
    """
    import math

    go = graph_objects()
    figure = go.Figure()
    for index, row in enumerate(rows):
        figure.add_trace(
            go.Scatter(
                x=[row["seconds"]],
                y=[100 * row["value"]],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [100 * (row["high"] - row["value"])],
                    "arrayminus": [100 * (row["value"] - row["low"])],
                },
                mode="markers",
                name=short(row["name"], 44),
                marker={
                    "size": 8 + 4 * max(0.0, math.log10(max(10, row["trained"])) - 3),
                    "symbol": _SYMBOLS[index % len(_SYMBOLS)],
                },
                hovertemplate="%{x:.0f} s, %{y:.1f} %<extra>" + short(row["name"], 44) + "</extra>",
            )
        )
    lay_out(
        figure,
        height=400 + 20 * len(rows),
        margin=_MARGIN,
        font={"size": 14},
        legend={"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0},
        xaxis={"title": _("segundos (escala logarítmica)"), "type": "log", "automargin": True},
        yaxis={"title": f"{metric}, %", "automargin": True},
    )
    told = "; ".join(
        f"{row['name']}: {format_percent(row['value'])}, {format_duration(row['seconds'])}" for row in rows
    )
    return figure, told
