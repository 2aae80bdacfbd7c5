"""What a run will take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run will take, from three steps of it.

    Attributes:
        seconds: from start to result, evaluation and files included.
        memory_mib: the process's peak, in MiB; on a graphics card, the card's.
        steps: updates in all.
        tokens: that training will compute, padding included.
    """

    seconds: float
    memory_mib: float
    steps: int
    tokens: int
