"""How tokenizers cut a text: segments, tokens, figures and the places where two tokenizers disagree.

The text is cut once into *units* (words, and single graphemes for everything else that is not white space),
the same for every tokenizer; each token is then placed on those units by its character offsets. So tokens of
different tokenizers can be compared although their vocabularies, marks and normalizers differ.

Offsets are always code points of the cleaned text, half-open.
"""

import bisect
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import regex
from tokenizers import Encoding

from core.errors import InputInvalid, InputTooLong
from core.i18n import format_number
from core.i18n import gettext as _
from core.runtime.tokenizer import TokenizerBundle

MAX_CHARACTERS: Final = 20_000
WINDOW: Final = 512  # tokens; the context of BERT, the yardstick for every tokenizer

SegmentKind = Literal["space", "word", "other"]
TokenKind = Literal["piece", "special", "unknown", "bytes"]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the text. Joining the texts of all segments gives the text back.

    Attributes:
        text: the characters themselves.
        start: first code point.
        end: one past the last code point.
        kind: ``"word"``: letters, digits and their marks, with inner apostrophe or middle dot (l'avi,
            col·legi); ``"space"``: a run of white space; ``"other"``: one grapheme cluster (punctuation,
            symbol, emoji).
        unit: index among the segments that are not white space; -1 for white space.
    """

    text: str
    start: int
    end: int
    kind: SegmentKind
    unit: int


@dataclass(frozen=True, slots=True)
class Token:
    """One token of one tokenizer, placed on the text.

    Attributes:
        piece: the vocabulary's own string: ``"##ción"``, ``"Ġni"``, ``"Ã±o"``, ``"▁El"``.
        id: its index in the vocabulary.
        start: first code point it stands for. Empty (``start == end``) for special tokens that the
            post-processor added, and for a ``▁`` that marks a space the text doesn't have.
        end: one past the last code point it stands for.
        text: what a person should see: ``"##ción"``, ``" ni"``, ``"ño"``, ``"‹C3›"`` for part of a character.
        kind: ``"bytes"`` if it holds an incomplete part of some character.
        continuation: an earlier token already overlaps its unit.
        unit: first unit it overlaps; -1 for none (added special tokens, white space).
        last_unit: last unit it overlaps; -1 for none.
    """

    piece: str
    id: int
    start: int
    end: int
    text: str
    kind: TokenKind
    continuation: bool
    unit: int
    last_unit: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A place inside a unit where at least one tokenizer starts a new token.

    Attributes:
        offset: a grapheme boundary; a cut inside a grapheme is moved to the grapheme's start.
        unit: the unit that is cut.
        rows: which tokenizers cut here, as ascending indexes of ``Comparison.rows``.
        inside: some of these cuts really are inside the grapheme that starts at ``offset``.
    """

    offset: int
    unit: int
    rows: tuple[int, ...]
    inside: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """What a teacher compares between tokenizers.

    Attributes:
        characters: code points of the text, white space included.
        words: segments of kind ``"word"``.
        tokens: without the special tokens that the post-processor adds; special tokens that were typed count.
        special_tokens: those that the post-processor added.
        fertility: tokens that overlap a word, per word (Rust et al. 2021, "How Good is Your Tokenizer?",
            ACL 2021); ``None`` without words.
        whole_words: share, 0 to 1, of words that are one token of their own, and not unknown; ``None``
            without words.
        characters_per_token: code points per token; ``None`` without tokens.
        unknown: tokens that stand for something the vocabulary can't spell.
        window_share: (tokens + special tokens) / 512; above 1 the text doesn't fit.
        tokens_per_word: index i: number of words cut into i tokens (index 0: words that no token covers).
    """

    characters: int
    words: int
    tokens: int
    special_tokens: int
    fertility: float | None
    whole_words: float | None
    characters_per_token: float | None
    unknown: int
    window_share: float
    tokens_per_word: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One tokenizer's answer; ``milliseconds`` is the time its encoder took."""

    key: str
    name: str
    algorithm: str
    tokens: tuple[Token, ...]
    figures: Figures
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answers of several tokenizers to one text.

    Attributes:
        text: the cleaned text that every offset refers to.
        segments: the text cut into units and white space.
        rows: one for each tokenizer, in the order asked.
        cuts: by ascending offset.
        replaced_surrogates: lone surrogates that were replaced by U+FFFD in ``text``.
    """

    text: str
    segments: tuple[Segment, ...]
    rows: tuple[Row, ...]
    cuts: tuple[Cut, ...]
    replaced_surrogates: int


# --- cutting the text ---------------------------------------------------------------------------

# Every alternative begins and ends on a grapheme boundary (Unicode UAX #29):
# - a white-space character that carries a mark is a visible grapheme, so it is no white space; controls
#   such as the line feed never carry one;
# - a word is made of whole clusters that begin with a letter or digit; a cluster that asks for emoji
#   presentation or is a keycap is a symbol. Runs of letters without marks, nearly all text, take the fast
#   first branch;
# - all the rest is one cluster at a time.
_EXTENDS = r"[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}]"
_LETTERS = rf"[[\p{{L}}\p{{N}}]--[\p{{GCB=Prepend}}{_EXTENDS[1:-1]}\u2139]]++(?!{_EXTENDS})"
_CLUSTER = r"(?=[\p{L}\p{N}])(?!.[\uFE0F\u20E3])(?!\p{GCB=Prepend}++[\s--[\p{GCB=Control}\r\n]])\X(?:(?=\p{M})\X)*+"
_WORD = rf"(?:{_LETTERS}|{_CLUSTER})"
_SEGMENT: Final = regex.compile(
    rf"(?P<space>(?:[\s&&[\p{{GCB=Control}}\r\n]]|\s(?!{_EXTENDS}))++)"
    rf"|(?P<word>{_WORD}++(?:['’·](?={_WORD}){_WORD}++)*+)"
    r"|(?P<other>\X)",
    flags=regex.V1 | regex.DOTALL,
)
_GRAPHEME: Final = regex.compile(r"\X")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def clean_text(raw: str) -> tuple[str, int]:
    """Makes any ``str`` a valid Unicode text: surrogate pairs are joined, lone surrogates become U+FFFD.

    Returns:
        The text and the number of lone surrogates that were replaced.
    """
    if not _SURROGATE.search(raw):
        return raw, 0
    text = raw.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text, text.count("\ufffd") - raw.count("\ufffd")


def segment(text: str) -> tuple[Segment, ...]:
    """Cuts a text into words, single graphemes and white space (see ``Segment``); loses nothing."""
    segments = []
    unit = 0
    for match in _SEGMENT.finditer(text):
        kind: Any = match.lastgroup
        start, end = match.span()
        if kind == "space":
            segments.append(Segment(match.group(), start, end, "space", -1))
        else:
            segments.append(Segment(match.group(), start, end, kind, unit))
            unit += 1
    return tuple(segments)


def unit_spans(text: str) -> tuple[Ints, Ints, Bools]:
    """The units of a text as arrays, for bulk work.

    Returns:
        Starts, ends (code points) and whether each is a word; each of shape ``(units,)``.
    """
    spans: list[int] = []
    for match in _SEGMENT.finditer(text):
        index = match.lastindex
        if index != 1:
            spans += (*match.span(), index == 2)
    table = np.array(spans, dtype=np.int64).reshape(-1, 3)
    return table[:, 0].copy(), table[:, 1].copy(), table[:, 2].astype(np.bool_)


# --- pieces as people can read them ---------------------------------------------------------------


@cache
def byte_alphabet() -> dict[str, int]:
    """The letter → byte table of byte-level BPE (Radford et al. 2019, GPT-2).

    The bytes that print in Latin-1 stand for themselves; the 68 others, in order, take the letters
    from U+0100 on.
    """
    runs = ("!", "~"), ("¡", "¬"), ("®", "ÿ")
    table = {chr(byte): byte for first, last in runs for byte in range(ord(first), ord(last) + 1)}
    others = sorted(set(range(256)).difference(table.values()))
    return table | {chr(256 + i): byte for i, byte in enumerate(others)}


def show_bytes(data: bytes) -> tuple[str, bool]:
    """UTF-8 bytes as text, with the bytes of incomplete characters as ``‹C3 B1›``.

    Returns:
        The text, and whether any character was incomplete.
    """
    try:
        return data.decode(), False
    except UnicodeDecodeError:
        pass
    shown: list[str] = []
    loose: list[str] = []  # neighbouring incomplete bytes share one pair of brackets
    while data:
        try:
            good, bad, rest = data.decode(), b"", b""
        except UnicodeDecodeError as error:
            good, bad, rest = data[: error.start].decode(), data[error.start : error.end], data[error.end :]
        if good and loose:
            shown.append(f"‹{' '.join(loose)}›")
            loose = []
        shown.append(good)
        loose += [f"{byte:02X}" for byte in bad]
        data = rest
    if loose:
        shown.append(f"‹{' '.join(loose)}›")
    return "".join(shown), True


def component_nodes(part: Any) -> Iterator[Mapping[str, Any]]:
    """The components of a normalizer, pre-tokenizer or decoder, sequences flattened."""
    if not isinstance(part, dict):
        return
    inner = [value for key in ("normalizers", "pretokenizers", "decoders") for value in part.get(key) or ()]
    if not inner:
        yield part
    for node in inner:
        yield from component_nodes(node)


_BYTE_FALLBACK: Final = re.compile(r"<0x([0-9A-F]{2})>")


class PieceTable:
    """What each id of one tokenizer looks like; filled as ids come up, bounded by the vocabulary."""

    def __init__(self, bundle: TokenizerBundle) -> None:
        definition = bundle.definition
        model = definition["model"]
        parts = [
            node
            for name in ("normalizer", "pre_tokenizer", "decoder")
            for node in component_nodes(definition.get(name))
        ]
        types = {str(node["type"]) for node in parts}
        self.byte_level = "ByteLevel" in types
        self.byte_fallback = "ByteFallback" in types or bool(model.get("byte_fallback"))
        self.space_mark: str | None = next(
            (str(node["replacement"]) for node in parts if node["type"] == "Metaspace"), None
        )
        if self.space_mark is None and any("▁" in (node.get("content"), node.get("prepend")) for node in parts):
            self.space_mark = "▁"
        self.added: dict[int, str] = {t["id"]: t["content"] for t in definition.get("added_tokens", [])}
        self.special = {t["id"] for t in definition.get("added_tokens", []) if t["special"]}
        self.unknown_id: int | None = model.get("unk_id")
        if self.unknown_id is None and model.get("unk_token") is not None:
            with bundle.lock:
                self.unknown_id = bundle.backend.token_to_id(model["unk_token"])
        self._entries: dict[int, tuple[str, str, TokenKind]] = {}

    def entries(self, bundle: TokenizerBundle, ids: Sequence[int]) -> dict[int, tuple[str, str, TokenKind]]:
        """For each of ``ids`` (and more): its piece, the text to show, and its kind if nobody typed it."""
        missing = set(ids).difference(self._entries)
        if missing:
            with bundle.lock:
                pieces = {i: bundle.backend.id_to_token(i) for i in missing}
            for i, piece in pieces.items():
                self._entries[i] = self._entry(i, piece if piece is not None else "")
        return self._entries

    def is_bare_mark(self, piece: str) -> bool:
        """Whether a piece is nothing but the mark for a space (``▁``)."""
        return self.space_mark is not None and bool(piece) and not piece.strip(self.space_mark)

    def _entry(self, token_id: int, piece: str) -> tuple[str, str, TokenKind]:
        if token_id == self.unknown_id:
            return piece, self.added.get(token_id, piece), "unknown"
        if token_id in self.added:
            return piece, self.added[token_id], "special" if token_id in self.special else "piece"
        if self.byte_level:
            alphabet = byte_alphabet()
            if all(letter in alphabet for letter in piece):
                text, incomplete = show_bytes(bytes(alphabet[letter] for letter in piece))
                return piece, text, "bytes" if incomplete else "piece"
            return piece, piece, "piece"
        if self.byte_fallback and (match := _BYTE_FALLBACK.fullmatch(piece)):
            text, incomplete = show_bytes(bytes([int(match[1], 16)]))
            return piece, text, "bytes" if incomplete else "piece"
        if self.space_mark:
            return piece, piece.replace(self.space_mark, " "), "piece"
        return piece, piece, "piece"


def piece_table(bundle: TokenizerBundle) -> PieceTable:
    """The table of a bundle: made at first use, kept on the bundle itself, so that both go together."""
    table = vars(bundle).get("_piece_table")
    if isinstance(table, PieceTable):
        return table
    table = PieceTable(bundle)
    # Two threads may both build it; either is right, the last one stays.
    vars(bundle)["_piece_table"] = table
    return table


# --- placing tokens on units ----------------------------------------------------------------------


def ordered_spans(starts: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Spans in reading order: starts never go back, and what is empty stays empty, at its place.

    A tokenizer gives (0, 0) to whatever stands for no character, wherever it is (``[SEP]`` goes to the end);
    and normalizers that reorder marks can swap neighbours.

    Args:
        starts: code points, shape ``(tokens,)``.
        ends: code points, shape ``(tokens,)``.

    Returns:
        Two arrays of shape ``(tokens,)``.
    """
    empty = starts >= ends
    starts = starts.copy()
    filled = np.flatnonzero(~empty)
    if filled.size:
        tail = starts[filled[-1] + 1 :]
        np.maximum(tail, ends[filled].max(), out=tail)
    starts = np.maximum.accumulate(starts)
    return starts, np.where(empty, starts, np.maximum(ends, starts))


