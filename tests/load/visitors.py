"""A visitor without a browser: opens a page over the WebSocket, as Streamlit's own page does, and reads what comes."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


@dataclass(frozen=True, slots=True)
class Visit:
    """What a visitor was sent: all messages of the run as text, and whether the script ended well."""

    sent: str
    finished: bool


async def visit(address: str, page: str, timeout: float, **query: str) -> Visit:
    """Opens ``page`` with ``query`` and waits until its script has run.

    Args:
        address: of the server, with ``http://``.
        page: its name in the address.
        timeout: seconds to wait.
        query: what its link carries.
    """
    from websockets.asyncio.client import connect

    url = address.replace("http://", "ws://") + "/_stcore/stream"
    parts: list[str] = []
    async with connect(url, subprotocols=["streamlit"], max_size=None, open_timeout=timeout) as socket:  # type: ignore[list-item]
        message = BackMsg()
        message.rerun_script.query_string = urlencode(query)
        message.rerun_script.page_name = page
        await socket.send(message.SerializeToString())
        try:
            async with asyncio.timeout(timeout):
                async for raw in socket:
                    found = ForwardMsg()
                    found.ParseFromString(raw)  # type: ignore[arg-type]
                    kind = found.WhichOneof("type")
                    if kind == "delta":
                        parts.append(str(found.delta))
                    elif kind == "script_finished" and found.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                        return Visit("\n".join(parts), True)
        except TimeoutError:
            pass
    return Visit("\n".join(parts), False)


def visits(address: str, page: str, queries: list[dict[str, str]], timeout: float) -> list[Visit]:
    """All visitors at once."""

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(visit(address, page, timeout, **query) for query in queries))

    # In a thread of its own: a browser that another test drives keeps an event loop in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(all_of_them())).result()
