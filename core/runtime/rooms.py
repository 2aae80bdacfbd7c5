"""Rooms: the guesses of a class come together under a code, without names.

In memory alone, and then a room is gone with the process; or, where several copies of the app share a folder, in a
file there, so that a class may be spread over them. A room is gone when nobody has used it for three hours.
"""

import logging
import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import InputInvalid, QueueFull
from core.i18n import gettext as _

# Without what is mistaken for something else on a projected page: I and 1, O and 0.
ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
CODE_LENGTH: Final = 4
LIVES_S: Final = 3 * 3600.0
MOST_ROOMS: Final = 100
MOST_QUESTIONS: Final = 20
MOST_PEOPLE: Final = 300
MOST_CHARACTERS: Final = 40
# A full house may make room by closing a room that has been silent for so long.
_SILENT_S: Final = 20 * 60.0
# A room that is looked at every two seconds is written down as used once a minute.
_NOTED_S: Final = 60.0
# So long one copy waits for another that is writing.
_WAIT_S: Final = 3.0
# ``turn`` counts upwards: of a room's questions, the one that was guessed last has the highest.
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS room (code TEXT PRIMARY KEY, used REAL NOT NULL);
CREATE TABLE IF NOT EXISTS guess (
    code TEXT NOT NULL, question TEXT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, turn INTEGER NOT NULL,
    PRIMARY KEY (code, question, who)
);
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tally:
    """The guesses at one question.

    Attributes:
        people: how many guessed.
        counts: each guess and how often it was made, the most frequent first; guesses that differ in case alone
            count together, as the first was written.
    """

    people: int
    counts: tuple[tuple[str, int], ...]


def tidy_code(text: str) -> str:
    """A code as somebody may type it, as rooms know it."""
    return "".join(character for character in text.upper() if character.isalnum())


