"""Step by step: what each stage of a tokenizer does to a word in its context, and how its model decides.

A tokenizer is a pipeline: added tokens typed in the text are set apart, the *normalizer* rewrites the rest,
the *pre-tokenizer* cuts it, the *model* (WordPiece, BPE or Unigram) cuts each pre-token into pieces of its
vocabulary, and the *post-processor* adds special tokens. ``stages`` shows all of it for one slice of a
text. The normalizer and the pre-tokenizer are the library's own objects, run one step at a time; the three
models are written out here, so that every decision can be shown, and properties in the tests hold them to
exactly what the library returns.

Sources: WordPiece, Schuster & Nakajima (2012) and Devlin et al. (2019), the greedy longest match of BERT's
code; BPE, Sennrich et al. (2016); Unigram, Kudo (2018); the stages, the documentation of ``tokenizers``.
"""

import heapq
import json
import threading
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Final, Literal, Protocol
from weakref import WeakKeyDictionary

import regex
from tokenizers import NormalizedString, PreTokenizedString, Tokenizer
from tokenizers.normalizers import Normalizer

from core.errors import InputInvalid
from core.i18n import gettext as _
from core.runtime.tokenizer import TokenizerBundle

MAX_LISTED_CANDIDATES: Final = 24
"""Candidates of one WordPiece step that are listed; the count beside them is always exact."""
MAX_RUNNERS_UP: Final = 3
"""Segmentations that a Unigram trace shows besides the one that won."""
MAX_RUNNER_UP_CHARACTERS: Final = 256
"""Longest pre-token for which the runners-up are worked out."""
UNKNOWN_PENALTY: Final = 10.0
"""A Unigram model scores a character that no piece covers with its lowest score minus this."""

_CHUNK: Final = 64


@dataclass(frozen=True, slots=True)
class TracedToken:
    """One token in which a trace ends: the piece as the library reports it, and its id."""

    piece: str
    id: int


@dataclass(frozen=True, slots=True)
class WordPieceAttempt:
    """One round of the greedy search: from ``start``, candidates from the longest to the first one found.

    Attributes:
        start: where the round begins, in characters of the pre-token.
        tried: the candidates in order, continuation prefix included. Where there are more than
            ``MAX_LISTED_CANDIDATES`` the middle is left out: ``tried_total`` is the real number.
        tried_total: how many candidates were looked up, the one found included.
        found: the piece, or ``None`` if not even one character is in the vocabulary.
    """

    start: int
    tried: tuple[str, ...]
    tried_total: int
    found: str | None


@dataclass(frozen=True, slots=True)
class WordPieceTrace:
    """WordPiece on one pre-token.

    Attributes:
        outcome: ``"pieces"``; ``"no_piece"``: some round found nothing, so the whole word is unknown;
            ``"too_long"``: it has more than ``limit`` characters and wasn't even tried.
        limit: the model's ``max_input_chars_per_word``, in characters.
    """

    text: str
    attempts: tuple[WordPieceAttempt, ...]
    outcome: Literal["pieces", "no_piece", "too_long"]
    limit: int
    tokens: tuple[TracedToken, ...]


@dataclass(frozen=True, slots=True)
class BPEMerge:
    """One merge: ``left`` and ``right`` become ``merged``.

    Attributes:
        rank: the rule's place in the list learned in training; the lowest is applied first.
        at: index, among the initial symbols, at which ``left`` begins.
    """

    left: str
    right: str
    merged: str
    rank: int
    at: int


@dataclass(frozen=True, slots=True)
class BPETrace:
    """BPE on one pre-token.

    Attributes:
        symbols: the pieces it starts from, one a character (or byte); unknown ones as the unknown token.
        merges: the rules that were applied, in order.
        whole: the model looks pre-tokens up whole first (``ignore_merges``) and found this one.
        dropped: characters that vanish, because the model neither knows them nor has an unknown token.
    """

    text: str
    symbols: tuple[str, ...]
    merges: tuple[BPEMerge, ...]
    whole: bool
    dropped: tuple[str, ...]
    tokens: tuple[TracedToken, ...]

    def states(self) -> Iterator[tuple[str, ...]]:
        """The symbols before the first merge and after each one: ``len(merges) + 1`` rows, made on demand."""
        current = dict(enumerate(self.symbols))
        order = list(current)
        yield self.symbols
        for merge in self.merges:
            # Positions stay sorted, so the right-hand neighbour is the next one in line.
            here = bisect_left(order, merge.at)
            del current[order.pop(here + 1)]
            current[merge.at] = merge.merged
            yield tuple(current[position] for position in order)


