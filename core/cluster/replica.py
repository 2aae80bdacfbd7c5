"""A replica of the cluster: an engine and a pool like the app's own, asked over HTTP. Knows nothing of Ray.

What a task computes, how requests that fit together are computed together, how memory is kept within its budget and
which errors are told: all of it is the local engine's, so that both answer alike.
"""

import asyncio
import contextlib
import logging
import pickle
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from core.errors import TallerError
from core.i18n import set_language
from core.runtime import wire
from core.runtime.engine import Engine, Outcome
from core.runtime.pool import ModelPool, is_out_of_memory
from core.runtime.stream import Stream
from core.runtime.task import Task
from core.settings import Settings
from core.training.tuned import find

# Threads that wait for the engine; how many compute is the engine's affair.
_THREADS: Final = 64

# An encoder and one with a head: what most requests ask for.
_WARM_UP: Final = ("minilm", "mini-beto")

_log = logging.getLogger(__name__)

Answer = list[Outcome[Any]] | BaseException


@dataclass(eq=False)
class Asked:
    """A call on its way through a replica.

    Attributes:
        call: what was asked.
        load_ms: how long the model took to load for it, in milliseconds.
        gone: the caller has hung up: nobody needs the answer.
    """

    call: wire.Call
    load_ms: float = 0.0
    gone: bool = False

    @property
    def streams(self) -> list[Stream[Any]]:
        """The streams of its requests."""
        return wire.streams(self.call.requests)


class Held:
    """A model that the replica has in memory; when it is given up, its memory goes back."""

    def __init__(self, pool: ModelPool, key: str) -> None:
        self._pool = pool
        self.key = key

    def __del__(self) -> None:
        # Ray Serve gives up the model used longest ago by dropping this. One in use stays; the pool sees to it later.
        with contextlib.suppress(Exception):
            self._pool.unload(self.key)


