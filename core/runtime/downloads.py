"""Downloads of whole models: a known size, progress, cancel, resumption, and no half model ever used.

The hub's own library throws away what a broken download had brought, so the bytes are fetched here: each file
into ``blobs/HASH.partial`` of the hub's cache, checked against the hash that the hub announces, and renamed.
Only when all files of a model are there does the library link them into a snapshot, in its own layout: what
this module downloads, every other program that uses the hub's cache finds.
"""

import fnmatch
import hashlib
import logging
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from core.catalog import ModelEntry, entries
from core.errors import DownloadFailed
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.runtime.events import Event, events
from core.runtime.hub import cached_snapshot
from core.runtime.loading import locate_model, missing_files, model_files_complete
from core.settings import Settings

if TYPE_CHECKING:
    import hashlib as hashes

    from huggingface_hub import ModelInfo

Status = Literal["idle", "checking", "running", "done", "failed", "cancelled"]
Reason = Literal["offline", "unreachable", "not_found", "gated", "disk", "corrupt", "incomplete", "other"]

MIB: Final = 2**20
# Left free on the disk: a full one breaks more than a download.
SPARE_DISK_BYTES: Final = 64 * MIB
# Tries in a row that bring nothing before a download is given up; what came is kept.
TRIES: Final = 4
AT_ONCE: Final = 2
_LOCK_POLL_S: Final = 0.2
_SPEED_WINDOW_S: Final = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a model on the hub.

    Attributes:
        name: its path in the repository.
        size: in bytes.
        digest: what its content must hash to; it is its name among the cache's blobs, too.
        large: stored as a large file, whose digest is a SHA-256; otherwise it is Git's SHA-1.
    """

    name: str
    size: int
    digest: str
    large: bool


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """What a download would bring.

    Attributes:
        entry: the model.
        commit: the repository's commit.
        files: all files that the model needs.
        total_bytes: their size.
        missing_bytes: what is not on this machine yet.
        free_disk_bytes: space on the cache's disk.
    """

    entry: ModelEntry
    commit: str
    files: tuple[RemoteFile, ...]
    total_bytes: int
    missing_bytes: int
    free_disk_bytes: int


@dataclass(frozen=True, slots=True)
class DownloadState:
    """How a download stands.

    Attributes:
        status: ``"checking"`` while the hub is asked, or another download of the same model or two others
            must end first.
        done_bytes: how much is here, with what was here before.
        total_bytes: how much it will be; 0 while that isn't known.
        bytes_per_second: over the last seconds.
        reason: why it failed.
        detail: a file's name or an error's kind, for the message.
        space: for a full disk: bytes still to come, and bytes free.
        entry: the model.
    """

    status: Status
    entry: ModelEntry
    done_bytes: int = 0
    total_bytes: int = 0
    bytes_per_second: float = 0.0
    reason: Reason | None = None
    detail: str = ""
    space: tuple[int, int] = (0, 0)

    @property
    def active(self) -> bool:
        """Whether it is under way."""
        return self.status in {"checking", "running"}

    @property
    def seconds_left(self) -> float | None:
        """At the speed of the last seconds; ``None`` while that is not known."""
        if self.status != "running" or self.bytes_per_second <= 0:
            return None
        return max(0, self.total_bytes - self.done_bytes) / self.bytes_per_second

    @property
    def message(self) -> str:
        """A sentence in the reader's language: what is going on, or what went wrong and what to do."""
        name = self.entry.name(get_language())
        match self.status:
            case "idle":
                return ""
            case "checking":
                return _("{name}: preguntando al hub cuánto hay que bajar…").format(name=name)
            case "running":
                return _("{name}: {done} de {total} MiB").format(
                    name=name, done=format_number(self.done_bytes / MIB), total=format_number(self.total_bytes / MIB)
                )
            case "done":
                return _("{name} está listo en este equipo.").format(name=name)
            case "cancelled":
                text = _("{name}: descarga detenida. Lo que ya llegó se conserva; al seguir, continúa desde ahí.")
                return text.format(name=name)
            case "failed":
                return failure_sentence(self.reason, self.entry, self.detail, self.space, self.done_bytes > 0)


