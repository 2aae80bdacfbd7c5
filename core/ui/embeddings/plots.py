"""The page's plots. Each function returns the figure and its text alternative."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.i18n import format_number, format_percent
from core.i18n import gettext as _
from core.lens.embeddings_pooling import Retrieval
from core.lens.projection import Projection
from core.ui.charts import bars, escaped, graph_objects, lay_out

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Shapes besides colours: the plots must be readable without colour vision.
SYMBOLS: Final = ("circle", "square", "diamond", "cross", "triangle-up", "star", "x", "hexagon")
_SYMBOLS_3D: Final = ("circle", "square", "diamond", "cross", "x", "circle-open", "square-open", "diamond-open")
_SIDES: Final = {"l": 10, "r": 10, "t": 10, "b": 10}
_LEGEND: Final = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 15}}


def _short(text: str, most: int = 34) -> str:
    return escaped(text if len(text) <= most else text[: most - 1] + "…")


def lengths(tokens: Sequence[str], names: Sequence[str], values: Sequence[Sequence[float]]) -> tuple["go.Figure", str]:
    """The length of each token's vectors, one bar a kind of vector.

    Args:
        tokens: in order.
        names: the kinds.
        values: ``(kinds, tokens)``.
    """
    figure = bars(range(len(tokens)), names, values, "", _("longitud ‖v‖"))
    figure.update_xaxes(
        tickmode="array",
        tickvals=list(range(len(tokens))),
        ticktext=[_short(token, 14) for token in tokens],
        tickangle=-60 if len(tokens) > 10 else 0,
    )
    means = "; ".join(
        f"{name}: {format_number(sum(row) / len(row), 2)}" for name, row in zip(names, values, strict=True)
    )
    return figure, _("Longitud media de los vectores. {means}").format(means=means)


def similarity_map(matrix: npt.NDArray[np.float32], anchor: int) -> tuple["go.Figure", str]:
    """The cosine of every two positions, with a line through one of them.

    Args:
        matrix: ``(positions, positions)``, from −1 to 1.
        anchor: the position that the line marks, from 0.
    """
    go = graph_objects()
    count = len(matrix)
    low = min(0.0, float(np.quantile(matrix, 0.001)))
    figure = go.Figure(
        go.Heatmap(
            # Two decimals are what one sees; a byte each would be less, but the hover shows the number.
            z=np.round(matrix, 3).astype(np.float16).astype(np.float32),
            zmin=low,
            zmax=1,
            colorscale="Cividis",
            hovertemplate="%{y} · %{x}: %{z:.2f}<extra></extra>",
            colorbar={"thickness": 12, "title": "cos"},
        )
    )
    figure.add_hline(y=anchor, line={"color": "#ff5c33", "width": 2})
    lay_out(
        figure,
        height=520,
        margin=_SIDES,
        font={"size": 14},
        xaxis={"title": _("posición"), "range": [-0.5, count - 0.5], "constrain": "domain", "automargin": True},
        yaxis={
            "title": _("posición"),
            "range": [count - 0.5, -0.5],
            "scaleanchor": "x",
            "constrain": "domain",
            "automargin": True,
        },
    )
    beside = [float(matrix[at, at + 1]) for at in range(count - 1)]
    far = float(matrix[0, count - 1])
    alt = _("Parecido de {n} posiciones: con la siguiente, de media {beside}; de la primera a la última, {far}").format(
        n=format_number(count), beside=format_number(float(np.mean(beside)), 2), far=format_number(far, 2)
    )
    return figure, alt


def curve(
    x: Sequence[int], values: Sequence[float], x_title: str, y_title: str, mark: int | None = None
) -> tuple["go.Figure", str]:
    """One value for each position or distance, as a line.

    Args:
        x: the positions.
        values: one for each.
        x_title: what ``x`` is.
        y_title: what the values are.
        mark: a position to mark with a line.
    """
    go = graph_objects()
    figure = go.Figure(go.Scatter(x=list(x), y=list(values), mode="lines", line={"width": 3}))
    if mark is not None:
        figure.add_vline(x=mark, line={"color": "#ff5c33", "width": 2, "dash": "dot"})
    lay_out(
        figure,
        height=300,
        margin=_SIDES,
        font={"size": 14},
        xaxis={"title": x_title, "automargin": True},
        yaxis={"title": y_title, "automargin": True},
    )
    most = max(range(len(values)), key=values.__getitem__)
    least = min(range(len(values)), key=values.__getitem__)
    alt = _("{name}: lo más alto, {high} en {at}; lo más bajo, {low} en {where}").format(
        name=y_title,
        high=format_number(values[most], 2),
        at=x[most],
        low=format_number(values[least], 2),
        where=x[least],
    )
    return figure, alt


def neighbour_bars(
    pieces: Sequence[str], values: Sequence[float], title: str, decimals: int = 2
) -> tuple["go.Figure", str]:
    """The nearest pieces as horizontal bars, nearest first.

    Args:
        pieces: as shown; no two alike.
        values: how near each is.
        title: what the values are.
        decimals: of the numbers beside the bars.
    """
    go = graph_objects()
    figure = go.Figure(
        go.Bar(
            x=list(values),
            y=[escaped(piece) + " " * (1 + list(pieces[:at]).count(piece)) for at, piece in enumerate(pieces)],
            orientation="h",
            text=[format_number(value, decimals) for value in values],
            textposition="auto",
            textfont={"size": 15},
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    )
    lay_out(
        figure,
        height=70 + 30 * len(pieces),
        margin={"l": 10, "r": 10, "t": 5, "b": 5},
        font={"size": 15},
        xaxis={"title": title, "automargin": True, "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "automargin": True, "tickfont": {"size": 15}, "type": "category"},
    )
    alt = "; ".join(f"{piece} {format_number(value, decimals)}" for piece, value in zip(pieces, values, strict=True))
    return figure, f"{title}. {alt}"


def spread(
    edges: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], marks: Sequence[tuple[str, float]]
) -> tuple["go.Figure", str]:
    """How many pieces have which cosine, on a logarithmic axis, with some values marked.

    Args:
        edges: ``(bins + 1,)``.
        counts: ``(bins,)``.
        marks: names and cosines.
    """
    go = graph_objects()
    centres = (edges[:-1] + edges[1:]) / 2
    figure = go.Figure(
        go.Bar(
            x=centres.tolist(),
            y=counts.tolist(),
            width=(edges[1:] - edges[:-1]).tolist(),
            hovertemplate="cos %{x:.2f}: %{y}<extra></extra>",
        )
    )
    figure.data[0].showlegend = False
    top = max(1, int(counts.max()))
    for at, (name, value) in enumerate(marks):
        figure.add_trace(
            go.Scatter(
                x=[value, value],
                y=[0.7, top],
                name=f"{escaped(name)}: {format_number(value, 2)}",
                mode="lines",
                line={"color": "#ff5c33", "width": 3, "dash": ("solid", "dot", "dash")[at % 3]},
                hoverinfo="name",
            )
        )
    lay_out(
        figure,
        height=320,
        margin=_SIDES,
        font={"size": 14},
        legend=_LEGEND,
        bargap=0.02,
        xaxis={"title": _("coseno con la pieza"), "automargin": True},
        yaxis={"title": _("piezas"), "type": "log", "automargin": True, "dtick": 1, "exponentformat": "none"},
    )
    named = "; ".join(f"{name}: {format_number(value, 2)}" for name, value in marks)
    middle = float(np.average(centres, weights=counts))
    return figure, _("Reparto de los cosenos de todo el vocabulario, de media {mean}. {named}").format(
        mean=format_number(middle, 2), named=named
    )


def layers(
    names: Sequence[str], series: Sequence[tuple[str, Sequence[float]]], y_title: str, chosen: int
) -> tuple["go.Figure", str]:
    """Values by layer, one line each, with the chosen layer marked.

    Args:
        names: the layers', static vectors first.
        series: a name and one value a layer for each line.
        y_title: what the values are.
        chosen: place of the layer that is looked at.
    """
    go = graph_objects()
    dashes = ("solid", "dash", "dot", "dashdot")
    figure = go.Figure(
        [
            go.Scatter(
                x=list(names),
                y=list(values),
                name=name,
                mode="lines+markers",
                line={"width": 3, "dash": dashes[at % 4]},
                marker={"size": 10, "symbol": SYMBOLS[at]},
                hovertemplate="%{x}: %{y:.2f}",
            )
            for at, (name, values) in enumerate(series)
        ]
    )
    figure.add_vline(x=chosen, line={"color": "#ff5c33", "width": 2, "dash": "dot"})
    lay_out(
        figure,
        height=360,
        margin=_SIDES,
        font={"size": 15},
        legend=_LEGEND,
        hovermode="x unified",
        xaxis={"type": "category", "automargin": True, "title": _("capa")},
        yaxis={"title": y_title, "automargin": True},
    )
    alt = "; ".join(
        f"{name}: " + ", ".join(f"{layer} {format_number(v, 2)}" for layer, v in zip(names, values, strict=True))
        for name, values in series
    )
    return figure, f"{y_title}. {alt}"


def _axis_titles(shown: Projection) -> list[str]:
    if not shown.explained:
        return [""] * shown.points.shape[1]
    return [
        _("componente {n} ({share})").format(n=at, share=format_percent(share, 0))
        for at, share in enumerate(shown.explained, 1)
    ]


def scatter(
    shown: Projection, labels: Sequence[str], hovers: Sequence[str], groups: Sequence[str], faint: Sequence[bool]
) -> tuple["go.Figure", str]:
    """A projection in two or three dimensions.

    Args:
        shown: the points.
        labels: written beside the points; empty for none.
        hovers: shown for the point that is pointed at.
        groups: a colour and a shape for each.
        faint: which points are only background.
    """
    go = graph_objects()
    flat = shown.points.shape[1] == 2
    order = list(dict.fromkeys(groups))
    figure = go.Figure()
    for at, group in enumerate(order):
        own = [index for index, name in enumerate(groups) if name == group]
        pale = faint[own[0]]
        common: dict[str, Any] = {
            "x": shown.points[own, 0].tolist(),
            "y": shown.points[own, 1].tolist(),
            "name": escaped(group) or _("sin significado"),
            "mode": "markers+text",
            "text": [escaped(labels[index]) for index in own],
            "textposition": "top center",
            "textfont": {"size": 14},
            "hovertext": [_short(hovers[index], 90) for index in own],
            "hoverinfo": "text",
        }
        if flat:
            marker = {"size": 8 if pale else 16, "symbol": SYMBOLS[at % 8], "opacity": 0.45 if pale else 1}
            figure.add_trace(go.Scatter(**common, marker=marker, cliponaxis=False))
        else:
            marker = {"size": 4 if pale else 8, "symbol": _SYMBOLS_3D[at % 8], "opacity": 0.45 if pale else 1}
            figure.add_trace(go.Scatter3d(**common, z=shown.points[own, 2].tolist(), marker=marker))
    titles = _axis_titles(shown)
    if not flat and shown.explained:
        # In space there is no room for the word.
        titles = [f"{at} ({format_percent(share, 0)})" for at, share in enumerate(shown.explained, 1)]
    quiet = {"showticklabels": False, "automargin": True}
    lay_out(figure, height=560, margin=_SIDES, font={"size": 14}, legend=_LEGEND)
    if flat:
        lay_out(
            figure,
            xaxis={**quiet, "title": titles[0], "zeroline": False},
            # One unit is as long across as up: otherwise distances would lie.
            yaxis={**quiet, "title": titles[1], "zeroline": False, "scaleanchor": "x"},
        )
    else:
        axes = {
            f"{name}axis": {"showticklabels": False, "title": title} for name, title in zip("xyz", titles, strict=True)
        }
        lay_out(figure, scene={**axes, "aspectmode": "data"})
    parts = [f"{group or _('sin significado')}: {sum(name == group for name in groups)}" for group in order]
    alt = _("Mapa de {n} vectores en {d} dimensiones por {method}. Puntos por grupo: {groups}").format(
        n=format_number(len(groups)), d=shown.points.shape[1], method=shown.method.upper(), groups="; ".join(parts)
    )
    return figure, alt


def pair_cosines(found: Sequence[Retrieval], names: Sequence[str]) -> tuple["go.Figure", str]:
    """Cosines of the pairs and of all that are none, a row a way to pool.

    Args:
        found: the measurements.
        names: what each is called.
    """
    go = graph_objects()
    figure = go.Figure()
    both = ((_("no son pareja"), "circle-open", 0.55), (_("pareja"), "diamond", 1.0))
    for kind, (label, symbol, opacity) in enumerate(both):
        xs: list[float] = []
        ys: list[str] = []
        for item, name in zip(found, names, strict=True):
            eye = np.eye(len(item.matrix), dtype=bool)
            values = item.matrix[eye] if kind else item.matrix[~eye]
            xs += [float(value) for value in values]
            ys += [name] * len(values)
        figure.add_trace(
            go.Scatter(
                x=xs,
                y=ys,
                mode="markers",
                name=label,
                marker={"symbol": symbol, "size": 13 if kind else 9, "opacity": opacity},
                hovertemplate="%{y}: %{x:.2f}<extra></extra>",
            )
        )
    lay_out(
        figure,
        height=110 + 62 * len(found),
        margin=_SIDES,
        font={"size": 15},
        legend=_LEGEND,
        xaxis={"title": _("coseno"), "automargin": True},
        yaxis={"type": "category", "autorange": "reversed", "automargin": True, "tickfont": {"size": 15}},
    )
    alt = "; ".join(
        _("{name}: parejas {pairs}, las demás {others}").format(
            name=name, pairs=format_number(item.pairs, 2), others=format_number(item.others, 2)
        )
        for name, item in zip(names, found, strict=True)
    )
    return figure, _("Cosenos medios. {alt}").format(alt=alt)


def arrows(names: Sequence[str], vectors: Sequence[Sequence[float]]) -> tuple["go.Figure", str]:
    """Vectors of two or three numbers as arrows from the origin.

    Args:
        names: one a vector.
        vectors: all of the same two or three numbers.
    """
    go = graph_objects()
    flat = len(vectors[0]) == 2
    dashes = ("solid", "dash", "dot")
    figure = go.Figure()
    for at, (name, vector) in enumerate(zip(names, vectors, strict=True)):
        common: dict[str, Any] = {
            "x": [0, vector[0]],
            "y": [0, vector[1]],
            "name": name,
            "mode": "lines+markers+text",
            "text": ["", f"<b>{name}</b>"],
            "textposition": "top center",
            "textfont": {"size": 18},
            "line": {"width": 5 if flat else 7, "dash": dashes[at % 3]},
            "hovertemplate": f"{name} = ({', '.join(format_number(n, 2) for n in vector)})<extra></extra>",
        }
        if flat:
            marker = {"size": [0, 16], "symbol": "arrow", "angleref": "previous"}
            figure.add_trace(go.Scatter(**common, marker=marker, cliponaxis=False))
        else:
            figure.add_trace(go.Scatter3d(**common, z=[0, vector[2]], marker={"size": [2, 7]}))
    reach = 1.15 * max(abs(number) for vector in vectors for number in vector)
    lay_out(figure, height=420, margin=_SIDES, font={"size": 14}, showlegend=False)
    if flat:
        lay_out(figure,
            xaxis={"range": [-reach, reach], "zeroline": True, "zerolinewidth": 2, "automargin": True},
            yaxis={
                "range": [-reach, reach], "zeroline": True, "zerolinewidth": 2, "scaleanchor": "x", "automargin": True,
            },
        )  # fmt: skip
    else:
        lay_out(figure, scene={"aspectmode": "cube", **{f"{a}axis": {"range": [-reach, reach]} for a in "xyz"}})
    said = "; ".join(
        f"{name} = ({', '.join(format_number(n, 2) for n in vector)})"
        for name, vector in zip(names, vectors, strict=True)
    )
    return figure, _("Tres flechas desde el origen: {vectors}").format(vectors=said)
