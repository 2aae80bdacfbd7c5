"""SNIPS' seven intents with slots (Coucke et al., 2018, https://arxiv.org/abs/1805.10190), downloaded when asked for.

Published by Snips, today Sonos, under CC0 1.0 at https://github.com/sonos/nlu-benchmark (2017-06-custom-intent-engines)
for each intent a file of about 2,000 utterances to learn from and one of 100 to measure on. They are kept in the data
folder as ``snips/train.jsonl`` and ``snips/validation.jsonl``, where one may also put them by hand (``.xz``, too).
"""

import http.client
import json
import logging
import lzma
import os
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from core.errors import DownloadFailed, InputInvalid, ModelUnavailable
from core.i18n import format_number
from core.i18n import gettext as _
from core.runtime.downloads import is_offline
from core.settings import Settings
from core.tables import decode
from core.training import slots
from core.training.data import DataSet, Labelled, Tagged, TuningTask, tag_list

SOURCE: Final = "https://github.com/sonos/nlu-benchmark"
LICENCE: Final = "CC0-1.0"
BASE: Final = "https://raw.githubusercontent.com/sonos/nlu-benchmark/master/2017-06-custom-intent-engines"
# Intent → utterances to learn from; to measure on there are 100 of each.
TRAIN: Final = {
    "AddToPlaylist": 1942,
    "BookRestaurant": 1973,
    "GetWeather": 2000,
    "PlayMusic": 2000,
    "RateBook": 1956,
    "SearchCreativeWork": 1954,
    "SearchScreeningEvent": 1959,
}
TEST_EACH: Final = 100
# The largest file has about 1 MiB.
MAX_FILE_BYTES: Final = 8 * 2**20
_CHUNK: Final = 64 * 1024
_PARTS: Final = ("train", "validation")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """One utterance.

    Attributes:
        text: as it was written, sometimes with spaces at its ends.
        intent: such as ``"PlayMusic"``.
        slots: by position in ``text``.
    """

    text: str
    intent: str
    slots: tuple[slots.Slot, ...]


# --- what is on this machine ------------------------------------------------------------------------------


def _file(folder: Path, part: str) -> Path | None:
    return next((path for end in ("", ".xz") if (path := folder / f"{part}.jsonl{end}").is_file()), None)


def snips_folder(settings: Settings) -> Path:
    """Where the set is, or will be."""
    return settings.data_folder / "snips"


def is_here(settings: Settings) -> bool:
    """Whether both parts are on this machine."""
    return all(_file(snips_folder(settings), part) for part in _PARTS)


@lru_cache(maxsize=4)
def _read(path: Path, _changed: float) -> tuple[Row, ...]:
    data = path.read_bytes()
    text = (lzma.decompress(data) if path.suffix == ".xz" else data).decode()
    rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    return tuple(Row(row["text"], row["intent"], tuple(slots.Slot(*slot) for slot in row["slots"])) for row in rows)


def read_folder(folder: Path) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """What to learn from and what to measure on.

    Args:
        folder: has ``train.jsonl`` and ``validation.jsonl``, or the same with ``.xz``.

    Raises:
        ModelUnavailable: a part isn't there.
        InputInvalid: a file is damaged.
    """
    found = []
    for part in _PARTS:
        path = _file(folder, part)
        if path is None:
            raise ModelUnavailable(
                _("SNIPS no está en este equipo. Bájalo con el botón, o copia sus archivos en «{folder}».").format(
                    folder=folder
                )
            )
        try:
            found.append(_read(path, path.stat().st_mtime))
        except (OSError, EOFError, ValueError, KeyError, TypeError, lzma.LZMAError) as error:
            raise InputInvalid(
                _("El archivo «{name}» de SNIPS está dañado. Bórralo y vuelve a bajarlo.").format(name=path.name)
            ) from error
    return found[0], found[1]


def snips_data(task: TuningTask, settings: Settings) -> DataSet:
    """The set for classification (intents) or entities (slots), divided as it was published.

    Raises:
        ValueError: it has no questions.
        ModelUnavailable: it isn't on this machine.
        InputInvalid: it is damaged.
    """
    if task == "questions":
        raise ValueError(task)
    parts = read_folder(snips_folder(settings))
    about = ("SNIPS", "en", SOURCE, LICENCE)
    if task == "classification":
        intents = tuple(sorted({row.intent for row in parts[0]}))
        place = {name: index for index, name in enumerate(intents)}
        sides = [tuple(Labelled(row.text.strip(), place[row.intent]) for row in part) for part in parts]
        return DataSet(task, *about, sides[0], sides[1], intents)
    tagged: list[tuple[Tagged, ...]] = [tuple(slots.tag(row.text, row.slots) for row in part) for part in parts]
    kinds = sorted({slot.name for row in parts[0] for slot in row.slots})
    return DataSet(task, *about, tagged[0], tagged[1], tag_list(kinds))


