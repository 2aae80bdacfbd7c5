"""Keeps a page that is being left from emptying the one that is being opened.

A fragment that renews itself, such as the gauges, may ask for its next time after a link was clicked and before the
new page has come. Streamlit (1.67) then runs it once the new page stands: the fragment is no longer there, but the
browser is told that a run of the old page has begun, and takes the new one off the screen. It stays empty.
"""

from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError
from streamlit.proto.BackMsg_pb2 import BackMsg

if TYPE_CHECKING:
    from starlette.types import Message, Receive


class Leaving:
    """What one browser sends over its connection, without what a page asks that it has left.

    Args:
        receive: the connection's, as in ASGI.
    """

    def __init__(self, receive: "Receive") -> None:
        self._receive = receive
        # Of the page that the browser last asked for as a whole; empty where it named it by its address.
        self._page = ""

    async def receive(self) -> "Message":
        """As ASGI's ``receive``."""
        while True:
            message = await self._receive()
            if not self._is_of_another_page(message.get("bytes")):
                return message

    def _is_of_another_page(self, data: bytes | None) -> bool:
        if not data:
            return False
        sent: Any = BackMsg()
        try:
            sent.ParseFromString(data)
        except DecodeError:  # Streamlit says what it thinks of it
            return False
        if sent.WhichOneof("type") != "rerun_script":
            return False
        page = sent.rerun_script.page_script_hash
        if not sent.rerun_script.fragment_id:
            self._page = page
            return False
        return bool(page and self._page and page != self._page)
