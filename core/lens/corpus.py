"""The figures of a whole corpus (up to 2 MB) for one tokenizer, and the words it cuts worst.

Natural text repeats itself: in a megabyte of Spanish novels, of the stretches between white space four in five
have been there before. Where a tokenizer provably never looks across white space, each distinct stretch is
encoded once and counted as often as it occurs; every other tokenizer gets the text line by line. Both routes
give the same numbers (a property test compares them); ``Locality`` says which one a tokenizer takes.
"""

import codecs
import heapq
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate, chain
from typing import Any, Final

import numpy as np
import regex

from core.errors import InputInvalid, InputTooLong, TallerError
from core.i18n import format_number
from core.i18n import gettext as _
from core.lens.tokenization import (
    Bools,
    Figures,
    Ints,
    Tally,
    clean_text,
    component_nodes,
    drop_added_marks,
    ordered_spans,
    piece_table,
    place,
    tally,
    unit_spans,
)
from core.runtime.tokenizer import TokenizerBundle

MAX_BYTES: Final = 2 * 1024 * 1024
WORST_WORDS: Final = 10

_BATCH_CHARACTERS: Final = 200_000  # a batch holds the tokenizer's lock, so it should last well under a second
_GROUP: Final = 64
_LONG_LINE: Final = 4_000  # characters; longer lines are shared among threads where that changes nothing


class AnalysisCancelled(TallerError):
    """The person stopped the analysis."""


class Locality(Enum):
    """How far a tokenizer looks when it cuts a word.

    Attributes:
        CHUNK: not beyond white space at all: BERT, or anything that first splits at white space.
        SPACE: only at the white space just before: GPT-2's byte-level pattern.
        LINE: possibly at the whole text.
    """

    CHUNK = "chunk"
    SPACE = "space"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class WordCut:
    """How one tokenizer cuts one distinct word.

    Attributes:
        word: as written in the corpus, case and accents kept.
        count: how often it occurs.
        tokens: what the chips of its most frequent cut would show.
        ids: their vocabulary indexes.
    """

    word: str
    count: int
    tokens: tuple[str, ...]
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """One tokenizer's answer to one corpus.

    Attributes:
        key: the tokenizer's short name.
        name: the tokenizer's name for people.
        algorithm: ``"WordPiece"``, ``"BPE"``, ``"Unigram"`` …
        lines: lines of the corpus, as encoded.
        figures: the same figures as for a short text; special tokens that the post-processor would add aren't
            counted, line breaks count as characters. Its ``tokens_per_word`` is the fertility distribution.
        distinct_words: different words, case and accents told apart.
        worst: the distinct words with the most tokens, ties by frequency, then alphabetically; words that are
            one token are never among them.
        words: every distinct word → (how often it occurs, tokens of its most frequent cut).
        milliseconds: what the analysis took.
    """

    key: str
    name: str
    algorithm: str
    lines: int
    figures: Figures
    distinct_words: int
    worst: tuple[WordCut, ...]
    words: Mapping[str, tuple[int, int]]
    milliseconds: float


@dataclass(frozen=True, slots=True)
class WordRow:
    """One line of the table to download.

    Attributes:
        word: as written. It may begin with a character that a spreadsheet takes for a formula: whoever writes
            the CSV escapes it.
        count: how often it occurs.
        tokens: tokens of its most frequent cut, one number a report.
    """

    word: str
    count: int
    tokens: tuple[int, ...]


# --- which route ----------------------------------------------------------------------------------

# Normalizers that treat every character by itself or with its marks, and leave white space in place.
_LOCAL_NORMALIZERS: Final = {"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents"}

# White space for Python that some tokenizer deletes or keeps as a letter: stretches would differ.
_DOUBTFUL_SPACE: Final = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
# Some letters of Indic scripts take what follows into their grapheme, be it a space.
_SPACE_IN_GRAPHEME: Final = regex.compile(r"\p{GCB=Prepend}\s")
_BREAK: Final = re.compile(r"(?<=\S)(?= )")
_SPACE_AND_CHUNK: Final = re.compile(r"\s*\S+|\s+")


