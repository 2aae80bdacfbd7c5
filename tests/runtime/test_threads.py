"""A thread that dies before it says that it runs holds nobody up."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import OutOfMemory
from core.runtime.engine import Engine
from core.runtime.pool import ModelPool
from core.runtime.threads import Watch
from core.settings import Settings
from core.tasks.classification import TASK, ClassificationRequest


class Stillborn(threading.Thread):
    """As one whose first steps found no memory."""

    def _bootstrap(self) -> None:
        return


@pytest.fixture
def watch() -> Iterator[Watch]:
    made = Watch(patience=0.3)
    made.begin()
    yield made
    made.end()


def test_whoever_began_it_is_told(watch: Watch) -> None:
    with pytest.raises(MemoryError):
        Stillborn().start()


def test_so_is_one_that_is_not_the_main_thread(watch: Watch) -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(MemoryError):
        pool.submit(Stillborn().start).result(30)


def test_threads_that_live_are_left_alone(watch: Watch) -> None:
    ended = threading.Event()
    threads = [threading.Thread(target=ended.wait) for _n in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    assert all(thread.is_alive() for thread in threads)
    ended.set()
    for thread in threads:
        thread.join(10)


def test_a_visitor_whose_worker_never_began_is_told_and_the_next_one_is_answered(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(offline=True, device="cpu")
    engine = Engine(ModelPool(settings), settings)
    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "_bootstrap", lambda _thread: None)
        with pytest.raises(OutOfMemory, match="memoria"):
            engine.run(TASK, ClassificationRequest("I liked it."), model="sentiment-en")
    assert engine.waiting() == 0
    answered = engine.run(TASK, ClassificationRequest("I liked it."), model="sentiment-en").result
    assert answered.labels[0].probability > 0.5