@dataclass(frozen=True, slots=True)
class UnigramPiece:
    """A piece of a segmentation.

    Attributes:
        score: its natural-log probability, or the unknown score.
        unknown: no piece of the vocabulary covers this character.
    """

    text: str
    id: int
    score: float
    unknown: bool


@dataclass(frozen=True, slots=True)
class UnigramSegmentation:
    """One way to cut a pre-token; ``score`` is the sum of its pieces' scores."""

    pieces: tuple[UnigramPiece, ...]
    score: float


@dataclass(frozen=True, slots=True)
class UnigramTrace:
    """Unigram on one pre-token.

    Attributes:
        best: the segmentation with the highest score, found with Viterbi's algorithm.
        runners_up: the next best, at most ``MAX_RUNNERS_UP``, best first; none for a pre-token of more than
            ``MAX_RUNNER_UP_CHARACTERS`` characters.
        segmentations: how many segmentations there are; ``None`` for such a long pre-token.
        unknown_score: what an uncovered character costs.
        tokens: ``best`` as the library returns it: neighbouring unknown pieces fused into one, or spelled in
            bytes where the model has byte fallback.
    """

    text: str
    best: UnigramSegmentation
    runners_up: tuple[UnigramSegmentation, ...]
    segmentations: int | None
    unknown_score: float
    tokens: tuple[TracedToken, ...]


Trace = WordPieceTrace | BPETrace | UnigramTrace


@dataclass(frozen=True, slots=True)
class PreToken:
    """A pre-token and what the model did with it.

    Attributes:
        text: what the model saw: normalized, with ``▁`` or as byte characters where the tokenizer does so.
        start: its beginning in the text, in code points.
        end: its end in the text, exclusive.
    """

    text: str
    start: int
    end: int
    trace: Trace

    @property
    def tokens(self) -> tuple[TracedToken, ...]:
        """The tokens it became."""
        return self.trace.tokens


@dataclass(frozen=True, slots=True)
class AddedToken:
    """An added token, such as ``[MASK]``, that stood in the text and was set apart before any model.

    Attributes:
        text: what matched, with the white space that the token takes along.
        content: the token itself.
        normalized: it was looked for after normalization (most are looked for before).
        special: it is one of the special tokens.
    """

    text: str
    content: str
    id: int
    start: int
    end: int
    normalized: bool
    special: bool

    @property
    def tokens(self) -> tuple[TracedToken, ...]:
        """The one token it is."""
        return (TracedToken(self.text, self.id),)


