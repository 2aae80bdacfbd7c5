"""The plots of parameters and of the race. Each function returns the figure and its text alternative."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from core.i18n import format_number, format_percent
from core.i18n import gettext as _
from core.lens.parameters import ParameterCount, ParameterGroup
from core.lens.race import Direction, Race, Runner
from core.ui.charts import escaped, graph_objects, lay_out
from core.ui.navigation import N_

if TYPE_CHECKING:
    import plotly.graph_objects as go

PARTS: Final = {
    "embeddings": N_("Embeddings"),
    "attention": N_("Atención"),
    "cross": N_("Atención cruzada"),
    "feed-forward": N_("Capas densas"),
    "norm": N_("Normalizaciones"),
    "head": N_("Cabeza"),
    "other": N_("Otros"),
}
# One colour a kind of part, told apart with the colours of any sight; white or black text is readable on each.
_COLOURS: Final = {
    "embeddings": "#0a58a8",
    "attention": "#c05000",
    "cross": "#8a3f6f",
    "feed-forward": "#00694f",
    "norm": "#5b6770",
    "head": "#7a5c00",
    "other": "#4a4a4a",
}
PIECES: Final = {
    "words": N_("palabras"),
    "positions": N_("posiciones"),
    "types": N_("segmentos"),
    "norm": N_("norma"),
    "project": N_("proyección"),
    "query": "Q",
    "key": "K",
    "value": "V",
    "qkv": "Q, K, V",
    "output": N_("salida"),
    "query-norm": N_("norma de Q"),
    "key-norm": N_("norma de K"),
    "position-bias": N_("sesgo de posición"),
    "up": N_("ensanchar"),
    "gate": N_("puerta"),
    "down": N_("estrechar"),
    "final": N_("norma final"),
    "attention": N_("de la atención"),
    "cross": N_("de la atención cruzada"),
    "feed-forward": N_("de la capa densa"),
}
RUNNERS: Final = {"lstm": "LSTM", "transformer": N_("Capa de transformer")}
DIRECTIONS: Final = {"forward": N_("hacia delante"), "backward": N_("hacia delante y atrás")}


def piece_name(group: ParameterGroup) -> str:
    """What a group is, in words; a module's name in heads."""
    return _(PIECES[group.piece]) if group.piece in PIECES else group.piece


def level_names(group: ParameterGroup, both: bool) -> tuple[str, ...]:
    """The rings from the middle outwards: stack (if there are two), layer or part, part, piece."""
    stack = {"encoder": _("Codificador"), "decoder": _("Decodificador")}.get(group.stack, "")
    names = [stack] if both and stack else []
    if group.layer is not None:
        names += [_("Capa {n}").format(n=group.layer + 1), _(PARTS[group.part])]
    else:
        names.append(_(PARTS[group.part]))
    return (*names, piece_name(group))


def sunburst(count: ParameterCount, title: str) -> tuple["go.Figure", str]:
    """Where the parameters are, ring by ring.

    Args:
        count: exact counts.
        title: the model's name, for the text alternative; in the middle stands the total, which fits there.
    """
    go = graph_objects()
    both = {"encoder", "decoder"} <= {group.stack for group in count.groups}
    millions = _("{n} M").format(n=format_number(count.total / 1e6, 1 if count.total >= 1e6 else 2))
    ids, labels, parents, values, colours, texts = ["all"], [escaped(millions)], [""], [count.total], [""], [""]
    at: dict[str, int] = {"all": 0}
    for group in count.groups:
        path = "all"
        for name in level_names(group, both):
            parent, path = path, f"{path}/{name}"
            if path not in at:
                at[path] = len(ids)
                ids.append(path)
                labels.append(escaped(name))
                parents.append(parent)
                values.append(0)
                colours.append(
                    _COLOURS[group.part] if name != _("Capa {n}").format(n=(group.layer or 0) + 1) else "#3b4a63"
                )
            values[at[path]] += group.count
    texts = [f"{format_number(value)} · {format_percent(value / max(1, count.total))}" for value in values]
    figure = go.Figure(
        go.Sunburst(
            ids=ids,
            labels=labels,
            parents=parents,
            values=values,
            branchvalues="total",
            marker={"colors": ["#20304a", *colours[1:]], "line": {"width": 1, "color": "#ffffff"}},
            text=texts,
            hovertemplate="%{label}<br>%{text}<extra></extra>",
            textinfo="label",
            textfont={"color": "#ffffff", "size": 13},
            insidetextfont={"color": "#ffffff", "size": 13},
            leaf={"opacity": 1},
            maxdepth=3 + int(both),
        )
    )
    # A label that would be too small to read, or touch the next one, is left to the pointer.
    lay_out(
        figure,
        height=480,
        margin={"l": 0, "r": 0, "t": 5, "b": 5},
        uniformtext={"minsize": 11, "mode": "hide"},
    )
    alt = "; ".join(f"{name}: {share}" for name, _n, share in by_part(count))
    return figure, _("Parámetros de {name}. {parts}").format(name=title, parts=alt)


