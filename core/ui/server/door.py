"""What every request passes first: who asks, whether there is room, and the headers of the answer."""

import asyncio
import html
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from core.i18n import get_language, match_language, set_language
from core.i18n import gettext as _
from core.runtime.logs import fields
from core.runtime.metrics import REFUSALS
from core.settings import Settings
from core.ui.server.address import Address, among, client, group, networks
from core.ui.server.headers import headers
from core.ui.server.leaving import Leaving
from core.ui.server.limits import Limit, Visitors

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

RETRY_S: Final = 30
_STREAM: Final = "/_stcore/stream"
_UPLOAD: Final = "/_stcore/upload_file/"
# What a refused request may still send before its answer: more than the app takes of a file, and no more time than a
# proxy beside it needs.
_DRAINED_BYTES: Final = 8 * 2**20
_DRAINED_S: Final = 10.0
# Ours, and Streamlit's own, which it serves to anybody.
_WATCHED: Final = ("/metrics", "/_stcore/metrics")
_FILES: Final = ("/_stcore/", "/static/", "/media/", "/component/", "/health/")


class Door:
    """ASGI middleware around the whole server.

    Args:
        app: what is behind the door.
        visitors: who is inside.
        settings: proxies to believe, frames to allow, who may watch.
        base: path under which the app is served, such as ``/taller``; empty for the root.
    """

    def __init__(self, app: "ASGIApp", visitors: Visitors, settings: Settings, base: str = "") -> None:
        self._app = app
        self._visitors = visitors
        self._base = base
        self._trusted = networks(settings.trusted_proxies)
        self._watchers = networks(settings.watch_from)
        self._language = settings.language
        self._headers = headers(settings.frame_ancestors)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serves one request or one connection."""
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._connection(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _who(self, scope: "Scope") -> Address | None:
        peer = scope.get("client")
        forwarded = Headers(scope=scope).getlist("x-forwarded-for")
        return client(peer[0] if peer else None, forwarded, self._trusted)

    def _path(self, scope: "Scope") -> str:
        return str(scope["path"]).removeprefix(self._base)

    async def _connection(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if self._path(scope) != _STREAM:
            await self._app(scope, receive, send)
            return
        who = group(self._who(scope))
        limit = self._visitors.enter(who)
        if limit is not None:
            self._refused(limit)
            # Before the connection is accepted: the browser is told 403 and tries again later.
            await send({"type": "websocket.close", "code": 1013})
            return
        try:
            await self._app(scope, Leaving(receive).receive, send)
        finally:
            self._visitors.leave(who)

    async def _request(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        begun = False
        body = _Body(scope, receive)

        async def send_with_headers(message: "Message") -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                await body.drain()
                begun = True
                names = {name for name, _value in self._headers}
                kept = [pair for pair in message.get("headers", ()) if pair[0].lower() not in names]
                message = {**message, "headers": [*kept, *self._headers]}
            await send(message)

        refusal = self._refusal(scope)
        try:
            await (refusal or self._app)(scope, body.receive, send_with_headers)
        except Exception:  # the outermost wall: whatever happens inside, the answer carries the headers
            if begun:
                raise
            _log.exception("a request failed")
            await PlainTextResponse("Internal Server Error", 500)(scope, body.receive, send_with_headers)

    def _refusal(self, scope: "Scope") -> Response | None:
        """The answer to somebody who can't be let in; ``None`` for everybody else."""
        path = self._path(scope)
        if path in _WATCHED:
            if among(self._who(scope), self._watchers):
                return None
            return PlainTextResponse("Forbidden: TALLER_WATCH_FROM does not name this address.\n", 403)
        if scope["method"] == "PUT" and path.startswith(_UPLOAD):
            if self._visitors.hasty(group(self._who(scope))):
                self._refused("openings")
                return PlainTextResponse("Too Many Requests", 429, {"retry-after": str(RETRY_S)})
            return None
        # Told on the page, where there is something to read: a refused connection only shows as a broken one.
        page = scope["method"] == "GET" and not path.startswith(_FILES) and "." not in path.rsplit("/", 1)[-1]
        if page and self._visitors.full(group(self._who(scope))):
            self._refused("sessions")
            return self._full_house(Headers(scope=scope).get("accept-language", ""))
        return None

    def _full_house(self, accepted: str) -> Response:
        set_language(match_language(accepted.split(",")[0].split(";")[0].strip(), self._language))
        title = html.escape(_("Hay demasiadas páginas abiertas desde tu dirección"))
        text = html.escape(
            _(
                "Tu red tiene abiertas tantas páginas de este taller como puede tener a la vez. Cierra las pestañas "
                "que no uses y vuelve a cargar esta dentro de medio minuto. Para una clase entera, quien administra la "
                "aplicación puede subir TALLER_SESSIONS_PER_ADDRESS."
            )
        )
        page = (
            f'<!doctype html><html lang="{get_language()}"><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
            "<style>:root{color-scheme:light dark}body{font:1.1rem/1.5 sans-serif;max-width:40rem;"
            f"margin:15vh auto;padding:0 1rem}}</style><h1>{title}</h1><p>{text}</p></html>"
        )
        return HTMLResponse(page, 429, {"retry-after": str(RETRY_S)})

    def _refused(self, limit: Limit) -> None:
        REFUSALS.labels(limit).inc()
        _log.warning("turned away", extra=fields(limit=limit))


class _Body:
    """What a request brings, read to its end before it is answered.

    Whoever refuses a file answers without reading it, and then the server closes the connection, since the rest of
    the file is in the way of the next request. A proxy that is still sending takes that for a dead copy of the app,
    asks the next one with the same result, and sends nobody to either of them for seconds.
    """

    def __init__(self, scope: "Scope", receive: "Receive") -> None:
        found = Headers(scope=scope)
        self._receive = receive
        self._ended = found.get("content-length", "0") == "0" and "transfer-encoding" not in found

    async def receive(self) -> "Message":
        """As ASGI's ``receive``."""
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._ended = True
        return message

    async def drain(self) -> None:
        """Reads what is left, within bounds."""
        left = _DRAINED_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAINED_S):
                while not self._ended and left > 0:
                    left -= len((await self.receive()).get("body", b""))
