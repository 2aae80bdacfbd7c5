"""What a task is: a pure function of a loaded model and a list of requests."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from core.runtime.bundle import ModelBundle

Req = TypeVar("Req", contravariant=True)
Res = TypeVar("Res")


class Task(Protocol[Req, Res]):
    """One thing that models can be asked to do.

    ``run`` knows nothing of pages, engines or pools, so that it can be tested alone, batched, and run on
    another machine without a change. It is called inside ``torch.inference_mode()``.

    Attributes:
        name: the catalogue's name for it, such as ``"fill-mask"``.
        attention: whether it needs the attention weights (a view of the model with eager attention).
        max_batch: how many requests may be computed at once.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def attention(self) -> bool: ...  # noqa: D102

    @property
    def max_batch(self) -> int: ...  # noqa: D102

    def run(self, bundle: ModelBundle, requests: Sequence[Req]) -> list[Res]:
        """Answers each request, in order.

        Raises:
            TallerError: a request can't be answered; when several were given, each is then tried alone.
        """
        ...
