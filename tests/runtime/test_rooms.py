"""Rooms: codes, counting, what is forgotten and when, many at once, and copies of the app that share a folder."""

import sqlite3
import threading
from pathlib import Path

import pytest

from core.errors import InputInvalid, QueueFull
from core.runtime import rooms as module
from core.runtime.rooms import ALPHABET, CODE_LENGTH, LIVES_S, MOST_PEOPLE, MOST_QUESTIONS, MOST_ROOMS, Rooms, tidy_code


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "folder"])
def rooms(clock: Clock, request: pytest.FixtureRequest, tmp_path: Path) -> Rooms:
    return Rooms(tmp_path / "rooms" if request.param == "folder" else None, clock)


def test_guesses_come_together(rooms: Rooms) -> None:
    code = rooms.open()
    assert len(code) == CODE_LENGTH and set(code) <= set(ALPHABET) and code in rooms
    for who, what in enumerate(["puerta", "mesa", "Puerta", "puerta"]):
        rooms.guess(code, "q", str(who), what)
    tally = rooms.tally(code, "q")
    assert (tally.people, tally.counts) == (4, (("puerta", 3), ("mesa", 1)))
    assert rooms.tally(code, "another").people == 0


def test_who_guesses_again_changes_their_guess(rooms: Rooms) -> None:
    code = rooms.open()
    rooms.guess(code, "q", "a", "uno")
    rooms.guess(code, "q", "a", "dos")
    assert rooms.tally(code, "q").counts == (("dos", 1),)


def test_rooms_do_not_mix(rooms: Rooms) -> None:
    one, other = rooms.open(), rooms.open()
    rooms.guess(one, "q", "a", "uno")
    assert one != other and rooms.tally(other, "q").people == 0


def test_a_room_that_nobody_uses_is_forgotten(rooms: Rooms, clock: Clock) -> None:
    code = rooms.open()
    clock.now += LIVES_S - 1
    rooms.guess(code, "q", "a", "uno")  # using it keeps it
    clock.now += LIVES_S - 1
    assert code in rooms
    clock.now += 2
    assert code not in rooms
    for use in (lambda: rooms.guess(code, "q", "a", "uno"), lambda: rooms.tally(code, "q")):
        with pytest.raises(InputInvalid, match=code):
            use()


def test_a_full_house_refuses_until_a_room_falls_silent(rooms: Rooms, clock: Clock) -> None:
    first = rooms.open()
    for _n in range(MOST_ROOMS - 1):
        rooms.open()
    with pytest.raises(QueueFull):
        rooms.open()
    clock.now += module._SILENT_S + 1
    assert rooms.open() in rooms and first not in rooms


def test_what_a_room_keeps_is_bounded(rooms: Rooms) -> None:
    code = rooms.open()
    for question in range(MOST_QUESTIONS + 5):
        rooms.guess(code, str(question), "a", "x" * 1000)
    assert rooms.tally(code, "0").people == 0
    assert len(rooms.tally(code, str(MOST_QUESTIONS + 4)).counts[0][0]) == module.MOST_CHARACTERS
    for who in range(MOST_PEOPLE):
        rooms.guess(code, "q", str(who), "x")
    with pytest.raises(InputInvalid, match="llena"):
        rooms.guess(code, "q", "one more", "x")
    rooms.guess(code, "q", "0", "y")  # who is in may still change their mind
    assert rooms.tally(code, "q").people == MOST_PEOPLE


def test_a_whole_class_at_once(rooms: Rooms) -> None:
    code = rooms.open()
    threads = [
        threading.Thread(target=lambda n=n: rooms.guess(code, "q", str(n), "sí" if n % 3 else "no")) for n in range(60)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rooms.tally(code, "q").counts == (("sí", 40), ("no", 20))


def test_copies_that_share_a_folder_share_their_rooms(clock: Clock, tmp_path: Path) -> None:
    one, other = Rooms(tmp_path, clock), Rooms(tmp_path, clock)
    code = one.open()
    assert code in other

    def guess(rooms: Rooms, first: int) -> None:
        for who in range(first, first + 20):
            rooms.guess(code, "q", str(who), "sí" if who < 20 else "no")

    threads = [threading.Thread(target=guess, args=given) for given in ((one, 0), (other, 20))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert one.tally(code, "q") == other.tally(code, "q")
    assert dict(one.tally(code, "q").counts) == {"sí": 20, "no": 20}
    # One of them goes; the other, and one that starts anew, still have it.
    del one
    assert Rooms(tmp_path, clock).tally(code, "q").people == other.tally(code, "q").people == 40
    assert Rooms(None, clock).open() not in other


def test_looking_keeps_a_room_open_for_all(clock: Clock, tmp_path: Path) -> None:
    one, other = Rooms(tmp_path, clock), Rooms(tmp_path, clock)
    code = one.open()
    for _look in range(4):
        clock.now += LIVES_S - 1
        assert one.tally(code, "q").people == 0
    assert code in other


def test_what_is_forgotten_is_gone_from_the_file(clock: Clock, tmp_path: Path) -> None:
    rooms = Rooms(tmp_path, clock)
    code = rooms.open()
    rooms.guess(code, "q", "a", "algo-muy-privado")
    assert b"algo-muy-privado" in (tmp_path / "rooms.sqlite3").read_bytes()
    clock.now += LIVES_S + 1
    rooms.open()
    assert b"algo-muy-privado" not in (tmp_path / "rooms.sqlite3").read_bytes()


def test_a_file_that_does_not_answer_is_said_and_used_again_once_it_does(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAIT_S", 0.05)
    rooms = Rooms(tmp_path, clock)
    code = rooms.open()
    another = sqlite3.connect(tmp_path / "rooms.sqlite3", isolation_level=None)
    another.execute("BEGIN EXCLUSIVE")
    with pytest.raises(QueueFull, match="no responden"):
        rooms.guess(code, "q", "a", "uno")
    another.execute("ROLLBACK")
    rooms.guess(code, "q", "a", "uno")
    assert rooms.tally(code, "q").people == 1
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(QueueFull, match="no responden"):
        Rooms(tmp_path / "file" / "under", clock).open()


def test_codes_are_read_as_people_type_them() -> None:
    assert tidy_code(" ab-2c ") == "AB2C"
    assert tidy_code("<b>") == "B"
