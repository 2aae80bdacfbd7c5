"""Batch jobs: everything answered in its place, equal requests once, and an end whenever it is wanted."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from core.errors import InputInvalid, QueueFull
from core.i18n import get_language, set_language
from core.runtime.batch import BatchJob
from core.runtime.engine import Outcome


class Upper:
    """A task that needs no model."""

    name = "upper"
    attention = False
    max_batch = 4

    def run(self, bundle: Any, requests: Sequence[str]) -> list[str]:
        raise NotImplementedError


class FakeEngine:
    """Answers by itself, in pieces that it writes down."""

    at_once = 1

    def __init__(self, gate: threading.Semaphore | None = None) -> None:
        self.pieces: list[list[str]] = []
        self.languages: set[str] = set()
        self._gate = gate

    def run_batch(self, task: Any, requests: Sequence[str], *, model: str) -> list[Any]:
        if self._gate is not None:
            self._gate.acquire()
        if "full" in requests:
            raise QueueFull("hay demasiada gente")
        self.pieces.append(list(requests))
        self.languages.add(get_language())
        return [
            InputInvalid("no") if request == "bad" else Outcome(request.upper(), model, "", 0, 0, 1, "cpu", 1)
            for request in requests
        ]


def job(engine: FakeEngine, requests: Sequence[str], **options: Any) -> BatchJob[str, str]:
    return BatchJob(engine, Upper(), requests, model="m", size=len, **options)  # type: ignore[arg-type]


def answers(done: BatchJob[str, str]) -> list[str | None]:
    return [
        found.result if isinstance(found, Outcome) else None if found is None else type(found).__name__
        for found in done.results()
    ]


def test_answers_come_back_in_order_shortest_computed_first_equal_ones_once() -> None:
    engine = FakeEngine()
    done = job(engine, ["ccc", "a", "bb", "a", "bad", "dddd", "e"])
    assert done.wait(10)
    assert answers(done) == ["CCC", "A", "BB", "A", "InputInvalid", "DDDD", "E"]
    assert engine.pieces == [["a", "e", "bb", "ccc"], ["bad", "dddd"]] or engine.pieces[0][:2] == ["a", "e"]
    assert sum(map(len, engine.pieces)) == 6
    state = done.state()
    assert (state.done, state.total, state.running, state.message) == (7, 7, False, "")


def test_cancelling_keeps_what_is_done() -> None:
    gate = threading.Semaphore(1)
    done = job(FakeEngine(gate), [str(n) for n in range(10)])
    while done.state().done < 4:
        pass
    assert done.state().running and done.state().seconds_left is not None
    done.cancel()
    gate.release(5)
    assert done.wait(10)
    state = done.state()
    assert state.done in {4, 8} and not state.running
    assert answers(done)[:4] == ["0", "1", "2", "3"]


def test_a_job_that_nobody_looks_at_ends() -> None:
    gate = threading.Semaphore(1)
    engine = FakeEngine(gate)
    done = job(engine, [str(n) for n in range(100)], abandoned_s=0.0)
    gate.release(100)
    assert done.wait(10)
    assert len(engine.pieces) <= 1


def test_a_full_queue_ends_it_with_its_message_and_keeps_the_rest() -> None:
    done = job(FakeEngine(), ["a", "b", "c", "d", "full"])
    assert done.wait(10)
    assert done.state().message == "hay demasiada gente"
    assert answers(done) == ["A", "B", "C", "D", None]


def test_messages_are_in_the_language_of_whoever_began_it() -> None:
    set_language("en")
    try:
        engine = FakeEngine()
        done = job(engine, ["a"])
    finally:
        set_language("es")
    assert done.wait(10)
    assert engine.languages == {"en"}


def test_no_requests_end_at_once() -> None:
    done = job(FakeEngine(), [])
    assert done.wait(10)
    assert done.results() == [] and not done.state().running


class Crowd(FakeEngine):
    """Waits until three pieces are on their way, and finds one that can't be answered."""

    at_once = 3

    def __init__(self) -> None:
        super().__init__()
        self.together = threading.Barrier(3)
        self.met = 0

    def run_batch(self, task: Any, requests: Sequence[str], *, model: str) -> list[Any]:
        with suppress(threading.BrokenBarrierError):
            self.together.wait(5)
            self.met += 1
        return super().run_batch(task, requests, model=model)


def test_an_engine_of_many_machines_gets_several_pieces_at_once_and_answers_stay_in_order() -> None:
    set_language("en")
    engine = Crowd()
    done = job(engine, [f"{n:02d}" for n in range(24)])  # six pieces of four
    set_language("es")
    assert done.wait(20)
    assert answers(done) == [f"{n:02d}" for n in range(24)]
    assert engine.languages == {"en"} and len(engine.pieces) == engine.met == 6
    assert done.state().done == 24 and not done.state().message


def test_what_ends_one_piece_ends_them_all() -> None:
    done = job(Crowd(), ["full", *(f"{n:04d}" for n in range(100))])
    assert done.wait(20)
    state = done.state()
    assert state.message == "hay demasiada gente" and not state.running and state.done < 100
