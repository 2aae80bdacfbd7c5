"""Vocabularies: what the pieces are, how to search them, and what two vocabularies share.

A piece is written differently by each family of tokenizers, so everything here works on its *readable* form:

=======  ==============================================  ==========================================
family   mark                                            example
=======  ==============================================  ==========================================
``##``   WordPiece: the piece continues a word           ``##ción`` → "ción", continues
``Ġ``    byte-level BPE: a space comes before            ``ĠniÃ±o`` → "niño", begins a word
``▁``    SentencePiece: a space comes before             ``▁niño`` → "niño", begins a word
``""``   no mark                                         ``niño`` → "niño", may begin a word
=======  ==============================================  ==========================================

The byte alphabet is that of GPT-2 (Radford et al., 2019): each of the 256 bytes has a printable character.
"""

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple
from weakref import WeakKeyDictionary

import regex

from core.errors import InputInvalid
from core.i18n import format_number
from core.i18n import gettext as _
from core.lens.tokenization import byte_alphabet, show_bytes
from core.runtime.tokenizer import TokenizerBundle

Family = Literal["##", "Ġ", "▁", ""]
Kind = Literal["special", "reserved", "bytes", "symbol", "word", "continuation"]
Mode = Literal["prefix", "contains", "regex"]

KINDS: Final[tuple[Kind, ...]] = ("word", "continuation", "symbol", "bytes", "special", "reserved")
SPANISH_ACCENTED: Final = "áéíóúüñÁÉÍÓÚÜÑ"
MAX_QUERY_CHARACTERS: Final = 200

_ACCENTED: Final = frozenset(SPANISH_ACCENTED)
_HAS_WORD_CHARACTER: Final = regex.compile(r"[\p{L}\p{N}\p{M}]")
_RESERVED: Final = regex.compile(r"\[unused\d+\]|<unused\d+>|<\|reserved[\w]*\|>")
# (?R), (?1), (?&name), (?P>name): a pattern that calls itself can take hundreds of MiB before its time is up.
_CALL: Final = regex.compile(r"\(\?(?:R|[+-]?\d|&|P>)")
_BYTE_PIECE: Final = regex.compile(r"<0x([0-9A-F]{2})>")