@dataclass(frozen=True, slots=True)
class NormalizerStep:
    """One step of the normalizer, as it touched the slice.

    Attributes:
        name: the library's name for it: a flag of BERT's normalizer (``"clean_text"``,
            ``"handle_chinese_chars"``, ``"strip_accents"``, ``"lowercase"``) or a type (``"NFKC"`` …).
        detail: its argument in short (``"▁"``, ``"' ' → '▁'"``), or an empty string.
        before: the slice before the step.
        after: the slice after it.
    """

    name: str
    detail: str
    before: str
    after: str

    @property
    def changed(self) -> bool:
        """Whether the step changed the slice."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class PostToken:
    """A special token that the post-processor added, and its index in the finished sequence."""

    piece: str
    id: int
    index: int


@dataclass(frozen=True, slots=True)
class PostProcessing:
    """What the post-processor did to the whole text.

    Attributes:
        name: the library's type (``"TemplateProcessing"``), or an empty string if there is none.
        added: the tokens that it added, in order.
        total: tokens in the finished sequence.
    """

    name: str
    added: tuple[PostToken, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Stages:
    """A slice of a text on its way through a tokenizer.

    Attributes:
        original: the slice itself, ``text[start:end]``.
        added: added tokens that stand in the slice; the other stages leave them alone.
        normalizer: the normalizer's steps in the library's order; empty if the tokenizer has none.
        normalized: the slice after them.
        pretokenizers: the names of the pre-tokenizer's steps.
        pretokens: the pre-tokens that overlap the slice, each with its trace. One may begin before the slice:
            byte-level tokenizers glue the space before a word to it.
        pretoken_total: pre-tokens in the whole text.
        postprocessor: what was added to the whole text at the end.
    """

    text: str
    start: int
    end: int
    original: str
    algorithm: str
    added: tuple[AddedToken, ...]
    normalizer: tuple[NormalizerStep, ...]
    normalized: str
    pretokenizers: tuple[str, ...]
    pretokens: tuple[PreToken, ...]
    pretoken_total: int
    postprocessor: PostProcessing


# --- the models -------------------------------------------------------------------------------------------


class _Model(Protocol):
    def trace(self, text: str) -> Trace: ...


class _WordPiece:
    def __init__(self, model: dict[str, Any]) -> None:
        self._ids: dict[str, int] = model["vocab"]
        self._unknown: str = model["unk_token"]
        self._prefix: str = model["continuing_subword_prefix"]
        self._limit: int = model["max_input_chars_per_word"]

    def trace(self, text: str) -> WordPieceTrace:
        unknown = (TracedToken(self._unknown, self._ids.get(self._unknown, 0)),)
        if len(text) > self._limit:
            return WordPieceTrace(text, (), "too_long", self._limit, unknown)
        attempts: list[WordPieceAttempt] = []
        tokens: list[TracedToken] = []
        start = 0
        while start < len(text):
            prefix = self._prefix if start else ""
            end = len(text)
            while end > start and prefix + text[start:end] not in self._ids:
                end -= 1
            found = prefix + text[start:end] if end > start else None
            attempts.append(self._attempt(text, start, end, prefix, found))
            if found is None:
                return WordPieceTrace(text, tuple(attempts), "no_piece", self._limit, unknown)
            tokens.append(TracedToken(found, self._ids[found]))
            start = end
        return WordPieceTrace(text, tuple(attempts), "pieces", self._limit, tuple(tokens))

    @staticmethod
    def _attempt(text: str, start: int, end: int, prefix: str, found: str | None) -> WordPieceAttempt:
        ends = range(len(text), max(end, start + 1) - 1, -1)
        total = len(ends)
        listed = list(ends)
        if total > MAX_LISTED_CANDIDATES:
            tail = MAX_LISTED_CANDIDATES // 2
            listed = [*listed[: MAX_LISTED_CANDIDATES - tail], *listed[-tail:]]
        return WordPieceAttempt(start, tuple(prefix + text[start:e] for e in listed), total, found)


class _BPE:
    def __init__(self, model: dict[str, Any]) -> None:
        self._ids: dict[str, int] = model["vocab"]
        self._pieces = {id_: piece for piece, id_ in self._ids.items()}
        self._unknown: str | None = model.get("unk_token")
        self._prefix: str = model.get("continuing_subword_prefix") or ""
        self._suffix: str = model.get("end_of_word_suffix") or ""
        self._fuse: bool = model.get("fuse_unk", False)
        self._byte_fallback: bool = model.get("byte_fallback", False)
        self._whole_first: bool = model.get("ignore_merges", False)
        self._rules: dict[tuple[int, int], tuple[int, int]] = {}
        skip = len(self._prefix)
        for rank, rule in enumerate(model["merges"]):
            # Files from before 2024 write a rule as one string, "a b".
            left, right = rule.split(" ") if isinstance(rule, str) else rule
            merged = self._ids[left + right[skip:]]
            self._rules[self._ids[left], self._ids[right]] = (rank, merged)

    def trace(self, text: str) -> BPETrace:
        if self._whole_first and text in self._ids:
            token = TracedToken(text, self._ids[text])
            return BPETrace(text, (text,), (), True, (), (token,))
        symbols, dropped = self._symbols(text)
        ids, merges = self._merge(list(symbols))
        return BPETrace(
            text,
            tuple(self._pieces[id_] for id_ in symbols),
            tuple(merges),
            False,
            tuple(dropped),
            tuple(TracedToken(self._pieces[id_], id_) for id_ in ids),
        )

    def _symbols(self, text: str) -> tuple[list[int], list[str]]:
        """The ids to start from, as the library finds them, and the characters that have none."""
        ids: list[int] = []
        dropped: list[str] = []
        unknown = self._ids.get(self._unknown) if self._unknown is not None else None
        pending = False  # an unknown symbol that waits, so that its neighbours can be fused with it
        for index, character in enumerate(text):
            symbol = (self._prefix if index else "") + character
            if index == len(text) - 1:
                symbol += self._suffix
            id_ = self._ids.get(symbol)
            if id_ is not None:
                if pending and unknown is not None:
                    ids.append(unknown)
                pending = False
                ids.append(id_)
                continue
            if self._byte_fallback:
                spelled = [self._ids.get(f"<0x{byte:02X}>") for byte in symbol.encode("utf-8")]
                known = [byte for byte in spelled if byte is not None]
                if len(known) == len(spelled):
                    # As in the library, an unknown symbol that waits goes on waiting, past the bytes.
                    ids.extend(known)
                    continue
            if unknown is None:
                dropped.append(character)
                continue
            if pending and not self._fuse:
                ids.append(unknown)
            pending = True
        if pending and unknown is not None:
            ids.append(unknown)
        return ids, dropped

    def _merge(self, ids: list[int]) -> tuple[list[int], list[BPEMerge]]:
        """Applies the rules, lowest rank first and leftmost first among equals: O(n log n)."""
        size = len(ids)
        following = [*range(1, size), -1] if size else []
        previous = list(range(-1, size - 1))
        alive = [True] * size
        queue: list[tuple[int, int, int]] = []  # (rank, position, id of the merged piece)

        def offer(position: int) -> None:
            rule = self._rules.get((ids[position], ids[following[position]]))
            if rule is not None:
                heapq.heappush(queue, (rule[0], position, rule[1]))

        for position in range(size - 1):
            offer(position)
        merges: list[BPEMerge] = []
        while queue:
            rank, position, merged = heapq.heappop(queue)
            right = following[position]
            if not alive[position] or right == -1:
                continue
            # The neighbours may have changed since this was queued. The library lets it pass as long as the
            # pair that is there now gives the same piece.
            rule = self._rules.get((ids[position], ids[right]))
            if rule is None or rule[1] != merged:
                continue
            names = (self._pieces[ids[position]], self._pieces[ids[right]], self._pieces[merged])
            merges.append(BPEMerge(*names, rank, position))
            ids[position] = merged
            alive[right] = False
            following[position] = following[right]
            if following[position] != -1:
                previous[following[position]] = position
                offer(position)
            if previous[position] != -1:
                offer(previous[position])
        return [id_ for id_, there in zip(ids, alive, strict=True) if there], merges


class _Unigram:
    def __init__(self, model: dict[str, Any]) -> None:
        self._vocabulary: list[tuple[str, float]] = [(piece, score) for piece, score in model["vocab"]]
        self._ids = {piece: id_ for id_, (piece, _score) in enumerate(self._vocabulary)}
        self._unknown: int | None = model.get("unk_id")
        self._byte_fallback: bool = model.get("byte_fallback", False)
        self._unknown_score = min((s for _p, s in self._vocabulary), default=0.0) - UNKNOWN_PENALTY
        # The lengths that pieces with a given first character have, ascending: all that need be looked up.
        lengths: dict[str, set[int]] = {}
        for piece in self._ids:
            if piece:
                lengths.setdefault(piece[0], set()).add(len(piece))
        self._lengths = {first: tuple(sorted(sizes)) for first, sizes in lengths.items()}

    def trace(self, text: str) -> UnigramTrace:
        short = len(text) <= MAX_RUNNER_UP_CHARACTERS
        found = self._best(text, 1 + MAX_RUNNERS_UP if short else 1)
        return UnigramTrace(
            text,
            found[0],
            tuple(found[1:]),
            self._count(text) if short else None,
            self._unknown_score,
            tuple(self._tokens(found[0])),
        )

    def _arcs(self, text: str, start: int) -> Iterator[tuple[int, int, float, bool]]:
        """(end, id, score, unknown) of the pieces that begin at ``start``.

        A character is unknown only where the vocabulary doesn't have it as a piece of its own.
        """
        alone = False
        for length in self._lengths.get(text[start], ()):
            end = start + length
            if end > len(text):
                break
            id_ = self._ids.get(text[start:end])
            if id_ is not None:
                alone = alone or length == 1
                yield end, id_, self._vocabulary[id_][1], False
        if not alone:
            if self._unknown is None:
                raise InputInvalid(
                    _(
                        "El vocabulario de este tokenizador no tiene «{character}» ni un token desconocido. "
                        "Quita ese carácter o elige otro tokenizador."
                    ).format(character=text[start])
                )
            yield start + 1, self._unknown, self._unknown_score, True

    def _best(self, text: str, keep: int) -> list[UnigramSegmentation]:
        """The ``keep`` best segmentations, best first: Viterbi with a short list at each position.

        Among equals the one found first stays ahead, as in the library. O(characters × piece lengths × keep).
        """
        # One entry: (score, start of the last piece, rank of the way there, that piece)
        ways: list[list[tuple[float, int, int, UnigramPiece | None]]] = [[] for _unused in range(len(text) + 1)]
        ways[0].append((0.0, 0, 0, None))
        for start in range(len(text)):
            for end, id_, score, unknown in self._arcs(text, start):
                piece = UnigramPiece(text[start:end], id_, score, unknown)
                there = ways[end]
                for rank, way in enumerate(ways[start]):
                    total = score + way[0]
                    if len(there) == keep and total <= there[-1][0]:
                        break
                    place = len(there)
                    while place and there[place - 1][0] < total:
                        place -= 1
                    there.insert(place, (total, start, rank, piece))
                    del there[keep:]
        result: list[UnigramSegmentation] = []
        for rank, (total, *_rest) in enumerate(ways[-1]):
            pieces: list[UnigramPiece] = []
            end, place = len(text), rank
            while end > 0:
                _score, start, place, last = ways[end][place]
                if last is not None:
                    pieces.append(last)
                end = start
            result.append(UnigramSegmentation(tuple(reversed(pieces)), total))
        return result

    def _count(self, text: str) -> int:
        ways = [1] + [0] * len(text)
        for start in range(len(text)):
            for end, *_rest in self._arcs(text, start):
                ways[end] += ways[start]
        return ways[-1]

    def _tokens(self, best: UnigramSegmentation) -> Iterator[TracedToken]:
        run = ""
        for piece in best.pieces:
            # By id, as the library does: the unknown token's own text counts as unknown, too.
            if piece.id == self._unknown:
                run += piece.text
                continue
            if run:
                yield from self._spell(run)
                run = ""
            yield from self._spell(piece.text)
        if run:
            yield from self._spell(run)

    def _spell(self, text: str) -> Iterator[TracedToken]:
        id_ = self._ids.get(text)
        if id_ is not None:
            yield TracedToken(text, id_)
            return
        if self._byte_fallback:
            spelled = [f"<0x{byte:02X}>" for byte in text.encode("utf-8")]
            if all(byte in self._ids for byte in spelled):
                yield from (TracedToken(byte, self._ids[byte]) for byte in spelled)
                return
        yield TracedToken(text, -1 if self._unknown is None else self._unknown)


# --- what is worked out once a tokenizer ------------------------------------------------------------------

_WORD: Final = r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]"
_ENDS_WITH_WORD: Final = regex.compile(_WORD + r"\Z")
_STARTS_WITH_WORD: Final = regex.compile(_WORD)
_SPACES: Final = regex.compile(r"\p{White_Space}*")


@dataclass(frozen=True, slots=True)
class _AddedSpec:
    content: str
    id: int
    single_word: bool
    lstrip: bool
    rstrip: bool
    normalized: bool
    special: bool


class _Finder:
    """Finds added tokens in a string: leftmost first, longest among those."""

    def __init__(self, specs: list[tuple[str, _AddedSpec]]) -> None:
        self._specs = {pattern: spec for pattern, spec in specs if pattern}
        longest_first = sorted(self._specs, key=len, reverse=True)
        self._pattern = regex.compile("|".join(map(regex.escape, longest_first))) if longest_first else None

    def cut(self, text: str) -> Iterator[tuple[int, int, _AddedSpec | None]]:
        """Cuts ``text`` from end to end in (start, end, added token or ``None``)."""
        reached = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            start, end = match.span()
            spec = self._specs[match.group()]
            if spec.single_word and (
                (start and _ENDS_WITH_WORD.search(text, max(0, start - 1), start)) or _STARTS_WITH_WORD.match(text, end)
            ):
                continue
            if spec.lstrip:
                while start > reached and _SPACES.fullmatch(text[start - 1]):
                    start -= 1
            if spec.rstrip:
                end = _SPACES.match(text, end).end()
            if reached < start:
                yield reached, start, None
            # White space that the token before took along may reach into this one.
            yield max(start, reached), max(end, reached), spec
            reached = max(end, reached)
        if reached < len(text):
            yield reached, len(text), None


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    detail: str
    normalizer: Normalizer


_BERT_FLAGS: Final = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")


def _normalizer_of(definition: dict[str, Any]) -> Normalizer:
    """The library's own object for a normalizer's definition, by way of a tokenizer with nothing else."""
    shell: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": definition,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": {"type": "BPE", "vocab": {}, "merges": []},
    }
    normalizer: Normalizer = Tokenizer.from_str(json.dumps(shell)).normalizer
    return normalizer


def _detail(definition: dict[str, Any]) -> str:
    match definition["type"]:
        case "Prepend":
            return str(definition["prepend"])
        case "Replace":
            pattern = next(iter(definition["pattern"].values()))
            return f"{pattern!r} → {definition['content']!r}"
        case _:
            return ""


def _split_steps(definition: dict[str, Any] | None) -> Iterator[_Step]:
    if definition is None:
        return
    match definition["type"]:
        case "Sequence":
            for part in definition["normalizers"]:
                yield from _split_steps(part)
        case "BertNormalizer":
            flags = {flag: definition[flag] for flag in _BERT_FLAGS}
            if flags["strip_accents"] is None:  # "as lower-casing": the default of BERT's own code
                flags["strip_accents"] = flags["lowercase"]
            off = dict.fromkeys(_BERT_FLAGS, False)
            for flag in _BERT_FLAGS:
                if flags[flag]:
                    yield _Step(flag, "", _normalizer_of({"type": "BertNormalizer", **off, flag: True}))
        case name:
            yield _Step(name, _detail(definition), _normalizer_of(definition))


def _type_names(definition: dict[str, Any] | None, parts: str) -> Iterator[str]:
    if definition is None:
        return
    if definition["type"] == "Sequence":
        for part in definition[parts]:
            yield from _type_names(part, parts)
    else:
        yield str(definition["type"])


class _Parts:
    """A tokenizer taken apart."""

    def __init__(self, bundle: TokenizerBundle) -> None:
        definition = bundle.definition
        with bundle.lock:
            self.normalizer: Normalizer | None = bundle.backend.normalizer
            self.pre_tokenizer = bundle.backend.pre_tokenizer
        self.steps = tuple(_split_steps(definition.get("normalizer")))
        self.pretokenizers = tuple(_type_names(definition.get("pre_tokenizer"), "pretokenizers"))
        self.postprocessors = tuple(_type_names(definition.get("post_processor"), "processors"))
        fields = _AddedSpec.__slots__
        added = [_AddedSpec(**{name: t[name] for name in fields}) for t in definition.get("added_tokens", [])]
        self.before = _Finder([(spec.content, spec) for spec in added if not spec.normalized])
        self.after = _Finder([(self.normalize(spec.content), spec) for spec in added if spec.normalized])
        self.model = _model(definition["model"], bundle.name)

    def normalize(self, text: str) -> str:
        return str(self.normalizer.normalize_str(text)) if self.normalizer is not None else text


def _model(definition: dict[str, Any], name: str) -> _Model:
    match definition["type"]:
        case "WordPiece":
            return _WordPiece(definition)
        case "BPE":
            return _BPE(definition)
        case "Unigram":
            return _Unigram(definition)
        case other:
            raise InputInvalid(
                _(
                    "El tokenizador {name} usa el algoritmo {algorithm}, que el paso a paso no sabe mostrar. "
                    "Elige uno que use WordPiece, BPE o Unigram."
                ).format(name=name, algorithm=other)
            )


_parts: WeakKeyDictionary[TokenizerBundle, _Parts] = WeakKeyDictionary()
_parts_lock = threading.Lock()


def _parts_of(bundle: TokenizerBundle) -> _Parts:
    with _parts_lock:
        parts = _parts.get(bundle)
    if parts is None:
        # Built outside the lock: a large vocabulary takes a moment, and nobody else should wait for it.
        parts = _Parts(bundle)
        with _parts_lock:
            parts = _parts.setdefault(bundle, parts)
    return parts


class LoneNormalizer:
    """A tokenizer's normalizer for a letter or a word without its context.

    Leaves out the steps that only mark where words begin or tidy the ends of a text (``Prepend``, ``Strip``
    and ``Replace`` of a space): they say nothing about the letters.
    """

    def __init__(self, steps: tuple[_Step, ...]) -> None:
        self._steps = tuple(step for step in steps if not _marks_spaces(step))

    def steps(self, text: str) -> tuple[NormalizerStep, ...]:
        """Every step, in the library's order, with what it makes of ``text``."""
        result = []
        for step in self._steps:
            after = str(step.normalizer.normalize_str(text))
            result.append(NormalizerStep(step.name, step.detail, text, after))
            text = after
        return tuple(result)

    def all(self, text: str) -> str:
        """``text`` after every step."""
        return self.only(text, *(step.name for step in self._steps))

    def only(self, text: str, *names: str) -> str:
        """``text`` after those steps alone that have one of ``names``."""
        for step in self._steps:
            if step.name in names:
                text = str(step.normalizer.normalize_str(text))
        return text