def locality(bundle: TokenizerBundle) -> Locality:
    """How far this tokenizer looks, read from its definition; ``LINE`` when in doubt."""
    definition = bundle.definition
    model = definition["model"]
    normalizers = {node["type"] for node in component_nodes(definition.get("normalizer"))}
    splitters = list(component_nodes(definition.get("pre_tokenizer")))
    added = definition.get("added_tokens", [])
    if (
        not normalizers <= _LOCAL_NORMALIZERS
        or not splitters
        or model.get("dropout")
        or any(token["lstrip"] or token["rstrip"] or token["single_word"] for token in added)
        or any(re.search(r"\s", token["content"]) or not token["content"] for token in added)
    ):
        return Locality.LINE
    first, *others = splitters
    if first["type"] in {"BertPreTokenizer", "WhitespaceSplit"}:
        return Locality.CHUNK if all(map(_is_local, others)) else Locality.LINE
    if first["type"] == "ByteLevel" and first["use_regex"] and not first["add_prefix_space"] and not others:
        return Locality.SPACE
    return Locality.LINE


def _is_local(splitter: Mapping[str, Any]) -> bool:
    """Whether a pre-tokenizer that follows a split at white space sees nothing but its own stretch."""
    if splitter["type"] == "Metaspace":
        return splitter["prepend_scheme"] in {"always", "never"}
    return splitter["type"] in {"BertPreTokenizer", "WhitespaceSplit", "Whitespace", "Punctuation", "Digits"}


def split_line(line: str, limit: int = _LONG_LINE) -> list[str]:
    """Cuts a line before spaces that follow something visible; joining the parts gives it back.

    Args:
        line: any text.
        limit: code points after which the next such place is taken; a longer word stays whole.
    """
    parts = []
    start = 0
    while len(line) - start > limit:
        found = _BREAK.search(line, start + limit)
        if found is None:
            break
        parts.append(line[start : found.start()])
        start = found.start()
    parts.append(line[start:])
    return parts


# --- counting -------------------------------------------------------------------------------------


