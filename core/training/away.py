"""A run on a cluster, as the queue sees it: by its folder above all, and by asking where the folder says nothing.

Signs of life come through the folder, so a run goes on being seen, and goes on, while the cluster itself can't be
asked. Nobody else is sent before its worker is known to have ended: the cluster says so, or there was no sign of life
for longer than the worker lasts without giving one.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from core.runtime.cluster_line import Line, Lost, Passed, Trouble
from core.runtime.wire import Order, Standing
from core.training.run import RunFolder
from core.training.worker import LEASE_S

T = TypeVar("T")

# Without a sign of life for so long, the cluster is asked; as often after that.
ASK_AFTER_S: Final = 2.0
# Longer than a worker lasts that can give none, with room for what is on its way.
PATIENCE_S: Final = LEASE_S + 10.0
# After these the order was not heard.
_UNHEARD: Final[frozenset[Trouble]] = frozenset({"away", "other_code", "other_secret"})


@dataclass(frozen=True, slots=True)
class Ending:
    """A turn on the cluster that is over.

    Attributes:
        code: the worker's exit code, where it is known.
        trouble: the cluster was lost with it; ``None`` where the cluster is well.
        full: there was no room for it, for as long as it was to wait.
    """

    code: int | None = None
    trouble: Trouble | None = None
    full: bool = False


class ClusterDesk:
    """Sends orders in threads of its own: the queue must not wait for a network.

    Args:
        line: the way to the cluster; ``None`` where there is none (any more): then it is away.
    """

    def __init__(self, line: Line | None) -> None:
        self._line = line
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="cluster-training")

    def send(self, order: Order) -> "Future[Standing]":
        """Gives an order; the future holds what the cluster says or ``Lost``."""
        try:
            return self._threads.submit(self._order, order)
        except RuntimeError:  # the app is about to end
            refused: Future[Standing] = Future()
            refused.set_exception(Lost("away"))
            return refused

    def probe(self) -> "Future[Trouble | None]":
        """Asks whether the cluster is there."""
        return self._threads.submit(lambda: "away" if self._line is None else self._line.probe())

    def _order(self, order: Order) -> Standing:
        if self._line is None:
            raise Lost("away")
        try:
            return self._line.order(order)
        except Passed as error:
            raise Lost("silent") from error

    def close(self) -> None:
        """Waits for no answer any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class AwayRun:
    """One turn on the cluster.

    Args:
        run: its folder.
        turn: its number.
        desk: sends orders.
        start: let somebody begin; without, it was begun earlier, perhaps by another process of the app.
        wait_s: how long it may wait for room there.
        options: of the worker's command line.
    """

    def __init__(
        self,
        run: RunFolder,
        turn: int,
        desk: ClusterDesk,
        *,
        start: bool,
        wait_s: float,
        options: tuple[str, ...] = (),
    ) -> None:
        self._run = run
        self._turn = turn
        self._desk = desk
        self._options = options
        self._beat = run.beat
        self._wait_s = wait_s
        # Signs of life: of its worker alone, and of the cluster, too.
        self._alive = self._sign = self._asked = time.monotonic()
        self._unheard = start
        self._answer: Future[Standing] | None = self._send("start") if start else None
        self.trouble: Trouble | None = None
        self.pending = False
        self.beating = False

    def _send(self, what: Literal["start", "look", "end"]) -> "Future[Standing]":
        self._asked = time.monotonic()
        return self._desk.send(Order(what, self._run.id, self._turn, str(self._run.path.absolute()), self._options))

    def end(self) -> "Future[Standing]":
        """Ends whoever works on it, at once, and frees what they have on the cluster."""
        return self._send("end")

    def poll(self) -> Ending | None:
        """How it ended; ``None`` while it may go on. Never waits."""
        now = time.monotonic()
        beat = self._run.beat
        if beat != self._beat:
            self._beat, self._alive, self._sign = beat, now, now
            self._unheard = self.pending = False
            self.trouble, self.beating = None, True  # it is the run that counts
        if self._answer is not None and self._answer.done():
            answer, self._answer = self._answer, None
            ended = self._heard(answer, now)
            if ended is not None:
                return ended
        if self.trouble is not None and now - self._sign > PATIENCE_S and not self._run.busy():
            return Ending(trouble=self.trouble)
        # A machine that the cluster has lost sight of looks like one without room: the worker's lease counts, too.
        if self.pending and now - self._alive > max(self._wait_s, PATIENCE_S) and not self._run.busy():
            self.end()
            return Ending(full=True)
        if self._answer is None and now - max(self._sign, self._asked) > ASK_AFTER_S:
            self._answer = self._send("look")
        return None

    def _heard(self, answer: "Future[Standing]", now: float) -> Ending | None:
        try:
            standing = answer.result()
        except Lost as lost:
            self.trouble = lost.trouble
            return Ending(trouble=lost.trouble) if self._unheard and lost.trouble in _UNHEARD else None
        self.trouble, self._unheard = None, False
        self.pending = standing.state == "pending"
        if standing.state in ("ended", "none"):
            return Ending(standing.code)
        self._sign = now
        return None


class Connection:
    """Whether the cluster can be sent runs.

    Args:
        desk: asks it.
    """

    _EVERY_S: Final = 2.0
    # A folder that the cluster doesn't see is tried again after so long: somebody may have shared it by then.
    _ELSEWHERE_S: Final = 600.0
    _FULL_S: Final = 60.0

    def __init__(self, desk: ClusterDesk) -> None:
        self._desk = desk
        self._lost: tuple[float, Trouble] | None = None
        self._elsewhere: float | None = None
        self._full: float | None = None
        self._probe: Future[Trouble | None] | None = None
        self._probed = 0.0
        self._back = False

    def works(self) -> None:
        """One of its machines works on a run: that it takes orders is not enough."""
        self._lost, self._back = None, False

    def lost(self, trouble: Trouble) -> None:
        """It has not; it is lost from the first time on."""
        since = self._lost[0] if self._lost is not None else time.monotonic()
        self._lost, self._back = (since, trouble), False

    def elsewhere(self) -> None:
        """It doesn't see the folder of the runs."""
        self._elsewhere = time.monotonic()

    def full(self) -> None:
        """It had no room for a run for too long."""
        self._full = time.monotonic()

    def why_not(self, wait_s: float) -> tuple[str, bool]:
        """Why no run can be sent there now, empty if one can; and whether to wait for it, or work here.

        Args:
            wait_s: how long to wait for a lost cluster.
        """
        now = time.monotonic()
        if self._elsewhere is not None and now - self._elsewhere < self._ELSEWHERE_S:
            return "elsewhere", False
        if self._full is not None and now - self._full < self._FULL_S:
            return "full", False
        if self._lost is None:
            return "", False
        self._look(now)
        since, trouble = self._lost
        # Back, but not for long enough to have taken a run: it is tried, and counts as lost until it has.
        return ("", False) if self._back else (trouble, now - since < wait_s)

    def _look(self, now: float) -> None:
        if self._probe is not None and self._probe.done():
            with suppress(Exception):
                trouble = self._probe.result()
                self._back = trouble is None
                if trouble is not None and self._lost is not None:
                    self._lost = (self._lost[0], trouble)
            self._probe = None
        if self._probe is None and not self._back and now - self._probed > self._EVERY_S:
            self._probed, self._probe = now, self._desk.probe()


def wait_for(condition: Callable[[], T | None], seconds: float, every_s: float = 0.1) -> T | None:
    """Looks until there is something, for so many seconds at most."""
    end = time.monotonic() + seconds
    while (found := condition()) is None and time.monotonic() < end:
        time.sleep(every_s)
    return found
