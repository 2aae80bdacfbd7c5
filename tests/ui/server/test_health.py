"""Health: one question at a time, kept for a while, and told apart when it goes wrong."""

import threading

import pytest

from core.errors import QueueFull
from core.ui.server.health import Health, Probe, ask_a_model
from tests.ui.server.test_limits import Clock


def test_many_who_ask_cost_one_question() -> None:
    asked: list[int] = []
    go_on = threading.Event()

    def ask() -> None:
        asked.append(1)
        go_on.wait(10)

    clock = Clock()
    probe = Probe(ask, keep_s=10, clock=clock)
    waiting = [probe.look() for _n in range(50)]
    assert probe.late() == Health("starting")
    go_on.set()
    assert {one.result(10).status for one in waiting} == {"ready"} and len(asked) == 1
    clock.now = 9.9
    assert probe.look().result(0).status == "ready" and len(asked) == 1
    clock.now = 10.1
    assert probe.look().result(10).status == "ready" and len(asked) == 2
    # Once it has worked, no answer in time means that there is much to do.
    assert probe.late() == Health("busy")


@pytest.mark.parametrize(("error", "status"), [(QueueFull("full"), "busy"), (RuntimeError("broken"), "failing")])
def test_why_it_is_not_ready(error: Exception, status: str) -> None:
    def ask() -> None:
        raise error

    assert Probe(ask).look().result(10) == Health(status)  # type: ignore[arg-type]


def test_a_real_model_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.runtime.metrics import REGISTRY
    from core.ui.server import health

    before = REGISTRY.get_sample_value("taller_requests_total", {"task": "health", "outcome": "ok"}) or 0
    ask_a_model()
    assert REGISTRY.get_sample_value("taller_requests_total", {"task": "health", "outcome": "ok"}) == before + 1
    monkeypatch.setattr(health, "MODEL", "no-such-model")
    assert Probe(ask_a_model).look().result(60) == Health("failing")
