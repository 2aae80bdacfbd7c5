"""A small workshop at once: browsing, sentences, a training. Nobody is lost, and memory comes back.

``TALLER_LOAD=30`` in the environment makes it thirty people who come within ten seconds; figures of that are in
``tests/bench/RESULTS.md`` (``python -m tests.bench.run load``).
"""

import asyncio
import math
import os
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.browser.conftest import serve_app
from tests.load.mixed import SMALL, WORKSHOP, load, metric, p95, server_of, warm
from tests.load.visitors import in_a_loop, session


@pytest.mark.browser
def test_a_workshop_at_once(tmp_path: Path) -> None:
    mix = WORKSHOP if os.environ.get("TALLER_LOAD") == "30" else SMALL
    where = {
        "TALLER_TRAINING_DIR": str(tmp_path),
        "TALLER_OFFLINE": "1",
        "TALLER_MODELS_DIR": "",
        "TALLER_WARM_UP": "0",
    }
    with serve_app(**where) as address:
        warm(address)
        found = load(address, mix, server_of(address))
    assert found.failed == []
    assert found.trainings == mix.train
    assert len(found.first) == mix.browse + mix.press * (1 + mix.clicks) + mix.train
    assert all(math.isfinite(time) for time in found.first)
    assert len(found.result) == mix.press * (1 + mix.clicks)
    assert len(found.rerun) == mix.browse * mix.clicks and p95(found.rerun) < mix.timeout_s
    # A leak of a session's page or of a model would be far more.
    assert found.left_mib < 60 + 2 * (mix.browse + mix.press)


@pytest.mark.browser
def test_what_nobody_waits_for_is_not_computed(tmp_path: Path) -> None:
    story = "The children of the village had never seen the sea, and nobody could think of anything else. " * 15
    people = 10

    async def come_and_leave(address: str) -> None:
        async with AsyncExitStack() as pages:
            opened = [
                await pages.enter_async_context(session(address, "tasks", 60, {**query, "text": f"{n} {story}"}))
                for n in range(people)
            ]
            # Their scripts never end while the one worker has others' texts to explain, word by word.
            running = [asyncio.ensure_future(one.run(60)) for one in opened]
            while await asyncio.to_thread(metric, address, "taller_requests_waiting ") < 5:
                await asyncio.sleep(0.05)
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    query = {"task": "sentiment", "tl": "en", "explain": "both"}
    where = {"TALLER_WORKERS": "1", "TALLER_OFFLINE": "1", "TALLER_MODELS_DIR": "", "TALLER_WARM_UP": "0"}
    with serve_app(TALLER_TRAINING_DIR=str(tmp_path), **where) as address:
        warm(address)
        before = metric(address, 'taller_requests_total{outcome="ok",task="sentiment"}')
        in_a_loop(come_and_leave(address))
        deadline = time.monotonic() + 60
        while metric(address, "taller_requests_waiting ") + metric(address, "taller_computations_running "):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        withdrawn = metric(address, 'taller_requests_total{outcome="withdrawn",task="sentiment"}')
        answered = metric(address, 'taller_requests_total{outcome="ok",task="sentiment"}') - before
        assert withdrawn >= 5 and answered <= people - 5
