"""The server and a worker die while people work: nothing is lost or wrong.

More rounds: ``python -m tests.load.faults``.
"""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from streamlit.proto.Delta_pb2 import Delta

from tests.load.faults import SMALL, answer, possible, run_rounds, same
from tests.load.visitors import Visit


@pytest.mark.browser
def test_nothing_is_lost_when_the_machine_runs_short_and_its_clock_jumps(tmp_path: Path) -> None:
    kinds = tuple(kind for kind in possible(ray=False) if kind in ("disk", "memory", "clock"))
    report = run_rounds(len(kinds), SMALL, tmp_path, kinds=kinds, in_order=True)
    assert report.kills == dict.fromkeys(kinds, 1) and report.stuck == 0
    assert report.lost == [] and report.wrong == [] and report.foreign == 0 and report.answers > 0


@pytest.mark.browser
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install -r requirements-ray.txt")
def test_nothing_is_lost_when_a_cluster_dies(tmp_path: Path) -> None:
    report = run_rounds(2, SMALL, tmp_path, kinds=("replica", "node"), in_order=True, ray=True)
    assert report.kills == {"replica": 1, "node": 1} and report.stuck == 0 and len(report.back) == 1
    assert report.lost == [] and report.wrong == [] and report.foreign == 0 and report.answers > 0


@pytest.mark.browser
def test_nothing_is_lost_when_processes_die(tmp_path: Path) -> None:
    report = run_rounds(2, SMALL, tmp_path, kinds=("worker", "server"), in_order=True)
    assert report.kills == {"worker": 1, "server": 1} and report.stuck == 0
    assert report.lost == [] and report.runs >= 2
    assert report.wrong == [] and report.foreign == 0 and report.answers > 0


def test_an_answer_is_read_from_the_page_and_compared() -> None:
    def page(*bars: tuple[str, float]) -> Visit:
        figure = json.dumps({"data": [{"x": [x for _y, x in bars], "y": [f"{y} " for y, _x in bars]}]})
        delta = Delta()
        delta.new_element.plotly_chart.spec = figure
        return Visit(str(delta), True, 0.0, 0.0)

    found = answer(page(("positivo", 56.5018), ("año", 3.01)))
    assert found == (("positivo", 56.5018), ("año", 3.01))
    assert same(found, answer(page(("positivo", 56.5019), ("año", 3.01))))
    assert not same(found, answer(page(("positivo", 56.7), ("año", 3.01))))
    assert not same(found, answer(page(("positivo", 56.5018))))
    assert not same(found, answer(page(("neutro", 56.5018), ("positivo", 3.01))))
