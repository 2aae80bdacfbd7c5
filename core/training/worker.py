"""The process that trains: ``python -m core.training.worker RUN_DIR``, or with ``--forecast`` measures three steps.

It goes on from the run's newest checkpoint. Asked to end (a file ``cancel`` in the folder), it writes a checkpoint
and is done; told to go by SIGTERM, as when the machine shuts down, it writes one and the run waits for its next
process. Of two workers for one run the second leaves at once.

On a cluster (``--turn N``) it shares the folder with machines whose processes it can't see. There it gives a sign of
life every second, and ends itself when it can't for ``LEASE_S`` seconds: the app waits longer than that before it
sends another (a lease; Gray & Cheriton 1989). It leaves without writing anything more as soon as the turn is somebody
else's, which it looks up with each step and before each file; and with whoever started it (``--tied``).
"""

import argparse
import errno
import itertools
import json
import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from filelock import Timeout

from core.errors import OutOfMemory, TallerError
from core.i18n import set_language
from core.settings import get_settings
from core.training.run import Reason, RunFolder, State, write_text

# Exit codes: the state may be what could not be written, on a full disk above all.
DONE: Final = 0
TAKEN: Final = 3
AGAIN: Final = 4
ELSEWHERE: Final = 5
FAILED: Final[Mapping[Reason, int]] = {"disk": 10, "memory": 11, "request": 12, "other": 13}
REASONS: Final[Mapping[int, Reason]] = {code: reason for reason, code in FAILED.items()}

_NICE: Final = 10
_LOCK_WAIT_S: Final = 2.0
_LOOK_EVERY_S: Final = 0.3
_BEAT_S: Final = 1.0
LEASE_S: Final = 15.0

_log = logging.getLogger(__name__)


def _nothing(_stage: str) -> None:
    """Where nobody breaks off."""


class _Superseded(BaseException):
    """The turn is somebody else's."""


class _Wish:
    """Whether somebody wants the run to end; looks at the disk a few times a second at most."""

    def __init__(self, run: RunFolder, turn: int | None) -> None:
        self._run = run
        self._turn = turn
        self._looked = 0.0
        self._found = False
        self.told = threading.Event()

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self._found and now - self._looked > _LOOK_EVERY_S:
            self._looked = now
            self._found = self._run.cancelled
            self.check()
        return self._found or self.told.is_set()

    def check(self) -> None:
        """Looks whose turn it is.

        Raises:
            _Superseded: somebody else's.
        """
        if self._turn is not None and self._run.turn.number != self._turn:
            raise _Superseded


class _Pulse:
    """Gives signs of life, and ends the process when it can't: somebody else may then be sent."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._last = time.monotonic()
        for work in (self._beat, self._watch):
            threading.Thread(target=work, name="pulse", daemon=True).start()

    def _beat(self) -> None:
        own = secrets.token_hex(8)
        for number in itertools.count():
            try:
                self._run.give_beat(f"{own} {number:016d}".encode())
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    time.sleep(_BEAT_S)
                    continue
            self._last = time.monotonic()
            time.sleep(_BEAT_S)

    def _watch(self) -> None:
        # Apart from the writing, which may hang for as long as the storage is out of reach.
        while time.monotonic() - self._last < LEASE_S:
            time.sleep(_BEAT_S)
        os._exit(AGAIN)


def _end_with_whoever_started() -> None:
    """Ends the process at once when its standard input does: nobody is left to say how it ended."""

    def wait() -> None:
        with suppress(OSError):
            while os.read(0, 64):
                pass
        os._exit(AGAIN)

    threading.Thread(target=wait, name="tied", daemon=True).start()


def _no_memory(error: BaseException) -> bool:
    """Whether it says that memory ran out, as far as that can be told without any."""
    if isinstance(error, (MemoryError, OutOfMemory)) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    # Libraries that don't fit are an ImportError or an OSError without a number.
    return any(words in str(error) for words in ("Cannot allocate memory", "failed to map segment", "os error 12"))


def _why(error: BaseException) -> Reason:
    """What kind of failure it is."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk"
    # torch's writer and safetensors' wrap what the system said.
    if any(words in str(error) for words in ("No space left", "os error 28", "iostream error", "unexpected pos")):
        return "disk"
    if _no_memory(error):
        return "memory"
    try:
        from core.runtime.pool import is_out_of_memory

        if is_out_of_memory(error):
            return "memory"
    except Exception as another:  # there may be too little left for asking
        if _no_memory(another):
            return "memory"
    return "request" if isinstance(error, TallerError) else "other"


