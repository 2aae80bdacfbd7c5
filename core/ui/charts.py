"""Plots. Streamlit's plotly theme gives the colours of ``.streamlit/config.toml``, light and dark.

Each function returns the figure and its text alternative.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.i18n import format_number, format_percent
from core.i18n import gettext as _

if TYPE_CHECKING:
    import plotly.graph_objects as go

_PATTERNS = ("", "/", ".", "x", "\\", "+", "-", "|")


def _graph_objects() -> Any:
    """Plotly, imported when the first figure is made, with Streamlit's template in force.

    Streamlit registers its template, which brings the theme's colours, only when its own chart module is
    loaded; a figure made before that would keep plotly's colours.
    """
    import plotly.graph_objects as go
    from streamlit.elements import plotly_chart  # noqa: F401

    return go


def _bars(
    x: Sequence[Any], names: Sequence[str], values: Sequence[Sequence[float]], x_title: str, y_title: str
) -> "go.Figure":
    go = _graph_objects()
    # Patterns besides colours: the plot must be readable without colour vision and on a poor projector.
    figure = go.Figure(
        [
            go.Bar(x=list(x), y=list(row), name=name, marker={"pattern": {"shape": pattern, "size": 6}})
            for name, row, pattern in zip(names, values, _PATTERNS * 2, strict=False)
        ]
    )
    figure.update_layout(
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
    figure = _bars(range(len(words)), names, counts, "", _("tokens"))
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
    figure = _bars(labels, names, shares, _("tokens en que se corta la palabra"), _("% de las palabras"))
    figure.update_xaxes(type="category")
    summary = "; ".join(
        _("{name}: {share} enteras").format(name=name, share=format_percent(row[0] / 100))
        for name, row in zip(names, shares, strict=True)
    )
    return figure, _("Reparto de las palabras según en cuántos tokens se cortan. {summary}").format(summary=summary)


def shared_pieces(name_a: str, name_b: str, only_a: int, both: int, only_b: int) -> tuple["go.Figure", str]:
    """How many pieces are in one vocabulary, in both, and in the other, as one bar in three parts."""
    go = _graph_objects()
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
    figure.update_layout(
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
    figure = _bars(letters, names, counts, "", _("piezas"))
    figure.update_xaxes(type="category")
    summary = "; ".join(
        f"{name}: " + ", ".join(f"{letter} {format_number(n)}" for letter, n in zip(letters, row, strict=True))
        for name, row in zip(names, counts, strict=True)
    )
    return figure, _("Piezas con cada letra. {summary}").format(summary=summary)
