"""A workshop's load: some browse, some press Run, some train, and all arrive within a few seconds."""

import asyncio
import random
import time
import urllib.request
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

import psutil

from tests.load.visitors import Visit, in_a_loop, session, visits

TRAIN: Final = "Entrenar"
PAGES: Final = ("", "timeline", "concepts", "tokenization")


@dataclass(frozen=True, slots=True)
class Mix:
    """Who comes.

    Attributes:
        browse: visitors who read and click on pages that run no model.
        press: visitors who have a sentence of their own judged, then another, and so on.
        train: visitors who start a fine-tuning run.
        arrive_s: seconds within which all of them open their page.
        clicks: how often each has the page drawn again.
        pause_s: seconds between two clicks, on average.
        timeout_s: seconds after which a page that was not drawn counts as failed.
        pages: those that are read.
    """

    browse: int
    press: int
    train: int
    arrive_s: float
    clicks: int
    pause_s: float
    timeout_s: float = 180.0
    pages: tuple[str, ...] = PAGES

    @property
    def people(self) -> int:
        """All who come."""
        return self.browse + self.press + self.train


@dataclass(slots=True)
class Found:
    """What was measured, in seconds and MiB.

    Attributes:
        first: from opening a page to its first element.
        result: from asking for a sentence's judgement to the end of the page that holds it.
        rerun: of pages without a model.
        failed: what went wrong, in words.
        trainings: runs that were started.
        at_rest_mib: the server's memory before.
        session_mib: the most that it grew by while they were there, divided by all visitors.
        left_mib: what it still had more when they were gone.
    """

    first: list[float] = field(default_factory=list)
    result: list[float] = field(default_factory=list)
    rerun: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    trainings: int = 0
    at_rest_mib: float = 0.0
    session_mib: float = 0.0
    left_mib: float = 0.0


def p95(times: list[float]) -> float:
    """The time that 19 of 20 stayed under."""
    return sorted(times)[max(0, -(-len(times) * 95 // 100) - 1)]


def name(number: int) -> str:
    """A word that means nothing, one a visitor, so that a text that went astray is known."""
    return f"qx{chr(97 + number // 26)}{chr(97 + number % 26)}zw"


def sentence(number: int, turn: int) -> dict[str, str]:
    """The link of a visitor's sentence."""
    return {"task": "sentiment", "tl": "en", "text": f"Visitor {name(number)} liked the film of turn {turn}."}


def _judged(found: Found, one: Visit, number: int, people: int) -> None:
    if not one.finished or name(number) not in one.sent:
        found.failed.append("a sentence was not answered")
    elif any(name(other) in one.sent for other in range(people) if other != number):
        found.failed.append("somebody read another's text")
    elif "vuelve a intentarlo" in one.sent.lower():
        found.failed.append("somebody was told to try again")
    else:
        found.result.append(one.took_s)


async def _browses(address: str, mix: Mix, found: Found, chance: random.Random) -> None:
    began = time.perf_counter()
    async with session(address, chance.choice(mix.pages), mix.timeout_s, {}) as here:
        one = await here.run(mix.timeout_s, began=began)
        found.first.append(one.first_s)
        for _click in range(mix.clicks):
            await asyncio.sleep(chance.uniform(0.5, 1.5) * mix.pause_s)
            again = await here.run(mix.timeout_s)
            if again.finished:
                found.rerun.append(again.took_s)
            else:
                found.failed.append("a page was not drawn again")


async def _presses(address: str, mix: Mix, found: Found, chance: random.Random, number: int) -> None:
    for turn in range(1 + mix.clicks):
        began = time.perf_counter()
        async with session(address, "tasks", mix.timeout_s, sentence(number, turn)) as here:
            one = await here.run(mix.timeout_s, began=began)
            found.first.append(one.first_s)
            _judged(found, one, number, mix.press)
            await asyncio.sleep(chance.uniform(0.5, 1.5) * mix.pause_s)


async def _trains(address: str, mix: Mix, found: Found) -> None:
    began = time.perf_counter()
    async with session(address, "finetuning", mix.timeout_s, {}) as here:
        one = await here.run(mix.timeout_s, began=began)
        found.first.append(one.first_s)
        before = trainings(address)
        again = await here.run(mix.timeout_s, press=TRAIN)
        if again.finished and trainings(address) > before:
            found.trainings += 1
        else:
            found.failed.append("a training did not start")
        await asyncio.sleep(mix.clicks * mix.pause_s)


def metric(address: str, beginning: str) -> float:
    """The sum of the server's metrics that begin so, labels and all."""
    text = urllib.request.urlopen(f"{address}/metrics", timeout=60).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(beginning))


def trainings(address: str) -> float:
    """Runs that train or wait."""
    return metric(address, "taller_trainings_")


async def _all(address: str, mix: Mix, server: psutil.Process, found: Found) -> None:
    chance = random.Random(1)
    most = 0.0

    async def later(work: Coroutine[Any, Any, None]) -> None:
        await asyncio.sleep(chance.uniform(0, mix.arrive_s))
        await work

    people: list[Coroutine[Any, Any, None]] = [
        _browses(address, mix, found, random.Random(n)) for n in range(mix.browse)
    ]
    people += [_presses(address, mix, found, random.Random(n), n) for n in range(mix.press)]
    people += [_trains(address, mix, found) for _n in range(mix.train)]
    work = asyncio.gather(*(later(one) for one in people))
    while not work.done():
        most = max(most, server.memory_info().rss / 2**20)
        await asyncio.wait({work}, timeout=0.5)
    await work
    found.session_mib = (most - found.at_rest_mib) / max(1, mix.people)


SMALL: Final = Mix(browse=5, press=4, train=1, arrive_s=3, clicks=2, pause_s=1)
WORKSHOP: Final = Mix(browse=20, press=8, train=2, arrive_s=10, clicks=4, pause_s=3)
# Several rooms: who reads a page takes a while over it.
ROOMS: Final = Mix(browse=77, press=20, train=3, arrive_s=30, clicks=4, pause_s=12)


def server_of(address: str) -> psutil.Process:
    """The process that serves ``address``, by its port: another test's server may be here, too."""
    port = f"--server.port={address.rpartition(':')[2]}"
    return next(process for process in psutil.Process().children() if port in process.cmdline())


def warm(address: str) -> None:
    """Has the server import and load what the visitors will need."""
    for page, query in (("tasks", sentence(0, 99)), ("finetuning", {}), ("timeline", {}), ("tokenization", {})):
        assert visits(address, page, [query], 180)[0].finished


def load(address: str, mix: Mix, server: psutil.Process) -> Found:
    """Has them all come, and measures.

    Args:
        address: of the app; it must have loaded its models, or their memory counts as the visitors'.
        mix: who comes.
        server: its process.
    """
    found = Found(at_rest_mib=server.memory_info().rss / 2**20)
    in_a_loop(_all(address, mix, server, found))
    least = float("inf")
    for _look in range(20):
        least = min(least, server.memory_info().rss / 2**20)
        time.sleep(0.25)
    found.left_mib = least - found.at_rest_mib
    return found