def _tell(run: RunFolder, state: State, wish: _Wish, error: BaseException, reason: Reason) -> None:
    """Writes why a run failed, as far as that can be: the exit code says it, too."""
    with suppress(MemoryError):
        _log.error("run %s failed (%s)", run.id, reason, exc_info=error)
    message = str(error) if isinstance(error, TallerError) else ""
    with suppress(OSError, MemoryError):
        wish.check()
        run.put(replace(state, status="failed", reason=reason, message=message))


def _step(run: RunFolder) -> int:
    return max((line.get("step", 0) for line in run.progress() if line.get("kind") in ("step", "resumed")), default=0)


def work(run: RunFolder, *, turn: int | None = None, reached: Callable[[str], None] = _nothing, **hooks: Any) -> int:
    """Trains a run to its end, or to where it is stopped; returns the exit code.

    Args:
        run: its folder.
        turn: the number of its turn, where other machines may work on it, too.
        reached: called at each stage; a test ends the process there.
        hooks: more fields of ``tuning.fit.Hooks``.
    """
    try:
        run.lock.acquire(timeout=_LOCK_WAIT_S)
    except Timeout:
        return TAKEN
    try:
        state = run.state
        if state is None or state.status not in ("waiting", "running"):
            return DONE
        about = run.about
        set_language(about.language if about else "es")
        wish = _Wish(run, turn)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: wish.told.set())

        def mine(stage: str) -> None:
            if not stage.endswith("-step"):  # after each of them it is asked whether it shall stop
                wish.check()
            reached(stage)

        return _work(run, state, wish, mine, hooks)
    except _Superseded:
        return TAKEN
    finally:
        run.lock.release()


def _work(run: RunFolder, state: State, wish: _Wish, reached: Callable[[str], None], hooks: Mapping[str, Any]) -> int:
    from core.training.tuning.fit import Hooks, Stopped

    try:
        state = replace(state, status="running", reason="", message="", tries=state.tries + 1, reached=_step(run))
        wish.check()
        run.put(state)
        reached("start")
        from core.training.tuning.tune import tune

        if wish():
            raise Stopped
        tune(
            run.request,
            run.data,
            run.path,
            get_settings(),
            Hooks(report=run.report, stop=wish, reached=reached, **hooks),
        )
        wish.check()
        run.put(replace(state, status="done"))
        return DONE
    except _Superseded:
        raise
    except Stopped:
        wish.check()
        run.put(replace(state, status="cancelled" if run.cancelled else "waiting"))
        return DONE if run.cancelled else AGAIN
    except BaseException as error:
        reason = _why(error)
        _tell(run, state, wish, error, reason)
        return FAILED[reason]


def measure(run: RunFolder) -> int:
    """Writes ``forecast.json``: what three steps say about the whole; returns the exit code."""
    from core.training.tuning.tune import forecast

    about = run.about
    set_language(about.language if about else "es")
    try:
        write_text(run.path / "forecast.json", json.dumps(asdict(forecast(run.request, run.data, get_settings()))))
        return DONE
    except BaseException as error:
        reason = _why(error)
        message = str(error) if isinstance(error, TallerError) else ""
        with suppress(MemoryError):
            _log.exception("forecast of %s failed (%s)", run.id, reason)
        with suppress(OSError, MemoryError):
            write_text(run.path / "forecast.json", json.dumps({"reason": reason, "message": message}))
        return FAILED[reason]


def _step_back() -> None:
    """Pages come first: whoever only looks must not wait for somebody else's training."""
    with suppress(OSError, AttributeError):
        os.nice(_NICE)
    # Where Linux shares out processors by session first (autogroups), niceness counts within one alone; a worker has
    # its own, which would get as much as the app and all its visitors.
    with suppress(OSError, AttributeError):
        if os.getsid(0) == os.getpid():
            Path("/proc/self/autogroup").write_text(str(_NICE), encoding="ascii")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m core.training.worker", description="Work on one run.")
    parser.add_argument("folder", type=Path, help="the run's folder")
    parser.add_argument("--forecast", action="store_true", help="measure three steps only")
    parser.add_argument("--turn", type=int, help="the number of its turn, on a cluster")
    parser.add_argument("--tied", action="store_true", help="end when standard input does")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _step_back()
    run = RunFolder(given.folder)
    if given.tied:
        _end_with_whoever_started()
    if given.turn is not None and not given.forecast:
        if run.turn.number != given.turn:
            return TAKEN
        _Pulse(run)
    return measure(run) if given.forecast else work(run, turn=given.turn)


if __name__ == "__main__":
    sys.exit(main())
