"""Fine-tuning under Ray: each turn of a run is an actor of its own, started by whichever replica the app asked.

Ray has a service for jobs, too. It is part of the dashboard, which a cluster of ours doesn't start: it would be one
more open port whose callers can run anything, with other keys than ours, and its jobs know nothing of a run's turns.
An actor needs neither, is asked over the address that the app knows already, with the same signatures, and is placed
by Ray wherever there are the cores and cards that it says. It is detached: it outlives the replica that started it and
a new deployment. It is named after run and turn, so that an order heard twice starts one. It is never restarted by
Ray: only the app, which sees the run's folder, gives the next turn.
"""

import logging
import os
import time
from typing import Any, Final

import ray
from ray.exceptions import GetTimeoutError, RayActorError

from core.cluster.trainer import Trainer
from core.runtime.wire import Order, Standing

_NAMESPACE: Final = "taller-training"
# An actor that is there answers in milliseconds; one that waits for room doesn't.
_ANSWER_S: Final = 2.0
# How long it is still known how a worker ended.
_KEPT_S: Final = 60.0

_log = logging.getLogger(__name__)


def _leave() -> None:
    time.sleep(_KEPT_S)
    os._exit(0)


class TrainerActor(Trainer):
    """A trainer in a process of its own, which leaves some time after its worker.

    Args:
        order: the run and its turn.
    """

    def __init__(self, order: Order) -> None:
        super().__init__(order, _leave)


class Trainings:
    """Does what the app orders.

    Args:
        cpus: cores of a run.
        gpus: cards of a run.
    """

    def __init__(self, cpus: float, gpus: float) -> None:
        self._options = {"num_cpus": cpus, "num_gpus": gpus}

    def obey(self, order: Order) -> Standing:
        """Does it, and says how the turn stands."""
        name = f"{order.run}-{order.turn}"
        if order.what == "start":
            actor = ray.remote(TrainerActor).options(
                name=name,
                namespace=_NAMESPACE,
                lifetime="detached",
                get_if_exists=True,
                max_restarts=0,
                **self._options,
            )
            return self._standing(actor.remote(order))
        try:
            found = ray.get_actor(name, namespace=_NAMESPACE)
        except ValueError:
            return Standing("none")
        if order.what == "end":
            ray.kill(found, no_restart=True)
            return Standing("none")
        return self._standing(found)

    @staticmethod
    def _standing(actor: Any) -> Standing:
        try:
            found: Standing = ray.get(actor.standing.remote(), timeout=_ANSWER_S)
        except GetTimeoutError:
            return Standing("pending")
        except RayActorError as error:
            _log.warning("a trainer is gone: %s", type(error).__name__)
            return Standing("none")
        return found