class _Counter:
    """Sums over batches of texts, each of which occurs a number of times."""

    def __init__(self, bundle: TokenizerBundle) -> None:
        self._bundle = bundle
        self._table = piece_table(bundle)
        self.sums = Tally()
        self.cuts: dict[tuple[str, tuple[int, ...]], int] = {}  # (word, ids) → how often

    def add(self, texts: list[str], weights: Sequence[int], group: int) -> None:
        """Encodes the texts, without special tokens, and counts text i ``weights[i]`` times.

        Args:
            texts: at least one, not empty, without line feeds.
            weights: as many.
            group: how many texts to encode as one, a line feed between them (an encoding apiece costs more
                than a word or two); 1 unless the tokenizer is ``Locality.CHUNK``.
        """
        grouped = ["\n".join(texts[i : i + group]) for i in range(0, len(texts), group)] if group > 1 else texts
        encodings = self._bundle.encode_batch(grouped, add_special_tokens=False)
        # One long text, so that units are found and tokens placed in one go. A line feed never joins a word
        # nor a grapheme, so nothing changes at the seams.
        joined = "\n".join(texts)
        bases = np.fromiter(accumulate((len(t) + 1 for t in texts[:-1]), initial=0), np.int64, len(texts))
        weight_of = np.fromiter(weights, np.int64, len(texts))
        unit_starts, unit_ends, is_word = unit_spans(joined)
        unit_weights = weight_of[np.searchsorted(bases, unit_starts, side="right") - 1]

        lengths = np.fromiter(map(len, encodings), np.int64, len(grouped))
        ids = list(chain.from_iterable(encoding.ids for encoding in encodings))
        offsets = chain.from_iterable(encoding.offsets for encoding in encodings)
        spans = np.fromiter(chain.from_iterable(offsets), np.int64, 2 * len(ids)).reshape(-1, 2)
        spans += np.repeat(bases[::group], lengths)[:, None]
        drop_added_marks(spans, ids, self._table.entries(self._bundle, ids), self._table, joined)
        starts, ends = ordered_spans(spans[:, 0], spans[:, 1])
        first, last = place(starts, ends, unit_starts, unit_ends)
        if group > 1:
            token_weights = weight_of[np.searchsorted(bases, starts, side="right") - 1]
        else:
            token_weights = np.repeat(weight_of, lengths)
        id_array = np.fromiter(ids, np.int64, len(ids))
        self.sums += tally(
            first,
            last,
            self._unknown(id_array, starts, ends, joined),
            is_word,
            token_weights=token_weights,
            unit_weights=unit_weights,
        )

        visible = starts < ends
        starts, ends, shown_ids = starts[visible], ends[visible], id_array[visible].tolist()
        word_starts, word_ends = unit_starts[is_word], unit_ends[is_word]
        # Tokens are in reading order, so those that overlap a word are neighbours.
        begins = np.searchsorted(np.maximum.accumulate(ends), word_starts, side="right")
        finishes = np.searchsorted(starts, word_ends, side="left")
        columns = (word_starts, word_ends, begins, finishes, unit_weights[is_word])
        cuts = self.cuts
        for start, end, begin, finish, weight in zip(*(column.tolist() for column in columns), strict=True):
            cut = joined[start:end], tuple(shown_ids[begin:finish])
            cuts[cut] = cuts.get(cut, 0) + weight

    def _unknown(self, ids: Ints, starts: Ints, ends: Ints, joined: str) -> Bools:
        """Which tokens stand for what the vocabulary can't spell; a typed ``[UNK]`` doesn't."""
        table = self._table
        if table.unknown_id is None:
            return np.zeros(len(ids), np.bool_)
        unknown: Bools = np.equal(ids, table.unknown_id)
        if table.unknown_id in table.special:
            content = table.added[table.unknown_id]
            for index in np.flatnonzero(unknown).tolist():
                unknown[index] = joined[starts[index] : ends[index]].strip() != content
        return unknown


