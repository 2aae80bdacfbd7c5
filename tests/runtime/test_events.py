"""The log of what happened: in order, bounded, safe from many threads."""

from concurrent.futures import ThreadPoolExecutor

from core.runtime.events import Event, EventLog, events


def test_the_last_ones_are_kept_in_order() -> None:
    log = EventLog(kept=3)
    for index in range(5):
        log.add(Event("load", f"m{index}", index, time=float(index)))
    assert [event.label for event in log.since()] == ["m2", "m3", "m4"]
    assert [event.label for event in log.since(3.0)] == ["m3", "m4"]


def test_threads_lose_nothing() -> None:
    log = EventLog(kept=1000)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: log.add(Event("load", str(n))), range(800)))
    assert len({event.label for event in log.since()}) == 800


def test_there_is_one_log() -> None:
    assert events() is events()
