"""What happened to my ñ: the letters that a tokenizer's normalizer changes, and the words it makes one of.

Lower-casing and accent stripping were chosen for English. In Spanish they erase differences that carry
meaning: *año* and *ano*, *hacía* and *hacia*, *él* and *el* reach the model as the same string.
"""

import itertools
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import regex

from core.lens.tokenizer_steps import NormalizerStep, normalizer_alone
from core.lens.vocabulary import SPANISH_ACCENTED, pieces
from core.runtime.tokenizer import TokenizerBundle

Change = Literal["kept", "case", "accent", "both", "other", "lost"]

MAX_PIECES: Final = 8
MAX_COLLISIONS: Final = 200
MAX_LETTERS: Final = 200

MINIMAL_PAIRS: Final[tuple[tuple[str, ...], ...]] = (
    ("hacia", "hacía"),
    ("ano", "año"),
    ("anos", "años"),
    ("te", "té"),
    ("el", "él"),
    ("tu", "tú"),
    ("mi", "mí"),
    ("si", "sí"),
    ("de", "dé"),
    ("se", "sé"),
    ("mas", "más"),
    ("aun", "aún"),
    ("solo", "sólo"),
    ("que", "qué"),
    ("como", "cómo"),
    ("cuando", "cuándo"),
    ("donde", "dónde"),
    ("quien", "quién"),
    ("cual", "cuál"),
    ("porque", "porqué"),
    ("papa", "papá"),
    ("mama", "mamá"),
    ("esta", "está"),
    ("este", "esté"),
    ("pena", "peña"),
    ("cana", "caña"),
    ("una", "uña"),
    ("mono", "moño"),
    ("sonar", "soñar"),
    ("campana", "campaña"),
    ("sabana", "sábana"),
    ("publico", "público", "publicó"),
    ("termino", "término", "terminó"),
    ("ejercito", "ejército", "ejercitó"),
    ("deposito", "depósito", "depositó"),
    ("numero", "número", "numeró"),
    ("practico", "práctico", "practicó"),
    ("animo", "ánimo", "animó"),
    ("hablo", "habló"),
    ("amo", "amó"),
    ("llego", "llegó"),
    ("perdida", "pérdida"),
    ("ingles", "inglés"),
    ("secretaria", "secretaría"),
    ("sabia", "sabía"),
    ("seria", "sería"),
    ("rio", "río"),
    ("revolver", "revólver"),
    ("continuo", "continúo", "continuó"),
)
"""Spanish words that differ in nothing but an accent or a tilde."""

