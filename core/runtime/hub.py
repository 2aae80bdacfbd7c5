"""Finding a model's files on this machine, and fetching them from the hub in the background.

Order of search: what ships with the app, ``TALLER_MODELS_DIR``, the hub's local cache. The network is
only ever used by a ``Fetcher``, in threads of its own, so that no page waits for it.
"""

import importlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from core.catalog import MODELS_FOLDER, ModelEntry
from core.settings import Settings

# BETO and others hold only pytorch_model.bin; transformers would ask a conversion service about it.
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

Source = Literal["embedded", "models_dir", "hub_cache", "memory"]
FailureReason = Literal["offline", "unreachable", "not_found", "incomplete", "disk", "other"]

# Any one of these sets of files holds a whole tokenizer.
_TOKENIZER_FILES: Final = (("tokenizer.json",), ("vocab.txt",), ("vocab.json", "merges.txt"))
# Without its options file a BERT tokenizer would silently lower-case and strip accents.
_OPTIONS_FILE: Final = "tokenizer_config.json"
RETRY_AFTER_S: Final = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Located:
    """A folder on this machine that holds a model's files, and where it was found."""

    folder: Path
    source: Source


@dataclass(frozen=True, slots=True)
class FetchState:
    """How the fetching of one model's files stands.

    Attributes:
        status: ``"idle"`` (never asked for), ``"running"``, ``"done"`` or ``"failed"``.
        reason: why it failed; ``None`` otherwise.
        since: when it came into this state, in seconds of ``time.monotonic``.
    """

    status: Literal["idle", "running", "done", "failed"]
    reason: FailureReason | None = None
    since: float = 0.0


def has_tokenizer(folder: Path) -> bool:
    """Whether ``folder`` holds all the files of a tokenizer, none of them empty."""

    def whole(name: str) -> bool:
        file = folder / name
        return file.is_file() and file.stat().st_size > 0

    return whole(_OPTIONS_FILE) and any(all(map(whole, names)) for names in _TOKENIZER_FILES)


def embedded_folder(entry: ModelEntry) -> Path | None:
    """The folder of a model that ships with the app or with its pip requirements."""
    if entry.embedded is None:
        return None
    kind, _, name = entry.embedded.partition(":")
    if kind == "core":
        return MODELS_FOLDER / name
    if kind == "folder":
        return Path(name)
    return Path(importlib.import_module(name).MODEL_DIR)


def cached_snapshot(model_id: str, revision: str | None = None) -> Path | None:
    """The hub cache's snapshot of ``revision`` (``None``: the current ``main``), without touching the network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(model_id, revision=revision, local_files_only=True, allow_patterns=["*.json", "*.txt"])
        )
    except (LocalEntryNotFoundError, OSError, ValueError):
        return None


def locate(entry: ModelEntry, settings: Settings, complete: Callable[[Path], bool] = has_tokenizer) -> Located | None:
    """Finds a folder that holds the files of ``entry``; never contacts the hub.

    Args:
        entry: the model.
        settings: for ``models_dir``.
        complete: tells whether a folder holds all that is needed; half-copied folders are passed over.
    """
    folder = embedded_folder(entry)
    if folder and complete(folder):
        return Located(folder, "embedded")
    if settings.models_dir:
        folder = settings.models_dir.joinpath(*entry.id.split("/"))
        if complete(folder):
            return Located(folder, "models_dir")
    if entry.tier == "reference":
        snapshot = cached_snapshot(entry.id)
        if snapshot and complete(snapshot):
            return Located(snapshot, "hub_cache")
    return None


def _failure_reason(error: BaseException) -> FailureReason:
    from huggingface_hub import errors

    if isinstance(error, (errors.RepositoryNotFoundError, errors.RevisionNotFoundError)):
        return "not_found"
    if isinstance(error, errors.LocalEntryNotFoundError):
        # The hub library wraps every connection trouble in this one.
        return "unreachable"
    if isinstance(error, OSError) and error.errno in {28, 122}:  # ENOSPC, EDQUOT
        return "disk"
    if isinstance(error, errors.EntryNotFoundError):
        return "not_found"
    if isinstance(error, (TimeoutError, ConnectionError)) or "connect" in type(error).__name__.lower():
        return "unreachable"
    return "other"


class Fetcher:
    """Fetches models' small files in the background: one thread a model, however many people ask.

    A failure is remembered for ``RETRY_AFTER_S`` so that a page that asks on every rerun doesn't knock
    at a dead hub each time; ``start(entry, force=True)`` (the "try again" button) forgets it.
    """

    def __init__(self, settings: Settings, endpoint: str | None = None) -> None:
        """Creates a fetcher.

        Args:
            settings: for ``offline`` and ``hub_timeout``.
            endpoint: the hub's address, if not the default one (a mirror, or a test's own server).
        """
        self._settings = settings
        self._endpoint = endpoint
        self._states: dict[str, FetchState] = {}
        self._changed = threading.Condition()

    def state(self, entry: ModelEntry) -> FetchState:
        """How the fetching of ``entry`` stands."""
        with self._changed:
            return self._states.get(entry.key, FetchState("idle"))

    def start(self, entry: ModelEntry, *, force: bool = False) -> FetchState:
        """Begins to fetch the tokenizer files of ``entry`` unless that is under way, done or just failed."""
        with self._changed:
            now = time.monotonic()
            state = self._states.get(entry.key, FetchState("idle"))
            fresh_failure = state.status == "failed" and now - state.since < RETRY_AFTER_S and not force
            if state.status in {"running", "done"} or fresh_failure:
                return state
            if self._settings.offline or os.environ.get("HF_HUB_OFFLINE", "").lower() in {
                "1",
                "true",
                "yes",
                "on",
            }:
                state = FetchState("failed", "offline", now)
            else:
                state = FetchState("running", since=now)
                threading.Thread(target=self._fetch, args=(entry,), name=f"fetch-{entry.key}", daemon=True).start()
            self._states[entry.key] = state
            return state

    def wait(self, wanted: Iterable[ModelEntry], seconds: float) -> bool:
        """Waits until none of ``wanted`` is being fetched; tells whether that came.

        Args:
            wanted: the models.
            seconds: how long at most, counted from the beginning of each fetch, so that one who comes
                again while it goes on is not held up again.
        """
        keys = [entry.key for entry in wanted]

        def running() -> list[FetchState]:
            states = (self._states.get(key, FetchState("idle")) for key in keys)
            return [state for state in states if state.status == "running"]

        with self._changed:
            begun = max((state.since for state in running()), default=0.0)
            left = max(0.0, begun + seconds - time.monotonic())
            return self._changed.wait_for(lambda: not running(), timeout=left)

    def _fetch(self, entry: ModelEntry) -> None:
        state: FetchState
        try:
            from huggingface_hub import constants, snapshot_download

            constants.HF_HUB_DOWNLOAD_TIMEOUT = max(1, round(self._settings.hub_timeout))
            folder = Path(
                snapshot_download(
                    entry.id,
                    allow_patterns=list(entry.tokenizer.files),
                    etag_timeout=self._settings.hub_timeout,
                    endpoint=self._endpoint,
                )
            )
            state = FetchState("done") if has_tokenizer(folder) else FetchState("failed", "incomplete")
        except Exception as error:  # whatever the network does, the page must hear of it
            state = FetchState("failed", _failure_reason(error))
            _log.warning("fetching %s failed: %s: %s", entry.id, type(error).__name__, error)
        with self._changed:
            self._states[entry.key] = FetchState(state.status, state.reason, time.monotonic())
            self._changed.notify_all()
