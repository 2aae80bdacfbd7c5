"""What a page asks that its browser has left stays at the door; everything else passes."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg

from core.ui.server.leaving import Leaving
from tests.load.visitors import asked, in_a_loop


def sent(page: str, fragment: str = "") -> dict[str, Any]:
    return {"type": "websocket.receive", "bytes": asked(page, fragment)}


def passed(messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the messages that reach the app."""

    async def read() -> list[dict[str, Any]]:
        waiting: asyncio.Queue[Any] = asyncio.Queue()
        for message in [*messages, {"type": "websocket.disconnect"}]:
            waiting.put_nowait(message)
        connection = Leaving(waiting.get)
        found = []
        while (message := await connection.receive())["type"] != "websocket.disconnect":
            found.append(message)
        return found

    return in_a_loop(read())  # type: ignore[no-any-return]


def test_a_fragment_of_the_page_that_was_left_is_not_run() -> None:
    home, there = sent("home"), sent("tokenization")
    gauges, marks = sent("home", "gauges"), sent("tokenization", "marks")
    assert passed([home, gauges, there, gauges, marks, gauges]) == [home, gauges, there, marks]


def test_whoever_goes_back_is_let_in_again() -> None:
    home, there, gauges = sent("home"), sent("tokenization"), sent("home", "gauges")
    assert passed([there, gauges, home, gauges]) == [there, home, gauges]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "websocket.receive", "bytes": b"\xff\xff no message"},
        {"type": "websocket.receive", "bytes": b""},
        {"type": "websocket.receive", "text": "words"},
        {"type": "websocket.receive", "bytes": BackMsg(stop_script=True).SerializeToString()},
    ],
)
def test_what_it_does_not_know_passes(message: dict[str, Any]) -> None:
    there = sent("tokenization")
    assert passed([there, message, there]) == [there, message, there]


def test_a_page_named_by_its_address_may_have_any_fragment() -> None:
    # The browser learns the page's own mark with the first run.
    first, gauges = sent(""), sent("home", "gauges")
    assert passed([gauges, first, gauges]) == [gauges, first, gauges]