def part_sums(count: ParameterCount) -> dict[str, int]:
    """How many parameters each kind of part has, the largest first."""
    sums: dict[str, int] = {}
    for group in count.groups:
        sums[group.part] = sums.get(group.part, 0) + group.count
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def by_part(count: ParameterCount) -> list[tuple[str, int, str]]:
    """Name, count and share of each kind of part, the largest first."""
    return [
        (_(PARTS[part]), number, format_percent(number / max(1, count.total), 2))
        for part, number in part_sums(count).items()
    ]


def milliseconds(value: float) -> str:
    """A time in a few figures, with its unit."""
    return f"{format_number(value, 0 if value >= 100 else 1 if value >= 10 else 2)} ms"


def round_ticks(values: Sequence[float]) -> list[float]:
    """Round numbers for a logarithmic axis that holds these values: 1, 2, 5, 10 …, or powers of ten if too many."""
    if not values:
        return []
    low, high = min(values) / 1.5, max(values) * 1.5
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [
        (digit, digit * 10.0**power) for power in powers for digit in (1, 2, 5) if low <= digit * 10.0**power <= high
    ]
    return [value for digit, value in found if digit == 1 or len(found) <= 7]


def race_lines(race: Race, direction: Direction) -> tuple["go.Figure", str]:
    """Time against length, one line a runner, both axes logarithmic."""
    go = graph_objects()
    figure = go.Figure()
    told: list[str] = []
    styles: Sequence[tuple[Runner, dict[str, Any], str]] = (
        ("lstm", {"dash": "dash", "width": 3}, "square"),
        ("transformer", {"dash": "solid", "width": 3}, "circle"),
    )
    for runner, line, symbol in styles:
        laps = [lap for lap in race.laps if lap.runner == runner and lap.direction == direction]
        figure.add_scatter(
            x=[lap.length for lap in laps],
            y=[lap.milliseconds for lap in laps],
            name=_(RUNNERS[runner]),
            mode="lines+markers",
            line=line,
            marker={"symbol": symbol, "size": 10},
            hovertemplate="%{x} tokens: %{y:.2f} ms",
        )
        told.append(
            f"{_(RUNNERS[runner])}: " + ", ".join(f"{lap.length}: {milliseconds(lap.milliseconds)}" for lap in laps)
        )
    lengths = sorted({lap.length for lap in race.laps})
    ticks = round_ticks([lap.milliseconds for lap in race.laps if lap.direction == direction])
    lay_out(
        figure,
        height=360,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        font={"size": 15},
        legend={"orientation": "h", "y": 1.15, "x": 0, "font": {"size": 15}},
        xaxis={
            "type": "log",
            "title": _("longitud, en tokens"),
            "tickvals": lengths,
            "ticktext": [str(n) for n in lengths],
            "automargin": True,
            "tickfont": {"size": 14},
        },
        yaxis={
            "type": "log",
            "title": "ms",
            "tickvals": ticks,
            "ticktext": [format_number(tick, 0 if tick >= 1 else 1 if tick >= 0.1 else 2) for tick in ticks],
            "automargin": True,
            "tickfont": {"size": 14},
        },
    )
    return figure, _("Tiempo por longitud. {laps}").format(laps="; ".join(told))
