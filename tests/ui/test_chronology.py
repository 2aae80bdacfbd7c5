"""The time axis: its scale keeps the order, and what is sent to the browser is whole."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.course.timeline import events
from core.ui.chronology import as_years, payload, scale
from core.ui.timeline.events import marks
from core.ui.timeline.form import CATEGORY_NAMES

DAYS = st.lists(st.dates(date(1900, 1, 1), date(2040, 12, 31)), min_size=1, max_size=30)


def test_a_day_as_a_number_of_years() -> None:
    assert as_years(date(2020, 1, 1)) == 2020
    assert as_years(date(2020, 7, 1)) == pytest.approx(2020.5, abs=0.01)
    assert as_years(date(2020, 12, 31)) < 2021


@given(DAYS, st.sampled_from([0.3, 1.0]))
def test_the_scale_goes_from_nought_to_one_and_never_back(days: list[date], by_time: float) -> None:
    knots = scale(days, by_time=by_time)
    years, places = zip(*knots, strict=True)
    assert list(years) == sorted(set(years)) and list(places) == sorted(set(places))
    assert places[0] == 0 and places[-1] == pytest.approx(1)
    assert years[0] <= as_years(min(days)) and as_years(max(days)) < years[-1]


def test_an_even_scale_gives_each_year_the_same_room() -> None:
    knots = scale([date(1906, 7, 1), date(2026, 4, 1)], by_time=1.0)
    assert all(place == pytest.approx((year - 1906) / 121) for year, place in knots)


def test_busy_years_get_more_room() -> None:
    busy = [date(2018, 1, 1) + timedelta(days=30 * step) for step in range(10)]
    knots = dict(scale([date(1906, 1, 1), *busy, date(2026, 1, 1)]))
    assert knots[2019] - knots[2018] > 10 * (knots[2017] - knots[2016])


def test_no_events_no_axis() -> None:
    with pytest.raises(ValueError, match="at least one"):
        scale([])


def test_the_browser_gets_every_event_and_only_lanes_in_use() -> None:
    chosen = [item for item in events() if item.category in ("spanish", "decoder")]
    sent = payload(marks(chosen), CATEGORY_NAMES, selected="beto-2019", stops=(), even=False, follow="x")
    assert [mark[0] for mark in sent["marks"]] == [item.id for item in chosen]
    assert {lane[0] for lane in sent["lanes"]} == {"spanish", "decoder"}
    assert sent["selected"] == "beto-2019"
    spoken = {mark[0]: mark[4] for mark in sent["marks"]}
    assert spoken["beto-2019"] == "18 de octubre de 2019: BETO, el BERT en español"