_CLUSTER: Final = regex.compile(r"\X")
_LETTER: Final = regex.compile(r"\p{L}")
_WORD: Final = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*(?:['’·][\p{L}\p{N}][\p{L}\p{N}\p{M}]*)*")


@dataclass(frozen=True, slots=True)
class LetterFate:
    """What a tokenizer does to one letter (one grapheme cluster).

    Attributes:
        letter: as it was typed; ``"ñ"`` may be one code point or two.
        name: its Unicode name, or the names of its code points.
        start: where it first stands in the text, in code points.
        count: how often it occurs (1 when a word is followed letter by letter).
        lowered: after lower-casing, or the letter itself if this tokenizer doesn't lower-case.
        stripped: after taking the accents off ``lowered``, or ``lowered`` if this tokenizer keeps accents.
        normalized: what the tokenizer's own normalizer gives; this is what the model sees.
        steps: the normalizer's steps on the letter alone, in the library's order.
        change: ``"kept"``; ``"case"``, ``"accent"`` or ``"both"``: that is what was taken away; ``"lost"``:
            nothing is left; ``"other"``: changed otherwise (another Unicode form, a compatibility form).
        pieces: the pieces, at most ``MAX_PIECES``, in which it ended up.
        unknown: some of them is the unknown token: the model can't see the letter at all.
    """

    letter: str
    name: str
    start: int
    count: int
    lowered: str
    stripped: str
    normalized: str
    steps: tuple[NormalizerStep, ...]
    change: Change
    pieces: tuple[str, ...]
    unknown: bool

    @property
    def changed(self) -> bool:
        """Whether the model sees anything but the letter that was typed."""
        return self.change != "kept"

    @property
    def lost(self) -> bool:
        """Whether something that tells Spanish words apart is gone: the accent, or the letter itself."""
        return self.change in ("accent", "both", "lost") or self.unknown


@dataclass(frozen=True, slots=True)
class Collision:
    """Two different words that become the same string.

    Attributes:
        word: a word of the text, as typed.
        other: the other word.
        other_from: whether ``other`` stands in the text, too, or comes from the list of minimal pairs.
        normalized: what both become.
        kind: ``"accent"``; ``"case"``: they differ only in upper and lower case; ``"form"``: only in how Unicode
            writes them (ñ as one code point or as n and a tilde), which nobody can see.
    """

    word: str
    other: str
    other_from: Literal["text", "list"]
    normalized: str
    kind: Literal["accent", "case", "form"]


@dataclass(frozen=True, slots=True)
class AccentCoverage:
    """How one accented letter of Spanish stands in a vocabulary.

    Attributes:
        reaches: the normalizer lets it through; if not, its pieces can never be used.
        alone: it is a piece of its own that may begin a word (or stands without mark).
        continuation: it is a piece of its own inside a word (``##ñ``).
        pieces: pieces that contain it.
        examples: some of them, at most 6, most frequent first (lowest id).
    """

    letter: str
    reaches: bool
    alone: bool
    continuation: bool
    pieces: int
    examples: tuple[str, ...]

    @property
    def in_vocabulary(self) -> bool:
        """Whether the letter is a piece of its own in some form."""
        return self.alone or self.continuation


def letters(text: str, bundle: TokenizerBundle, *, every: bool = False) -> list[LetterFate]:
    """What becomes of the letters of a text.

    Args:
        text: cleaned text.
        bundle: the tokenizer.
        every: follow every letter in order (for a word), not just the distinct ones outside ASCII.

    Returns:
        At most ``MAX_LETTERS``, in the order in which they first appear.
    """
    clusters = [match for match in _CLUSTER.finditer(text) if _LETTER.match(match.group())]
    if every:
        places = [(match.group(), [match.start()]) for match in clusters]
    else:
        seen: dict[str, list[int]] = {}
        for match in clusters:
            if not match.group().isascii():
                seen.setdefault(match.group(), []).append(match.start())
        places = list(seen.items())
    if not places:
        return []
    owners = _owners(text, bundle)
    unknown = _unknown_token(bundle)
    result = []
    for letter, starts in places[:MAX_LETTERS]:
        found = (
            piece
            for start in starts
            for offset in range(start, start + len(letter))
            for piece in owners.get(offset, ())
        )
        # Enough to show; an adversarial text could hold thousands.
        own = tuple(itertools.islice(dict.fromkeys(itertools.islice(found, 1000)), MAX_PIECES))
        result.append(_fate(letter, starts, bundle, own, unknown in own))
    return result


def _owners(text: str, bundle: TokenizerBundle) -> dict[int, list[str]]:
    """The pieces that cover each character of the text."""
    owners: dict[int, list[str]] = {}
    encoding = bundle.encode(text, add_special_tokens=False)
    for piece, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
        for offset in range(start, end):
            owners.setdefault(offset, []).append(piece)
    return owners


def _unknown_token(bundle: TokenizerBundle) -> str | None:
    model = bundle.definition["model"]
    token = model.get("unk_token")
    return str(token) if token is not None else None


def _fate(letter: str, starts: list[int], bundle: TokenizerBundle, own: tuple[str, ...], unknown: bool) -> LetterFate:
    normalizer = normalizer_alone(bundle)
    lowered = normalizer.only(letter, "lowercase", "Lowercase")
    stripped = normalizer.only(lowered, "strip_accents", "StripAccents")
    normalized = normalizer.all(letter)
    return LetterFate(
        letter=letter,
        name=" + ".join(unicodedata.name(c, f"U+{ord(c):04X}") for c in letter[:4]),
        start=starts[0],
        count=len(starts),
        lowered=lowered,
        stripped=stripped,
        normalized=normalized,
        steps=normalizer.steps(letter),
        change=_change(letter, normalized),
        pieces=own,
        unknown=unknown,
    )


def _bare(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")


def _change(letter: str, normalized: str) -> Change:
    if normalized == letter:
        return "kept"
    if not normalized:
        return "lost"
    before, after = unicodedata.normalize("NFC", letter), unicodedata.normalize("NFC", normalized)
    if before == after:
        return "other"
    if before.lower() == after:
        return "case"
    if _bare(before) == after:
        return "accent"
    if _bare(before).lower() == _bare(after).lower() == after:
        return "both"
    return "other"


# --- collisions -------------------------------------------------------------------------------------------


@cache
def _partners() -> dict[str, tuple[str, ...]]:
    return {word: group for group in MINIMAL_PAIRS for word in group}


def collisions(text: str, bundle: TokenizerBundle) -> list[Collision]:
    """Different words that this tokenizer's normalizer makes into the same string.

    Every word of the text is compared with the others, and with its partners in ``MINIMAL_PAIRS``. Those that
    lose an accent come first, then those that differ only in case or form; within each, the text's order.

    Returns:
        At most ``MAX_COLLISIONS``.
    """
    normalizer = normalizer_alone(bundle)
    words = list(dict.fromkeys(match.group() for match in _WORD.finditer(text)))
    became = {word: normalizer.all(word) for word in words}
    by_result: dict[str, dict[str, list[str]]] = {}
    for word in words:
        # "Él" and "él" are one word here; "el" is another.
        by_result.setdefault(became[word], {}).setdefault(_same_word(word), []).append(word)
    accent = itertools.chain(_in_text(by_result), _in_list(words, became, by_result, bundle))
    case = (
        Collision(variants[0], other, "text", result, "form" if _composed(variants[0], other) else "case")
        for result, groups in by_result.items()
        for variants in groups.values()
        for other in variants[1:]
    )
    return list(itertools.islice(itertools.chain(accent, case), MAX_COLLISIONS))


def _same_word(word: str) -> str:
    return unicodedata.normalize("NFC", word).lower()


def _composed(one: str, other: str) -> bool:
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


def _in_text(by_result: dict[str, dict[str, list[str]]]) -> Iterator[Collision]:
    for result, groups in by_result.items():
        for one, other in itertools.combinations(groups.values(), 2):
            yield Collision(one[0], other[0], "text", result, "accent")


def _in_list(
    words: list[str],
    became: dict[str, str],
    by_result: dict[str, dict[str, list[str]]],
    bundle: TokenizerBundle,
) -> Iterator[Collision]:
    normalizer = normalizer_alone(bundle)
    told: set[str] = set()
    for word in words:
        plain = _same_word(word)
        if plain in told:
            continue
        told.add(plain)
        for partner in _partners().get(plain, ()):
            if partner in by_result[became[word]]:
                continue  # stands in the text and has been told
            # Compared in the case in which it was typed: a cased tokenizer keeps "El" and "él" apart anyhow.
            if normalizer.all(_like(partner, word)) == became[word]:
                yield Collision(word, partner, "list", became[word], "accent")


def _like(word: str, model: str) -> str:
    """``word`` in the case of ``model``."""
    if model.isupper() and len(model) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if model[:1].isupper() else word


# --- what the accents of a text become --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccentedWord:
    """A word of the text with accents, beside the same word without them.

    Attributes:
        word: as typed.
        pieces: its pieces (as a word alone, after a space).
        bare: the word without accents, as BERT's own code strips them: ñ becomes n.
        bare_pieces: the pieces of that.
        unknown: ``pieces`` holds the unknown token.
    """

    word: str
    pieces: tuple[str, ...]
    bare: str
    bare_pieces: tuple[str, ...]
    unknown: bool

    @property
    def same(self) -> bool:
        """Whether the model sees no difference."""
        return self.pieces == self.bare_pieces


def accented_words(text: str, bundle: TokenizerBundle) -> list[AccentedWord]:
    """The distinct words of a text that carry accents, with their pieces and those of the bare word.

    It shows what BETO uncased is up against: its vocabulary holds thousands of accented pieces and its
    tokenizer uses them, but by its author's account (github.com/dccuchile/beto, issue 7) the pre-training
    text had lost its accents, so those pieces were never trained and the bare ones were.

    Returns:
        At most ``MAX_LETTERS``, in the text's order.
    """
    words = dict.fromkeys(unicodedata.normalize("NFC", match.group()) for match in _WORD.finditer(text))
    accented = [(word, _bare(word)) for word in words if _bare(word) != word][:MAX_LETTERS]
    unknown = _unknown_token(bundle)
    # After a space, so that byte-level and SentencePiece vocabularies see a word and not the inside of one.
    encodings = bundle.encode_batch([" " + form for pair in accented for form in pair], add_special_tokens=False)
    result = []
    for (word, bare), own, other in zip(accented, encodings[::2], encodings[1::2], strict=True):
        tokens = tuple(own.tokens)
        result.append(AccentedWord(word, tokens, bare, tuple(other.tokens), unknown in tokens))
    return result


# --- coverage ---------------------------------------------------------------------------------------------


def accent_coverage(bundle: TokenizerBundle) -> dict[str, AccentCoverage]:
    """For each accented letter of Spanish, in both cases: is it a piece, and how many pieces hold it."""
    normalizer = normalizer_alone(bundle)
    alone: set[str] = set()
    inside: set[str] = set()
    found: dict[str, list[str]] = {letter: [] for letter in SPANISH_ACCENTED}
    for piece in pieces(bundle):
        if piece.text.isascii() or piece.kind in ("special", "reserved", "bytes"):
            continue
        for letter in found.keys() & set(piece.text):
            found[letter].append(piece.display)
        if piece.text in found:
            (inside if piece.display.startswith("##") else alone).add(piece.text)
    return {
        letter: AccentCoverage(
            letter=letter,
            reaches=letter in unicodedata.normalize("NFC", normalizer.all(letter)),
            alone=letter in alone,
            continuation=letter in inside,
            pieces=len(found[letter]),
            examples=tuple(found[letter][:6]),
        )
        for letter in SPANISH_ACCENTED
    }
