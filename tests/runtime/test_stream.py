"""The channel between a working task and its page."""

import pickle

import pytest

from core.runtime.stream import Stopped, Stream


def test_items_arrive_in_order_and_stay() -> None:
    stream: Stream[int] = Stream()
    stream.put(1)
    assert stream.poll() == [1]
    stream.put(2)
    assert stream.poll() == [1, 2]


def test_a_stop_reaches_the_writer() -> None:
    stream: Stream[int] = Stream()
    stream.put(1)
    stream.stop()
    with pytest.raises(Stopped):
        stream.put(2)
    assert stream.poll() == [1]


def test_nobody_computes_for_a_reader_who_left() -> None:
    stream: Stream[int] = Stream(abandoned_s=-1.0)
    with pytest.raises(Stopped):
        stream.put(1)


def test_a_stream_begins_anew_when_its_writer_does() -> None:
    stream: Stream[int] = Stream()
    stream.put(1)
    stream.clear()
    assert stream.poll() == []
    stream.put(2)
    assert stream.poll() == [2]


def test_a_stream_arrives_elsewhere_empty_and_open() -> None:
    stream: Stream[int] = Stream(abandoned_s=3.5)
    stream.put(1)
    stream.stop()
    other = pickle.loads(pickle.dumps(stream))
    assert other.poll() == [] and not other.stopped
    assert other._abandoned_s == 3.5
    other.put(2)
    assert stream.poll() == [1]
