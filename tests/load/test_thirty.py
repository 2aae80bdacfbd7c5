"""Thirty people press at once: everybody is served or told to wait, nobody reads another's text, memory returns."""

import time
import urllib.request

import psutil
import pytest

from tests.browser.conftest import serve_app
from tests.load.visitors import Visit, visits

VISITORS = 30
# Words that mean nothing, one a visitor, so that a text that went astray is known.
NAMES = [f"qx{chr(97 + number // 26)}{chr(97 + number % 26)}zw" for number in range(VISITORS)]
TIMEOUT = 180.0


def queries(turn: int) -> list[dict[str, str]]:
    return [
        {"task": "sentiment", "tl": "en", "lang": "en", "text": f"Visitor {name} liked the film of turn {turn}."}
        for name in NAMES
    ]


def check(found: list[Visit]) -> None:
    for name, one in zip(NAMES, found, strict=True):
        assert one.finished
        assert name in one.sent
        others = [other for other in NAMES if other != name and other in one.sent]
        assert others == []
        served = "million parameters" in one.sent and "Which words weighed" in one.sent
        told_to_wait = "try again" in one.sent.lower()
        assert served or told_to_wait


@pytest.mark.browser
def test_thirty_people_at_once() -> None:
    with serve_app(TALLER_OFFLINE="1", TALLER_MODELS_DIR="", TALLER_WARM_UP="0") as address:
        # By its port: the browser tests' server may be here, too.
        port = f"--server.port={address.rpartition(':')[2]}"
        server = next(process for process in psutil.Process().children() if port in process.cmdline())
        # The first thirty make the server import, load and grow its pools of threads.
        check(visits(address, "tasks", queries(0), TIMEOUT))
        check(visits(address, "tasks", queries(1), TIMEOUT))
        settled = rss(server, address)
        for turn in (2, 3):
            check(visits(address, "tasks", queries(turn), TIMEOUT))
        assert rss(server, address) - settled < 25


def rss(server: psutil.Process, address: str) -> float:
    """The server's memory in MiB, once the sessions of those who left are gone."""
    least = float("inf")
    for _look in range(20):
        urllib.request.urlopen(f"{address}/_stcore/health", timeout=10).read()
        least = min(least, server.memory_info().rss / 2**20)
        time.sleep(0.25)
    return least
