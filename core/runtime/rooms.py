"""Rooms: the guesses of a class come together under a code, in memory alone, without names.

Nothing is written anywhere; a room is gone when nobody has used it for three hours, or with the process.
"""

import secrets
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class _Room:
    used: float
    # Question → who → what. Who is a random mark of a browser's session.
    guesses: "OrderedDict[str, dict[str, str]]" = field(default_factory=OrderedDict)


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
    """All rooms of a process; safe to use from many sessions at once.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rooms: dict[str, _Room] = {}

    def open(self) -> str:
        """Opens a room and returns its code.

        Raises:
            QueueFull: there are as many rooms as this process keeps.
        """
        with self._lock:
            self._forget()
            if len(self._rooms) >= MOST_ROOMS:
                oldest = min(self._rooms, key=lambda code: self._rooms[code].used)
                if self._clock() - self._rooms[oldest].used < _SILENT_S:
                    raise QueueFull(_("Hay demasiadas salas abiertas ahora mismo. Prueba dentro de unos minutos."))
                del self._rooms[oldest]
            while (code := "".join(secrets.choice(ALPHABET) for _n in range(CODE_LENGTH))) in self._rooms:
                pass
            self._rooms[code] = _Room(self._clock())
            return code

    def __contains__(self, code: str) -> bool:
        """Whether the room is open."""
        with self._lock:
            self._forget()
            return code in self._rooms

    def guess(self, code: str, question: str, who: str, what: str) -> None:
        """Counts a guess; whoever guesses the same question again changes theirs.

        Args:
            code: the room.
            question: which question; whoever sees the same one has the same.
            who: a random mark of the session.
            what: the guess; cut at ``MOST_CHARACTERS``.

        Raises:
            InputInvalid: the room is closed, or full.
        """
        with self._lock:
            room = self._open(code)
            people = room.guesses.setdefault(question, {})
            room.guesses.move_to_end(question)
            while len(room.guesses) > MOST_QUESTIONS:
                room.guesses.popitem(last=False)
            if who not in people and len(people) >= MOST_PEOPLE:
                raise InputInvalid(_("La sala {code} está llena; tu respuesta cuenta solo para ti.").format(code=code))
            people[who] = what[:MOST_CHARACTERS]

    def tally(self, code: str, question: str) -> Tally:
        """What the room has guessed.

        Raises:
            InputInvalid: the room is closed.
        """
        with self._lock:
            guesses = list(self._open(code).guesses.get(question, {}).values())
        written: dict[str, str] = {}
        for guess in guesses:
            written.setdefault(guess.casefold(), guess)
        counted = Counter(guess.casefold() for guess in guesses)
        return Tally(len(guesses), tuple((written[guess], count) for guess, count in counted.most_common()))

    def _open(self, code: str) -> _Room:
        self._forget()
        room = self._rooms.get(code)
        if room is None:
            raise InputInvalid(
                _("La sala {code} no existe o ya se cerró. Pide el código otra vez, o abre una nueva.").format(
                    code=code
                )
            )
        room.used = self._clock()
        return room

    def _forget(self) -> None:
        now = self._clock()
        for code in [code for code, room in self._rooms.items() if now - room.used > LIVES_S]:
            del self._rooms[code]
