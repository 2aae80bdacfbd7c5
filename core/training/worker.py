"""The process that trains: ``python -m core.training.worker RUN_DIR``, or with ``--forecast`` measures three steps.

It goes on from the run's newest checkpoint. Asked to end (a file ``cancel`` in the folder), it writes a checkpoint
and is done; told to go by SIGTERM, as when the machine shuts down, it writes one and the run waits for its next
process. Of two workers for one run the second leaves at once.
"""

import argparse
import errno
import json
import logging
import os
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

from core.errors import ModelUnavailable, OutOfMemory, TallerError
from core.i18n import set_language
from core.settings import get_settings
from core.training.run import Reason, RunFolder, State, write_text

# Exit codes: the state may be what could not be written, on a full disk above all.
DONE: Final = 0
TAKEN: Final = 3
AGAIN: Final = 4
FAILED: Final[Mapping[Reason, int]] = {"disk": 10, "memory": 11, "request": 12, "other": 13}
REASONS: Final[Mapping[int, Reason]] = {code: reason for reason, code in FAILED.items()}

_NICE: Final = 10
_LOCK_WAIT_S: Final = 2.0
_LOOK_EVERY_S: Final = 0.3

_log = logging.getLogger(__name__)


def _nothing(_stage: str) -> None:
    """Where nobody breaks off."""


class _Wish:
    """Whether somebody wants the run to end; looks at the disk a few times a second at most."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._looked = 0.0
        self._found = False
        self.told = threading.Event()

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self._found and now - self._looked > _LOOK_EVERY_S:
            self._looked = now
            self._found = self._run.cancelled
        return self._found or self.told.is_set()


def _why(error: BaseException) -> Reason:
    """What kind of failure it is."""
    from core.runtime.pool import is_out_of_memory

    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk"
    # torch's writer and safetensors' wrap what the system said.
    if any(words in str(error) for words in ("No space left", "os error 28", "iostream error", "unexpected pos")):
        return "disk"
    if isinstance(error, OutOfMemory) or is_out_of_memory(error):
        return "memory"
    return "request" if isinstance(error, (TallerError, ModelUnavailable)) else "other"


def _step(run: RunFolder) -> int:
    return max((line.get("step", 0) for line in run.progress() if line.get("kind") in ("step", "resumed")), default=0)


def work(run: RunFolder, *, reached: Callable[[str], None] = _nothing, **hooks: Any) -> int:
    """Trains a run to its end, or to where it is stopped; returns the exit code.

    Args:
        run: its folder.
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
        wish = _Wish(run)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: wish.told.set())
        return _work(run, state, wish, reached, hooks)
    finally:
        run.lock.release()


def _work(run: RunFolder, state: State, wish: _Wish, reached: Callable[[str], None], hooks: Mapping[str, Any]) -> int:
    from core.training.tuning.fit import Hooks, Stopped

    try:
        state = replace(state, status="running", reason="", message="", tries=state.tries + 1, reached=_step(run))
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
        run.put(replace(state, status="done"))
        return DONE
    except Stopped:
        run.put(replace(state, status="cancelled" if run.cancelled else "waiting"))
        return DONE if run.cancelled else AGAIN
    except BaseException as error:
        reason = _why(error)
        _log.exception("run %s failed (%s)", run.id, reason)
        message = str(error) if isinstance(error, TallerError) else ""
        with suppress(OSError):  # the exit code says it, too
            run.put(replace(state, status="failed", reason=reason, message=message))
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
        _log.exception("forecast of %s failed (%s)", run.id, reason)
        message = str(error) if isinstance(error, TallerError) else ""
        with suppress(OSError):
            write_text(run.path / "forecast.json", json.dumps({"reason": reason, "message": message}))
        return FAILED[reason]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m core.training.worker", description="Work on one run.")
    parser.add_argument("folder", type=Path, help="the run's folder")
    parser.add_argument("--forecast", action="store_true", help="measure three steps only")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Pages come first: whoever only looks must not wait for somebody else's training.
    with suppress(OSError, AttributeError):
        os.nice(_NICE)
    run = RunFolder(given.folder)
    return measure(run) if given.forecast else work(run)


if __name__ == "__main__":
    sys.exit(main())
