"""Cosine by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputInvalid
from core.lens.cosine import cosine_steps

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda number: number == 0 or abs(number) > 1e-6)
VECTORS = st.tuples(*[NUMBERS] * 3).filter(any)


def test_the_steps() -> None:
    steps = cosine_steps((3, 4), (4, 3))
    assert steps.products == (12, 12) and steps.dot == 24
    assert (steps.norm_u, steps.norm_v) == (5, 5)
    assert steps.cosine == pytest.approx(0.96) and steps.degrees == pytest.approx(math.degrees(math.acos(0.96)))
    assert steps.distance == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(
    ("u", "v", "cosine", "degrees"),
    [((3, 1), (6, 2), 1, 0), ((2, 1), (-2, -1), -1, 180), ((1, 0), (0, 5), 0, 90)],
)
def test_extremes(u: tuple[float, ...], v: tuple[float, ...], cosine: float, degrees: float) -> None:
    steps = cosine_steps(u, v)
    assert steps.cosine == pytest.approx(cosine) and steps.degrees == pytest.approx(degrees, abs=1e-5)


@given(VECTORS, VECTORS, st.floats(1e-3, 1e3))
def test_length_does_not_count_and_order_neither(u: tuple[float, ...], v: tuple[float, ...], factor: float) -> None:
    cosine = cosine_steps(u, v).cosine
    assert -1 <= cosine <= 1
    assert cosine_steps(v, u).cosine == pytest.approx(cosine, abs=1e-9)
    assert cosine_steps([factor * number for number in u], v).cosine == pytest.approx(cosine, abs=1e-9)
    assert cosine_steps(u, u).cosine == pytest.approx(1, abs=1e-9)


def test_very_long_and_very_short_vectors() -> None:
    assert cosine_steps((1e200, 1e200), (1e200, 0)).cosine == pytest.approx(math.sqrt(0.5))
    assert cosine_steps((1e-200, 1e-200), (1e-200, 0)).cosine == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize(
    ("u", "v", "said"),
    [
        ((0, 0), (1, 2), "ceros"),
        ((1, 2), (1, 2, 3), "mismas dimensiones"),
        ((), (), "mismas dimensiones"),
        ((math.nan, 1), (1, 2), "número"),
        ((math.inf, 1), (1, 2), "número"),
    ],
)
def test_what_has_no_cosine(u: tuple[float, ...], v: tuple[float, ...], said: str) -> None:
    with pytest.raises(InputInvalid, match=said):
        cosine_steps(u, v)
