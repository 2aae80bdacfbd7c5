"""Named entities: spans of people, places, organizations and others, put together from the tags of pieces.

A model tags pieces; people want words and spans. ``strategy`` says how a word gets one tag out of its pieces:
``first`` takes its first piece's, ``average`` the mean of their probabilities, ``max`` the surest piece's;
``simple`` lets each piece keep its own, so that a word may fall apart. Tags of neighbours with the same kind then
make one entity (IOB2; Ramshaw & Marcus 1995).

Each word's likeliest tag by itself may contradict its neighbour's: a place that goes on as an organization. By default
the words' tags are chosen together, as the likeliest sequence that IOB2 allows (Viterbi 1967): on WikiNEuRal that is
worth two points of F1 or so. Pieces that keep their own tags stay as they are.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from core.runtime.bundle import ModelBundle
from core.tasks.common import Clock, Timing, like_lengths, require_text, word_spans

if TYPE_CHECKING:
    import torch

Strategy = Literal["first", "average", "max", "simple"]
Order = Literal["sequence", "alone"]
STRIDE: Final = 64
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class EntitiesRequest:
    """A text, how its words get one tag each out of their pieces, and whether the words agree with one another."""

    text: str
    strategy: Strategy = "first"
    order: Order = "sequence"


@dataclass(frozen=True, slots=True)
class Entity:
    """A span of the text (code points), its kind such as ``"PER"``, and the mean probability of its words' tags."""

    text: str
    start: int
    end: int
    kind: str
    score: float


@dataclass(frozen=True, slots=True)
class TaggedPiece:
    """A piece, where it stands, the likeliest tag for it alone and its probability, and the number of its word."""

    piece: str
    start: int
    end: int
    tag: str
    score: float
    word: int


@dataclass(frozen=True, slots=True)
class TaggedWord:
    """A word (a piece, for ``simple``), where it stands, the tag that it got, and that tag's probability."""

    text: str
    start: int
    end: int
    tag: str
    score: float


@dataclass(frozen=True, slots=True)
class EntitiesResult:
    """The entities, the words and the pieces they come from, how many windows it took, and the time."""

    entities: tuple[Entity, ...]
    words: tuple[TaggedWord, ...]
    pieces: tuple[TaggedPiece, ...]
    windows: int
    timing: Timing


@dataclass(slots=True)
class _Piece:
    word: tuple[int, int]  # the characters of its word
    start: int
    end: int
    text: str
    chances: "torch.Tensor | None" = None
    margin: int = -1