def _marks_spaces(step: _Step) -> bool:
    return step.name in ("Prepend", "Strip") or (step.name == "Replace" and step.detail.startswith("' '"))


def normalizer_alone(bundle: TokenizerBundle) -> LoneNormalizer:
    """The normalizer of ``bundle`` for letters and words by themselves."""
    return LoneNormalizer(_parts_of(bundle).steps)


# --- the pipeline -----------------------------------------------------------------------------------------


def _slice(string: NormalizedString, start: int, end: int) -> NormalizedString:
    """A part of a normalized string that remembers where it comes from."""
    part = string[start:end]
    if part is None:
        raise IndexError(f"no slice {start}:{end}")
    return part


def _keep(parts: list[NormalizedString], _index: int, _split: NormalizedString) -> list[NormalizedString]:
    return parts


def _offsets(text: str, parts: list[NormalizedString]) -> list[tuple[str, int, int]]:
    """Each of ``parts`` (normalized slices of ``text``) with its offsets in ``text``; empty ones left out."""
    frame = PreTokenizedString(text)
    frame.split(partial(_keep, parts))
    return [(part, start, end) for part, (start, end), _tokens in frame.get_splits("original", "char")]


@dataclass(frozen=True, slots=True)
class _Raw:
    """A pre-token before the model has seen it."""

    text: str
    start: int
    end: int


