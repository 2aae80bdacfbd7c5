"""How much one address may have open, and how fast it may open more."""

from concurrent.futures import ThreadPoolExecutor

from core.ui.server.limits import _REMEMBERED, Visitors


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_so_many_pages_and_no_more_until_one_is_closed() -> None:
    visitors = Visitors(2, 0)
    assert [visitors.enter("a") for _n in range(3)] == [None, None, "sessions"]
    assert visitors.full("a") and not visitors.full("b")
    assert visitors.enter("b") is None
    assert (visitors.sessions, visitors.addresses) == (3, 2)
    visitors.leave("a")
    assert visitors.enter("a") is None
    for who in "aab":
        visitors.leave(who)
    assert (visitors.sessions, visitors.addresses) == (0, 0)


def test_haste_is_slowed_and_forgiven() -> None:
    clock = Clock()
    visitors = Visitors(0, 60, clock)
    assert [visitors.hasty("a") for _n in range(61)] == [False] * 60 + [True]
    assert not visitors.hasty("b")
    clock.now = 2.0
    assert [visitors.hasty("a") for _n in range(3)] == [False, False, True]
    assert visitors.enter("a") == "openings" and visitors.sessions == 0


def test_zero_is_no_limit() -> None:
    visitors = Visitors(0, 0)
    assert {visitors.enter("a") for _n in range(5000)} == {None}
    assert not visitors.full("a")


def test_memory_of_haste_is_bounded() -> None:
    visitors = Visitors(0, 1)
    for number in range(_REMEMBERED + 10):
        visitors.hasty(str(number))
    assert len(visitors._buckets) == _REMEMBERED


def test_threads_agree() -> None:
    visitors = Visitors(100, 0)
    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(lambda _n: visitors.enter("a"), range(500)))
    assert got.count(None) == 100 == visitors.sessions
