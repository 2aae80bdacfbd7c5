"""The engine that asks a cluster: the same answers and errors as here, and this machine's when the cluster fails.

The cluster is a replica behind a plain web server; ``tests/cluster/test_app.py`` puts it under Ray.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest

from core.catalog import entries
from core.errors import InputInvalid, ModelUnavailable, TallerError
from core.i18n import set_language
from core.runtime.cluster_line import Trouble
from core.runtime.device import CPU
from core.runtime.engine import Engine, Outcome
from core.runtime.pool import ModelPool
from core.runtime.ray_engine import RayEngine, _loads_anywhere, why_local
from core.runtime.stream import Stream
from core.settings import Settings
from core.tasks import fill_mask, generation
from core.tasks.fill_mask import FillMaskRequest, FillMaskResult
from core.tasks.generation import GenerationRequest, GenerationResult
from tests.cluster.servers import SECRET, Served, listening, make, wait_until
from tests.conftest import free_port

REQUEST = FillMaskRequest("El sol sale por la [MASK].")


@pytest.fixture(scope="module")
def pool() -> ModelPool:
    return ModelPool(Settings(), CPU)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    server = Served(free_port())
    yield server
    server.kill()


@pytest.fixture
def engine(served: Served, pool: ModelPool) -> Iterator[RayEngine]:
    made = make(served.port, pool, timeout=10)
    yield made
    made.close()


def words(outcome: Outcome[FillMaskResult]) -> FillMaskResult:
    """The answer without its times."""
    return replace(outcome.result, timing=None)  # type: ignore[arg-type]


def ask(engine: Engine, text: str = REQUEST.text) -> Outcome[FillMaskResult]:
    return engine.run(fill_mask.TASK, FillMaskRequest(text), model="mini-beto")


# --- as here ----------------------------------------------------------------------------------------------


def test_the_cluster_answers_what_this_machine_would(engine: RayEngine, pool: ModelPool) -> None:
    found, here = ask(engine), ask(Engine(pool, Settings()))
    assert words(found) == words(here)  # to the last bit
    assert (found.engine, found.note, found.device, found.batch) == ("ray", "", "cpu", 1)
    assert (here.engine, found.model_key) == ("local", "mini-beto")
    assert found.compute_ms > 0 and found.queue_ms > 0
    assert (engine.state().answered, engine.state().local) == (1, 0)


def test_errors_arrive_as_the_errors_they_are(engine: RayEngine) -> None:
    set_language("en")
    try:
        with pytest.raises(InputInvalid) as there:
            ask(engine, "no gap here")
        with pytest.raises(InputInvalid) as here:
            fill_mask.gaps_of("no gap here")
    finally:
        set_language("es")
    assert str(there.value) == str(here.value)
    assert engine.state().local == 0


def test_many_are_answered_with_the_bad_one_among_them(engine: RayEngine, pool: ModelPool) -> None:
    requests = [FillMaskRequest(f"El número {n} es [MASK].") for n in range(20)] + [FillMaskRequest("sin hueco")]
    done: list[int] = []
    found = engine.run_batch(
        fill_mask.TASK, requests, model="mini-beto", progress=lambda part, _whole: done.append(part)
    )
    here = Engine(pool, Settings()).run_batch(fill_mask.TASK, requests, model="mini-beto")
    assert isinstance(found[-1], InputInvalid) and done == [16, 21]
    for there, own in zip(found[:16], here[:16], strict=True):
        assert isinstance(there, Outcome) and isinstance(own, Outcome)
        assert words(there) == words(own)  # the same batch, so to the last bit
        assert (there.batch, there.engine) == (16, "ray")


def test_visitors_are_computed_together_and_each_gets_their_own(engine: RayEngine, pool: ModelPool) -> None:
    texts = [f"{name} vive en [MASK]." for name in ("Ana", "Luis", "Eva", "Juan", "María", "Pedro", "Rosa", "Hugo")]
    with ThreadPoolExecutor(len(texts)) as threads:
        found = list(threads.map(lambda text: ask(engine, text), texts))
    assert max(outcome.batch for outcome in found) > 1
    for text, outcome in zip(texts, found, strict=True):
        own = words(ask(Engine(pool, Settings()), text)).gaps[0].candidates
        there = words(outcome).gaps[0].candidates
        assert [one.text for one in there[:3]] == [one.text for one in own[:3]]
        assert [one.probability for one in there] == pytest.approx([one.probability for one in own], abs=1e-5)


def test_a_model_that_the_cluster_has_not_is_this_machines_to_refuse(engine: RayEngine) -> None:
    with pytest.raises(ModelUnavailable):
        engine.run(fill_mask.TASK, REQUEST, model="nobody-has-it")
    assert engine.state().up


@dataclass
class Here:
    """A task that can't travel."""

    name: str = "here"
    attention: bool = False
    max_batch: int = 1
    work: Callable[[], int] = lambda: 7

    def run(self, bundle: Any, requests: Any) -> list[int]:
        return [self.work()] * len(requests)