def _pretokenize(text: str, parts: _Parts) -> list[_Raw | AddedToken]:
    """The text cut in added tokens and pre-tokens, in order, with offsets in ``text``."""
    if not text:
        return []
    whole = NormalizedString(text)
    added: list[AddedToken] = []
    plain: list[NormalizedString] = []
    for start, end, spec in parts.before.cut(text):
        if spec is not None:
            added.append(_added(text[start:end], spec, start, end))
            continue
        segment = _slice(whole, start, end)
        if parts.normalizer is not None:
            parts.normalizer.normalize(segment)
        cuts = list(parts.after.cut(segment.normalized))
        slices = [_slice(segment, a, b) for a, b, _spec in cuts] if len(cuts) > 1 else [segment]
        if any(cut[2] for cut in cuts):
            places = _offsets(text, slices)
            for (_a, _b, found), (matched, a, b) in zip(cuts, places, strict=True):
                if found is not None:
                    added.append(_added(matched, found, a, b))
        plain += [piece for piece, cut in zip(slices, cuts, strict=False) if cut[2] is None]
    frame = PreTokenizedString(text)
    frame.split(partial(_keep, plain))
    if parts.pre_tokenizer is not None:
        parts.pre_tokenizer.pre_tokenize(frame)
    splits = [_Raw(part, *offsets) for part, offsets, _tokens in frame.get_splits("original", "char")]
    return _interleave(splits, added)


