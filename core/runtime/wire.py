"""What the app and a cluster say to one another, over HTTP: one call, then the frames of its answer.

Both sides unpickle what they receive, and a pickle can run anything: so every message carries a proof (HMAC-SHA256,
RFC 2104) that whoever wrote it knows ``TALLER_RAY_SECRET``, and nothing is unpickled before it was checked. An
answer's frames are bound to their call and to their place in it. Nothing is encrypted: that is the network's part.

The caller sends the head of a frame and the frame, and keeps its side open: one more byte, ``STOP``, means that the
reader wants no more. The answer is a row of frames, each its kind (one byte), its length (four) and itself.
"""

import hashlib
import hmac
import pickle
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from platform import python_version_tuple
from typing import Any, Final, Literal, TypeVar

from core.runtime.task import Task

T = TypeVar("T")

# A sign of life is sent this often while there is nothing else to say, in seconds.
BEAT_S: Final = 0.5
# How often what a task has written so far is sent, in seconds.
STREAM_S: Final = 0.1
LARGEST_CALL: Final = 32 * 2**20
LARGEST_ANSWER: Final = 512 * 2**20
LARGEST_ORDER: Final = 64 * 2**10

BEAT: Final = b"b"
ITEMS: Final = b"i"
ANSWER: Final = b"a"
ERROR: Final = b"e"
FAILED: Final = b"f"
STOP: Final = b"s"

CODE_HEADER: Final = "x-taller-code"
MODEL_HEADER: Final = "serve_multiplexed_model_id"

_PROOF: Final = hashlib.sha256().digest_size
_HEAD: Final = struct.Struct("<cI")
HEAD_BYTES: Final = _HEAD.size
_CORE: Final = Path(__file__).resolve().parents[1]
# What decides neither a result nor how it is packed.
_ELSEWHERE: Final = ("ui", "cluster", "locale", "models")


class Forged(Exception):
    """A message whose proof is wrong: it was written without the secret, or changed on its way."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a cluster is asked.

    Attributes:
        task: a pickled task, as bytes: equal tasks are equal here, too.
        requests: on what; those that write as they go bring a ``Stream``, which begins anew on the other side.
        model: key of the model.
        language: in which words results and errors are told.
    """

    task: bytes
    requests: tuple[Any, ...]
    model: str
    language: str


@dataclass(frozen=True, slots=True)
class Order:
    """What a cluster is told of a fine-tuning run, whose folder both sides see.

    Attributes:
        what: let somebody work on it, say how that stands, or end it.
        run: the run's id.
        turn: its number; an order for one that is over does nothing.
        folder: the run's folder, as an absolute path.
        options: of the worker's command line.
    """

    what: Literal["start", "look", "end"]
    run: str
    turn: int
    folder: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How a turn stands on the cluster.

    Attributes:
        state: ``"pending"`` while it waits for room there; ``"none"`` where nobody works on it, nor ever will.
        code: the worker's exit code, once it ended.
    """

    state: Literal["pending", "running", "ended", "none"]
    code: int | None = None


def pack_task(task: Task[Any, Any]) -> bytes:
    """A task as the bytes that stand for it in a call.

    Raises:
        Exception: whatever pickle says of a task that can't travel.
    """
    return pickle.dumps(task, protocol=5)


class Seal:
    """Writes and checks the proofs of one call and its answer.

    Args:
        secret: ``TALLER_RAY_SECRET``.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._call = b""
        self._number = 0

    def call(self, call: Call | Order) -> bytes:
        """A call or an order as the bytes to send."""
        data = pickle.dumps(call, protocol=5)
        self._call = self._proof(b"call", data)
        return self._call + data

    def read_call(self, message: bytes) -> Call:
        """The call that was sent.

        Raises:
            Forged: the proof is wrong.
        """
        return self._read(message, Call)

    def read_order(self, message: bytes) -> Order:
        """The order that was sent.

        Raises:
            Forged: the proof is wrong.
        """
        return self._read(message, Order)

    def _read(self, message: bytes, kind: type[T]) -> T:
        proof, data = message[:_PROOF], message[_PROOF:]
        if not hmac.compare_digest(proof, self._proof(b"call", data)):
            raise Forged
        self._call = proof
        found = pickle.loads(data)
        if not isinstance(found, kind):
            raise Forged
        return found

    def frame(self, kind: bytes, content: Any = None) -> bytes:
        """The next frame of the answer, its head included."""
        data = pickle.dumps(content, protocol=5)
        proof = self._proof(self._place(kind), data)
        return head(kind, len(proof) + len(data)) + proof + data

    def read_frame(self, kind: bytes, message: bytes) -> Any:
        """What the next frame of the answer holds.

        Raises:
            Forged: the proof is wrong, or the frame belongs elsewhere.
        """
        proof, data = message[:_PROOF], message[_PROOF:]
        if not hmac.compare_digest(proof, self._proof(self._place(kind), data)):
            raise Forged
        return pickle.loads(data)

    def hello(self, nonce: str) -> str:
        """What a cluster answers to ``nonce``, to show that it knows the secret."""
        return self._proof(b"hello", nonce.encode()).hex()

    def _place(self, kind: bytes) -> bytes:
        self._number += 1
        return kind + self._call + self._number.to_bytes(8, "little")

    def _proof(self, place: bytes, data: bytes) -> bytes:
        # The place's length first: else it could run over into the data.
        return hmac.digest(self._secret, len(place).to_bytes(4, "little") + place + data, hashlib.sha256)


def head(kind: bytes, length: int) -> bytes:
    """The head of a frame of ``length`` bytes."""
    return _HEAD.pack(kind, length)


def read_head(data: bytes) -> tuple[bytes, int]:
    """Kind and length of the frame that follows."""
    kind, length = _HEAD.unpack(data)
    return kind, length


def streams(requests: Sequence[Any]) -> list[Any]:
    """The streams that requests bring, in order."""
    return [stream for request in requests if (stream := getattr(request, "stream", None)) is not None]


@cache
def code_version() -> str:
    """Stands for the code that computes and its libraries; two sides may only talk if it is the same.

    Classes travel by their names: another version of one would be read wrongly, or compute something else.
    """
    found = hashlib.sha256()
    for file in sorted(_CORE.rglob("*")):
        place = file.relative_to(_CORE)
        if file.suffix in (".py", ".toml") and place.parts[0] not in _ELSEWHERE:
            found.update(f"{place.as_posix()}\0".encode() + file.read_bytes())
    libraries = ("torch", "transformers", "tokenizers", "numpy")
    # A build for the CPU is the same version: "2.13.0+cpu".
    names = [f"{name} {version(name).split('+')[0]}" for name in libraries]
    found.update(" ".join([*names, *python_version_tuple()[:2]]).encode())
    return found.hexdigest()[:16]
