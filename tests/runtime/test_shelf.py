"""The shelf: one computation for all, a limit in bytes, errors told and not kept, and nobody's answer to another."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from core.errors import InputInvalid, TooManyOfYours
from core.runtime.caller import Caller, Withdrawn, calling
from core.runtime.metrics import REGISTRY
from core.runtime.shelf import Shelf, size_of


def lookups(found: str) -> float:
    return REGISTRY.get_sample_value("taller_cache_lookups_total", {"cache": "test", "found": found}) or 0.0


def test_one_computation_for_all_who_ask_at_once() -> None:
    shelf, made = Shelf(40_000, "test"), []
    before = lookups("yes"), lookups("no")

    def make() -> str:
        made.append(1)
        time.sleep(0.05)
        return "it"

    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(lambda _n: shelf.get("key", make), range(20))) == ["it"] * 20
    assert made == [1]
    assert (lookups("yes") - before[0], lookups("no") - before[1]) == (19, 1)


def test_everybody_gets_what_belongs_to_their_key() -> None:
    shelf = Shelf(3_000, "small")  # so small that entries go all the time
    with ThreadPoolExecutor(16) as threads:
        asked = [f"text {n % 7}" for n in range(400)]
        assert list(threads.map(lambda text: shelf.get(text, lambda: text.upper()), asked)) == [
            t.upper() for t in asked
        ]
    assert 0 < shelf.bytes <= 3_000
    assert REGISTRY.get_sample_value("taller_cache_bytes", {"cache": "small"}) == shelf.bytes


def test_what_was_used_longest_ago_goes_first() -> None:
    shelf = Shelf(25_000)
    for key in "ab":
        shelf.get(key, lambda: np.zeros(1_000))
    shelf.get("a", lambda: pytest.fail("it was there"))
    shelf.get("c", lambda: np.zeros(1_000))
    assert isinstance(shelf.get("a", lambda: "again"), np.ndarray)
    assert shelf.get("b", lambda: "again") == "again"


def test_what_is_too_large_is_given_all_the_same() -> None:
    shelf = Shelf(40_000)
    large = np.zeros(10_000)
    assert shelf.get("large", lambda: large) is large
    assert shelf.get("large", lambda: 7) == 7, "it was never kept"


def both(shelf: Shelf, first: Callable[[], str], second: Callable[[], str]) -> tuple[object, object]:
    """What two get who ask for one thing, the second while the first computes; an error counts as an answer."""
    begun, go = threading.Event(), threading.Event()

    def make() -> str:
        begun.set()
        assert go.wait(10)
        return first()

    def get(make: Callable[[], str]) -> object:
        try:
            return shelf.get("key", make)
        except BaseException as error:
            return error

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(get, make)
        assert begun.wait(10)
        two = threads.submit(get, second)
        time.sleep(0.05)
        go.set()
        return one.result(10), two.result(10)


def fail(error: BaseException) -> Callable[[], str]:
    def make() -> str:
        raise error

    return make


def test_an_error_is_told_to_all_who_wait_and_not_kept() -> None:
    shelf = Shelf(40_000)
    one, two = both(shelf, fail(InputInvalid("vacío")), lambda: "computed again")
    assert isinstance(one, InputInvalid) and isinstance(two, InputInvalid)
    assert str(two) == "vacío" and one is not two
    assert shelf.get("key", lambda: "now") == "now"


@pytest.mark.parametrize("error", [Withdrawn(), TooManyOfYours("tres"), SystemExit()])
def test_who_leaves_takes_the_answer_from_nobody(error: BaseException) -> None:
    one, two = both(Shelf(40_000), fail(error), lambda: "computed again")
    assert one is error and two == "computed again"


def test_whoever_waits_for_another_may_leave() -> None:
    shelf, begun, go = Shelf(40_000), threading.Event(), threading.Event()

    def make() -> str:
        begun.set()
        assert go.wait(10)
        return "it"

    def check() -> None:
        raise Withdrawn

    with ThreadPoolExecutor(1) as threads:
        one = threads.submit(shelf.get, "key", make)
        assert begun.wait(10)
        with calling(Caller("b", check)), pytest.raises(Withdrawn):
            shelf.get("key", lambda: "never")
        go.set()
        assert one.result(10) == "it"


@dataclass(frozen=True, slots=True)
class Thing:
    name: str
    values: np.ndarray
    parts: tuple["Thing", ...] = ()


def test_sizes_count_arrays_tensors_and_all_that_is_inside() -> None:
    values = np.zeros(1_000)
    assert 8_000 <= size_of(Thing("a", values)) <= 9_500
    # The same array twice is there once.
    assert size_of(Thing("a", values, (Thing("b", values),))) < 10_500
    assert 16_000 <= size_of(Thing("a", values, (Thing("b", np.ones(1_000)),))) <= 18_500
    assert 4_000 <= size_of({"weights": [torch.zeros(1_000)]}) <= 5_500
    assert size_of("x" * 50_000) > 50_000