# --- the published files ----------------------------------------------------------------------------------


def published(value: Any, intent: str) -> Iterator[Row]:
    """The utterances of a published file: pieces of text, some with the name of an entity.

    Args:
        value: ``{intent: [{"data": [{"text": …, "entity": …}, …]}, …]}``.
        intent: the file's.

    Raises:
        KeyError, TypeError: it has another layout.
    """
    for item in value[intent]:
        text, found = "", []
        for piece in item["data"]:
            start = len(text)
            text += piece["text"]
            if "entity" in piece:
                # White space at an entity's ends is not part of it.
                left = start + len(piece["text"]) - len(piece["text"].lstrip())
                right = start + len(piece["text"].rstrip())
                if left < right:
                    found.append(slots.Slot(piece["entity"], left, right))
        yield Row(text, intent, tuple(found))


def _line(row: Row) -> str:
    cells = [[slot.name, slot.start, slot.end] for slot in row.slots]
    return json.dumps({"text": row.text, "intent": row.intent, "slots": cells}, ensure_ascii=False) + "\n"


Reason = Literal["offline", "unreachable", "answered", "cut", "wrong", "disk", "other"]


class SnipsFailed(DownloadFailed):
    """The set could not be downloaded.

    Attributes:
        reason: why.
        detail: a file's name, the server's answer …
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(failure_sentence(reason, detail))


def failure_sentence(reason: Reason, detail: str) -> str:
    """What went wrong and what to do, in the reader's language."""
    match reason:
        case "offline":
            text = _("La aplicación trabaja sin conexión (TALLER_OFFLINE) y no baja SNIPS. Usa nuestros datos.")
        case "unreachable":
            text = _("SNIPS: no hay conexión con github.com. Revisa la red y prueba de nuevo, o usa nuestros datos.")
        case "answered":
            text = _("SNIPS: el servidor respondió {detail}. Quizá lo cambiaron de sitio; se publica en {source}.")
        case "cut":
            text = _("La descarga de SNIPS se cortó. Vuelve a intentarlo.")
        case "wrong":
            text = _("SNIPS: lo que llegó de «{detail}» no es lo que se publicó, y no lo guardé. Prueba más tarde.")
        case "disk":
            text = _(
                "SNIPS no se pudo guardar ({detail}). Libera espacio en el disco, o elige otra carpeta con "
                "TALLER_DATA_DIR."
            )
        case _:
            text = _("La descarga de SNIPS falló ({detail}).")
    return text.format(detail=detail, source=SOURCE)


class Cancelled(Exception):
    """Somebody stopped the download."""


def _bring(url: str, timeout: float, stop: Callable[[], bool]) -> bytes:
    """A file of at most ``MAX_FILE_BYTES``.

    Raises:
        SnipsFailed: it can't be had, or it is larger.
        Cancelled: ``stop`` answered true.
    """
    name = url.rpartition("/")[2]
    data = bytearray()
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            while chunk := answer.read(_CHUNK):
                if stop():
                    raise Cancelled
                data += chunk
                if len(data) > MAX_FILE_BYTES:
                    raise SnipsFailed("wrong", name)
            announced = answer.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        raise SnipsFailed("answered", str(error.code)) from error
    except (OSError, http.client.HTTPException) as error:
        raise SnipsFailed("cut" if data else "unreachable") from error
    if announced and len(data) != int(announced):
        raise SnipsFailed("cut")
    return bytes(data)