def _interleave(splits: list[_Raw], added: list[AddedToken]) -> list[_Raw | AddedToken]:
    """Merges two lists that are in order; a pre-token without width stays on the left of what follows it."""
    merged: list[_Raw | AddedToken] = []
    waiting = iter(added)
    following = next(waiting, None)
    for split in splits:
        while following is not None and following.start < split.start:
            merged.append(following)
            following = next(waiting, None)
        merged.append(split)
    while following is not None:
        merged.append(following)
        following = next(waiting, None)
    return merged


def _added(text: str, spec: _AddedSpec, start: int, end: int) -> AddedToken:
    return AddedToken(text, spec.content, spec.id, start, end, spec.normalized, spec.special)


def trace_all(text: str, bundle: TokenizerBundle) -> list[PreToken | AddedToken]:
    """Every added token and traced pre-token of ``text``, in order.

    The pieces of their ``tokens``, one after the other, are what
    ``backend.encode(text, add_special_tokens=False).tokens`` returns.

    Args:
        text: cleaned text (no lone surrogates).
        bundle: a tokenizer whose model is WordPiece, BPE or Unigram.

    Raises:
        InputInvalid: the tokenizer uses another algorithm.
    """
    parts = _parts_of(bundle)
    traces: dict[str, Trace] = {}
    result: list[PreToken | AddedToken] = []
    for item in _pretokenize(text, parts):
        if isinstance(item, AddedToken):
            result.append(item)
            continue
        trace = traces.get(item.text)
        if trace is None:
            trace = traces[item.text] = parts.model.trace(item.text)
        result.append(PreToken(item.text, item.start, item.end, trace))
    return result


