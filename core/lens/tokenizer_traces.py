"""The three algorithms that cut a pre-token, written out so that every decision can be shown.

A trace ends in exactly the tokens that the library returns; properties in the tests hold it to that.

Sources: WordPiece, Schuster & Nakajima (2012) and Devlin et al. (2019), the greedy longest match of BERT's
code; BPE, Sennrich et al. (2016); Unigram, Kudo (2018).
"""

import heapq
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from core.errors import InputInvalid
from core.i18n import gettext as _

MAX_LISTED_CANDIDATES: Final = 24
"""Candidates of one WordPiece step that are listed; the count beside them is always exact."""
MAX_RUNNERS_UP: Final = 3
"""Segmentations that a Unigram trace shows besides the one that won."""
MAX_RUNNER_UP_CHARACTERS: Final = 256
"""Longest pre-token for which the runners-up are worked out."""
UNKNOWN_PENALTY: Final = 10.0
"""A Unigram model scores a character that no piece covers with its lowest score minus this."""


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


class TokenModel(Protocol):
    """A tokenizer's model: traces one pre-token."""

    def trace(self, text: str) -> Trace:
        """Cuts ``text`` and tells how."""
        ...


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


def token_model(definition: dict[str, Any], name: str) -> TokenModel:
    """The model that a ``tokenizer.json`` describes.

    Args:
        definition: its ``model`` part, parsed.
        name: the tokenizer's name, for the message.

    Raises:
        InputInvalid: an algorithm that isn't one of the three.
    """
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