class Entities:
    """The task."""

    name = "ner"
    attention = False
    max_batch = 16

    def run(self, bundle: ModelBundle, requests: Sequence[EntitiesRequest]) -> list[EntitiesResult]:
        """Finds the entities of each text; long ones are read in windows that overlap.

        Raises:
            InputInvalid: an empty text.
            InputTooLong: more than 50,000 characters.
        """
        import torch
        from torch.nn.utils.rnn import pad_sequence

        clock = Clock()
        with clock.part("tokenize"):
            texts = [require_text(request.text) for request in requests]
            words = [word_spans(text) for text in texts]
            with bundle.lock:
                # In words, as such models are trained.
                encoded: Any = bundle.tokenizer(
                    [[text[start:end] for start, end in own] or [text] for text, own in zip(texts, words, strict=True)],
                    is_split_into_words=True,
                    truncation=True,
                    max_length=bundle.entry.window,
                    stride=min(STRIDE, bundle.entry.window // 4),
                    return_overflowing_tokens=True,
                    return_offsets_mapping=True,
                )
        rows = [torch.tensor(ids) for ids in encoded["input_ids"]]
        chances: list[torch.Tensor] = [torch.empty(0)] * len(rows)
        with clock.part("model"):
            for places in like_lengths([len(row) for row in rows], _AT_ONCE):
                part = [rows[index] for index in places]
                ids = pad_sequence(part, batch_first=True, padding_value=bundle.tokenizer.pad_token_id or 0)
                mask = pad_sequence([torch.ones_like(row) for row in part], batch_first=True)
                place = bundle.device.name
                logits = bundle.model(input_ids=ids.to(place), attention_mask=mask.to(place)).logits
                for index, scores in zip(places, logits.float().softmax(-1).cpu(), strict=True):
                    chances[index] = scores[: len(rows[index])]
        with clock.part("decode"):
            samples = encoded["overflow_to_sample_mapping"]
            labels: Any = bundle.model.config.id2label
            decoded = []
            for index, request in enumerate(requests):
                own = [place for place, sample in enumerate(samples) if sample == index]
                pieces = _merge(encoded, own, chances, words[index], bundle)
                decoded.append((*_decode(request, pieces, labels), len(own)))
        timing = clock.timing()
        return [EntitiesResult(e, w, p, count, timing) for e, w, p, count in decoded]


def _merge(
    encoded: Any,
    places: Sequence[int],
    chances: Sequence["torch.Tensor"],
    words: Sequence[tuple[int, int]],
    bundle: ModelBundle,
) -> list[_Piece]:
    """The pieces of one text; one that stands in two windows is taken where it has more text around it."""
    best: dict[tuple[int, int, int], _Piece] = {}
    for place in places:
        offsets, numbers = encoded["offset_mapping"][place], encoded.word_ids(place)
        names = bundle.tokenizer.convert_ids_to_tokens(encoded["input_ids"][place])
        size = len(offsets)
        # SentencePiece's mark of a space may be a piece of its own, and stands where the next one does.
        seen: Counter[tuple[int, int]] = Counter()
        for index, ((start, end), number) in enumerate(zip(offsets, numbers, strict=True)):
            if number is None or start == end:
                continue
            word = words[number]
            where = word[0] + start, word[0] + end
            key = (*where, seen[where])
            seen[where] += 1
            margin = min(index, size - 1 - index)
            known = best.get(key)
            if known is None or margin > known.margin:
                best[key] = _Piece(word, *where, names[index], chances[place][index], margin)
    return [best[key] for key in sorted(best)]


def _tag_of(pieces: Sequence[_Piece], strategy: Strategy) -> "torch.Tensor":
    import torch

    rows = torch.stack([piece.chances for piece in pieces if piece.chances is not None])  # (pieces, tags)
    if strategy == "average":
        return rows.mean(0)
    if strategy == "max":
        return rows[int(rows.max(-1).values.argmax())]
    return rows[0]


def legal_path(chances: "torch.Tensor", labels: Sequence[str]) -> list[int]:
    """The likeliest sequence of tags in which every ``I-`` goes on with what stands before it.

    A text in which no word's likeliest tag is a ``B-`` comes from a model that writes ``I-`` alone, as CoNLL-2003 did:
    there every sequence is legal.

    Args:
        chances: probability of each tag for each word, ``(words, tags)``.
        labels: the tags' names.

    Returns:
        The place of a tag among ``labels`` for each word.
    """
    import numpy as np

    likeliest = [int(tag) for tag in chances.argmax(-1)]
    if not any(labels[tag].startswith("B-") for tag in likeliest):
        return likeliest
    goes_on = np.array([label.startswith("I-") for label in labels])
    own = np.array([[last[2:] == tag[2:] for tag in labels] for last in labels])
    cost = np.where(~goes_on | own, 0.0, -np.inf)  # (tag before, tag)
    steps = np.log(np.maximum(chances.double().numpy(), 1e-12))
    score = steps[0] + np.where(goes_on, -np.inf, 0.0)
    came = []
    for step in steps[1:]:
        ways = score[:, None] + cost
        came.append(ways.argmax(0))
        score = ways.max(0) + step
    path = [int(score.argmax())]
    for back in reversed(came):
        path.append(int(back[path[-1]]))
    return path[::-1]


def _decode(
    request: EntitiesRequest, pieces: Sequence[_Piece], labels: dict[int, str]
) -> tuple[tuple[Entity, ...], tuple[TaggedWord, ...], tuple[TaggedPiece, ...]]:
    import torch

    text = request.text
    groups: list[list[_Piece]] = []
    for piece in pieces:
        if groups and piece.word == groups[-1][-1].word and request.strategy != "simple":
            groups[-1].append(piece)
        else:
            groups.append([piece])
    rows = [_tag_of(group, request.strategy) for group in groups]
    if rows and request.order == "sequence" and request.strategy != "simple":
        path = legal_path(torch.stack(rows), [labels[index] for index in range(len(rows[0]))])
    else:
        path = [int(row.argmax()) for row in rows]
    words: list[TaggedWord] = []
    shown: list[TaggedPiece] = []
    for number, (group, row, tag) in enumerate(zip(groups, rows, path, strict=True)):
        start, end = group[0].start, group[-1].end
        words.append(TaggedWord(text[start:end], start, end, labels[tag], float(row[tag])))
        for piece in group:
            assert piece.chances is not None
            own = int(piece.chances.argmax())
            shown.append(
                TaggedPiece(piece.text, piece.start, piece.end, labels[own], float(piece.chances[own]), number)
            )
    return spans(text, words), tuple(words), tuple(shown)


def spans(text: str, words: Sequence[TaggedWord]) -> tuple[Entity, ...]:
    """Neighbouring words of one kind as entities; ``B-`` begins a new one, ``I-`` of another kind does, too."""
    found: list[Entity] = []
    open_: list[TaggedWord] = []

    def close() -> None:
        if open_:
            start, end = open_[0].start, open_[-1].end
            kind = open_[0].tag.rpartition("-")[2]
            found.append(Entity(text[start:end], start, end, kind, sum(w.score for w in open_) / len(open_)))
            open_.clear()

    for word in words:
        mark, _dash, kind = word.tag.rpartition("-")
        if word.tag == "O":
            close()
        elif open_ and mark != "B" and kind == open_[0].tag.rpartition("-")[2]:
            open_.append(word)
        else:
            close()
            open_.append(word)
    close()
    return tuple(found)


TASK: Final = Entities()