def _batches(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Index ranges of about ``_BATCH_CHARACTERS`` code points."""
    begin = size = 0
    for index, text in enumerate(texts):
        size += len(text) + 1
        if size >= _BATCH_CHARACTERS:
            yield begin, index + 1
            begin, size = index + 1, 0
    if begin < len(texts):
        yield begin, len(texts)


def _texts_to_encode(text: str, lines: list[str], reach: Locality) -> tuple[list[str], list[int], int]:
    """What to encode for a corpus, how many times each of it counts, and how many may be encoded as one."""
    if reach is Locality.LINE or _SPACE_IN_GRAPHEME.search(text):
        kept = [line for line in lines if line]
        return kept, [1] * len(kept), 1
    if _DOUBTFUL_SPACE.search(text):
        parts = [part for line in lines for part in split_line(line) if part]
        return parts, [1] * len(parts), 1
    if reach is Locality.CHUNK:
        found = Counter(text.split())
        return list(found), list(found.values()), _GROUP
    found = Counter(chain.from_iterable(map(_SPACE_AND_CHUNK.findall, lines)))
    return list(found), list(found.values()), 1


def analyse(
    text_or_lines: str | Sequence[str],
    bundle: TokenizerBundle,
    *,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> CorpusReport:
    """Measures a corpus with one tokenizer, line by line (a tokenizer sees one line at a time).

    Args:
        text_or_lines: the text, or its lines; up to ``MAX_BYTES`` of UTF-8. A line ends at LF, CR LF or CR.
        bundle: the tokenizer.
        progress: called with the share done, from 0 to 1, between batches.
        cancelled: asked between batches; the analysis stops when it answers true.

    Raises:
        InputInvalid: there is nothing but white space.
        InputTooLong: more than ``MAX_BYTES``.
        AnalysisCancelled: ``cancelled`` answered true.
    """
    begun = time.perf_counter()
    raw = text_or_lines if isinstance(text_or_lines, str) else "\n".join(text_or_lines)
    text, _replaced = clean_text(raw)
    if len(text) > MAX_BYTES or (4 * len(text) > MAX_BYTES and len(text.encode()) > MAX_BYTES):
        raise InputTooLong(_too_long_message(len(text.encode())))
    if not text.strip():
        raise InputInvalid(_("El corpus está vacío: pega un texto o sube un archivo .txt con contenido."))
    lines = (text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text).split("\n")
    texts, weights, group = _texts_to_encode(text, lines, locality(bundle))
    counter = _Counter(bundle)
    for begin, end in _batches(texts):
        if cancelled is not None and cancelled():
            raise AnalysisCancelled(_("Análisis detenido. Lo que escribiste sigue aquí."))
        if progress is not None:
            progress(begin / len(texts))
        counter.add(texts[begin:end], weights[begin:end], group)
    if progress is not None:
        progress(1.0)

    totals: dict[str, int] = {}
    usual: dict[str, tuple[int, tuple[int, ...]]] = {}  # word → (how often, ids) of its most frequent cut
    for (word, ids), times in counter.cuts.items():
        totals[word] = totals.get(word, 0) + times
        best = usual.get(word)
        # Ties go to the cut with fewer tokens, then to smaller ids: the same whatever the route.
        if best is None or (-times, len(ids), ids) < (-best[0], len(best[1]), best[1]):
            usual[word] = times, ids
    return CorpusReport(
        key=bundle.key,
        name=bundle.name,
        algorithm=bundle.algorithm,
        lines=len(lines) - (not lines[-1]),
        figures=counter.sums.figures(len(text)),
        distinct_words=len(totals),
        worst=_worst(totals, usual, bundle),
        words={word: (count, len(usual[word][1])) for word, count in totals.items()},
        milliseconds=1000 * (time.perf_counter() - begun),
    )


def _worst(
    totals: Mapping[str, int], usual: Mapping[str, tuple[int, tuple[int, ...]]], bundle: TokenizerBundle
) -> tuple[WordCut, ...]:
    several = (word for word, (_times, ids) in usual.items() if len(ids) > 1)
    words = heapq.nsmallest(WORST_WORDS, several, key=lambda word: (-len(usual[word][1]), -totals[word], word))
    entries = piece_table(bundle).entries(bundle, [i for word in words for i in usual[word][1]])
    return tuple(
        WordCut(word, totals[word], tuple(entries[i][1] for i in usual[word][1]), usual[word][1]) for word in words
    )


def word_table(reports: Sequence[CorpusReport]) -> list[WordRow]:
    """Every distinct word of one corpus, the most frequent first, for several tokenizers.

    Args:
        reports: of the same corpus.

    Raises:
        ValueError: the reports are of different corpora.
    """
    if not reports:
        return []
    leading, *others = reports
    if any(
        len(other.words) != len(leading.words)
        or any(word not in other.words or other.words[word][0] != n for word, (n, _t) in leading.words.items())
        for other in others
    ):
        raise ValueError("the reports are of different corpora")
    order = sorted(leading.words.items(), key=lambda item: (-item[1][0], item[0]))
    return [WordRow(word, count, tuple(r.words[word][1] for r in reports)) for word, (count, _t) in order]


# --- uploads --------------------------------------------------------------------------------------

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_SIGNATURES: Final = (
    (b"%PDF-", "PDF"),
    (b"PK\x03\x04", "ZIP/DOCX/ODT/EPUB"),
    (b"\xd0\xcf\x11\xe0", "DOC/XLS"),
    (b"{\\rtf", "RTF"),
    (b"\x1f\x8b", "GZIP"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
)


def _too_long_message(size: int) -> str:
    return _(
        "El corpus ocupa {size} MB y aquí caben hasta {limit} MB. Recórtalo o divídelo en partes y analiza cada una."
    ).format(size=format_number(math.ceil(size / 1024 / 1024 * 100) / 100, 2), limit=MAX_BYTES // 1024 // 1024)


def read_upload(data: bytes, name: str) -> str:
    """The text of an uploaded file, which must be UTF-8 (a byte order mark is accepted and removed).

    Args:
        data: the whole file, up to ``MAX_BYTES``.
        name: its name, for the messages.

    Raises:
        InputTooLong: more than ``MAX_BYTES``.
        InputInvalid: it is empty, binary, or text in another encoding; the message says where and what to do.
    """
    shown = "".join(c for c in clean_text(name)[0] if c.isprintable())[:80]
    if len(data) > MAX_BYTES:
        raise InputTooLong(_too_long_message(len(data)))
    body = data.removeprefix(codecs.BOM_UTF8)
    if not body.strip():
        raise InputInvalid(_("El archivo «{name}» está vacío. Elige uno que tenga texto.").format(name=shown))
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            raise InputInvalid(
                _(
                    "El archivo «{name}» no es texto sin formato: parece {kind}. "
                    "Ábrelo con su programa y guárdalo como texto (.txt) con codificación UTF-8."
                ).format(name=shown, kind=kind)
            )
    wide = _wide_encoding(data)
    if wide:
        raise InputInvalid(_other_encoding(shown, wide, 0, wide))
    controls = _CONTROL.findall(body)
    # Old texts hold an odd control character, such as an end-of-file mark; binaries hold many, and NUL.
    if b"\x00" in controls or len(controls) > 1 + len(body) // 1000:
        raise InputInvalid(
            _(
                "El archivo «{name}» parece binario: tiene bytes de control que un texto no lleva "
                "(el primero, en la posición {position}). Sube un .txt en UTF-8."
            ).format(name=shown, position=format_number(_first_control(data) + 1))
        )
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        at = error.start + len(data) - len(body)
        raise InputInvalid(_other_encoding(shown, "Latin-1 / Windows-1252", at, "WINDOWS-1252", data)) from None


def _first_control(data: bytes) -> int:
    found = _CONTROL.search(data)
    return found.start() if found else 0


def _wide_encoding(data: bytes) -> str:
    """``"UTF-16"`` or ``"UTF-32"`` if the file has their mark or their zeros, else ``""``."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "UTF-32"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    head = data[:2000]
    for parity in (0, 1):  # Latin letters in UTF-16 without a mark: every other byte is zero
        if len(head) >= 4 and not any(head[parity::2]) and _CONTROL.search(head[1 - parity :: 2]) is None:
            return "UTF-16"
    return ""


def _other_encoding(name: str, looks_like: str, at: int, iconv: str, data: bytes = b"") -> str:
    """The message for text that isn't UTF-8; ``data`` is shown around the offending byte ``at``, if given."""
    how = _(
        "Guárdalo como UTF-8: en el Bloc de notas, «Guardar como» y codificación UTF-8; "
        "en LibreOffice, «Texto - elegir codificación»; o con «iconv -f {encoding} -t UTF-8»."
    ).format(encoding=iconv)
    if not data:
        what = _("El archivo «{name}» no está en UTF-8: parece {encoding}.").format(name=name, encoding=looks_like)
        return f"{what} {how}"
    line = data.count(b"\n", 0, at) + 1
    around = data[max(0, at - 12) : at + 13].decode("cp1252", "replace")
    excerpt = " ".join("".join(c if c.isprintable() else " " for c in around).split())
    what = _(
        "El archivo «{name}» no está en UTF-8: el byte {position} (0x{byte}, línea {line}) no es válido. "
        "Parece {encoding}; leído así, ahí dice «{excerpt}»."
    ).format(
        name=name,
        position=format_number(at + 1),
        byte=f"{data[at]:02X}",
        line=format_number(line),
        encoding=looks_like,
        excerpt=excerpt,
    )
    return f"{what} {how}"