def stages(text: str, bundle: TokenizerBundle, start: int, end: int) -> Stages:
    """What each stage does to ``text[start:end]``, in the context of the whole text.

    The context matters: a space before the word or the beginning of the text can change its pieces.

    Args:
        text: cleaned text (no lone surrogates).
        bundle: a tokenizer whose model is WordPiece, BPE or Unigram.
        start: beginning of the slice, in code points.
        end: its end, exclusive.

    Raises:
        ValueError: ``start`` and ``end`` don't mark a non-empty slice of the text.
        InputInvalid: the tokenizer uses another algorithm.
    """
    if not 0 <= start < end <= len(text):
        raise ValueError(f"no slice {start}:{end} in a text of {len(text)} characters")
    parts = _parts_of(bundle)
    cut = _pretokenize(text, parts)
    rows = _normalizer_rows(text, parts, start, end)
    normalizer = tuple(
        NormalizerStep(step.name, step.detail, before, after)
        for step, (before, after) in zip(parts.steps, pairwise(rows), strict=True)
    )
    inside = [item for item in cut if item.start < end and item.end > start]
    return Stages(
        text=text,
        start=start,
        end=end,
        original=text[start:end],
        algorithm=bundle.algorithm,
        added=tuple(item for item in inside if isinstance(item, AddedToken)),
        normalizer=normalizer,
        normalized=rows[-1],
        pretokenizers=parts.pretokenizers,
        pretokens=tuple(
            PreToken(item.text, item.start, item.end, parts.model.trace(item.text))
            for item in inside
            if isinstance(item, _Raw)
        ),
        pretoken_total=sum(isinstance(item, _Raw) for item in cut),
        postprocessor=_post_processing(text, bundle, parts),
    )


