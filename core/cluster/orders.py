"""What the app tells the cluster of fine-tuning runs: ``POST /training``. Knows nothing of Ray."""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from core.runtime import wire


async def obey(request: Request, secret: str, do: Callable[[wire.Order], wire.Standing]) -> Response:
    """Reads an order, has it done, and says how the run's turn stands then.

    Args:
        request: the HTTP request.
        secret: that both sides share.
        do: what does it; it may wait.
    """
    if request.headers.get(wire.CODE_HEADER) != wire.code_version():
        return PlainTextResponse("other code", 409)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > wire.LARGEST_ORDER:
            return PlainTextResponse("too large", 413)
    seal = wire.Seal(secret)
    try:
        order = seal.read_order(body)
    except wire.Forged:
        return PlainTextResponse("not signed with this cluster's secret", 403)
    standing = await asyncio.to_thread(do, order)
    return Response(seal.frame(wire.ANSWER, standing), headers={"cache-control": "no-store"})
