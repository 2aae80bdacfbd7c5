"""Plots. Streamlit's plotly theme gives the colours of ``.streamlit/config.toml``, light and dark.

Each function returns the figure and its text alternative.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.i18n import format_number, format_percent, get_language
from core.i18n import gettext as _

if TYPE_CHECKING:
    import plotly.graph_objects as go

_PATTERNS = ("", "/", ".", "x", "\\", "+", "-", "|")


def graph_objects() -> Any:
    """Plotly, imported when the first figure is made, with Streamlit's template in force.

    Streamlit registers its template, which brings the theme's colours, only when its own chart module is
    loaded; a figure made before that would keep plotly's colours.
    """
    import plotly.graph_objects as go
    from streamlit.elements import plotly_chart  # noqa: F401

    return go


def lay_out(figure: "go.Figure", **options: Any) -> None:
    """Sets the layout; numbers on axes are written as the reader's language writes them.

    Each option replaces what the figure had under its name: plotly takes four times as long to merge them.
    """
    figure.update_layout(separators=",\u202f" if get_language() == "es" else ".,", overwrite=True, **options)


def bars(
    x: Sequence[Any], names: Sequence[str], values: Sequence[Sequence[float]], x_title: str, y_title: str
) -> "go.Figure":
    """Groups of upright bars, a series a name.

    Args:
        x: what each group stands for.
        names: the series.
        values: ``(series, groups)``.
        x_title: of the horizontal axis.
        y_title: of the vertical one.
    """
    go = graph_objects()
    # Patterns besides colours: the plot must be readable without colour vision and on a poor projector.
    figure = go.Figure(
        [
            go.Bar(x=list(x), y=list(row), name=name, marker={"pattern": {"shape": pattern, "size": 6}})
            for name, row, pattern in zip(names, values, _PATTERNS * 2, strict=False)
        ]
    )
    lay_out(
        figure,
        barmode="group",
        height=320,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        legend={"orientation": "h", "y": 1.15, "x": 0, "font": {"size": 15}},
        font={"size": 15},
        xaxis={"title": x_title, "automargin": True, "tickfont": {"size": 15}},
        yaxis={"title": y_title, "rangemode": "tozero", "automargin": True, "tickfont": {"size": 14}},
    )
    return figure


def tokens_by_word(
    words: Sequence[str], names: Sequence[str], counts: Sequence[Sequence[int]]
) -> tuple["go.Figure", str]:
    """How many tokens each word of a short text takes, one bar a tokenizer.

    Args:
        words: the words in order; repeated words keep their own place.
        names: the tokenizers' names.
        counts: tokens of each word, ``(tokenizers, words)``.
    """
    figure = bars(range(len(words)), names, counts, "", _("tokens"))
    # Plotly reads "<b>" and friends in labels; a word is shown letter for letter.
    labels = [word.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for word in words]
    crowded = len(words) * max(map(len, words)) > 90
    figure.update_xaxes(
        tickmode="array",
        tickvals=list(range(len(words))),
        ticktext=labels,
        tickangle=-40 if crowded else 0,
    )
    figure.update_yaxes(dtick=1 if max(map(max, counts)) <= 8 else None)
    worst = [
        _("{name}: hasta {n} tokens («{word}»)").format(name=name, n=max(row), word=words[row.index(max(row))])
        for name, row in zip(names, counts, strict=True)
    ]
    return figure, _("Tokens de cada palabra. {summary}").format(summary="; ".join(worst))


def tokens_per_word(names: Sequence[str], histograms: Sequence[Sequence[int]]) -> tuple["go.Figure", str]:
    """Which share of the words is cut into 1, 2, 3 … tokens, one bar a tokenizer.

    Args:
        names: the tokenizers' names.
        histograms: for each, at index ``i`` how many words are cut into ``i`` tokens.
    """
    last = 6
    shares = []
    for histogram in histograms:
        total = max(1, sum(histogram))
        head = [histogram[i] if i < len(histogram) else 0 for i in range(1, last)]
        shares.append([100 * n / total for n in [*head, sum(histogram[last:])]])
    labels = [*(str(i) for i in range(1, last)), _("{n} o más").format(n=last)]
    figure = bars(labels, names, shares, _("tokens en que se corta la palabra"), _("porcentaje de las palabras"))
    figure.update_xaxes(type="category")
    summary = "; ".join(
        _("{name}: {share} enteras").format(name=name, share=format_percent(row[0] / 100))
        for name, row in zip(names, shares, strict=True)
    )
    return figure, _("Reparto de las palabras según en cuántos tokens se cortan. {summary}").format(summary=summary)


def shared_pieces(name_a: str, name_b: str, only_a: int, both: int, only_b: int) -> tuple["go.Figure", str]:
    """How many pieces are in one vocabulary, in both, and in the other, as one bar in three parts."""
    go = graph_objects()
    parts = [
        (_("solo {name}").format(name=name_a), only_a),
        (_("en los dos"), both),
        (_("solo {name}").format(name=name_b), only_b),
    ]
    figure = go.Figure(
        [
            go.Bar(
                y=[""],
                x=[count],
                name=label,
                orientation="h",
                text=[format_number(count)],
                textposition="inside",
                insidetextanchor="middle",
                textfont={"size": 16},
                marker={"pattern": {"shape": pattern, "size": 6}},
            )
            for (label, count), pattern in zip(parts, ("", "x", ""), strict=True)
        ]
    )
    lay_out(
        figure,
        barmode="stack",
        height=210,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        # Below the bar: on a phone it takes three lines, which would cover the bar.
        legend={
            "orientation": "h",
            "y": -0.3,
            "yanchor": "top",
            "x": 0,
            "traceorder": "normal",
            "font": {"size": 15},
        },
        xaxis={"automargin": True},
        yaxis={"visible": False},
    )
    return figure, "; ".join(f"{label}: {format_number(count)}" for label, count in parts)


def pieces_with_letter(
    letters: Sequence[str], names: Sequence[str], counts: Sequence[Sequence[int]]
) -> tuple["go.Figure", str]:
    """How many pieces of each vocabulary hold each letter.

    Args:
        letters: the letters.
        names: the tokenizers' names.
        counts: ``(tokenizers, letters)``.
    """
    figure = bars(letters, names, counts, "", _("piezas"))
    figure.update_xaxes(type="category")
    summary = "; ".join(
        f"{name}: " + ", ".join(f"{letter} {format_number(n)}" for letter, n in zip(letters, row, strict=True))
        for name, row in zip(names, counts, strict=True)
    )
    return figure, _("Piezas con cada letra. {summary}").format(summary=summary)


def escaped(label: str) -> str:
    """``label`` for plotly, which reads "<b>" and friends in labels: shown letter for letter."""
    return label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def shares(names: Sequence[str], values: Sequence[float], *, fit: bool = False) -> tuple["go.Figure", str]:
    """Probabilities as horizontal bars, in the given order, with their percentage.

    Args:
        names: what each bar is; at most twenty can be read.
        values: from 0 to 1.
        fit: the axis ends at the largest value instead of at 100 %.
    """
    go = graph_objects()
    figure = go.Figure(
        go.Bar(
            x=[100 * value for value in values],
            # A space keeps plotly from taking names like "2021" for numbers, and more of them keep two bars of one
            # name from being drawn on top of each other.
            y=[escaped(name) + " " * (1 + list(names[:place]).count(name)) for place, name in enumerate(names)],
            orientation="h",
            text=[format_percent(value) for value in values],
            textposition="auto",
            textfont={"size": 15},
            hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
        )
    )
    lay_out(
        figure,
        height=60 + 34 * len(names),
        margin={"l": 10, "r": 10, "t": 5, "b": 5},
        font={"size": 15},
        xaxis={"range": [0, 118 * max([*values, 0.01]) if fit else 100], "title": "%", "automargin": True},
        yaxis={"autorange": "reversed", "automargin": True, "tickfont": {"size": 15}, "type": "category"},
    )
    alt = "; ".join(f"{name}: {format_percent(value)}" for name, value in zip(names, values, strict=True))
    return figure, alt


def changes(
    names: Sequence[str], before: Sequence[float], after: Sequence[float], unit: str
) -> tuple["go.Figure", str]:
    """By how much each value grows or shrinks from A to B, as horizontal bars around zero.

    Args:
        names: what each bar is.
        before: the values for A.
        after: the values for B.
        unit: what the values are.
    """
    go = graph_objects()
    deltas = [b - a for a, b in zip(before, after, strict=True)]
    widest = max([abs(delta) for delta in deltas] or [0.0]) or 0.1
    decimals = 2 if widest >= 0.1 else 3 if widest >= 0.01 else 4
    texts = [f"{'+' if delta >= 0 else '−'}{format_number(abs(delta), decimals)}" for delta in deltas]
    figure = go.Figure(
        go.Bar(
            x=deltas,
            y=[escaped(name) + " " for name in names],
            orientation="h",
            text=texts,
            # Inside, hatching would cross the figures.
            textposition="outside",
            textfont={"size": 15},
            marker={"pattern": {"shape": ["" if delta >= 0 else "/" for delta in deltas], "size": 6}},
        )
    )
    lay_out(
        figure,
        height=70 + 34 * len(names),
        margin={"l": 10, "r": 10, "t": 5, "b": 5},
        font={"size": 15},
        xaxis={
            "range": [-1.4 * widest, 1.4 * widest],
            "title": _("{unit}: B menos A").format(unit=unit),
            "zeroline": True,
            "automargin": True,
        },
        yaxis={"autorange": "reversed", "automargin": True, "tickfont": {"size": 15}, "type": "category"},
    )
    return figure, "; ".join(f"{name}: {text}" for name, text in zip(names, texts, strict=True))


def _short(text: str, most: int = 28) -> str:
    return escaped(text if len(text) <= most else text[: most - 1] + "…")


def cosines(sentences: Sequence[str], matrix: Sequence[Sequence[float]]) -> tuple["go.Figure", str]:
    """Cosines of all pairs of sentences as a heatmap, with the numbers in it while they can be read.

    Args:
        sentences: what was compared.
        matrix: ``(sentences, sentences)``, from −1 to 1.
    """
    go = graph_objects()
    count = len(sentences)
    names = [f"{number}. {_short(sentence)}" for number, sentence in enumerate(sentences, 1)]
    numbers = [str(number) for number in range(1, count + 1)]
    figure = go.Figure(
        go.Heatmap(
            z=[list(row) for row in matrix],
            x=numbers,
            y=names if count <= 20 else numbers,
            zmin=min(0.0, *(min(row) for row in matrix)),
            zmax=1,
            colorscale="Cividis",
            # Adding zero turns "−0" into "0".
            text=[[format_number(round(value, 2) + 0.0, 2) for value in row] for row in matrix]
            if count <= 12
            else None,
            texttemplate="%{text}" if count <= 12 else None,
            textfont={"size": 14},
            hovertemplate="%{y} · %{x}: %{z:.2f}<extra></extra>",
            colorbar={"thickness": 12, "title": "cos"},
        )
    )
    lay_out(
        figure,
        height=max(260, min(900, 90 + 44 * count)) if count <= 20 else 620,
        margin={"l": 10, "r": 10, "t": 5, "b": 5},
        font={"size": 14},
        xaxis={"type": "category", "side": "top", "automargin": True},
        yaxis={"type": "category", "autorange": "reversed", "automargin": True},
    )
    pairs = sorted(
        ((matrix[a][b], a + 1, b + 1) for a in range(count) for b in range(a + 1, count)),
        reverse=True,
    )[:10]
    listed = "; ".join(f"{a}–{b}: {format_number(value, 2)}" for value, a, b in pairs)
    return figure, _("Parecido de las frases, de más a menos: {pairs}").format(pairs=listed)


def first_and_last(tokens: Sequence[str], first: Sequence[float], last: Sequence[float]) -> tuple["go.Figure", str]:
    """Probability that an answer begins and ends at each token, one bar each.

    Args:
        tokens: in the text's order.
        first: from 0 to 1.
        last: from 0 to 1.
    """
    names = [_("empieza aquí"), _("termina aquí")]
    values = [[100 * value for value in first], [100 * value for value in last]]
    figure = bars(range(len(tokens)), names, values, "", "%")
    figure.update_xaxes(
        tickmode="array",
        tickvals=list(range(len(tokens))),
        ticktext=[_short(token, 16) for token in tokens],
        # Upright, two dozen fit on a phone.
        tickangle=-90 if len(tokens) > 12 else 0,
    )
    tops = [max(range(len(row)), key=row.__getitem__) for row in (first, last)]
    alt = _("La respuesta empieza con más probabilidad en «{first}» y termina en «{last}»").format(
        first=tokens[tops[0]], last=tokens[tops[1]]
    )
    return figure, alt


def weights(values: Sequence[float], chosen: Sequence[bool]) -> tuple["go.Figure", str]:
    """Weights of a text's sentences, in order; those that were chosen are full, the others hatched.

    Args:
        values: one a sentence.
        chosen: which were taken.
    """
    go = graph_objects()
    numbers = [str(number) for number in range(1, len(values) + 1)]
    figure = go.Figure(
        go.Bar(
            x=numbers,
            y=[100 * value for value in values],
            marker={
                "pattern": {"shape": ["" if taken else "/" for taken in chosen], "size": 6},
                "opacity": [1.0 if taken else 0.55 for taken in chosen],
            },
            hovertemplate="%{x}: %{y:.1f} %<extra></extra>",
        )
    )
    lay_out(
        figure,
        height=260,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        font={"size": 15},
        xaxis={"title": _("frase"), "type": "category", "automargin": True},
        yaxis={"title": _("peso, %"), "automargin": True},
    )
    listed = ", ".join(number for number, taken in zip(numbers, chosen, strict=True) if taken)
    return figure, _("Peso de cada frase; se eligieron las frases {numbers}").format(numbers=listed)


def counts(names: Sequence[str], values: Sequence[int], unit: str) -> tuple["go.Figure", str]:
    """How many times each thing was counted, as horizontal bars.

    Args:
        names: the things.
        values: how many of each.
        unit: what was counted, for the axis.
    """
    go = graph_objects()
    figure = go.Figure(
        go.Bar(
            x=list(values),
            y=[escaped(_short(name)) + " " for name in names],
            orientation="h",
            text=[format_number(value) for value in values],
            textposition="auto",
            textfont={"size": 15},
        )
    )
    lay_out(
        figure,
        height=60 + 34 * len(names),
        margin={"l": 10, "r": 10, "t": 5, "b": 5},
        font={"size": 15},
        # Half a row or half an answer is none.
        xaxis={"title": unit, "automargin": True, "rangemode": "tozero", "dtick": 1 if max(values) < 10 else None},
        yaxis={"autorange": "reversed", "automargin": True, "tickfont": {"size": 15}, "type": "category"},
    )
    return figure, "; ".join(f"{name}: {format_number(value)}" for name, value in zip(names, values, strict=True))


def train_and_test(names: Sequence[str], pairs: Sequence[tuple[int, int]]) -> tuple["go.Figure", str]:
    """How many examples of each class there are to learn from and to measure on, as pairs of horizontal bars.

    Args:
        names: the classes.
        pairs: (to learn from, to measure on), one a class.
    """
    go = graph_objects()
    most = max(map(sum, pairs), default=1)
    titles = (_("para aprender"), _("para probar"))
    figure = go.Figure(
        [
            go.Bar(
                x=[pair[side] for pair in pairs],
                y=[_short(name) + " " * (1 + list(names[:place]).count(name)) for place, name in enumerate(names)],
                name=title,
                orientation="h",
                text=[format_number(pair[side]) for pair in pairs],
                # On hatching, figures can't be read.
                textposition=("inside", "outside")[side],
                textfont={"size": 14},
                cliponaxis=False,
                marker={"pattern": {"shape": ("", "/")[side], "size": 6}},
            )
            for side, title in enumerate(titles)
        ]
    )
    figure.update_layout(
        barmode="stack",
        height=100 + 34 * len(names),
        margin={"l": 10, "r": 10, "t": 10, "b": 5},
        font={"size": 15},
        legend={
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "font": {"size": 15},
            "traceorder": "normal",
        },
        xaxis={"title": _("ejemplos"), "automargin": True, "range": [0, 1.12 * most]},
        yaxis={"autorange": "reversed", "automargin": True, "tickfont": {"size": 15}, "type": "category"},
    )
    alt = "; ".join(
        _("{name}: {train} para aprender y {test} para probar").format(
            name=name, train=format_number(train), test=format_number(test)
        )
        for name, (train, test) in zip(names, pairs, strict=True)
    )
    return figure, alt


def histogram(values: Sequence[float], title: str) -> tuple["go.Figure", str]:
    """How many values fall into each of up to twenty equal parts of their range.

    Args:
        values: at least one.
        title: what they are.
    """
    go = graph_objects()
    figure = go.Figure(go.Histogram(x=list(values), nbinsx=20, marker={"line": {"width": 1}}))
    lay_out(
        figure,
        height=300,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        font={"size": 15},
        xaxis={"title": title, "automargin": True},
        yaxis={"title": _("filas"), "automargin": True},
    )
    alt = _("{title}: de {low} a {high}, la mitad por debajo de {middle}").format(
        title=title,
        low=format_number(min(values), 2),
        high=format_number(max(values), 2),
        middle=format_number(sorted(values)[len(values) // 2], 2),
    )
    return figure, alt


def two_shares(
    names: Sequence[str], first: Sequence[float], second: Sequence[float], titles: tuple[str, str]
) -> tuple["go.Figure", str]:
    """Two probabilities of each of some things, as pairs of horizontal bars.

    Args:
        names: what each pair is.
        first: from 0 to 1.
        second: from 0 to 1.
        titles: what the two are.
    """
    go = graph_objects()
    labels = [escaped(name) + " " for name in names]
    figure = go.Figure(
        [
            go.Bar(
                x=[100 * value for value in values],
                y=labels,
                name=title,
                orientation="h",
                text=[format_percent(value) for value in values],
                textposition="outside",
                cliponaxis=False,
                marker={"pattern": {"shape": pattern, "size": 6}},
            )
            for values, title, pattern in zip((first, second), titles, ("", "/"), strict=True)
        ]
    )
    lay_out(
        figure,
        barmode="group",
        height=110 + 46 * len(names),
        margin={"l": 10, "r": 10, "t": 10, "b": 5},
        font={"size": 15},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 15}},
        # Room for the longest bar's number, which stands outside it.
        xaxis={"title": "%", "automargin": True, "range": [0, 125 * max(*first, *second, 0.01)]},
        yaxis={"autorange": "reversed", "automargin": True, "tickfont": {"size": 15}, "type": "category"},
    )
    alt = "; ".join(
        f"{name}: {format_percent(a)}, {format_percent(b)}" for name, a, b in zip(names, first, second, strict=True)
    )
    return figure, f"{titles[0]}, {titles[1]}. {alt}"


def alignment(
    source: Sequence[str], target: Sequence[str], weights: Sequence[Sequence[float]]
) -> tuple["go.Figure", str]:
    """Cross-attention of written words (rows) to read words (columns), as a heatmap.

    Args:
        source: the words that were read.
        target: the words that were written.
        weights: ``(target, source)``, from 0 to 1.
    """
    go = graph_objects()
    # Numbers before the words: a word that comes twice must keep its two places.
    columns = [f"{number}·{_short(word, 14)}" for number, word in enumerate(source, 1)]
    rows = [f"{number}·{_short(word, 14)}" for number, word in enumerate(target, 1)]
    figure = go.Figure(
        go.Heatmap(
            z=[list(row) for row in weights],
            x=columns,
            y=rows,
            zmin=0,
            # Special tokens draw much of the attention, and on a scale up to 1 the words would all be dark.
            zmax=max([0.2, *(value for row in weights for value in row)]),
            colorscale="Cividis",
            hovertemplate="%{y} → %{x}: %{z:.2f}<extra></extra>",
            colorbar={"thickness": 12},
        )
    )
    lay_out(
        figure,
        height=max(240, 110 + 30 * len(target)),
        margin={"l": 10, "r": 10, "t": 5, "b": 5},
        font={"size": 14},
        xaxis={"type": "category", "side": "top", "tickangle": -45, "automargin": True},
        yaxis={"type": "category", "autorange": "reversed", "automargin": True},
    )
    best = [max(range(len(source)), key=row.__getitem__) for row in weights]
    return figure, "; ".join(f"{word} → {source[place]}" for word, place in zip(target, best, strict=True))


def head_map(
    values: Sequence[Sequence[float]],
    texts: Sequence[Sequence[str]],
    unit: str,
    marks: Sequence[Sequence[str]] | None = None,
) -> tuple["go.Figure", str]:
    """A number or a word for each head, layers down and heads across, both counted from 1.

    A heatmap reports no clicks, so an invisible square lies on each cell: its ``customdata`` is layer and head,
    counted from 0.

    Args:
        values: ``(layers, heads)``, for the colour.
        texts: the same shape, what is read of a cell, and written in it where it has room.
        unit: what the numbers are.
        marks: the same shape, single characters to write in the cells instead: words would not fit on a phone.
    """
    go = graph_objects()
    layers, heads = len(values), len(values[0])
    x, y = list(range(1, heads + 1)), list(range(1, layers + 1))
    cells = [(layer, head) for layer in range(layers) for head in range(heads)]
    figure = go.Figure(
        [
            go.Heatmap(
                z=[list(row) for row in values],
                x=x,
                y=y,
                colorscale="Cividis",
                text=[list(row) for row in marks or texts],
                texttemplate="%{text}",
                # Without a size, plotly makes numbers as small as the cells ask for.
                textfont={"size": 16} if marks else {},
                hoverinfo="skip",
                # Where patterns stand in the cells, the colour is no scale.
                showscale=marks is None,
                colorbar={"thickness": 12},
                xgap=2,
                ygap=2,
            ),
            go.Scatter(
                x=[head + 1 for _layer, head in cells],
                y=[layer + 1 for layer, _head in cells],
                customdata=[list(cell) for cell in cells],
                text=[texts[layer][head] for layer, head in cells],
                mode="markers",
                marker={"symbol": "square", "size": 30, "opacity": 0.01},
                hovertemplate="%{y} · %{x}: %{text}<extra></extra>",
                showlegend=False,
            ),
        ]
    )
    lay_out(
        figure,
        height=110 + 44 * layers,
        margin={"l": 10, "r": 10, "t": 5, "b": 5},
        font={"size": 14},
        clickmode="event+select",
        xaxis={"title": _("cabeza"), "tickvals": x, "side": "top", "showgrid": False, "zeroline": False},
        yaxis={"title": _("capa"), "tickvals": y, "autorange": "reversed", "showgrid": False, "zeroline": False},
    )
    listed = "; ".join(
        f"{layer}: " + ", ".join(f"{head} {text}" for head, text in enumerate(row, 1))
        for layer, row in enumerate(texts, 1)
    )
    return figure, _("{unit}, por capa y cabeza. {listed}").format(unit=unit, listed=listed)
