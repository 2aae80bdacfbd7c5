"""One turn of a fine-tuning run on a machine of the cluster: the worker's process and its end. Knows nothing of Ray."""

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from core.runtime.wire import Order, Standing
from core.training.jobs import start_worker
from core.training.run import RunFolder
from core.training.worker import ELSEWHERE, TAKEN

# What another machine has just written may take so long to be seen over a network.
_SEEN_WITHIN_S: Final = 5.0


class Trainer:
    """Works on a run until its turn is over; the worker ends with whoever holds this.

    Args:
        order: the run and its turn.
        ended: called in a thread when the worker has ended.
    """

    def __init__(self, order: Order, ended: Callable[[], None] = lambda: None) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._code: int | None = None
        run = RunFolder(Path(order.folder))
        end = time.monotonic() + _SEEN_WITHIN_S
        while (number := run.turn.number) < order.turn and time.monotonic() < end:
            time.sleep(0.2)
        if number != order.turn:
            # An older turn than the folder's is over; a newer one means that this machine sees another folder, or none.
            self._code = TAKEN if number > order.turn else ELSEWHERE
        else:
            self._process = start_worker(run, "--turn", str(order.turn), *order.options, tied=True)
        threading.Thread(target=self._wait, args=(ended,), name="trainer", daemon=True).start()

    def _wait(self, ended: Callable[[], None]) -> None:
        if self._process is not None:
            self._code = self._process.wait()
        ended()

    def standing(self) -> Standing:
        """How it stands."""
        return Standing("running") if self._code is None else Standing("ended", self._code)

    def kill(self) -> None:
        """Ends the worker at once."""
        if self._process is not None:
            self._process.kill()
