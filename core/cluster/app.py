"""The replicas as a Ray Serve application: ``serve run core.cluster.app:build`` (see ``serve.yaml``).

Ray adds what one process can't: a large model's requests go to a replica that has it in memory (``serve.multiplexed``),
those that come within some milliseconds go to the engine together (``serve.batch``), and replicas come and go with
the load, on as many machines as there are.
"""

import time
from typing import Any, Final

from pydantic import BaseModel, Field
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from core.cluster.orders import obey
from core.cluster.replica import Asked, Held, Replica, Reply, hello
from core.cluster.training import Trainings
from core.i18n import get_language, set_language
from core.runtime.engine import Outcome
from core.runtime.logs import set_up
from core.settings import get_settings

# How long a request waits for others that it can be computed with, in seconds.
_WINDOW_S: Final = 0.01
# A window's calls go to the engine, which may have others computing still.
_AT_ONCE: Final = 16
_WINDOWS: Final = 8


class Options(BaseModel):
    """The ``args`` of the application in a ``serve`` configuration.

    Attributes:
        min_replicas: copies that are always there.
        max_replicas: most copies; one more starts when each has more than ``target`` requests.
        target: requests a replica, on average, that are well served.
        cpus: cores of a replica.
        gpus: cards of a replica; a part of one, such as 0.5, lets two share it.
        memory_fraction: share of the memory free at its start that a replica's models may take: with two replicas on
            a machine no more than half.
        training_cpus: cores of a fine-tuning run, which begins where there are that many left.
        training_gpus: cards of one.
    """

    min_replicas: int = Field(default=1, ge=1)
    max_replicas: int = Field(default=2, ge=1)
    target: float = Field(default=4.0, gt=0)
    cpus: float = Field(default=1.0, ge=0)
    gpus: float = Field(default=0.0, ge=0)
    memory_fraction: float = Field(default=0.3, gt=0, le=1)
    training_cpus: float = Field(default=1.0, ge=0)
    training_gpus: float = Field(default=0.0, ge=0)


class Deployment:
    """A replica under Ray Serve.

    Args:
        memory_fraction: see ``Options``.
        training_cpus: the same.
        training_gpus: the same.
    """

    def __init__(self, memory_fraction: float, training_cpus: float, training_gpus: float) -> None:
        settings = get_settings().model_copy(update={"memory_fraction": memory_fraction})
        set_up(settings.log_format)
        self._replica = Replica(settings)
        self._trainings = Trainings(training_cpus, training_gpus)

    async def __call__(self, request: Request) -> Response:
        """Answers over HTTP."""
        if request.method == "GET":
            return hello(request, self._replica.secret)
        if request.url.path.endswith("/training"):
            return await obey(request, self._replica.secret, self._trainings.obey)
        return Reply(request, self._replica.secret, self._answer)

    async def _answer(self, asked: Asked) -> list[Outcome[Any]]:
        set_language(asked.call.language)
        asked.load_ms = await self._loaded(asked.call.model)
        answer = await self._together(asked)
        if isinstance(answer, BaseException):
            raise answer
        found: list[Outcome[Any]] = answer
        return found

    async def _loaded(self, key: str) -> float:
        ready = self._replica.pool.state(key) == "ready"
        began = time.perf_counter()
        await self._model(key)
        return 0.0 if ready else (time.perf_counter() - began) * 1000

    @serve.multiplexed(max_num_models_per_replica=12)
    async def _model(self, key: str) -> Held:
        return await self._replica.load(key, get_language())

    @serve.batch(max_batch_size=_AT_ONCE, batch_wait_timeout_s=_WINDOW_S, max_concurrent_batches=_WINDOWS)
    async def _together(self, together: list[Asked]) -> list[Any]:
        return await self._replica.answer_all(together)


def build(options: Options) -> serve.Application:
    """The application."""
    return serve.deployment(
        name="taller",
        max_ongoing_requests=_AT_ONCE * _WINDOWS,
        max_queued_requests=_AT_ONCE * _WINDOWS,
        autoscaling_config={
            "min_replicas": options.min_replicas,
            "max_replicas": max(options.min_replicas, options.max_replicas),
            "target_ongoing_requests": options.target,
        },
        ray_actor_options={"num_cpus": options.cpus, "num_gpus": options.gpus},
        health_check_period_s=5,
        health_check_timeout_s=10,
    )(Deployment).bind(options.memory_fraction, options.training_cpus, options.training_gpus)
