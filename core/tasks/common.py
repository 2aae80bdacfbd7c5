"""What all tasks share: where the time went, what was cut, which word a token belongs to, and refusals."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core.errors import InputInvalid, InputTooLong
from core.i18n import format_number
from core.i18n import gettext as _

if TYPE_CHECKING:
    import torch

# What a forward pass costs besides its tokens, in tokens: on two cores, a pass of a small encoder over a batch takes
# 0.16 ms a token, and a single text of 35 tokens 15 ms.
PASS_TOKENS: Final = 56
# Longest text that a form takes, in characters.
MAX_CHARACTERS: Final = 50_000


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the time of a batch went, in milliseconds, shared by all its requests."""

    tokenize_ms: float
    model_ms: float
    decode_ms: float


@dataclass(slots=True)
class Clock:
    """Adds up the parts of a ``Timing``."""

    parts: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Counts its body as ``name``: ``"tokenize"``, ``"model"`` or ``"decode"``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.parts[name] = self.parts.get(name, 0.0) + (time.perf_counter() - began) * 1000

    def timing(self) -> Timing:
        """What was counted so far."""
        return Timing(*(self.parts.get(name, 0.0) for name in ("tokenize", "model", "decode")))


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text: its piece, and where it stands in the text (code points); special ones stand nowhere."""

    piece: str
    start: int
    end: int
    special: bool


# A run of letters and figures, with the accents that follow them by themselves, or a mark.
WORD: Final = r"[\w\u0300-\u036f]+|[^\w\s]"


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where each word and each mark of a text stands (code points), whatever a tokenizer calls a word.

    BERT's tokenizers cut so before they look for pieces; those of SentencePiece only cut at white space, and "Lima,"
    would be one word.
    """
    return [match.span() for match in re.finditer(WORD, text)]


def entropy_bits(chances: "torch.Tensor") -> float:
    """Shannon's entropy of probabilities ``(n,)``, in bits."""
    return float(-(chances * chances.clamp_min(1e-12).log2()).sum())


def like_lengths(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Parts of a batch that go through the model one after the other, so that little is computed for padding.

    Each text is padded to the longest of its part and each pass costs something by itself: the parts are those with
    the least of both together, found by dynamic programming over the sorted lengths.

    Args:
        lengths: tokens of each text.
        most: texts that go together at most.

    Returns:
        The texts' places, the shortest first; each stands in one part.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    # Of the first n texts: the least cost, and where their last part begins.
    best = [(0, 0)]
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        best.append(
            min(
                (best[start][0] + PASS_TOKENS + (end - start) * longest, start)
                for start in range(max(0, end - most), end)
            )
        )
    parts: list[list[int]] = []
    end = len(order)
    while end:
        start = best[end][1]
        parts.append(order[start:end])
        end = start
    return parts[::-1]


def require_text(text: str, limit: int = MAX_CHARACTERS) -> str:
    """The text, if there is one and it isn't endless.

    Raises:
        InputInvalid: nothing but white space.
        InputTooLong: more than ``limit`` characters.
    """
    if not text.strip():
        raise InputInvalid(_("Escribe algo primero: el texto está vacío."))
    if len(text) > limit:
        raise InputTooLong(
            _("El texto tiene {n} caracteres y aquí caben {limit}. Acórtalo o divídelo en partes.").format(
                n=format_number(len(text)), limit=format_number(limit)
            )
        )
    return text