def place(starts: Ints, ends: Ints, unit_starts: Ints, unit_ends: Ints) -> tuple[Ints, Ints]:
    """First and last unit that each span overlaps, -1 where it overlaps none.

    Args:
        starts: code points, shape ``(tokens,)``.
        ends: code points, shape ``(tokens,)``.
        unit_starts: ascending, shape ``(units,)``.
        unit_ends: ascending, shape ``(units,)``; units don't overlap one another.

    Returns:
        Two arrays of shape ``(tokens,)``.
    """
    first = np.searchsorted(unit_ends, starts, side="right")
    last = np.searchsorted(unit_starts, ends, side="left") - 1
    none = (last < first) | (starts >= ends)
    return np.where(none, -1, first), np.where(none, -1, last)


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums that figures are made of; those of two texts add up.

    Attributes:
        words: number of words.
        tokens: without added special tokens.
        special_tokens: added by the post-processor.
        on_words: tokens that overlap a word.
        whole: words that are one token of their own.
        unknown: unknown tokens.
        histogram: index i: words cut into i tokens.
    """

    words: int = 0
    tokens: int = 0
    special_tokens: int = 0
    on_words: int = 0
    whole: int = 0
    unknown: int = 0
    histogram: tuple[int, ...] = (0,)

    def __add__(self, other: "Tally") -> "Tally":
        long, short = sorted((self.histogram, other.histogram), key=len, reverse=True)
        return Tally(
            self.words + other.words,
            self.tokens + other.tokens,
            self.special_tokens + other.special_tokens,
            self.on_words + other.on_words,
            self.whole + other.whole,
            self.unknown + other.unknown,
            tuple(n + (short[i] if i < len(short) else 0) for i, n in enumerate(long)),
        )

    def figures(self, characters: int) -> Figures:
        """The figures of a text of that many code points."""
        return Figures(
            characters=characters,
            words=self.words,
            tokens=self.tokens,
            special_tokens=self.special_tokens,
            fertility=self.on_words / self.words if self.words else None,
            whole_words=self.whole / self.words if self.words else None,
            characters_per_token=characters / self.tokens if self.tokens else None,
            unknown=self.unknown,
            window_share=(self.tokens + self.special_tokens) / WINDOW,
            tokens_per_word=self.histogram,
        )


def tally(
    first: Ints,
    last: Ints,
    unknown: Bools,
    is_word: Bools,
    *,
    special_tokens: int = 0,
    token_weights: Ints | None = None,
    unit_weights: Ints | None = None,
) -> Tally:
    """Counts tokens on words.

    Args:
        first: first unit of each token, -1 for none, shape ``(tokens,)``.
        last: last unit of each token, shape ``(tokens,)``.
        unknown: whether each token is unknown, shape ``(tokens,)``.
        is_word: whether each unit is a word, shape ``(units,)``.
        special_tokens: how many the post-processor added (they are not among the tokens).
        token_weights: how many times each token's text occurs; 1 if ``None``.
        unit_weights: the same for units.
    """
    units = len(is_word)
    token_weights = np.ones(len(first), np.int64) if token_weights is None else token_weights
    unit_weights = np.ones(units, np.int64) if unit_weights is None else unit_weights
    placed = first >= 0
    begins, finishes = first[placed], last[placed]
    steps = np.bincount(begins, minlength=units + 1) - np.bincount(finishes + 1, minlength=units + 1)
    per_unit = np.cumsum(steps)[:units]
    alone = np.bincount(first[placed & (first == last) & ~unknown], minlength=units)
    words_before = np.concatenate(([0], np.cumsum(is_word)))
    on_words = words_before[finishes + 1] > words_before[begins]
    word_weights = unit_weights[is_word]
    # Weighted counts are exact: NumPy sums them as doubles, far below 2**53.
    histogram = np.bincount(per_unit[is_word], weights=word_weights, minlength=1).astype(np.int64)
    return Tally(
        words=int(word_weights.sum()),
        tokens=int(token_weights.sum()),
        special_tokens=special_tokens,
        on_words=int(token_weights[placed][on_words].sum()),
        whole=int(unit_weights[is_word & (per_unit == 1) & (alone == 1)].sum()),
        unknown=int(token_weights[unknown].sum()),
        histogram=tuple(histogram.tolist()),
    )


# --- the page's questions -------------------------------------------------------------------------


def _place_encoding(
    text: str, encoding: Encoding, bundle: TokenizerBundle, segments: Sequence[Segment]
) -> tuple[Token, ...]:
    ids: list[int] = encoding.ids
    if not ids:
        return ()
    table = piece_table(bundle)
    entries = table.entries(bundle, ids)
    added: list[int] = encoding.special_tokens_mask
    spans = np.fromiter(chain.from_iterable(encoding.offsets), np.int64, 2 * len(ids)).reshape(-1, 2)
    drop_added_marks(spans, ids, entries, table, text)
    starts, ends = ordered_spans(spans[:, 0], spans[:, 1])
    unit_starts = np.fromiter((s.start for s in segments if s.unit >= 0), np.int64)
    unit_ends = np.fromiter((s.end for s in segments if s.unit >= 0), np.int64)
    first, last = place(starts, ends, unit_starts, unit_ends)
    seen = np.concatenate(([-1], np.maximum.accumulate(last)[:-1]))
    continuation = (first >= 0) & (seen >= first)
    tokens = []
    places = (starts.tolist(), ends.tolist(), first.tolist(), last.tolist(), continuation.tolist())
    for token_id, was_added, start, end, unit, last_unit, continues in zip(ids, added, *places, strict=True):
        piece, shown, kind = entries[token_id]
        if was_added or (
            kind == "unknown" and token_id in table.special and text[start:end].strip() == table.added[token_id]
        ):
            kind = "special"  # somebody typed "[UNK]": that is the token itself, not a failure
        tokens.append(Token(piece, token_id, start, end, shown, kind, continues, unit, last_unit))
    return tuple(tokens)


def drop_added_marks(
    spans: Ints,
    ids: Sequence[int],
    entries: Mapping[int, tuple[str, str, TokenKind]],
    table: PieceTable,
    text: str,
) -> None:
    """Empties, in place, the spans of bare ``▁`` tokens that stand for a space the text doesn't have.

    Tokenizers that put a space before every word give that mark the offsets of the word's first letter,
    as if it were part of it.

    Args:
        spans: starts and ends, shape ``(tokens, 2)``.
        ids: the tokens.
        entries: what each id looks like.
        table: the tokenizer's table.
        text: what the spans refer to.
    """
    if table.space_mark is None:
        return
    marks = {i for i in set(ids) if table.is_bare_mark(entries[i][0])}
    for index, token_id in enumerate(ids):
        if token_id in marks:
            start, end = spans[index].tolist()
            covered = text[start:end]
            if not covered.isspace() and table.space_mark not in covered:
                spans[index, 1] = start


def tokenize(text: str, bundle: TokenizerBundle, segments: Sequence[Segment]) -> tuple[Token, ...]:
    """The tokens of a text, special tokens included, placed on its segments.

    Args:
        text: cleaned text (see ``clean_text``).
        bundle: the tokenizer.
        segments: ``segment(text)``.
    """
    return _place_encoding(text, bundle.encode(text), bundle, segments)


def figures(text: str, tokens: Sequence[Token], segments: Sequence[Segment]) -> Figures:
    """The figures of a text that ``tokenize`` cut."""
    counted = [t for t in tokens if t.kind != "special" or t.start < t.end]
    sums = tally(
        np.fromiter((t.unit for t in counted), np.int64, len(counted)),
        np.fromiter((t.last_unit for t in counted), np.int64, len(counted)),
        np.fromiter((t.kind == "unknown" for t in counted), np.bool_, len(counted)),
        np.fromiter((s.kind == "word" for s in segments if s.unit >= 0), np.bool_),
        special_tokens=len(tokens) - len(counted),
    )
    return sums.figures(len(text))


def _grapheme_starts(unit: Segment) -> list[int]:
    return [unit.start + match.start() for match in _GRAPHEME.finditer(unit.text)]


def cuts(segments: Sequence[Segment], rows: Sequence[Sequence[Token]]) -> tuple[Cut, ...]:
    """Where tokens begin inside units, on grapheme boundaries, and for which tokenizers.

    Args:
        segments: the text's.
        rows: the tokens of each tokenizer.
    """
    units = [s for s in segments if s.unit >= 0]
    boundaries: dict[int, list[int]] = {}  # of the units that are not plain ASCII, as they come up
    found: dict[int, tuple[int, list[int], bool]] = {}
    for index, tokens in enumerate(rows):
        covered = 0
        for token in tokens:
            if token.continuation:
                unit = units[token.unit]
                start = max(token.start, unit.start)
                offset = start
                if unit.kind == "other":
                    offset = unit.start
                elif not unit.text.isascii():
                    if token.unit not in boundaries:
                        boundaries[token.unit] = _grapheme_starts(unit)
                    known = boundaries[token.unit]
                    offset = known[bisect.bisect_right(known, start) - 1]
                inside = offset != start or start < covered
                _unit, who, was_inside = found.get(offset, (token.unit, [], False))
                if not who or who[-1] != index:
                    who.append(index)
                found[offset] = (token.unit, who, was_inside or inside)
            covered = max(covered, token.end)
    return tuple(Cut(offset, unit, tuple(who), inside) for offset, (unit, who, inside) in sorted(found.items()))


def check_text(raw: str) -> tuple[str, int]:
    """Cleans a text and refuses one that can't be cut.

    Returns:
        The text and how many lone surrogates were replaced, as ``clean_text`` does.

    Raises:
        InputInvalid: the text is empty or only white space.
        InputTooLong: the text is longer than ``MAX_CHARACTERS``.
    """
    cleaned, replaced = clean_text(raw)
    if len(cleaned) > MAX_CHARACTERS:
        raise InputTooLong(
            _(
                "El texto tiene {count} caracteres y esta página acepta hasta {limit}. "
                "Recórtalo, o analízalo entero como corpus."
            ).format(count=format_number(len(cleaned)), limit=format_number(MAX_CHARACTERS))
        )
    if not cleaned.strip():
        raise InputInvalid(_("No hay texto que cortar: escribe al menos una palabra o elige un ejemplo."))
    return cleaned, replaced


def compare(text: str, bundles: Sequence[TokenizerBundle]) -> Comparison:
    """Cuts a text with several tokenizers.

    Args:
        text: anything somebody typed, up to 20,000 code points.
        bundles: the tokenizers, in the order in which to show them.

    Raises:
        InputInvalid: the text is empty or only white space.
        InputTooLong: the text is longer than ``MAX_CHARACTERS``.
    """
    cleaned, replaced = check_text(text)
    segments = segment(cleaned)
    rows = []
    for bundle in bundles:
        begun = time.perf_counter()
        encoding = bundle.encode(cleaned)
        milliseconds = 1000 * (time.perf_counter() - begun)
        tokens = _place_encoding(cleaned, encoding, bundle, segments)
        numbers = figures(cleaned, tokens, segments)
        rows.append(Row(bundle.key, bundle.name, bundle.algorithm, tokens, numbers, milliseconds))
    return Comparison(cleaned, segments, tuple(rows), cuts(segments, [row.tokens for row in rows]), replaced)


def _literal(value: str, width: int = 88) -> str:
    """A Python literal of any text: one string, or shorter ones side by side in brackets.

    ``repr`` escapes whatever doesn't print (controls, bidirectional marks), so the code reads as it runs.
    """
    if len(value) <= width and "\n" not in value:
        return repr(value)
    lines = value.splitlines(keepends=True)
    pieces = [repr(line[i : i + width]) for line in lines for i in range(0, len(line), width)]
    return "(\n" + "".join(f"    {piece}\n" for piece in pieces) + ")"


def snippet(sources: Sequence[tuple[str, str]], text: str) -> str:
    """A short Python program that reproduces the token lists of the page with plain transformers.

    Args:
        sources: for each tokenizer, its name and the hub id or folder to load it from.
        text: the text to cut; any text gives a valid program that prints the tokens of exactly that text.
    """
    cleaned, _replaced = clean_text(text)
    listed = "".join(f"    ({name!r}, {source!r}),\n" for name, source in sources)
    return (
        "from transformers import AutoTokenizer\n\n"
        f"text = {_literal(cleaned)}\n"
        f"sources = [\n{listed}]\n\n"
        "for name, source in sources:\n"
        "    tokenizer = AutoTokenizer.from_pretrained(source)\n"
        "    encoding = tokenizer(text, return_special_tokens_mask=True)\n"
        '    tokens = tokenizer.convert_ids_to_tokens(encoding["input_ids"])\n'
        '    special = sum(encoding["special_tokens_mask"])\n'
        '    print(f"{name}: {len(tokens) - special} tokens + {special} special")\n'
        "    print(tokens)\n"
    )
