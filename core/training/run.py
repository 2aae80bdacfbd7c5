"""A run's folder: all that is known of a fine-tuning run stands here, and nowhere else.

    request.json   what was asked for, and in which language
    data.json      what it learns from and is measured on
    about.json     name, place in the queue, forecast, and the owner's secret as a hash
    state.json     how it stands
    progress.jsonl a line for each report; a line that was cut is passed over
    cancel         somebody asked that it end
    lock           held by the one process that works on it
    turn.json      whose turn it is, where a cluster may work on it, too
    beat           changes every second while a cluster's process works on it
    checkpoint.pt  the newest checkpoint (and adapt.pt, adapted.pt during domain adaptation)
    model/         the finished model, result.json its figures, log.txt what the process printed

Every file but the last two and ``beat`` is written whole or not at all, so that whoever reads finds the old or the
new one.
"""

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from filelock import FileLock, Timeout

from core.errors import TallerError
from core.i18n import get_language
from core.training.data import DataSet, data_set
from core.training.tuning.request import TuningRequest, tuning_request

Status = Literal["waiting", "running", "done", "cancelled", "failed"]
Reason = Literal["", "disk", "memory", "killed", "request", "other"]

Place = Literal["local", "cluster"]

OVER: Final[frozenset[Status]] = frozenset({"done", "cancelled", "failed"})


@dataclass(frozen=True, slots=True)
class State:
    """How a run stands.

    Attributes:
        status: ``"waiting"`` also for one that was cut and will go on.
        reason: why it failed.
        message: the words for its owner, where ``reason`` alone doesn't say enough.
        tries: how often a process began to work on it.
        reached: the step at which the last process but one ended; two that end at the same step are too many.
    """

    status: Status = "waiting"
    reason: Reason = ""
    message: str = ""
    tries: int = 0
    reached: int = -1


@dataclass(frozen=True, slots=True)
class About:
    """What doesn't change while a run lasts.

    Attributes:
        name: for people.
        place: its place in the queue: lower ones go first.
        owner: SHA-256 of the owner's secret.
        language: of the words that it writes.
        digest: of the data: runs with one digest can be compared.
        created: seconds since 1970, to be shown and for nothing else: clocks jump.
        forecast_s: seconds it should take, ``None`` where nobody measured it.
        forecast_mib: its memory's peak in MiB.
    """

    name: str
    place: int
    owner: str
    language: str
    digest: str
    created: float
    forecast_s: float | None = None
    forecast_mib: float | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is to work on a run. Only the queue gives turns; nobody is known by a host's name or a process id.

    Attributes:
        number: grows with each turn; a worker of an earlier one leaves and writes nothing more.
        place: on the app's machine, or on the cluster.
        open: somebody may be working: on the cluster that isn't seen by the lock alone.
        why: why it is here and not on the cluster, or waits for it: a trouble, ``"elsewhere"`` where the cluster
            doesn't see the folder, ``"pending"`` while it has no room, ``"full"`` where it had none, or nothing.
    """

    number: int = 0
    place: Place = "local"
    open: bool = False
    why: str = ""


def owner_hash(secret: str) -> str:
    """What a folder keeps of an owner's secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def write_text(file: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    partial = file.with_name(f"{file.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


