"""The race: two layers of one size, honest laps, and an end."""

import pytest

from core.lens.race import Lap, build, run_race
from core.runtime.device import CPU


def test_both_layers_have_the_same_number_of_parameters() -> None:
    for width in (64, 128, 256):
        sizes = [sum(tensor.numel() for tensor in module.parameters()) for module in build(width).values()]
        assert abs(sizes[0] - sizes[1]) / sizes[0] < 0.005, sizes
    sizes = [sum(tensor.numel() for tensor in module.parameters()) for module in build().values()]
    assert abs(sizes[0] - sizes[1]) / sizes[0] < 0.001


def test_laps_of_both_in_both_directions() -> None:
    seen: list[tuple[int, int]] = []
    race = run_race(CPU, lengths=(4, 8), progress=lambda laps, total: seen.append((len(laps), total)))
    assert race.complete and race.device == "cpu" and race.threads >= 1
    assert [(lap.runner, lap.direction, lap.length) for lap in race.laps] == [
        (runner, direction, length)
        for length in (4, 8)
        for direction in ("forward", "backward")
        for runner in ("lstm", "transformer")
    ]
    assert all(lap.milliseconds > 0 and lap.repeats >= 2 for lap in race.laps)
    assert seen == [(n, 8) for n in range(1, 9)]
    assert race.parameters["lstm"] == pytest.approx(race.parameters["transformer"], rel=1e-3)


def test_it_stops_when_told_and_when_time_is_up() -> None:
    laps: list[Lap] = []

    def keep(found: tuple[Lap, ...], _total: int) -> None:
        laps[:] = found

    race = run_race(CPU, lengths=(4, 8), progress=keep, cancelled=lambda: len(laps) >= 3)
    assert not race.complete and len(race.laps) == 3
    assert not run_race(CPU, lengths=(4,), budget_s=0.0).laps