class Rooms:
    """The rooms of a process, or of all that share a folder; safe to use from many sessions at once.

    Args:
        folder: where the copies of the app keep them together; ``None`` for memory alone.
        clock: seconds; by default those since 1970, which the copies have in common.
    """

    def __init__(self, folder: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._folder = folder
        self._lock = threading.Lock()
        self._kept: sqlite3.Connection | None = None

    def open(self) -> str:
        """Opens a room and returns its code.

        Raises:
            QueueFull: there are as many rooms as are kept, or the file can't be written now.
        """
        with self._changing() as rows:
            rooms = dict(rows.execute("SELECT code, used FROM room ORDER BY used"))
            if len(rooms) >= MOST_ROOMS:
                oldest, used = next(iter(rooms.items()))
                if self._clock() - used < _SILENT_S:
                    raise QueueFull(_("Hay demasiadas salas abiertas ahora mismo. Prueba dentro de unos minutos."))
                _close(rows, [oldest])
            while (code := "".join(secrets.choice(ALPHABET) for _n in range(CODE_LENGTH))) in rooms:
                pass
            rows.execute("INSERT INTO room VALUES (?, ?)", (code, self._clock()))
            return code

    def __contains__(self, code: str) -> bool:
        """Whether the room is open."""
        with self._looking() as rows:
            return self._used(rows, code) is not None

    def guess(self, code: str, question: str, who: str, what: str) -> None:
        """Counts a guess; whoever guesses the same question again changes theirs.

        Args:
            code: the room.
            question: which question; whoever sees the same one has the same.
            who: a random mark of the session.
            what: the guess; cut at ``MOST_CHARACTERS``.

        Raises:
            InputInvalid: the room is closed, or full.
            QueueFull: the file can't be written now.
        """
        with self._changing() as rows:
            self._enter(rows, code)
            known = {
                row[0]
                for row in rows.execute("SELECT who FROM guess WHERE (code, question) = (?, ?)", (code, question))
            }
            if who not in known and len(known) >= MOST_PEOPLE:
                raise InputInvalid(_("La sala {code} está llena; tu respuesta cuenta solo para ti.").format(code=code))
            (turn,) = rows.execute("SELECT coalesce(max(turn), 0) + 1 FROM guess WHERE code = ?", (code,)).fetchone()
            rows.execute(
                "INSERT INTO guess VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET what = excluded.what, turn = excluded.turn",
                (code, question, who, what[:MOST_CHARACTERS], turn),
            )
            rows.execute(
                "DELETE FROM guess WHERE code = ? AND question NOT IN"
                " (SELECT question FROM guess WHERE code = ? GROUP BY question ORDER BY max(turn) DESC LIMIT ?)",
                (code, code, MOST_QUESTIONS),
            )

    def tally(self, code: str, question: str) -> Tally:
        """What the room has guessed.

        Raises:
            InputInvalid: the room is closed.
            QueueFull: the file can't be read now.
        """
        with self._looking() as rows:
            used = self._used(rows, code)
            own = "SELECT what FROM guess WHERE (code, question) = (?, ?) ORDER BY turn"
            guesses = [row[0] for row in rows.execute(own, (code, question))]
        if used is None or self._clock() - used > _NOTED_S:
            with self._changing() as rows:
                self._enter(rows, code)
        written: dict[str, str] = {}
        for guess in guesses:
            written.setdefault(guess.casefold(), guess)
        counted = Counter(guess.casefold() for guess in guesses)
        return Tally(len(guesses), tuple((written[guess], count) for guess, count in counted.most_common()))

    def _used(self, rows: sqlite3.Connection, code: str) -> float | None:
        """When a room was used last; ``None`` for one that is closed."""
        found = rows.execute("SELECT used FROM room WHERE code = ?", (code,)).fetchone()
        return found[0] if found is not None and self._clock() - found[0] <= LIVES_S else None

    def _enter(self, rows: sqlite3.Connection, code: str) -> None:
        if self._used(rows, code) is None:
            raise InputInvalid(
                _("La sala {code} no existe o ya se cerró. Pide el código otra vez, o abre una nueva.").format(
                    code=code
                )
            )
        rows.execute("UPDATE room SET used = ? WHERE code = ?", (self._clock(), code))

    @contextmanager
    def _looking(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connected()
            except sqlite3.Error as error:
                raise self._trouble(error) from error

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and nobody else changes anything meanwhile; what is too old is forgotten."""
        with self._looking() as rows:
            rows.execute("BEGIN IMMEDIATE")
            try:
                old = rows.execute("SELECT code FROM room WHERE used < ?", (self._clock() - LIVES_S,))
                _close(rows, [code for (code,) in old])
                yield rows
            except BaseException:
                if rows.in_transaction:
                    rows.execute("ROLLBACK")
                raise
            rows.execute("COMMIT")

    def _connected(self) -> sqlite3.Connection:
        if self._kept is None:
            place: Path | str = ":memory:"
            if self._folder is not None:
                try:
                    self._folder.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise sqlite3.OperationalError(str(error)) from error
                place = self._folder / "rooms.sqlite3"
            found = sqlite3.connect(place, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
            # What is forgotten is written over.
            found.execute("PRAGMA secure_delete = ON")
            found.executescript(_TABLES)
            self._kept = found
        return self._kept

    def _trouble(self, error: sqlite3.Error) -> QueueFull:
        _log.warning("rooms in %s: %s", self._folder, error)
        # Memory holds what it holds; a file may be there again when it is opened again.
        if self._folder is not None and self._kept is not None:
            self._kept.close()
            self._kept = None
        return QueueFull(_("Las salas no responden ahora mismo. Vuelve a intentarlo dentro de un momento."))


def _close(rows: sqlite3.Connection, codes: list[str]) -> None:
    for code in codes:
        rows.execute("DELETE FROM guess WHERE code = ?", (code,))
        rows.execute("DELETE FROM room WHERE code = ?", (code,))