class RunFolder:
    """One run's folder.

    Args:
        path: the folder; its name is the run's id.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = FileLock(path / "lock", thread_local=False)

    @property
    def id(self) -> str:
        """The run's name among others."""
        return self.path.name

    @classmethod
    def create(
        cls, path: Path, request: TuningRequest, data: DataSet, *, name: str, owner: str, place: int
    ) -> "RunFolder":
        """Writes a new run that waits; ``state.json`` comes last, and makes it one.

        Args:
            path: must not exist.
            request: what to do.
            data: what to learn from.
            name: for people.
            owner: the owner's secret.
            place: in the queue.
        """
        path.mkdir(parents=True)
        run = cls(path)
        write_text(path / "request.json", json.dumps(request.to_dict(), ensure_ascii=False))
        write_text(path / "data.json", json.dumps(data.to_dict(), ensure_ascii=False))
        about = About(name, place, owner_hash(owner), get_language(), data.digest, time.time())
        write_text(path / "about.json", json.dumps(asdict(about), ensure_ascii=False))
        run.put(State())
        return run

    # --- what stands in it --------------------------------------------------------------------------------

    def _json(self, name: str) -> dict[str, Any] | None:
        try:
            value = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def _needed(self, name: str) -> dict[str, Any]:
        found = self._json(name)
        if found is None:
            raise TallerError(f"{self.path.name}/{name}")
        return found

    @property
    def request(self) -> TuningRequest:
        """What was asked for.

        Raises:
            TallerError: the file is gone or damaged.
        """
        return tuning_request(self._needed("request.json"))

    @property
    def data(self) -> DataSet:
        """What it learns from.

        Raises:
            TallerError: the file is gone or damaged.
        """
        return data_set(self._needed("data.json"))

    @property
    def about(self) -> About | None:
        """Name, place and owner; ``None`` where the folder holds no whole run."""
        found = self._json("about.json")
        try:
            return About(**found) if found else None
        except TypeError:
            return None

    def note_forecast(self, seconds: float, memory_mib: float) -> None:
        """Keeps what three steps said."""
        about = self.about
        if about is not None:
            changed = replace(about, forecast_s=seconds, forecast_mib=memory_mib)
            write_text(self.path / "about.json", json.dumps(asdict(changed), ensure_ascii=False))

    @property
    def state(self) -> State | None:
        """How it stands; ``None`` where the folder holds no whole run."""
        found = self._json("state.json")
        try:
            return State(**found) if found else None
        except TypeError:
            return None

    @property
    def state_mark(self) -> object:
        """Changes when the state is written, without reading it; ``None`` where there is none."""
        try:
            found = (self.path / "state.json").stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def put(self, state: State) -> None:
        """Writes how it stands."""
        write_text(self.path / "state.json", json.dumps(asdict(state), ensure_ascii=False))

    @property
    def turn(self) -> Turn:
        """Whose turn it is; the first that there is where nobody gave one."""
        found = self._json("turn.json")
        try:
            return Turn(**found) if found else Turn()
        except TypeError:
            return Turn()

    def put_turn(self, turn: Turn) -> None:
        """Gives the turn to somebody."""
        write_text(self.path / "turn.json", json.dumps(asdict(turn)))

    @property
    def result(self) -> dict[str, Any] | None:
        """The figures of a finished run."""
        return self._json("result.json")

    @property
    def model(self) -> Path | None:
        """The folder of the finished model."""
        folder = self.path / "model"
        return folder if (folder / "config.json").is_file() else None

    # --- progress -----------------------------------------------------------------------------------------

    def report(self, line: Mapping[str, Any]) -> None:
        """Adds a line of progress, after the end of one that may have been cut."""
        file = self.path / "progress.jsonl"
        text = json.dumps(line, ensure_ascii=False) + "\n"
        with file.open("a+b") as out:
            out.seek(0, os.SEEK_END)
            if out.tell():
                out.seek(-1, os.SEEK_END)
                if out.read(1) != b"\n":
                    text = "\n" + text
            out.write(text.encode())

    def progress(self) -> list[dict[str, Any]]:
        """All lines in the order in which a run that nobody cut would have written them.

        A run that went on from a checkpoint tells the steps after it once more: the newest telling counts.
        """
        try:
            raw = (self.path / "progress.jsonl").read_bytes()
        except OSError:
            return []
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        for number, text in enumerate(raw.split(b"\n")):
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if not isinstance(line, dict):
                continue
            kind = line.get("kind")
            key: tuple[Any, ...] = (kind, line.get("stage"), line["step"]) if kind in ("step", "epoch") else (number,)
            found[key] = line
        return list(found.values())

    # --- who works on it ----------------------------------------------------------------------------------

    def busy(self) -> bool:
        """Whether a process works on it now. The system frees the lock of one that dies, however it dies."""
        try:
            with FileLock(self.path / "lock", timeout=0, thread_local=False):
                return False
        except Timeout:
            return True
        except OSError:
            return False

    @property
    def beat(self) -> bytes:
        """The last sign of life of a cluster's process; only whether it changes tells anything."""
        try:
            return (self.path / "beat").read_bytes()
        except OSError:
            return b""

    def give_beat(self, mark: bytes) -> None:
        """Writes a sign of life, in the place of the last one: that takes no room on a full disk.

        Args:
            mark: always of one length.
        """
        file = os.open(self.path / "beat", os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.write(file, mark)
        finally:
            os.close(file)

    def cancel(self) -> None:
        """Asks whoever works on it to end."""
        (self.path / "cancel").touch()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked that it end."""
        return (self.path / "cancel").exists()

    def forget_cancel(self) -> None:
        """It may go on."""
        (self.path / "cancel").unlink(missing_ok=True)

    def delete(self) -> None:
        """Takes the folder away; what can't be deleted is no run any more."""
        with suppress(OSError):
            (self.path / "about.json").unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)