def _normalizer_rows(text: str, parts: _Parts, start: int, end: int) -> list[str]:
    """The slice at the beginning and after each step: ``len(steps) + 1`` strings.

    Steps run on the whole stretch between two added tokens, as in the library; only the part that is aligned
    with the slice is returned.
    """
    whole = NormalizedString(text)
    segments = [
        (a, _slice(whole, a, b)) for a, b, spec in parts.before.cut(text) if spec is None and a < end and b > start
    ]
    rows = ["".join(text[max(a, start) : min(a + len(s.original), end)] for a, s in segments)]
    for step in parts.steps:
        for _a, segment in segments:
            step.normalizer.normalize(segment)
        rows.append("".join(_visible(text, segment, start, end) for _a, segment in segments))
    return rows


def _visible(text: str, segment: NormalizedString, start: int, end: int) -> str:
    """The part of a normalized segment that comes from ``text[start:end]``."""

    def overlapping(pieces: list[NormalizedString]) -> list[bool]:
        # A character that a step inserted may have no width of its own: it counts where it stands.
        places = [(a, b) for _part, a, b in _offsets(text, pieces)]
        return [a < end and (b > start or (a == b and a >= start)) for a, b in places]

    def cut(piece: NormalizedString, size: int) -> list[NormalizedString]:
        length = len(piece.normalized)
        return [_slice(piece, i, min(i + size, length)) for i in range(0, length, size)]

    # Coarse pieces first, single characters only around the slice: a long text has thousands of them.
    coarse = cut(segment, _CHUNK)
    fine = [
        character for piece, hit in zip(coarse, overlapping(coarse), strict=True) if hit for character in cut(piece, 1)
    ]
    hits = overlapping(fine)
    return "".join(character.normalized for character, hit in zip(fine, hits, strict=True) if hit)


def _post_processing(text: str, bundle: TokenizerBundle, parts: _Parts) -> PostProcessing:
    encoding = bundle.encode(text)
    # A token without sequence comes from the post-processor; padding isn't attended to.
    sequence, attended = encoding.sequence_ids, encoding.attention_mask
    added = [i for i, (seq, seen) in enumerate(zip(sequence, attended, strict=True)) if seq is None and seen]
    return PostProcessing(
        name=" + ".join(parts.postprocessors),
        added=tuple(PostToken(encoding.tokens[i], encoding.ids[i], i) for i in added),
        total=sum(attended),
    )