def test_what_cannot_travel_is_computed_here(engine: RayEngine) -> None:
    outcome = engine.run(Here(work=lambda: 8), "x", model="mini-beto")
    assert (outcome.result, outcome.engine) == (8, "local")
    assert outcome.note == "Esto solo puede calcularlo este equipo."


# --- texts that are written as one looks on -----------------------------------------------------------------


class Writing:
    """A text that is being written, and what its reader sees."""

    def __init__(self, engine: Engine, tokens: int = 200) -> None:
        self.stream: Stream[Any] = Stream()
        self.request = GenerationRequest("En un lugar de la", tokens=tokens, stream=self.stream)
        self._outcomes: list[Outcome[GenerationResult]] = []
        self._engine = engine
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        self._outcomes.append(self._engine.run(generation.TASK, self.request, model="mini-gpt"))

    def read(self, at_least: int) -> int:
        """Waits for so many tokens; returns how many there are."""
        end = time.monotonic() + 60
        while (there := len(self.stream.poll())) < at_least:
            assert time.monotonic() < end and self._thread.is_alive(), there
            time.sleep(0.01)
        return there

    def end(self) -> Outcome[GenerationResult]:
        while self._thread.is_alive():
            self.stream.poll()
            self._thread.join(0.05)
        return self._outcomes[0]


def test_tokens_come_one_by_one_and_the_text_is_this_machines(engine: RayEngine, pool: ModelPool) -> None:
    writing = Writing(engine, 200)
    assert writing.read(1) < 200
    outcome = writing.end()
    here = Engine(pool, Settings()).run(generation.TASK, replace(writing.request, stream=None), model="mini-gpt")
    assert replace(outcome.result, timing=None) == replace(here.result, timing=None)  # type: ignore[arg-type]
    assert writing.stream.poll() == list(outcome.result.steps) and len(outcome.result.steps) == 200
    assert outcome.engine == "ray"


def test_a_stop_reaches_the_cluster_and_what_was_written_stays(engine: RayEngine) -> None:
    writing = Writing(engine)
    there = writing.read(3)
    writing.stream.stop()
    outcome = writing.end()
    assert outcome.result.finish == "stopped" and outcome.engine == "ray"
    assert there <= len(outcome.result.steps) < 200


def test_who_leaves_stops_it_too(engine: RayEngine) -> None:
    # On a quiet machine two hundred tokens take less than a second.
    stream: Stream[Any] = Stream(abandoned_s=0.1)
    request = GenerationRequest("En un lugar de la", tokens=200, stream=stream)
    outcome = engine.run(generation.TASK, request, model="mini-gpt")  # nobody polls
    assert outcome.result.finish == "stopped" and outcome.engine == "ray"


# --- faults -------------------------------------------------------------------------------------------------


def test_nobody_there(pool: ModelPool) -> None:
    engine = make(free_port(), pool)
    first, second = ask(engine), ask(engine)
    assert first.engine == second.engine == "local"
    assert first.note == second.note == "El clúster Ray no está: contestó este equipo."
    assert engine.state().trouble == "away" and engine.state().local == 2
    engine.close()


def test_killed_while_it_writes_and_back_again(pool: ModelPool) -> None:
    server = Served(free_port())
    engine = make(server.port, pool)
    writing = Writing(engine, 200)
    writing.read(5)
    server.kill()
    outcome = writing.end()
    assert outcome.engine == "local" and outcome.note == why_local("broken")
    # What the cluster had written was taken back: nothing stands there twice.
    assert writing.stream.poll() == list(outcome.result.steps) and len(outcome.result.steps) == 200
    assert ask(engine).note == why_local("away")
    again = Served(server.port)
    try:
        assert wait_until(engine, None) < 30
        assert ask(engine).engine == "ray"
    finally:
        again.kill()
        engine.close()


