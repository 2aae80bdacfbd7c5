"""Messages between the app and a cluster: they arrive whole, and nothing unsigned is unpickled."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from core.runtime import wire
from core.runtime.stream import Stream
from core.runtime.wire import Call, Forged, Seal
from core.tasks.fill_mask import TASK, FillMaskRequest
from core.tasks.generation import GenerationRequest

SECRET = "a secret of the tests"
CALL = Call(wire.pack_task(TASK), (FillMaskRequest("El [MASK]."),), "mini-beto", "es")


class Trap:
    """Unpickling it leaves a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._file,)


def answer(seal: Seal, kind: bytes, content: Any) -> bytes:
    """A frame without its head."""
    frame = seal.frame(kind, content)
    found, length = wire.read_head(frame[: wire.HEAD_BYTES])
    assert (found, length) == (kind, len(frame) - wire.HEAD_BYTES)
    return frame[wire.HEAD_BYTES :]


def test_a_call_arrives_as_it_was_sent() -> None:
    assert Seal(SECRET).read_call(Seal(SECRET).call(CALL)) == CALL


def test_equal_tasks_travel_as_equal_bytes() -> None:
    assert wire.pack_task(TASK) == wire.pack_task(TASK)
    assert type(pickle.loads(wire.pack_task(TASK))) is type(TASK)


@pytest.mark.parametrize("change", ["proof", "content", "short", "empty", "secret"])
def test_what_is_not_signed_is_not_unpickled(change: str, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    call = Call(b"", (Trap(trap),), "mini-beto", "es")
    message = bytearray(Seal("another secret of theirs" if change == "secret" else SECRET).call(call))
    if change == "proof":
        message[0] ^= 1
    elif change == "content":
        message[-1] ^= 1
    elif change in ("short", "empty"):
        message = message[: 20 if change == "short" else 0]
    with pytest.raises(Forged):
        Seal(SECRET).read_call(bytes(message))
    assert not trap.exists()
    # The trap itself works: signed, it goes off.
    Seal(SECRET).read_call(Seal(SECRET).call(call))
    assert trap.exists()


def test_frames_arrive_in_order() -> None:
    here, there = Seal(SECRET), Seal(SECRET)
    there.read_call(here.call(CALL))
    for kind, content in ((wire.BEAT, None), (wire.ITEMS, [["a"], []]), (wire.ANSWER, [1.5])):
        assert here.read_frame(kind, answer(there, kind, content)) == content


def test_a_frame_of_another_place_kind_or_call_is_refused() -> None:
    here, there, other = Seal(SECRET), Seal(SECRET), Seal(SECRET)
    there.read_call(here.call(CALL))
    other.read_call(Seal(SECRET).call(Call(CALL.task, CALL.requests, "minilm", "es")))
    first, second = answer(there, wire.BEAT, None), answer(there, wire.BEAT, None)
    with pytest.raises(Forged):
        Seal(SECRET).read_frame(wire.BEAT, first)  # of no call
    with pytest.raises(Forged):
        here.read_frame(wire.BEAT, second)  # the second where the first belongs
    again, there = Seal(SECRET), Seal(SECRET)
    there.read_call(again.call(CALL))
    with pytest.raises(Forged):
        again.read_frame(wire.ANSWER, answer(there, wire.BEAT, None))
    fresh = Seal(SECRET)
    fresh.call(CALL)
    with pytest.raises(Forged):
        fresh.read_frame(wire.ANSWER, answer(other, wire.ANSWER, ["not mine"]))


def test_a_request_that_writes_as_it_goes_travels_with_a_new_stream() -> None:
    stream: Stream[Any] = Stream()
    request = GenerationRequest("Había una vez", stream=stream)
    (other,) = Seal(SECRET).read_call(Seal(SECRET).call(Call(b"", (request,), "mini-gpt", "es"))).requests
    assert other == request and other.stream is not stream
    assert wire.streams([request, FillMaskRequest("[MASK]")]) == [stream]


def test_only_who_knows_the_secret_says_hello() -> None:
    assert Seal(SECRET).hello("1") == Seal(SECRET).hello("1") != Seal(SECRET).hello("2")
    assert Seal(SECRET).hello("1") != Seal(SECRET + "!").hello("1")


def test_other_code_has_another_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def version_of(**files: str) -> str:
        for name, text in files.items():
            file = tmp_path / f"{name.replace('_', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        wire.code_version.cache_clear()
        return wire.code_version()

    monkeypatch.setattr(wire, "_CORE", tmp_path)
    try:
        first = version_of(tasks_a="x = 1", ui_a="y = 1")
        assert version_of(ui_a="y = 2") == first  # what only the pages see
        assert version_of(tasks_a="x = 2") != first
        assert version_of(tasks_a="x = 1") == first
    finally:
        wire.code_version.cache_clear()
