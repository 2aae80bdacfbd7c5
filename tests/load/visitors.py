"""A visitor without a browser: opens a page over the WebSocket, as Streamlit's own page does, and reads what comes."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

# How long the words of a page that held nothing may take.
_WORDS_S = 2.0


@dataclass(frozen=True, slots=True)
class Visit:
    """What a run of a page's script sent to a visitor.

    Attributes:
        sent: all its messages as text.
        finished: whether the script ended well.
        first_s: seconds from asking to the first element; ``inf`` if none came.
        took_s: seconds from asking to the end of the script.
    """

    sent: str
    finished: bool
    first_s: float
    took_s: float


class Session:
    """One open page."""

    def __init__(self, socket: Any, page: str, query: dict[str, str]) -> None:
        self._socket = socket
        self._page = page
        self._query = query
        self._buttons: dict[str, str] = {}

    async def run(self, timeout: float, press: str | None = None, began: float | None = None) -> Visit:
        """Has the page's script run once, and waits for its end.

        Args:
            timeout: seconds to wait.
            press: label of a button that is pressed; an earlier run has shown it.
            began: when the visitor asked, if that was before now (``time.perf_counter()``).
        """
        began = time.perf_counter() if began is None else began
        message = BackMsg()
        message.rerun_script.query_string = urlencode(self._query)
        message.rerun_script.page_name = self._page
        if press is not None:
            message.rerun_script.widget_states.widgets.add(id=self._buttons[press], trigger_value=True)
        await self._socket.send(message.SerializeToString())
        parts: list[str] = []
        first = float("inf")
        finished = False
        try:
            async with asyncio.timeout(timeout) as limit:
                async for raw in self._socket:
                    found = ForwardMsg()
                    found.ParseFromString(raw)
                    kind = found.WhichOneof("type")
                    if kind == "delta":
                        first = min(first, time.perf_counter() - began)
                        parts.append(str(found.delta))
                        if finished:
                            break
                        element = found.delta.new_element
                        if element.WhichOneof("type") == "button":
                            self._buttons[element.button.label] = element.button.id
                    elif kind == "script_finished" and found.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                        finished = True
                        if parts:
                            break
                        # A server that could not begin the script says so behind its end.
                        limit.reschedule(min(limit.when() or 0.0, asyncio.get_running_loop().time() + _WORDS_S))
        except TimeoutError:
            pass
        return Visit("\n".join(parts), finished, first, time.perf_counter() - began)


def asked(page: str = "", fragment: str = "") -> bytes:
    """What a browser sends to have a page, or a fragment of it, run; each named by Streamlit's own mark."""
    message = BackMsg()
    message.rerun_script.page_script_hash = page
    message.rerun_script.fragment_id = fragment
    return message.SerializeToString()


def stream(address: str, timeout: float, headers: Mapping[str, str] | None = None) -> Any:
    """The connection over which a page and its server talk: to be awaited, or entered.

    Args:
        address: of the server, with ``http://``.
        timeout: seconds to wait for it.
        headers: more than a browser's own.
    """
    from websockets.asyncio.client import connect

    return connect(
        address.replace("http://", "ws://") + "/_stcore/stream",
        subprotocols=["streamlit"],  # type: ignore[list-item]
        additional_headers=headers,
        max_size=None,
        open_timeout=timeout,
    )


@asynccontextmanager
async def session(address: str, page: str, timeout: float, query: dict[str, str]) -> AsyncIterator[Session]:
    """Opens ``page`` with ``query``; its script runs when it is asked to.

    Args:
        address: of the server, with ``http://``.
        page: its name in the address.
        timeout: seconds to wait for the connection.
        query: what its link carries.
    """
    async with stream(address, timeout) as socket:
        yield Session(socket, page, query)


async def visit(address: str, page: str, timeout: float, **query: str) -> Visit:
    """Opens ``page`` with ``query``, waits until its script has run, and leaves."""
    began = time.perf_counter()
    async with session(address, page, timeout, query) as here:
        return await here.run(timeout, began=began)


def in_a_loop(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs ``work`` in a thread of its own: a browser that another test drives keeps an event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def visits(address: str, page: str, queries: list[dict[str, str]], timeout: float) -> list[Visit]:
    """All visitors at once."""

    async def all_of_them() -> list[Visit]:
        return await asyncio.gather(*(visit(address, page, timeout, **query) for query in queries))

    found: list[Visit] = in_a_loop(all_of_them())
    return found
