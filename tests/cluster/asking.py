"""What the tests of a cluster ask it, and what they compare its answers with: those of this machine's own engine."""

import threading
import time
from dataclasses import replace
from typing import Any

from core.runtime.engine import Engine, Outcome
from core.runtime.pool import ModelPool
from core.runtime.ray_engine import RayEngine
from core.runtime.stream import Stream
from core.settings import Settings
from core.tasks import fill_mask, generation
from core.tasks.fill_mask import FillMaskRequest
from core.tasks.generation import GenerationRequest


def ask(engine: Engine, text: str = "El sol sale por la [MASK].") -> Outcome[Any]:
    return engine.run(fill_mask.TASK, FillMaskRequest(text), model="mini-beto")


def without_times(outcome: Outcome[Any]) -> Any:
    return replace(outcome.result, timing=None)


def same_answers(engine: RayEngine, pool: ModelPool, together: int) -> None:
    """Asserts that one request, and so many in a batch, get from the cluster what they get here, to the last bit."""
    found, here = ask(engine), ask(Engine(pool, Settings()))
    assert without_times(found) == without_times(here)
    assert (found.engine, found.note, here.engine) == ("ray", "", "local")
    requests = [FillMaskRequest(f"El número {n} es [MASK].") for n in range(together)]
    there = engine.run_batch(fill_mask.TASK, requests, model="mini-beto")
    own = Engine(pool, Settings()).run_batch(fill_mask.TASK, requests, model="mini-beto")
    for one, other in zip(there, own, strict=True):
        assert isinstance(one, Outcome) and isinstance(other, Outcome)
        assert without_times(one) == without_times(other)
        assert (one.engine, one.batch) == ("ray", together)


def writing(engine: RayEngine, tokens: int) -> tuple[Stream[Any], threading.Thread, list[Outcome[Any]]]:
    stream: Stream[Any] = Stream()
    outcomes: list[Outcome[Any]] = []
    request = GenerationRequest("En un lugar de la", tokens=tokens, stream=stream)
    thread = threading.Thread(target=lambda: outcomes.append(engine.run(generation.TASK, request, model="mini-gpt")))
    thread.start()
    return stream, thread, outcomes


def read(stream: Stream[Any], thread: threading.Thread, at_least: int) -> None:
    end = time.monotonic() + 90
    while len(stream.poll()) < at_least:
        assert time.monotonic() < end and thread.is_alive()
        time.sleep(0.01)


def ended(stream: Stream[Any], thread: threading.Thread) -> None:
    while thread.is_alive():
        stream.poll()
        thread.join(0.05)