def failure_sentence(
    reason: Reason | None,
    entry: ModelEntry,
    detail: str = "",
    space: tuple[int, int] = (0, 0),
    some_came: bool = False,
) -> str:
    """What went wrong with a download, and what to do, in the reader's language.

    Args:
        reason: what went wrong.
        entry: the model.
        detail: a file's name or an error's kind.
        space: bytes still to come, and bytes free on the disk.
        some_came: part of it is here, and will be used.
    """
    kept = _("Lo que ya llegó se conserva: al volver a intentarlo, continúa desde ahí.")
    match reason:
        case "offline":
            text = _("{name}: la aplicación trabaja sin conexión (TALLER_OFFLINE o HF_HUB_OFFLINE) y no lo baja.")
        case "unreachable":
            text = _("{name}: el hub de modelos no responde. Revisa la conexión y vuelve a intentarlo.")
        case "not_found":
            text = _("{name}: el hub no tiene (o ya no tiene) «{id}» en esa versión.")
        case "gated":
            text = _("{name}: su página pide aceptar condiciones con una cuenta, y esta aplicación no usa cuentas.")
        case "disk":
            text = _(
                "{name}: no cabe en el disco. Faltan por bajar {missing} MiB y quedan libres {free} MiB. "
                "Libera espacio y vuelve a intentarlo."
            )
        case "corrupt":
            text = _(
                "{name}: lo que llegó de {detail} no coincide con lo que anuncia el hub, y se borró. Prueba de nuevo."
            )
        case "incomplete":
            text = _("{name}: al repositorio le faltan archivos que este modelo necesita: {detail}.")
        case _:
            text = _("{name}: la descarga falló ({detail}).")
    if some_came and reason in {"unreachable", "disk", "other"}:
        text += " " + kept
    missing, free = (format_number(figure / MIB) for figure in space)
    return text.format(name=entry.name(get_language()), id=entry.id, detail=detail, missing=missing, free=free)


class _Stop(Exception):
    """Somebody cancelled."""


class _Failure(Exception):
    def __init__(self, reason: Reason, detail: str = "", space: tuple[int, int] = (0, 0)) -> None:
        super().__init__(f"{reason} {detail}")
        self.reason = reason
        self.detail = detail
        self.space = space


def is_offline(settings: Settings) -> bool:
    """Whether the app must not use the network."""
    return settings.offline or os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}


def _repository_folder(entry: ModelEntry) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=entry.id, repo_type="model")


def _existing(folder: Path) -> Path:
    """The nearest folder that exists, to ask for its disk's free space."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _partial(blobs: Path, file: RemoteFile) -> Path:
    return blobs / f"{file.digest}.partial"


def _bytes_here(blobs: Path, file: RemoteFile) -> int:
    whole = blobs / file.digest
    if whole.is_file() and whole.stat().st_size == file.size:
        return file.size
    partial = _partial(blobs, file)
    return min(partial.stat().st_size, file.size) if partial.is_file() else 0


def _new_hash(file: RemoteFile) -> "hashes._Hash":
    if file.large:
        return hashlib.sha256()
    # Git's blob hash: the length goes in before the content.
    digest = hashlib.sha1(usedforsecurity=False)
    digest.update(f"blob {file.size}\0".encode())
    return digest


def _hash_of(path: Path, file: RemoteFile) -> "hashes._Hash":
    digest = _new_hash(file)
    with path.open("rb") as content:
        while chunk := content.read(4 * MIB):
            digest.update(chunk)
    return digest


class _Job:
    """One download: its thread's state and the wish to stop it."""

    def __init__(self, entry: ModelEntry) -> None:
        self.state = DownloadState("checking", entry)
        self.stop = threading.Event()
        self.over = threading.Event()
        self.marks: deque[tuple[float, int]] = deque()

    def progress(self, done: int) -> None:
        now = time.monotonic()
        if not self.marks or now - self.marks[-1][0] >= 0.1:
            self.marks.append((now, done))
            while now - self.marks[0][0] > _SPEED_WINDOW_S:
                self.marks.popleft()
        since, before = self.marks[0]
        speed = (done - before) / (now - since) if now - since > 0.2 else self.state.bytes_per_second
        self.state = replace(self.state, status="running", done_bytes=done, bytes_per_second=speed)

    def fail(self, reason: Reason, detail: str = "", space: tuple[int, int] = (0, 0)) -> None:
        self.state = replace(
            self.state, status="failed", reason=reason, detail=detail, space=space, bytes_per_second=0.0
        )