class Replica:
    """What a replica does, whoever carries requests to it.

    Args:
        settings: as the app's, with ``ray_secret``.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.ray_secret is None:
            raise ValueError("a replica needs TALLER_RAY_SECRET")
        self.secret = settings.ray_secret
        self.pool = ModelPool(settings, more=lambda key: find(key, settings))
        self.engine = Engine(self.pool, settings)
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="replica")
        # Before anybody asks: the imports behind the first model hold up every sign of life for seconds.
        for key in _WARM_UP:
            with contextlib.suppress(TallerError), self.pool.use(key):
                pass

    async def load(self, key: str, language: str) -> Held:
        """Brings a model into memory.

        Raises:
            TallerError: it isn't here, or doesn't fit.
        """

        def work() -> None:
            set_language(language)
            with self.pool.use(key):
                pass

        await asyncio.get_running_loop().run_in_executor(self.threads, work)
        return Held(self.pool, key)

    async def answer_all(self, together: Sequence[Asked]) -> list[Answer]:
        """Answers calls, computing together those of the same task, model and language."""
        loop = asyncio.get_running_loop()
        groups = list(_groups(together))
        answers = await asyncio.gather(*(loop.run_in_executor(self.threads, self._compute, g) for g in groups))
        found: dict[int, Answer] = {}
        for group, part in zip(groups, answers, strict=True):
            found |= {id(one): answer for one, answer in zip(group, part, strict=True)}
        return [found[id(one)] for one in together]

    def _compute(self, group: list[Asked]) -> list[Answer]:
        first = group[0].call
        set_language(first.language)
        if all(one.gone for one in group):
            return [TallerError()] * len(group)
        requests = [request for one in group for request in one.call.requests]
        try:
            outcomes = self.engine.run_together(_task(first.task), requests, model=first.model)
        except BaseException as error:
            if len(group) > 1 and not is_out_of_memory(error):
                # One bad request must not spoil its neighbours' answers.
                return [self._compute([one])[0] for one in group]
            return [error] * len(group)
        answers: list[Answer] = []
        for one in group:
            mine, outcomes = outcomes[: len(one.call.requests)], outcomes[len(one.call.requests) :]
            answers.append([replace(outcome, load_ms=outcome.load_ms + one.load_ms) for outcome in mine])
        return answers


@lru_cache(maxsize=64)
def _task(data: bytes) -> Task[Any, Any]:
    """The task that these bytes stand for: always the same object, so that the engine can tell what fits together."""
    task: Task[Any, Any] = pickle.loads(data)  # its call was checked
    return task


def _groups(together: Sequence[Asked]) -> list[list[Asked]]:
    groups: list[list[Asked]] = []
    for one in together:
        room = _task(one.call.task).max_batch - len(one.call.requests)
        for group in groups:
            first = group[0].call
            alike = (one.call.task, one.call.model, one.call.language) == (first.task, first.model, first.language)
            if alike and sum(len(other.call.requests) for other in group) <= room:
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


class Reply(Response):
    """Reads a call and writes its answer, with signs of life in between.

    Args:
        request: the HTTP request.
        secret: that both sides share.
        answer: answers a call.
    """

    def __init__(self, request: Request, secret: str, answer: Callable[[Asked], Awaitable[list[Outcome[Any]]]]) -> None:
        super().__init__()
        self._code = request.headers.get(wire.CODE_HEADER)
        self._seal = wire.Seal(secret)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speaks ASGI."""
        if self._code != wire.code_version():
            await PlainTextResponse("other code", 409)(scope, receive, send)
            return
        reader = _Reader(receive)
        try:
            kind, length = wire.read_head(await reader.exactly(wire.HEAD_BYTES))
            if kind != wire.ANSWER or length > wire.LARGEST_CALL:
                raise wire.Forged
            call = self._seal.read_call(await reader.exactly(length))
        except wire.Forged:
            await PlainTextResponse("not signed with this cluster's secret", 403)(scope, receive, send)
            return
        except EOFError:
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"no-store")]})
        await self._talk(Asked(call), reader, send)
        await send({"type": "http.response.body", "body": b""})

    async def _talk(self, asked: Asked, reader: "_Reader", send: Send) -> None:
        async def say(kind: bytes, content: Any = None) -> None:
            frame = await asyncio.to_thread(self._seal.frame, kind, content)
            await send({"type": "http.response.body", "body": frame, "more_body": True})

        streams = asked.streams
        sent = [0] * len(streams)
        work = asyncio.ensure_future(self._answer(asked))
        word = asyncio.ensure_future(reader.word())
        try:
            spoke = time.monotonic()
            while True:
                wait_for = {work} if word.done() else {work, word}
                pause = wire.STREAM_S if streams else wire.BEAT_S
                await asyncio.wait(wait_for, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                if word.done():
                    for stream in streams:
                        stream.stop()
                    if word.result() == "gone":
                        return
                found = [stream.poll()[done:] for stream, done in zip(streams, sent, strict=True)]
                if any(found):
                    sent = [done + len(items) for done, items in zip(sent, found, strict=True)]
                    await say(wire.ITEMS, found)
                    spoke = time.monotonic()
                if work.done():
                    break
                if time.monotonic() - spoke >= wire.BEAT_S:
                    await say(wire.BEAT)
                    spoke = time.monotonic()
            error = work.exception()
            if error is None:
                await say(wire.ANSWER, work.result())
            elif isinstance(error, TallerError):
                # Without the traceback and its causes: only the words are meant for the reader.
                error.__cause__ = error.__context__ = None
                await say(wire.ERROR, error.with_traceback(None))
            else:
                # The message may quote what a visitor wrote: it stays here, as it would in the app's own log.
                _log.error("a call failed", exc_info=error)
                await say(wire.FAILED, type(error).__name__)
        finally:
            asked.gone = True
            for stream in streams:
                stream.stop()
            work.cancel()
            word.cancel()


class _Reader:
    """The bytes of a request's body as they come."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._data = bytearray()
        self._end = False
        self._gone = False

    async def _more(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._gone = self._end = True
        else:
            self._data += message.get("body", b"")
            self._end = not message.get("more_body", False)

    async def exactly(self, size: int) -> bytes:
        """The next ``size`` bytes.

        Raises:
            EOFError: it ended before.
        """
        while len(self._data) < size:
            if self._end:
                raise EOFError
            await self._more()
        found = bytes(self._data[:size])
        del self._data[:size]
        return found

    async def word(self) -> str:
        """Waits for what the caller says besides the call: ``"stop"``, or ``"gone"`` when it has hung up."""
        while wire.STOP not in self._data:
            if self._gone:
                return "gone"
            # After the body's end the next message is the one that says that the caller hung up.
            self._end = False
            await self._more()
        return "stop"


def hello(request: Request, secret: str) -> Response:
    """``/ready``: shows that this replica has the same code and knows the secret."""
    if request.headers.get(wire.CODE_HEADER) != wire.code_version():
        return PlainTextResponse("other code", 409)
    nonce = request.query_params.get("nonce", "")[:64]
    return PlainTextResponse(wire.Seal(secret).hello(nonce), headers={"cache-control": "no-store"})