class Piece(NamedTuple):
    """One entry of a vocabulary.

    Attributes:
        id: its index.
        piece: the vocabulary's own string.
        text: its readable form without any mark; for bytes that are no whole character, ``‹C3›``.
        display: like ``text``, with ``##`` before a WordPiece continuation and a space where it has one.
        kind: ``"special"``; ``"reserved"`` ([unused7] and the like: never trained); ``"bytes"`` (a part of a
            character); ``"symbol"`` (no letter, digit or mark); ``"word"`` (begins a word or is a whole one);
            ``"continuation"`` (goes on inside a word).
    """

    id: int
    piece: str
    text: str
    display: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class VocabularySummary:
    """A vocabulary in figures. Shares are of ``size``, 0–1.

    Attributes:
        family: how the vocabulary marks its pieces.
        size: pieces in all, added tokens included.
        counts: how many pieces of each kind; they add up to ``size``.
        shares: the same as shares.
        accented: pieces with an accented letter of Spanish or ñ, in either case.
        accented_share: their share.
        enye: pieces with ñ or Ñ.
        accented_examples: the first of them, at most 30, longest-used (lowest id) first.
        longest: the longest piece's readable form.
        lowercases: the tokenizer lower-cases its input.
        strips_accents: it takes accents off.
    """

    family: Family
    size: int
    counts: dict[Kind, int]
    shares: dict[Kind, float]
    accented: int
    accented_share: float
    enye: int
    accented_examples: tuple[str, ...]
    longest: str
    lowercases: bool
    strips_accents: bool


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found.

    Attributes:
        total: all matches.
        hits: the first of them, by id.
    """

    query: str
    mode: Mode
    case_sensitive: bool
    total: int
    hits: tuple[Piece, ...]
    milliseconds: float


@dataclass(frozen=True, slots=True)
class SharedPieces:
    """What two vocabularies have in common.

    Pieces are compared as (begins a word?, readable text); symbols by their text alone, fragments of
    characters by their bytes. Special and reserved pieces are left out.

    Attributes:
        size_a: pieces of ``a`` that were compared (distinct ones).
        size_b: the same of ``b``.
        both: how many are in both.
        share_a: ``both / size_a``, 0–1.
        share_b: ``both / size_b``, 0–1.
        both_ignoring_case: pieces of ``a`` that ``b`` has when upper and lower case count as the same.
        examples_both: readable pieces, at most 40, in ``a``'s order.
        examples_a: those that only ``a`` has.
        examples_b: those that only ``b`` has.
        lowercases_a: ``a`` lower-cases its input.
        lowercases_b: ``b`` does.
    """

    name_a: str
    name_b: str
    size_a: int
    size_b: int
    both: int
    share_a: float
    share_b: float
    both_ignoring_case: int
    examples_both: tuple[str, ...]
    examples_a: tuple[str, ...]
    examples_b: tuple[str, ...]
    lowercases_a: bool
    lowercases_b: bool


# --- readable forms ---------------------------------------------------------------------------------------


def _types(node: Any) -> set[str]:
    """Every ``type`` named anywhere in a part of a tokenizer's definition."""
    if isinstance(node, dict):
        own = {str(node["type"])} if "type" in node else set()
        return own.union(*(_types(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(_types(value) for value in node))
    return set()


def family(bundle: TokenizerBundle) -> Family:
    """How the vocabulary of ``bundle`` marks the beginning or the inside of a word."""
    definition = bundle.definition
    model = definition["model"]
    if model["type"] == "WordPiece" or model.get("continuing_subword_prefix"):
        return "##"
    parts = [definition.get(part) for part in ("normalizer", "pre_tokenizer", "decoder")]
    if "ByteLevel" in _types(parts):
        return "Ġ"
    marks_spaces = "▁" in str(parts)  # Metaspace, or the Prepend and Replace steps of Llama
    return "▁" if marks_spaces else ""


def _flags(bundle: TokenizerBundle) -> tuple[bool, bool]:
    """(lower-cases, strips accents), as the normalizer really does it."""
    with bundle.lock:
        normalizer = bundle.backend.normalizer
    if normalizer is None:
        return False, False
    return "É" not in (upper := normalizer.normalize_str("É")) and upper.islower(), "é" not in (
        normalizer.normalize_str("é")
    )


class _Reader:
    """Reads the pieces of one vocabulary."""

    def __init__(self, bundle: TokenizerBundle) -> None:
        self.family = family(bundle)
        prefix = bundle.definition["model"].get("continuing_subword_prefix")
        self._prefix: str = prefix or "##"
        self._special = bundle.special_tokens
        self._added = {token["content"] for token in bundle.definition.get("added_tokens", [])}

    def read(self, piece: str, id_: int) -> Piece:
        if piece in self._special:
            return Piece(id_, piece, piece, piece, "special")
        if piece[:1] in ("[", "<") and _RESERVED.fullmatch(piece):
            return Piece(id_, piece, piece, piece, "reserved")
        if self.family == "Ġ" and piece not in self._added:
            return self._bytes(piece, id_)
        if piece[:1] == "<" and (byte := _BYTE_PIECE.fullmatch(piece)):
            text, _incomplete = show_bytes(bytes.fromhex(byte.group(1)))
            return Piece(id_, piece, text, text, "bytes")
        match self.family:
            case "##":
                continues = piece.startswith(self._prefix) and len(piece) > len(self._prefix)
                text = piece.removeprefix(self._prefix) if continues else piece
                return Piece(id_, piece, text, "##" + text if continues else text, _kind(text, not continues))
            case "▁":
                return _spaced(id_, piece, piece.replace("▁", " "))
            case _:
                return Piece(id_, piece, piece, piece, _kind(piece, True))

    def _bytes(self, piece: str, id_: int) -> Piece:
        table = byte_alphabet()
        try:
            data = bytes([table[character] for character in piece])
        except KeyError:  # a character from outside the alphabet: it stands for itself
            return Piece(id_, piece, piece, piece, _kind(piece, False))
        display, incomplete = show_bytes(data)
        return Piece(id_, piece, display, display, "bytes") if incomplete else _spaced(id_, piece, display)


def _spaced(id_: int, piece: str, display: str) -> Piece:
    """A piece of a family whose words begin with a space."""
    text = display.lstrip(" ") or display
    return Piece(id_, piece, text, display, _kind(text, display[:1] == " "))


def _kind(text: str, begins: bool) -> Kind:
    if not text.isalnum() and not _HAS_WORD_CHARACTER.search(text):
        return "symbol"
    return "word" if begins else "continuation"


_Key = tuple[bool | None, str]


class _Index:
    """The pieces of one vocabulary by id, with what every search needs."""

    def __init__(self, bundle: TokenizerBundle) -> None:
        reader = _Reader(bundle)
        self.family = reader.family
        by_id = sorted(bundle.vocabulary.items(), key=lambda item: item[1])
        self.pieces = tuple(itertools.starmap(reader.read, by_id))
        self.texts = [piece.text for piece in self.pieces]
        self.folded = [text.lower() for text in self.texts]
        self.lowercases, self.strips_accents = _flags(bundle)

    @cached_property
    def keys(self) -> dict[_Key, Piece]:
        """The pieces by what they stand for, in order; special and reserved ones left out."""
        keys: dict[_Key, Piece] = {}
        for piece in self.pieces:
            match piece.kind:
                case "word":
                    keys.setdefault((True, piece.text), piece)
                case "continuation":
                    keys.setdefault((False, piece.text), piece)
                case "symbol" | "bytes":
                    keys.setdefault((None, piece.text), piece)
        return keys

    @cached_property
    def folded_keys(self) -> list[_Key]:
        """``keys`` in lower case, one for each."""
        return [(begins, text.lower()) for begins, text in self.keys]


_indexes: WeakKeyDictionary[TokenizerBundle, _Index] = WeakKeyDictionary()
_cached: WeakKeyDictionary[TokenizerBundle, VocabularySummary] = WeakKeyDictionary()
_lock = threading.Lock()


def _index(bundle: TokenizerBundle) -> _Index:
    with _lock:
        index = _indexes.get(bundle)
    if index is None:
        index = _Index(bundle)
        with _lock:
            index = _indexes.setdefault(bundle, index)
    return index


def pieces(bundle: TokenizerBundle) -> tuple[Piece, ...]:
    """Every piece of the vocabulary, by id. Read once a tokenizer and kept."""
    return _index(bundle).pieces


def readable(piece: str, bundle: TokenizerBundle) -> Piece:
    """One piece, read: for showing the symbols of a trace. ``id`` is -1 if the vocabulary doesn't hold it."""
    return _Reader(bundle).read(piece, bundle.vocabulary.get(piece, -1))


def definitions(which: Family) -> dict[Kind, str]:
    """What each kind of piece means in a family, in the reader's language."""
    match which:
        case "##":
            word = _("Piezas sin «##»: empiezan una palabra o son una palabra entera.")
            inside = _("Piezas con «##»: siguen dentro de una palabra.")
        case "Ġ":
            word = _("Piezas con «Ġ», que es el espacio de antes: empiezan una palabra o son una palabra entera.")
            inside = _("Piezas sin «Ġ»: siguen dentro de una palabra, o empiezan el texto o van tras un signo.")
        case "▁":
            word = _("Piezas con «▁», que es el espacio de antes: empiezan una palabra o son una palabra entera.")
            inside = _("Piezas sin «▁»: siguen dentro de una palabra o van tras un signo.")
        case _:
            word = _("Este vocabulario no marca dónde empieza una palabra.")
            inside = word
    return {
        "word": word,
        "continuation": inside,
        "symbol": _("Piezas sin ninguna letra ni cifra: signos, espacios, emojis."),
        "bytes": _("Bytes sueltos que no llegan a formar un carácter; se muestran en hexadecimal, como ‹C3›."),
        "special": _("Tokens especiales, que no salen de ningún texto: [CLS], <s>, <|endoftext|>…"),
        "reserved": _("Huecos reservados, como [unused7], que el entrenamiento nunca usó."),
    }


# --- summary, search, comparison --------------------------------------------------------------------------


def summary(bundle: TokenizerBundle) -> VocabularySummary:
    """The vocabulary in figures. Worked out once a tokenizer and kept."""
    with _lock:
        known = _cached.get(bundle)
    if known is not None:
        return known
    index = _index(bundle)
    size = len(index.pieces)
    counts: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    for piece in index.pieces:
        counts[piece.kind] += 1
    accented = [
        piece
        for piece in index.pieces
        if not piece.text.isascii() and piece.kind in ("word", "continuation") and not _ACCENTED.isdisjoint(piece.text)
    ]
    plain = (piece.text for piece in index.pieces if piece.kind in ("word", "continuation"))
    result = VocabularySummary(
        family=index.family,
        size=size,
        counts=counts,
        shares={kind: count / size if size else 0.0 for kind, count in counts.items()},
        accented=len(accented),
        accented_share=len(accented) / size if size else 0.0,
        enye=sum("ñ" in piece.text or "Ñ" in piece.text for piece in accented),
        accented_examples=tuple(piece.display for piece in accented[:30]),
        longest=max(plain, key=len, default=""),
        lowercases=index.lowercases,
        strips_accents=index.strips_accents,
    )
    with _lock:
        return _cached.setdefault(bundle, result)


def search(
    bundle: TokenizerBundle,
    query: str,
    mode: Mode,
    limit: int = 200,
    timeout_s: float = 0.5,
    case_sensitive: bool = False,
) -> SearchResult:
    """Pieces whose readable form begins with, contains, or matches ``query``.

    With ``"prefix"`` and ``"contains"`` a query that begins with the family's own mark asks for that kind
    only: ``##ción`` for continuations, a space (or ``Ġ``, ``▁``) for pieces that begin a word.

    Args:
        bundle: the tokenizer.
        query: what to look for, at most ``MAX_QUERY_CHARACTERS`` characters.
        mode: how.
        limit: how many hits to return; all are counted.
        timeout_s: seconds that the whole scan with a regular expression may take.
        case_sensitive: whether ``Ñ`` and ``ñ`` differ.

    Raises:
        InputInvalid: an empty or too long query, a pattern that isn't valid, or one that takes too long.
    """
    began = time.perf_counter()
    if not query:
        raise InputInvalid(_("Escribe qué buscar en el vocabulario."))
    if len(query) > MAX_QUERY_CHARACTERS:
        raise InputInvalid(
            _("Lo que buscas tiene {n} caracteres; el máximo es {limit}. Acórtalo.").format(
                n=format_number(len(query)), limit=format_number(MAX_QUERY_CHARACTERS)
            )
        )
    index = _index(bundle)
    if mode == "regex":
        found = _scan(index, query, timeout_s, case_sensitive)
    else:
        found = _match(index, query, mode, case_sensitive)
    hits = tuple(index.pieces[i] for i in found[:limit])
    return SearchResult(query, mode, case_sensitive, len(found), hits, (time.perf_counter() - began) * 1000)


def _match(index: _Index, query: str, mode: Mode, case_sensitive: bool) -> list[int]:
    text, only = query, None
    if index.family == "##" and query.startswith("##"):
        text, only = query[2:], False
    elif index.family in ("Ġ", "▁") and query[0] in (" ", index.family):
        text, only = query[1:], True
    texts = index.texts if case_sensitive else index.folded
    text = text if case_sensitive else text.lower()
    if mode == "prefix":
        found = [i for i, candidate in enumerate(texts) if candidate.startswith(text)]
    else:
        found = [i for i, candidate in enumerate(texts) if text in candidate]
    if only is None:
        return found
    test = _begins if only else _continues
    return [i for i in found if test(index.pieces[i])]


def _begins(piece: Piece) -> bool:
    return piece.display.startswith(" ") or piece.kind == "word"


def _continues(piece: Piece) -> bool:
    return piece.display != piece.text and piece.display.startswith("##")


def _scan(index: _Index, query: str, timeout_s: float, case_sensitive: bool) -> list[int]:
    """Indexes of the pieces that the pattern matches somewhere, under one deadline for the whole scan."""
    deadline = time.monotonic() + timeout_s
    if _CALL.search(query):
        raise InputInvalid(
            _(
                "La expresión regular «{pattern}» se llama a sí misma, y aquí eso no está permitido. "
                "Escríbela sin (?R), (?1) ni (?&nombre)."
            ).format(pattern=query)
        )
    try:
        pattern = regex.compile(query, regex.VERSION0 if case_sensitive else regex.VERSION0 | regex.IGNORECASE)
    except (regex.error, OverflowError, RecursionError, ValueError) as error:
        raise InputInvalid(
            _("La expresión regular «{pattern}» no es válida ({error}). Corrígela e inténtalo de nuevo.").format(
                pattern=query, error=error
            )
        ) from error
    try:
        if _is_simple(query):
            return _scan_simple(index.texts, pattern.search, deadline)
        return _scan_guarded(index.texts, pattern.search, deadline)
    except TimeoutError as error:
        raise InputInvalid(
            _(
                "La expresión regular «{pattern}» tardó más de {seconds} s y se detuvo: suele pasar con "
                "repeticiones dentro de repeticiones, como (a+)+. Escríbela de una forma más simple."
            ).format(pattern=query, seconds=format_number(timeout_s, 1))
        ) from error
    except (MemoryError, RecursionError) as error:
        raise InputInvalid(
            _("La expresión regular «{pattern}» pide demasiada memoria. Escríbela de una forma más simple.").format(
                pattern=query
            )
        ) from error


def _is_simple(query: str) -> bool:
    """Whether a pattern can't backtrack badly.

    At most one repetition and no alternative, option or extension: quadratic at worst, and pieces are short.
    """
    return not set("?{|") & set(query) and query.count("*") + query.count("+") <= 1


def _scan_guarded(texts: list[str], matches: Callable[..., Any], deadline: float) -> list[int]:
    """Each search gets what is left of the time."""
    found: list[int] = []
    clock = time.monotonic
    for i, text in enumerate(texts):
        left = deadline - clock()
        if left <= 0:
            raise TimeoutError
        if matches(text, timeout=left) is not None:
            found.append(i)
    return found


def _scan_simple(texts: list[str], matches: Callable[..., Any], deadline: float) -> list[int]:
    """For patterns that can't backtrack badly, so that one look at the clock every 256 pieces is enough.

    A timeout costs more than such a search itself: it is three quarters of the time on 250,000 pieces.
    """
    found: list[int] = []
    for first in range(0, len(texts), 256):
        if time.monotonic() > deadline:
            raise TimeoutError
        block = texts[first : first + 256]
        found += [first + i for i, text in enumerate(block) if matches(text) is not None]
    return found


def _examples(keys: dict[_Key, Piece], wanted: Callable[[_Key], bool], limit: int) -> tuple[str, ...]:
    """The first pieces that say something: letters, three or more."""
    telling = (
        piece.display.strip() for key, piece in keys.items() if len(key[1]) >= 3 and key[1].isalpha() and wanted(key)
    )
    return tuple(itertools.islice(telling, limit))


def shared(a: TokenizerBundle, b: TokenizerBundle, limit: int = 40) -> SharedPieces:
    """The pieces that two vocabularies share, compared by what they stand for, not by how they are marked."""
    index_a, index_b = _index(a), _index(b)
    keys_a, keys_b = index_a.keys, index_b.keys
    both = keys_a.keys() & keys_b.keys()
    folded_b = set(index_b.folded_keys)
    return SharedPieces(
        name_a=a.name,
        name_b=b.name,
        size_a=len(keys_a),
        size_b=len(keys_b),
        both=len(both),
        share_a=len(both) / len(keys_a) if keys_a else 0.0,
        share_b=len(both) / len(keys_b) if keys_b else 0.0,
        both_ignoring_case=sum(key in folded_b for key in index_a.folded_keys),
        examples_both=_examples(keys_a, both.__contains__, limit),
        examples_a=_examples(keys_a, lambda key: key not in both, limit),
        examples_b=_examples(keys_b, lambda key: key not in both, limit),
        lowercases_a=index_a.lowercases,
        lowercases_b=index_b.lowercases,
    )


def case_note(result: SharedPieces) -> str | None:
    """A sentence for the reader where one vocabulary is uncased and the other isn't; ``None`` otherwise."""
    if result.lowercases_a == result.lowercases_b:
        return None
    uncased, cased = result.name_a, result.name_b
    if result.lowercases_b:
        uncased, cased = cased, uncased
    return _(
        "{uncased} pasa todo a minúsculas y {cased} no: las piezas con mayúscula de este no pueden estar en "
        "aquel. Sin distinguir mayúsculas, {n} piezas de {a} están también en {b}."
    ).format(
        uncased=uncased,
        cased=cased,
        n=format_number(result.both_ignoring_case),
        a=result.name_a,
        b=result.name_b,
    )