def download(
    settings: Settings,
    *,
    base: str = BASE,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Brings the 14 files, checks them, and puts both parts in place at once.

    Args:
        settings: where to, the time-out, and whether the network may be used.
        base: address of the folder with the files.
        progress: called with files brought and files in all.
        stop: asked now and then; true ends it.

    Raises:
        SnipsFailed: offline, unreachable, not what was published, or the disk is full; nothing is left behind.
        Cancelled: ``stop`` answered true.
    """
    if is_offline(settings):
        raise SnipsFailed("offline")
    parts: dict[str, list[Row]] = {part: [] for part in _PARTS}
    wanted = [
        (part, intent, f"{base}/{intent}/{name.format(intent)}")
        for part, name in (("train", "train_{}_full.json"), ("validation", "validate_{}.json"))
        for intent in TRAIN
    ]
    for number, (part, intent, url) in enumerate(wanted):
        if progress is not None:
            progress(number, len(wanted))
        data = _bring(url, settings.hub_timeout, stop)
        try:
            # Some of the files are in Latin-1.
            rows = list(published(json.loads(decode(data)[0]), intent))
        except (InputInvalid, ValueError, KeyError, TypeError, RecursionError) as error:
            raise SnipsFailed("wrong", url.rpartition("/")[2]) from error
        if len(rows) != (TRAIN[intent] if part == "train" else TEST_EACH):
            raise SnipsFailed("wrong", url.rpartition("/")[2])
        parts[part] += rows
    _write(snips_folder(settings), parts)
    if progress is not None:
        progress(len(wanted), len(wanted))


def _write(folder: Path, parts: dict[str, list[Row]]) -> None:
    """Both parts: first to names of their own, then renamed; the second name makes the set complete."""
    written: list[tuple[Path, Path]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part, rows in parts.items():
            handle, name = tempfile.mkstemp(dir=folder, prefix=f".{part}-")
            written.append((Path(name), folder / f"{part}.jsonl"))
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.writelines(map(_line, rows))
                out.flush()
                os.fsync(out.fileno())
        for own, final in written:
            own.replace(final)
    except OSError as error:
        for own, _final in written:
            with suppress(OSError):
                own.unlink(missing_ok=True)
        raise SnipsFailed("disk", error.strerror or type(error).__name__) from error


Status = Literal["idle", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class FetchState:
    """How the download stands.

    Attributes:
        status: what is going on.
        done: files brought.
        total: files in all.
        error: why it failed.
    """

    status: Status = "idle"
    done: int = 0
    total: int = 2 * len(TRAIN)
    error: SnipsFailed | None = None

    @property
    def message(self) -> str:
        """What is going on, in the reader's language; empty where nothing is."""
        match self.status:
            case "running":
                return _("SNIPS: {done} de {total} archivos").format(
                    done=format_number(self.done), total=format_number(self.total)
                )
            case "cancelled":
                return _("Descarga de SNIPS detenida.")
            case "failed" if self.error is not None:
                # Anew: whoever reads it may have another language than whoever began.
                return failure_sentence(self.error.reason, self.error.detail)
            case _:
                return ""


class SnipsFetcher:
    """The process's download of the set, of which there is one at a time; safe to use from any thread.

    Args:
        settings: where to, the time-out, and whether the network may be used.
        base: address of the folder with the files.
    """

    def __init__(self, settings: Settings, base: str = BASE) -> None:
        self._settings = settings
        self._base = base
        self._lock = threading.Lock()
        self._state = FetchState()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def state(self) -> FetchState:
        """How the download stands; one that was done before this process began is done."""
        with self._lock:
            state = self._state
        return FetchState("done") if state.status != "running" and is_here(self._settings) else state

    def start(self) -> None:
        """Begins, unless it is under way or done."""
        with self._lock:
            if self._state.status == "running" or is_here(self._settings):
                return
            self._stop = threading.Event()
            self._state = FetchState("running")
            self._thread = threading.Thread(target=self._run, args=(self._stop,), name="snips", daemon=True)
            self._thread.start()

    def cancel(self) -> None:
        """Ends it soon."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> FetchState:
        """Waits for its end, or ``timeout`` seconds."""
        if self._thread is not None:
            self._thread.join(timeout)
        return self.state()

    def _run(self, stop: threading.Event) -> None:
        def report(done: int, total: int) -> None:
            with self._lock:
                self._state = FetchState("running", done, total)

        try:
            download(self._settings, base=self._base, progress=report, stop=stop.is_set)
            state = FetchState("done")
        except Cancelled:
            state = FetchState("cancelled")
        except SnipsFailed as error:
            state = FetchState("failed", error=error)
        except Exception as error:  # whatever happens in a thread, the page must hear of it
            _log.exception("download of SNIPS failed")
            state = FetchState("failed", error=SnipsFailed("other", type(error).__name__))
        with self._lock:
            self._state = state
