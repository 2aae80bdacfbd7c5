"""The engine: right answers in order, batches, a bounded queue, everybody served, clear refusals."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from core.errors import InputInvalid, OutOfMemory, QueueFull, TallerError, TooManyOfYours
from core.i18n import set_language
from core.runtime import engine as engines
from core.runtime.bundle import ModelBundle
from core.runtime.caller import Caller, Withdrawn, calling
from core.runtime.device import CPU, Device
from core.runtime.engine import Engine, Outcome
from core.runtime.loading import load_bundle
from core.runtime.metrics import REGISTRY
from core.runtime.pool import ModelPool
from core.settings import Settings


@dataclass
class Vectors:
    """Mean sentence vectors, as a task."""

    name: str = "embeddings"
    attention: bool = False
    max_batch: int = 8
    sizes: list[int] = field(default_factory=list)

    def run(self, bundle: ModelBundle, requests: Sequence[str]) -> list[torch.Tensor]:
        self.sizes.append(len(requests))
        if any(not text for text in requests):
            raise InputInvalid("vacío")
        encoded = bundle.encode(requests)
        states = bundle.model(**encoded).last_hidden_state
        mask = encoded["attention_mask"].unsqueeze(-1)
        return list((states * mask).sum(1) / mask.sum(1))


@dataclass
class Slow:
    """Takes its time, on a latch."""

    name: str = "slow"
    attention: bool = False
    max_batch: int = 1
    latch: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)

    def run(self, bundle: ModelBundle, requests: Sequence[int]) -> list[int]:
        self.begun.set()
        assert self.latch.wait(30)
        return [request * 2 for request in requests]


@pytest.fixture(scope="module")
def pool() -> ModelPool:
    return ModelPool(Settings(), CPU)


def make(pool: ModelPool, **options: object) -> Engine:
    return Engine(pool, Settings(**options))  # type: ignore[arg-type]


def test_an_answer_is_the_models_own(pool: ModelPool) -> None:
    task = Vectors()
    outcome = make(pool).run(task, "The cat sat on the mat.", model="minilm")
    with pool.use("minilm") as bundle, torch.inference_mode():
        (expected,) = Vectors().run(bundle, ["The cat sat on the mat."])
    assert torch.allclose(outcome.result, expected, atol=1e-6)
    assert (outcome.model_key, outcome.device, outcome.batch, outcome.note) == ("minilm", "cpu", 1, "")
    assert outcome.compute_ms > 0


def test_the_first_request_pays_for_loading_and_the_second_does_not() -> None:
    engine = make(ModelPool(Settings(), CPU))
    first, second = (engine.run(Vectors(), "hello", model="minilm") for _ in range(2))
    assert first.load_ms > 0 == second.load_ms


def test_no_gradients_are_kept(pool: ModelPool) -> None:
    assert make(pool).run(Vectors(), "hello", model="minilm").result.requires_grad is False


def test_everybody_is_served_with_their_own_answer(pool: ModelPool) -> None:
    engine, task = make(pool, workers=1, max_waiting=64), Vectors()
    texts = [f"{n} people sang {'la ' * (n % 5)}" for n in range(32)]
    with ThreadPoolExecutor(32) as threads:
        outcomes = list(threads.map(lambda text: engine.run(task, text, model="minilm"), texts))
    with pool.use("minilm") as bundle, torch.inference_mode():
        for text, outcome in zip(texts, outcomes, strict=True):
            (expected,) = Vectors().run(bundle, [text])
            assert torch.allclose(outcome.result, expected, atol=1e-5)
    assert sum(task.sizes) == 32
    assert max(task.sizes) <= task.max_batch
    assert engine.waiting() == engine.running() == 0


def test_those_who_wait_together_are_computed_together(pool: ModelPool) -> None:
    engine, slow, task = make(pool, workers=1), Slow(), Vectors()
    with ThreadPoolExecutor(16) as threads:
        first = threads.submit(engine.run, slow, 1, model="minilm")
        assert slow.begun.wait(30)
        rest = [threads.submit(engine.run, task, f"text {n}", model="minilm") for n in range(10)]
        while engine.waiting() < 10:
            time.sleep(0.001)
        slow.latch.set()
        assert first.result().result == 2
        assert {outcome.result().batch for outcome in rest} == {8, 2}
    assert sorted(task.sizes) == [2, 8]


def test_one_bad_request_does_not_spoil_its_neighbours(pool: ModelPool) -> None:
    engine, slow, task = make(pool, workers=1), Slow(), Vectors()
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(engine.run, slow, 1, model="minilm")
        assert slow.begun.wait(30)
        good = [threads.submit(engine.run, task, f"text {n}", model="minilm") for n in range(3)]
        bad = threads.submit(engine.run, task, "", model="minilm")
        while engine.waiting() < 4:
            time.sleep(0.001)
        slow.latch.set()
        first.result()
        with pytest.raises(InputInvalid, match="vacío"):
            bad.result()
        assert all(outcome.result().result.shape == (384,) for outcome in good)


def test_a_worker_without_other_work_looks_for_company(pool: ModelPool) -> None:
    engine, task = make(pool, workers=1, batch_window=1), Vectors()
    with pool.use("minilm"), ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(lambda n: engine.run(task, f"text {n}", model="minilm"), range(8)))
    assert task.sizes == [8] and {outcome.batch for outcome in outcomes} == {8}


def test_without_a_window_nobody_waits_for_company(pool: ModelPool) -> None:
    engine, task = make(pool, workers=1, batch_window=0), Vectors()
    assert [engine.run(task, f"text {n}", model="minilm").batch for n in range(3)] == [1, 1, 1]


def test_who_waits_for_something_else_is_not_kept_waiting_by_a_window(pool: ModelPool) -> None:
    engine, slow = make(pool, workers=1, batch_window=1), Slow(max_batch=1)
    slow.latch.set()
    task = Vectors()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(engine.run, task, "a", model="minilm")
        while not engine.running():
            time.sleep(0.001)
        began = time.perf_counter()
        other = threads.submit(engine.run, slow, 2, model="minilm").result()
        assert other.result == 4
        assert time.perf_counter() - began - first.result().compute_ms / 1000 < 0.9


def test_twenty_visitors_get_what_single_calls_give(pool: ModelPool) -> None:
    from core.tasks.classification import TASK, ClassificationRequest

    # Of all lengths, so that the batch falls into parts; one of them is no text at all.
    texts = [f"visitor {n} liked the film " + "and the music " * (n % 6) + "very much" for n in range(20)]
    texts[7] = " "
    engine = make(pool, workers=1, batch_window=0.2)
    alone = [
        None if n == 7 else engine.run(TASK, ClassificationRequest(t), model="sentiment-en").result
        for n, t in enumerate(texts)
    ]

    def ask(text: str) -> object:
        try:
            return engine.run(TASK, ClassificationRequest(text), model="sentiment-en")
        except InputInvalid as error:
            return error

    for _turn in range(3):
        with ThreadPoolExecutor(20) as threads:
            found = list(threads.map(ask, texts))
        for n, (one, together) in enumerate(zip(alone, found, strict=True)):
            if one is None:
                assert isinstance(together, InputInvalid), n
                continue
            assert isinstance(together, Outcome)
            assert together.result.tokens == one.tokens
            assert [label.name for label in together.result.labels] == [label.name for label in one.labels]
            for a, b in zip(together.result.labels, one.labels, strict=True):
                assert a.probability == pytest.approx(b.probability, abs=1e-5)
        # What failed was taken out by halves, not by computing all alone.
        assert max(outcome.batch for outcome in found if isinstance(outcome, Outcome)) >= 5


def test_a_giant_among_others_takes_only_its_own_room(pool: ModelPool) -> None:
    class Greedy(Vectors):
        def run(self, bundle: ModelBundle, requests: Sequence[str]) -> list[torch.Tensor]:
            if "giant" in requests:
                return [torch.empty(2**60)]
            return super().run(bundle, requests)

    engine, slow, task = make(pool, workers=1), Slow(), Greedy()
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(engine.run, slow, 1, model="minilm")
        assert slow.begun.wait(30)
        good = [threads.submit(engine.run, task, f"text {n}", model="minilm") for n in range(3)]
        giant = threads.submit(engine.run, task, "giant", model="minilm")
        while engine.waiting() < 4:
            time.sleep(0.001)
        slow.latch.set()
        first.result()
        with pytest.raises(OutOfMemory):
            giant.result()
        assert all(outcome.result().result.shape == (384,) for outcome in good)


class Leaves:
    """A visitor who goes when told to."""

    def __init__(self) -> None:
        self.gone = threading.Event()

    def check(self) -> None:
        if self.gone.is_set():
            raise Withdrawn


def test_whoever_leaves_gives_up_their_place(pool: ModelPool) -> None:
    engine, slow, task, leaver = make(pool, workers=1), Slow(), Vectors("leaving"), Leaves()

    def ask(text: str, caller: Caller) -> Outcome[torch.Tensor]:
        with calling(caller):
            return engine.run(task, text, model="minilm")

    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(engine.run, slow, 1, model="minilm")
        assert slow.begun.wait(30)
        leaves = threads.submit(ask, "leaves", Caller("a", leaver.check))
        stays = threads.submit(ask, "stays", Caller("b"))
        while engine.waiting() < 2:
            time.sleep(0.001)
        leaver.gone.set()
        with pytest.raises(Withdrawn):
            leaves.result(10)
        assert engine.waiting() == 1
        slow.latch.set()
        first.result()
        assert stays.result().batch == 1
    # The text of whoever left was never computed, and is no error for whoever watches.
    assert task.sizes == [1]
    counted = {"task": "leaving", "outcome": "withdrawn"}
    assert REGISTRY.get_sample_value("taller_requests_total", counted) == 1


def test_what_is_being_computed_is_finished_before_its_model_is_let_go(pool: ModelPool) -> None:
    engine, slow, leaver = make(pool, workers=1), Slow(), Leaves()

    def ask() -> None:
        with calling(Caller("a", leaver.check)):
            engine.run(slow, 1, model="minilm")

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(ask)
        assert slow.begun.wait(30)
        leaver.gone.set()
        time.sleep(0.3)
        assert not running.done()
        assert next(model for model in pool.loaded() if model.key == "minilm").in_use == 1
        slow.latch.set()
        with pytest.raises(Withdrawn):
            running.result(10)
    assert next(model for model in pool.loaded() if model.key == "minilm").in_use == 0


def test_one_visitor_may_not_fill_the_queue(pool: ModelPool) -> None:
    engine, slow = make(pool, workers=1, requests_per_session=2), Slow()

    def ask(n: int, who: str) -> Outcome[int]:
        with calling(Caller(who)):
            return engine.run(slow, n, model="minilm")

    with ThreadPoolExecutor(4) as threads:
        greedy = [threads.submit(ask, n, "a") for n in (1, 2)]
        while engine.waiting() + engine.running() < 2:
            time.sleep(0.001)
        with pytest.raises(TooManyOfYours, match=r"Ya tienes 2 peticiones .* Tu texto sigue aquí"):
            ask(3, "a")
        modest = threads.submit(ask, 4, "b")
        slow.latch.set()
        assert [one.result().result for one in (*greedy, modest)] == [2, 4, 8]
    # Their places are free again.
    assert ask(5, "a").result == 10


def test_a_full_queue_refuses_at_once_and_keeps_the_others(pool: ModelPool) -> None:
    engine, slow = make(pool, workers=1, max_waiting=2), Slow()
    with ThreadPoolExecutor(4) as threads:
        running = threads.submit(engine.run, slow, 1, model="minilm")
        assert slow.begun.wait(30)
        waiting = [threads.submit(engine.run, slow, n, model="minilm") for n in (2, 3)]
        while engine.waiting("cpu") < 2:
            time.sleep(0.001)
        assert engine.running("cpu") == 1
        with pytest.raises(QueueFull, match="Hay 2 peticiones en espera"):
            engine.run(slow, 4, model="minilm")
        slow.latch.set()
        assert [running.result().result, *(w.result().result for w in waiting)] == [2, 4, 6]
        assert engine.run(slow, 4, model="minilm").result == 8


def test_whoever_waits_too_long_is_told(pool: ModelPool) -> None:
    engine, slow = make(pool, workers=1, wait_timeout=0.05), Slow()
    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(engine.run, slow, 1, model="minilm")
        assert slow.begun.wait(30)
        with pytest.raises(QueueFull, match="vuelve a intentarlo"):
            engine.run(slow, 2, model="minilm")
        assert engine.waiting() == 0
        slow.latch.set()
        # It was being computed when its time was up: its answer still comes.
        assert running.result().result == 2


def test_many_requests_go_in_pieces_with_progress(pool: ModelPool) -> None:
    engine, task, seen = make(pool), Vectors(), []
    texts = [f"text {n}" for n in range(20)]
    texts[10] = ""
    done = engine.run_batch(task, texts, model="minilm", progress=lambda n, of: seen.append((n, of)))
    assert seen == [(8, 20), (16, 20), (20, 20)]
    assert [n for n, answer in enumerate(done) if isinstance(answer, TallerError)] == [10]
    assert all(isinstance(answer, Outcome) for n, answer in enumerate(done) if n != 10)


def test_a_batch_can_be_stopped(pool: ModelPool) -> None:
    engine, counts = make(pool), []
    done = engine.run_batch(
        Vectors(),
        [f"text {n}" for n in range(40)],
        model="minilm",
        progress=lambda n, of: counts.append(n),
        cancelled=lambda: len(counts) == 2,
    )
    assert len(done) == 16


def test_messages_are_in_the_readers_language(pool: ModelPool) -> None:
    class Polite(Vectors):
        def run(self, bundle: ModelBundle, requests: Sequence[str]) -> list[torch.Tensor]:
            bundle.encode(["word " * 600])
            return []

    set_language("en")
    try:
        with pytest.raises(TallerError, match="at most"):
            make(pool).run(Polite(), "x", model="minilm")
    finally:
        set_language("es")


def test_a_task_that_loses_a_request_is_found_out(pool: ModelPool) -> None:
    class Forgetful(Vectors):
        def run(self, bundle: ModelBundle, requests: Sequence[str]) -> list[torch.Tensor]:
            return []

    with pytest.raises(RuntimeError, match="0 results for 1 requests"):
        make(pool).run(Forgetful(), "x", model="minilm")


def test_no_memory_for_the_computation(pool: ModelPool) -> None:
    class Huge(Vectors):
        def run(self, bundle: ModelBundle, requests: Sequence[str]) -> list[torch.Tensor]:
            return [torch.empty(2**60)]

    with pytest.raises(OutOfMemory, match="más corto"):
        make(pool).run(Huge(), "x", model="minilm")


def test_a_full_card_computes_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Device("cuda")

    def load(entry, settings, device):  # type: ignore[no-untyped-def]
        from dataclasses import replace

        return replace(load_bundle(entry, settings, CPU), device=device)

    monkeypatch.setattr("core.runtime.pool.free_bytes", lambda device: 10 * 2**30)
    monkeypatch.setattr("core.runtime.pool.bytes_per_number", lambda device: 4)

    class Picky(Vectors):
        def run(self, bundle: ModelBundle, requests: Sequence[str]) -> list[torch.Tensor]:
            if bundle.device == gpu:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return super().run(bundle, requests)

    outcome = Engine(ModelPool(Settings(), gpu, load), Settings()).run(Picky(), "hello", model="minilm")
    assert outcome.device == "cpu"
    assert "tarjeta" in outcome.note


def test_workers_share_the_cores(pool: ModelPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "cores", lambda: 8)
    threads: set[int] = set()

    class Count(Vectors):
        def run(self, bundle: ModelBundle, requests: Sequence[str]) -> list[torch.Tensor]:
            threads.add(torch.get_num_threads())
            return [torch.zeros(1)] * len(requests)

    make(pool, workers=4).run(Count(), "x", model="minilm")
    assert threads == {2}


def test_opening_the_app_imports_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys, core.ui.resources; print('torch' in sys.modules, 'transformers' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    out = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]
