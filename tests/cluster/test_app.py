"""The application under a real Ray cluster on this machine: it answers as the app would, and may be killed."""

import importlib.util
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.runtime.device import CPU
from core.runtime.engine import Engine
from core.runtime.pool import ModelPool
from core.runtime.ray_engine import RayEngine, why_local
from core.settings import Settings
from core.tasks import similarity
from tests.cluster.asking import ask, ended, read, same_answers, writing
from tests.cluster.servers import Cluster, make, wait_until
from tests.conftest import ROOT, free_port

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install -r requirements-ray.txt"
)


@pytest.fixture(scope="module")
def pool() -> ModelPool:
    return ModelPool(Settings(), CPU)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster(free_port())
    yield made
    made.kill()


@pytest.fixture
def engine(cluster: Cluster, pool: ModelPool) -> Iterator[RayEngine]:
    made = make(cluster.port, pool, timeout=20)
    yield made
    made.close()


def test_the_same_answer_to_the_last_bit(engine: RayEngine, pool: ModelPool) -> None:
    same_answers(engine, pool, together=16)


def test_requests_that_come_together_are_computed_together(engine: RayEngine, pool: ModelPool) -> None:
    texts = [f"La número {n} se llama [MASK]." for n in range(24)]
    ask(engine)
    with ThreadPoolExecutor(24) as threads:
        found = list(threads.map(lambda text: ask(engine, text), texts))
    assert {one.engine for one in found} == {"ray"}
    assert max(one.batch for one in found) > 1
    for text, outcome in zip(texts, found, strict=True):
        own = ask(Engine(pool, Settings()), text).result.gaps[0].candidates
        there = outcome.result.gaps[0].candidates
        assert [one.probability for one in there] == pytest.approx([one.probability for one in own], abs=1e-5)


def test_several_models_share_a_replica(engine: RayEngine) -> None:
    pair = similarity.SimilarityRequest(("The sun rises.", "The sun comes up."))
    found = engine.run(similarity.TASK, pair, model="minilm")
    assert (found.engine, found.model_key) == ("ray", "minilm")
    assert ask(engine).engine == "ray"


def test_a_text_comes_as_it_is_written_and_stops_when_it_is_told(engine: RayEngine) -> None:
    stream, thread, outcomes = writing(engine, 200)
    read(stream, thread, 3)
    stream.stop()
    ended(stream, thread)
    assert (outcomes[0].engine, outcomes[0].result.finish) == ("ray", "stopped")
    assert 3 <= len(outcomes[0].result.steps) < 200


def test_a_replica_killed_while_it_writes_is_replaced(cluster: Cluster, engine: RayEngine) -> None:
    stream, thread, outcomes = writing(engine, 200)
    read(stream, thread, 3)
    before = cluster.replica().pid
    os.kill(before, signal.SIGKILL)
    ended(stream, thread)
    assert (outcomes[0].engine, outcomes[0].note) == ("local", why_local("broken"))
    assert stream.poll() == list(outcomes[0].result.steps) and len(outcomes[0].result.steps) == 200
    end = time.monotonic() + 90
    while ask(engine).engine != "ray":
        assert time.monotonic() < end, engine.state()
        time.sleep(0.2)
    assert cluster.replica().pid != before


def test_a_cluster_killed_while_it_writes_comes_back(pool: ModelPool) -> None:
    first = Cluster(free_port())
    engine = make(first.port, pool, timeout=20)
    stream, thread, outcomes = writing(engine, 200)
    read(stream, thread, 3)
    first.kill()
    ended(stream, thread)
    assert outcomes[0].engine == "local" and len(outcomes[0].result.steps) == 200
    assert ask(engine).engine == "local"
    second = Cluster(first.port)
    try:
        wait_until(engine, None, 90)
        assert ask(engine).engine == "ray"
    finally:
        engine.close()
        second.kill()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Ray, about its own models
def test_the_configuration_is_one_that_serve_takes() -> None:
    yaml = pytest.importorskip("yaml")  # comes with Ray
    from ray.serve.schema import ServeDeploySchema

    from core.cluster.app import Options, build

    read_in = yaml.safe_load(Path(ROOT / "core/cluster/serve.yaml").read_text(encoding="utf-8"))
    (application,) = ServeDeploySchema(**read_in).applications
    assert application.import_path == "core.cluster.app:build"
    options = Options(**application.args)
    assert set(application.args) == set(Options.model_fields)
    assert build(options) is not None
