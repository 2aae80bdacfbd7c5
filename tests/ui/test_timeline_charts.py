"""The plots of sizes and compute: labels stand where they cover nothing, also on a phone."""

from datetime import date, timedelta
from itertools import combinations, product

import pytest

from core.i18n import set_language
from core.ui.timeline import charts
from core.ui.timeline.charts import Frame, Point, against_time
from core.ui.timeline.figures import compute_points, size_points

TICKS = [(1e6, "1 M"), (1e9, "1 mil M")]


def names_in(label: str) -> list[str]:
    return [name for line in label.split("<br>") for name in line.split(" · ")]


def frame_of(points: list[Point], figure: object) -> Frame:
    layout = figure.layout  # type: ignore[attr-defined]
    days = tuple(day.toordinal() for day in layout.xaxis.range)
    return Frame(days, tuple(layout.yaxis.range))  # type: ignore[arg-type]


@pytest.mark.parametrize("lang", ["es", "en"])
@pytest.mark.parametrize("make", [size_points, compute_points])
def test_no_label_covers_another_or_a_point_or_leaves_the_plot(make: object, lang: str) -> None:
    set_language(lang)
    points = make()  # type: ignore[operator]
    set_language("es")
    figure, alt = against_time(points, "parámetros", TICKS)
    frame = frame_of(points, figure)
    labels, markers = [], []
    for trace in figure.data:
        for day, value, text, place, custom in zip(
            trace.x, trace.y, trace.text, trace.textposition, trace.customdata, strict=True
        ):
            x, y = frame.pixels(Point("", day, value, "", "other"))
            owner = custom[1]
            markers.append((x, y, owner))
            if text:
                labels.append((text, owner, charts.label_boxes(text.split("<br>"), x, y, place)))
    assert len(labels) >= 10
    for text, owner, lines in labels:
        for left, top, right, bottom in lines:
            assert left >= 0 and right <= charts._WIDE and top >= 0 and bottom <= charts._HIGH, text
            for a, b, other in markers:
                if other != owner and other not in names_in(text):
                    across = max(left - a, a - right)
                    assert across >= 8 or max(top - b, b - bottom) >= 8, (text, other)
    for (one, _owner, ones), (two, _other, twos) in combinations(labels, 2):
        for a, b in product(ones, twos):
            assert a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3], (one, two)
    assert all(point.name in alt for point in points)


def test_our_own_models_have_labels_and_two_that_lie_on_one_another_share_one() -> None:
    figure, _alt = against_time(size_points(), "parámetros", TICKS)
    said = names_in("<br>".join(text for text in figure.data[-1].text if text))
    assert sorted(said) == sorted(point.name for point in size_points() if point.here)
    assert "mini-BETO" in said and "all-MiniLM-L6-v2" in said


def test_those_that_the_paths_tell_of_come_before_the_others() -> None:
    day = date(2020, 1, 1)
    here = [
        Point("a" * 20, day, 2e9, "", "encoder"),
        Point("b" * 20, day + timedelta(60), 2e9, "", "encoder", told=True),
    ]
    far = [Point("x", date(2026, 1, 1), 1e12, "", "decoder"), Point("y", date(2017, 1, 1), 1e6, "", "decoder")]
    figure, _alt = against_time([*here, *far], "parámetros", TICKS)
    places = {
        text: place for trace in figure.data for text, place in zip(trace.text, trace.textposition, strict=True) if text
    }
    # The best place, above its point; the other has to make do with another.
    assert places["b" * 20] == "top center" and places.get("a" * 20) != "top center"
