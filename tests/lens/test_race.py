"""The race: two layers of one size, honest laps, and an end."""

import pytest

from core.errors import ModelUnavailable
from core.lens.race import build, run_apart, run_race
from core.runtime.device import CPU, Device


def test_both_layers_have_the_same_number_of_parameters() -> None:
    for width in (64, 128, 256):
        sizes = [sum(tensor.numel() for tensor in module.parameters()) for module in build(width).values()]
        assert abs(sizes[0] - sizes[1]) / sizes[0] < 0.005, sizes
    sizes = [sum(tensor.numel() for tensor in module.parameters()) for module in build().values()]
    assert abs(sizes[0] - sizes[1]) / sizes[0] < 0.001


def test_laps_of_both_in_both_directions() -> None:
    seen: list[tuple[int, int]] = []
    race = run_race(CPU, lengths=(4, 8), progress=lambda *step: seen.append(step))
    assert race.complete and race.device == "cpu" and race.threads >= 1
    assert [(lap.runner, lap.direction, lap.length) for lap in race.laps] == [
        (runner, direction, length)
        for length in (4, 8)
        for direction in ("forward", "backward")
        for runner in ("lstm", "transformer")
    ]
    assert all(lap.milliseconds > 0 and lap.repeats >= 2 for lap in race.laps)
    # Three rounds over two lengths in two directions, both layers in each.
    assert seen == [(n, 24) for n in range(2, 26, 2)]
    assert race.parameters["lstm"] == pytest.approx(race.parameters["transformer"], rel=1e-3)


def test_it_stops_when_told_and_when_time_is_up() -> None:
    seen: list[int] = []
    race = run_race(
        CPU, lengths=(4, 8), progress=lambda done, _all: seen.append(done), cancelled=lambda: len(seen) >= 3
    )
    assert not race.complete and len(race.laps) == 6 == seen[-1]
    # Stopped later, when each length has been run once, nothing is missing.
    seen.clear()
    race = run_race(
        CPU, lengths=(4, 8), progress=lambda done, _all: seen.append(done), cancelled=lambda: len(seen) >= 5
    )
    assert race.complete and len(race.laps) == 8 and race.laps[0].repeats > race.laps[-1].repeats
    assert not run_race(CPU, lengths=(4,), budget_s=0.0).laps


def test_in_a_process_of_its_own_it_is_the_same_race() -> None:
    seen: list[tuple[int, int]] = []
    race = run_apart(CPU, lengths=(4, 8), progress=lambda *step: seen.append(step))
    assert race.complete and len(race.laps) == 8 and seen[-1] == (24, 24)
    assert {lap.length for lap in race.laps} == {4, 8} and race.device == "cpu"
    assert all(lap.milliseconds > 0 for lap in race.laps)


def test_apart_it_stops_when_told_and_says_when_nothing_came_of_it() -> None:
    stopped = run_apart(CPU, lengths=(4, 8, 512), cancelled=lambda: True)
    assert not stopped.complete and len(stopped.laps) < 12
    with pytest.raises(ModelUnavailable, match="no llegó a medir nada"):
        run_apart(Device("cuda", 99), lengths=(4,))