class DownloadManager:
    """The process's downloads; safe to use from any thread, and beside other processes.

    Args:
        settings: offline, time-out.
        endpoint: the hub's address, if not the default one (a mirror, or a test's own server).
    """

    def __init__(self, settings: Settings, endpoint: str | None = None) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()
        self._turns = threading.Semaphore(AT_ONCE)

    # --- what others call ---------------------------------------------------------------------------------

    def plan(self, entry: ModelEntry) -> DownloadPlan:
        """Asks the hub what a download would bring. Takes a request to the network.

        Raises:
            DownloadFailed: the hub can't be asked, doesn't have the model, or lacks files of it.
        """
        return self.plan_and_info(entry)[0]

    def plan_and_info(self, entry: ModelEntry) -> tuple[DownloadPlan, "ModelInfo"]:
        """``plan``, with all that the hub's page says of the model.

        Raises:
            DownloadFailed: as ``plan``.
        """
        try:
            return self._plan(entry)
        except _Failure as failure:
            sentence = failure_sentence(failure.reason, entry, failure.detail, failure.space)
            raise DownloadFailed(sentence) from failure

    @staticmethod
    def unreachable(error: DownloadFailed) -> bool:
        """Whether a plan failed for want of a network, and not because of the model."""
        return isinstance(error.__cause__, _Failure) and error.__cause__.reason in {"unreachable", "offline"}

    @staticmethod
    def free_disk_bytes() -> int:
        """Space on the disk of the hub's cache, in bytes."""
        from huggingface_hub import constants

        return shutil.disk_usage(_existing(Path(constants.HF_HUB_CACHE))).free

    def start(self, entry: ModelEntry) -> DownloadState:
        """Begins to download a model in the background, or joins the download that is under way."""
        with self._lock:
            job = self._jobs.get(entry.key)
            if job is not None and not job.over.is_set() and not job.stop.is_set():
                return job.state
            before, job = job, _Job(entry)
            self._jobs[entry.key] = job
        threading.Thread(target=self._run, args=(job, before), name=f"download-{entry.key}", daemon=True).start()
        return job.state

    def state(self, entry: ModelEntry) -> DownloadState:
        """How the download of ``entry`` stands."""
        with self._lock:
            job = self._jobs.get(entry.key)
        return job.state if job else DownloadState("idle", entry)

    def states(self) -> dict[str, DownloadState]:
        """All downloads of this process, by the model's key."""
        with self._lock:
            return {key: job.state for key, job in self._jobs.items()}

    def cancel(self, entry: ModelEntry) -> None:
        """Stops a download; what came is kept for the next time."""
        with self._lock:
            job = self._jobs.get(entry.key)
        if job is not None and not job.over.is_set():
            job.stop.set()
            job.state = replace(job.state, status="cancelled", bytes_per_second=0.0)

    def wait(self, entry: ModelEntry, timeout: float | None = None) -> DownloadState:
        """Waits until the download of ``entry`` is over, or ``timeout`` seconds have passed."""
        with self._lock:
            job = self._jobs.get(entry.key)
        if job is not None:
            job.over.wait(timeout)
        return self.state(entry)

    # --- one download -------------------------------------------------------------------------------------

    def _run(self, job: _Job, before: _Job | None) -> None:
        entry = job.state.entry
        try:
            if before is not None:
                before.over.wait()
            self._fetch(job, entry)
            events().add(Event("download", entry.key, job.state.total_bytes, "disk"))
        except _Stop:
            job.state = replace(job.state, status="cancelled", bytes_per_second=0.0)
        except _Failure as failure:
            _log.warning("download of %s failed: %s", entry.id, failure)
            job.fail(failure.reason, failure.detail, failure.space)
        except Exception as error:  # whatever happens in a thread, the page must hear of it
            _log.exception("download of %s failed", entry.id)
            job.fail("other", type(error).__name__)
        finally:
            job.over.set()

    def _fetch(self, job: _Job, entry: ModelEntry) -> None:
        plan, _info = self._plan(entry)
        job.state = replace(job.state, total_bytes=plan.total_bytes)
        folder = _repository_folder(entry)
        blobs = folder / "blobs"
        try:
            blobs.mkdir(parents=True, exist_ok=True)
            with self._turn(job), _only_process(folder, job):
                self._check_disk(plan, blobs)
                for file in plan.files:
                    done = sum(_bytes_here(blobs, other) for other in plan.files)
                    job.progress(done)
                    self._bring(job, plan, file, blobs)
                self._link(plan)
                snapshot = cached_snapshot(entry.id, entry.weights.revision if entry.weights else None)
                if snapshot is None or not model_files_complete(snapshot, entry):
                    lacking = ", ".join(missing_files(snapshot, entry)) if snapshot else entry.id
                    raise _Failure("incomplete", lacking)
                # Before the next one in line begins, or a moment's look would see one too many running.
                job.state = replace(job.state, status="done", done_bytes=job.state.total_bytes, bytes_per_second=0.0)
        except OSError as error:
            if error.errno in {28, 122}:  # ENOSPC, EDQUOT
                raise _Failure("disk", space=self._space(plan, blobs)) from error
            raise

    @contextmanager
    def _turn(self, job: _Job) -> Iterator[None]:
        while not self._turns.acquire(timeout=_LOCK_POLL_S):
            _heed(job)
        try:
            yield
        finally:
            self._turns.release()

    def _plan(self, entry: ModelEntry) -> tuple[DownloadPlan, "ModelInfo"]:
        if entry.weights is None or not entry.weights.files:
            raise _Failure("not_found")
        if is_offline(self._settings):
            raise _Failure("offline")
        info = self._ask_hub(entry)
        if info.gated:
            raise _Failure("gated")
        files = tuple(
            RemoteFile(
                sibling.rfilename,
                int(sibling.size or 0),
                sibling.lfs.sha256 if sibling.lfs else str(sibling.blob_id),
                sibling.lfs is not None,
            )
            for sibling in info.siblings or ()
            if any(fnmatch.fnmatchcase(sibling.rfilename, pattern) for pattern in entry.weights.files)
        )
        suffix = ".bin" if entry.weights.format == "bin" else ".safetensors"
        if not any(file.name.endswith(suffix) for file in files):
            raise _Failure("incomplete", f"*{suffix}")
        blobs = _repository_folder(entry) / "blobs"
        total = sum(file.size for file in files)
        plan = DownloadPlan(
            entry=entry,
            commit=str(info.sha),
            files=files,
            total_bytes=total,
            missing_bytes=total - sum(_bytes_here(blobs, file) for file in files),
            free_disk_bytes=shutil.disk_usage(_existing(blobs)).free,
        )
        return plan, info

    def _ask_hub(self, entry: ModelEntry) -> "ModelInfo":
        from huggingface_hub import HfApi
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

        assert entry.weights is not None
        try:
            return HfApi(endpoint=self._endpoint).model_info(
                entry.id, revision=entry.weights.revision, timeout=self._settings.hub_timeout, files_metadata=True
            )
        except GatedRepoError as error:
            raise _Failure("gated") from error
        except (RepositoryNotFoundError, RevisionNotFoundError) as error:
            raise _Failure("not_found") from error
        except Exception as error:
            _log.info("the hub could not be asked about %s: %s: %s", entry.id, type(error).__name__, error)
            raise _Failure("unreachable") from error

    def _space(self, plan: DownloadPlan, blobs: Path) -> tuple[int, int]:
        missing = plan.total_bytes - sum(_bytes_here(blobs, file) for file in plan.files)
        return missing, shutil.disk_usage(_existing(blobs)).free

    def _check_disk(self, plan: DownloadPlan, blobs: Path) -> None:
        missing, free = self._space(plan, blobs)
        if missing and free < missing + SPARE_DISK_BYTES:
            raise _Failure("disk", space=(missing, free))

    def _bring(self, job: _Job, plan: DownloadPlan, file: RemoteFile, blobs: Path) -> None:
        """Makes sure that a file is among the blobs, whole and with the right content."""
        whole, partial = blobs / file.digest, _partial(blobs, file)
        if whole.is_file():
            if _hash_of(whole, file).hexdigest() == file.digest:
                return
            _log.warning("%s of %s is damaged in the cache: fetching it again", file.name, plan.entry.id)
            whole.unlink()
        tries = 0
        while True:
            _heed(job)
            size = partial.stat().st_size if partial.is_file() else 0
            if size > file.size:
                partial.unlink()
                size = 0
            if size == file.size and partial.is_file():
                break
            try:
                self._stream(job, plan, file, partial, size)
            except _Failure:
                raise
            except Exception as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise  # the disk's, not the network's
                came = (partial.stat().st_size if partial.is_file() else 0) - size
                tries = 0 if came > 0 else tries + 1
                _log.info("%s of %s: %s: %s", file.name, plan.entry.id, type(error).__name__, error)
                if tries >= TRIES:
                    raise _Failure("unreachable") from error
                job.stop.wait(min(8.0, 0.25 * 2**tries))
        if _hash_of(partial, file).hexdigest() != file.digest:
            partial.unlink()
            raise _Failure("corrupt", file.name)
        partial.replace(whole)

    def _stream(self, job: _Job, plan: DownloadPlan, file: RemoteFile, partial: Path, size: int) -> None:
        """Appends to ``partial`` from byte ``size`` on, as far as the connection holds."""
        from huggingface_hub import get_session, hf_hub_url
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

        # Unpacked content would not have the length, nor the ranges, that the hub announces.
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        if size:
            headers["Range"] = f"bytes={size}-"
        url = hf_hub_url(plan.entry.id, file.name, revision=plan.commit, endpoint=self._endpoint)
        before = job.state.done_bytes - size
        with get_session().stream("GET", url, headers=headers, timeout=self._settings.hub_timeout) as response:
            if response.status_code in {401, 403}:
                raise _Failure("gated")
            if response.status_code == 404:
                raise _Failure("not_found")
            hf_raise_for_status(response)
            if size and response.status_code != 206:
                # The server doesn't know ranges: from the beginning, then.
                before, size = before + size, 0
                job.progress(before)
            with partial.open("ab" if size else "wb") as out:
                # As it comes: pieces of a fixed size would be lost with the connection until they are full.
                for chunk in response.iter_raw():
                    _heed(job)
                    out.write(chunk)
                    size += len(chunk)
                    job.progress(before + min(size, file.size))
        if not file.size:
            partial.touch()
        if size < file.size:
            raise ConnectionError(f"the connection ended at {size} of {file.size} bytes")

    def _link(self, plan: DownloadPlan) -> None:
        """Lets the hub's library make the snapshot out of the blobs, which it finds in place."""
        from huggingface_hub import hf_hub_download

        assert plan.entry.weights is not None
        for file in plan.files:
            try:
                hf_hub_download(
                    plan.entry.id,
                    file.name,
                    revision=plan.entry.weights.revision,
                    endpoint=self._endpoint,
                    etag_timeout=self._settings.hub_timeout,
                )
            except OSError as error:
                raise _Failure("unreachable" if error.errno is None else "other", file.name) from error


def _heed(job: _Job) -> None:
    if job.stop.is_set():
        raise _Stop


@contextmanager
def _only_process(folder: Path, job: _Job) -> Iterator[None]:
    """Lets one process at a time download into a repository's folder. The system frees a dead one's lock."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder.parent / ".locks" / folder.name / "taller.lock")
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    while True:
        _heed(job)
        try:
            lock.acquire(timeout=_LOCK_POLL_S)
            break
        except Timeout:
            continue
    try:
        yield
    finally:
        lock.release()


def missing_entries(settings: Settings, wanted: "list[ModelEntry] | None" = None) -> list[ModelEntry]:
    """Those of ``wanted`` (by default all of the catalogue) that can be downloaded and aren't on this machine."""
    candidates = wanted if wanted is not None else list(entries().values())
    return [
        entry
        for entry in candidates
        if entry.weights is not None and entry.weights.files and locate_model(entry, settings) is None
    ]