def test_frozen_in_mid_request_and_thawed(pool: ModelPool) -> None:
    server = Served(free_port())
    assert ask(make(server.port, pool, timeout=30)).engine == "ray"
    ask(Engine(pool, Settings()))  # so that this machine has its model, too
    engine = make(server.port, pool, timeout=1.5)
    try:
        server.freeze()
        began = time.monotonic()
        outcome = ask(engine)
        assert outcome.engine == "local" and outcome.note == why_local("silent")
        assert time.monotonic() - began > 1.4
        began = time.monotonic()
        assert ask(engine).note == why_local("silent")
        assert time.monotonic() - began < 1.4  # nobody waits for it a second time
        server.thaw()
        wait_until(engine, None)
        assert ask(engine).engine == "ray"
    finally:
        server.kill()
        engine.close()


def test_another_secret(served: Served, pool: ModelPool) -> None:
    engine = make(served.port, pool, secret="not the one of the cluster")
    assert ask(engine).note == why_local("other_secret")
    assert engine.probe() == "other_secret"
    engine.close()


def test_other_code(served: Served, pool: ModelPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.runtime.wire.code_version", lambda: "older")
    engine = make(served.port, pool)
    assert ask(engine).note == why_local("other_code")
    assert engine.probe() == "other_code"
    engine.close()


def reply(status: str, body: bytes = b"") -> Callable[[socket.socket], None]:
    """Answers every request so, and hangs up."""

    def behave(connection: socket.socket) -> None:
        seen = b""
        # All of it: what is left unread would reset the connection.
        while not seen.endswith(b"\r\n\r\n" if seen.startswith(b"GET") else b"0\r\n\r\n"):
            seen += connection.recv(100_000)
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 1000\r\n\r\n".encode() + body)

    return behave


@pytest.mark.parametrize(
    ("behave", "trouble"),
    [
        (lambda connection: time.sleep(3), "silent"),
        (reply("404 Not Found"), "away"),
        (reply("200 OK", b"x" * 200), "broken"),
        (reply("200 OK", b"a\x20\x00\x00\x00" + b"x" * 32), "other_secret"),
        (reply("200 OK", b"a\xff\xff\xff\xff"), "broken"),
        (reply("500 Internal Server Error"), "broken"),
        (lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n"), "broken"),
        (lambda connection: None, "broken"),
    ],
)
def test_whatever_is_at_the_address_this_machine_answers(
    behave: Callable[[socket.socket], None], trouble: Trouble, pool: ModelPool
) -> None:
    with listening(behave) as port:
        engine = make(port, pool, timeout=1.0)
        outcome = ask(engine)
        assert outcome.engine == "local" and outcome.note == why_local(trouble)
        engine.close()


def test_a_full_cluster_is_not_a_lost_one(pool: ModelPool) -> None:
    with listening(reply("503 Service Unavailable")) as port:
        engine = make(port, pool)
        outcome = ask(engine)
        assert outcome.engine == "local" and outcome.note == "El clúster Ray está lleno: contestó este equipo."
        assert engine.state().up and engine.probe() is None


def test_one_that_breaks_off_is_asked_again_but_not_for_ever(pool: ModelPool) -> None:
    with listening(lambda connection: None) as port:
        engine = make(port, pool)
        for tries in (1, 2):
            ask(engine)
            assert engine.state().up, tries
        ask(engine)
        assert engine.state().trouble == "broken"
        engine.close()


def test_errors_of_this_machine_stay_errors(pool: ModelPool) -> None:
    engine = make(free_port(), pool)
    with pytest.raises(TallerError, match="hueco"):
        ask(engine, "sin hueco")
    engine.close()


def test_the_secret_is_not_in_what_is_said(pool: ModelPool) -> None:
    engine = make(free_port(), pool)
    assert SECRET not in repr(engine.state()) + ask(engine).note
    engine.close()


def test_requests_of_small_models_need_not_go_where_they_are_loaded() -> None:
    shipped = [item for item in entries().values() if item.weights and item.embedded and item.tier == "workshop"]
    assert len(shipped) > 10 and all(_loads_anywhere(item.key) for item in shipped)
    assert not _loads_anywhere("qwen3") and not _loads_anywhere("org/name")
