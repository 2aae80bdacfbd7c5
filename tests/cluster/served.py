"""A replica behind a plain web server, without Ray: what the engine talks to in its tests.

``python -m uvicorn tests.cluster.served:app``
"""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from core.cluster.orders import obey
from core.cluster.replica import Asked, Replica, Reply, hello
from core.cluster.trainer import Trainer
from core.runtime.engine import Outcome
from core.runtime.wire import Order, Standing
from core.settings import get_settings

_replica = Replica(get_settings())
_waiting: list[tuple[Asked, asyncio.Future[Any]]] = []
_trainers: dict[str, Trainer] = {}
_windows: set[asyncio.Task[None]] = set()


async def _compute() -> None:
    # What comes within a moment goes together, as Ray Serve has it.
    await asyncio.sleep(0.02)
    together, _waiting[:] = list(_waiting), []
    answers = await _replica.answer_all([one for one, _future in together])
    for (_one, future), answer in zip(together, answers, strict=True):
        if not future.cancelled():
            future.set_result(answer)


async def _answer(asked: Asked) -> list[Outcome[Any]]:
    await _replica.load(asked.call.model, asked.call.language)
    mine: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    _waiting.append((asked, mine))
    if len(_waiting) == 1:
        _windows.add(window := asyncio.create_task(_compute()))
        window.add_done_callback(_windows.discard)
    answer = await mine
    if isinstance(answer, BaseException):
        raise answer
    found: list[Outcome[Any]] = answer
    return found


def _trainings(order: Order) -> Standing:
    """Fine-tuning in processes of this machine, named as under Ray."""
    name = f"{order.run}-{order.turn}"
    if order.what == "start" and name not in _trainers:
        _trainers[name] = Trainer(order)
    if order.what == "end" and name in _trainers:
        _trainers.pop(name).kill()
    return _trainers[name].standing() if name in _trainers else Standing("none")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Speaks ASGI."""
    assert scope["type"] == "http"
    request = Request(scope, receive, send)
    secret = _replica.secret
    if request.method == "GET":
        response = hello(request, secret)
    elif request.url.path.endswith("/training"):
        response = await obey(request, secret, _trainings)
    else:
        response = Reply(request, secret, _answer)
    await response(scope, receive, send)
