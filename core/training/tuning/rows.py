"""From examples to token ids: what a model reads of each, and where its label stands."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.training.data import DataSet, Labelled, Question, Tagged
from core.training.recipes.loop import padded

IGNORED: Final = -100
# Windows of a long text that a question is asked on overlap by this share.
_OVERLAP: Final = 0.4
# How many batches are sorted by length together: little padding, and chance enough.
_WINDOW: Final = 16

Row = dict[str, Any]


def _encoded_text(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[list[int]]:
    ids: list[list[int]] = tokenizer(list(texts), truncation=True, max_length=max_length, padding=False)["input_ids"]
    return ids


def text_rows(examples: Sequence[Labelled], tokenizer: Any, max_length: int) -> list[Row]:
    """``ids`` and ``label`` of each text."""
    if not examples:
        return []
    ids = _encoded_text(tokenizer, [example.text for example in examples], max_length)
    return [{"ids": row, "label": example.label} for row, example in zip(ids, examples, strict=True)]


def tag_rows(examples: Sequence[Tagged], tokenizer: Any, max_length: int, labels: Sequence[str]) -> list[Row]:
    """``ids``, ``labels`` on each word's first piece (elsewhere ``IGNORED``) and ``words``, the word of each label."""
    if not examples:
        return []
    known = {label: index for index, label in enumerate(labels)}
    encoded = tokenizer(
        [list(example.words) for example in examples],
        is_split_into_words=True,
        truncation=True,
        max_length=max_length,
        padding=False,
    )
    found = []
    for index, example in enumerate(examples):
        marks, words, before = [], [], None
        for word in encoded.word_ids(index):
            fresh = word is not None and word != before
            # A tag that occurs in the test alone can be asked for, but not learnt.
            marks.append(known.get(example.tags[word], 0) if fresh else IGNORED)
            if fresh:
                words.append(word)
            before = word
        found.append({"ids": encoded["input_ids"][index], "labels": marks, "words": words})
    return found


def question_rows(examples: Sequence[Question], tokenizer: Any, max_length: int, *, every: bool = False) -> list[Row]:
    """Windows of question and text: ``ids``, ``segments``, and ``first`` and ``last`` token of the answer.

    A question without an answer points at the first token, ``[CLS]`` (Devlin et al. 2019, section 4.3).

    Args:
        examples: what is asked.
        tokenizer: the encoder's.
        max_length: tokens of a window, question included.
        every: all windows of each text, for prediction; otherwise one that holds the answer, or the first.
    """
    if not examples:
        return []
    encoded = tokenizer(
        # A question longer than half the window would leave no room for the text.
        [_cut(tokenizer, example.question, max_length // 2) for example in examples],
        [example.context for example in examples],
        truncation="only_second",
        max_length=max_length,
        stride=min(int(max_length * _OVERLAP), max_length // 4),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        padding=False,
    )
    segments = encoded.get("token_type_ids")
    found: dict[int, list[Row]] = {}
    for place, sample in enumerate(encoded["overflow_to_sample_mapping"]):
        offsets = encoded["offset_mapping"][place]
        inside = [index for index, which in enumerate(encoded.sequence_ids(place)) if which == 1]
        if not inside:
            continue
        first = last = 0
        if examples[sample].answers:
            begin, words = examples[sample].answers[0]
            end = begin + len(words)
            if offsets[inside[0]][0] <= begin and end <= offsets[inside[-1]][1]:
                first = next((i for i in inside if offsets[i][1] > begin), 0)
                last = next((i for i in reversed(inside) if offsets[i][0] < end), 0)
                first, last = (first, last) if first <= last else (0, 0)
        found.setdefault(sample, []).append(
            {
                "ids": encoded["input_ids"][place],
                "segments": segments[place] if segments is not None else [0] * len(offsets),
                "first": first,
                "last": last,
                "from": inside[0],
                "to": inside[-1] + 1,
                "offsets": offsets,
                "question": sample,
            }
        )
    if every:
        return [window for own in found.values() for window in own]
    # One window a question to learn from: the one with most text around the answer.
    return [
        max(own, key=lambda w: (w["last"] > 0, min(w["first"] - w["from"], w["to"] - w["last"])))
        for own in found.values()
    ]


def _cut(tokenizer: Any, text: str, most: int) -> str:
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False)
    offsets = encoded["offset_mapping"]
    return text if len(offsets) <= most else text[: offsets[most - 1][1]]


def rows_of(data: DataSet, part: Sequence[Any], tokenizer: Any, max_length: int, *, every: bool = False) -> list[Row]:
    """The rows of a part of ``data``; ``every`` matters for questions alone."""
    if data.task == "classification":
        return text_rows(part, tokenizer, max_length)
    if data.task == "entities":
        return tag_rows(part, tokenizer, max_length, data.labels)
    return question_rows(part, tokenizer, max_length, every=every)


def collate(rows: Sequence[Row]) -> dict[str, npt.NDArray[Any]]:
    """A batch.

    Returns:
        ``ids``, ``segments``, ``attention`` ``(batch, tokens)``; ``label`` ``(batch,)`` or ``labels``
        ``(batch, tokens)`` or ``first``, ``last`` ``(batch,)`` and ``outside`` ``(batch, tokens)``, which is 1
        where no answer can stand; ``hidden`` ``(batch, tokens or 1, width)`` where the body's vectors are known.
    """
    ids = padded([row["ids"] for row in rows], 0)
    found: dict[str, npt.NDArray[Any]] = {
        "ids": ids,
        "segments": padded([row.get("segments") or [0] * len(row["ids"]) for row in rows], 0),
        "attention": padded([[1] * len(row["ids"]) for row in rows], 0),
    }
    if "label" in rows[0]:
        found["label"] = np.array([row["label"] for row in rows], dtype=np.int64)
    elif "labels" in rows[0]:
        found["labels"] = padded([row["labels"] for row in rows], IGNORED)
    else:
        outside = np.ones_like(ids)
        outside[:, 0] = 0
        for index, row in enumerate(rows):
            outside[index, row["from"] : row["to"]] = 0
        found["outside"] = outside
        found["first"] = np.array([row["first"] for row in rows], dtype=np.int64)
        found["last"] = np.array([row["last"] for row in rows], dtype=np.int64)
    if "hidden" in rows[0]:
        longest = max(row["hidden"].shape[0] for row in rows)
        hidden = np.zeros((len(rows), longest, rows[0]["hidden"].shape[1]), dtype=np.float32)
        for index, row in enumerate(rows):
            hidden[index, : row["hidden"].shape[0]] = row["hidden"]
        found["hidden"] = hidden
    return found


class Order:
    """Which rows stand together in each batch: every row once an epoch, neighbours of like length.

    It depends on the seed and the epoch alone, so that a run that was cut goes on with the same batches.

    Args:
        lengths: tokens of each row.
        batch: rows a batch; the last batch of an epoch may be smaller.
        seed: of the order.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self._lengths = np.asarray(lengths)
        self._batch = batch
        self._seed = seed
        self.per_epoch = max(1, -(-len(lengths) // batch))
        self._kept: tuple[int, list[list[int]]] = (-1, [])

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches of one epoch, each a list of rows."""
        if self._kept[0] != epoch:
            chance = np.random.default_rng((self._seed, epoch))
            order = chance.permutation(len(self._lengths))
            size = self._batch * _WINDOW
            sorted_by_length = [
                row
                for start in range(0, len(order), size)
                for row in sorted(order[start : start + size].tolist(), key=lambda r: int(self._lengths[r]))
            ]
            batches = [
                sorted_by_length[start : start + self._batch] for start in range(0, len(sorted_by_length), self._batch)
            ]
            self._kept = (epoch, [batches[i] for i in chance.permutation(len(batches)).tolist()])
        return self._kept[1]

    def __getitem__(self, step: int) -> list[int]:
        """The rows of the batch at ``step``, counted over all epochs."""
        epoch, place = divmod(step, self.per_epoch)
        return self.epoch(epoch)[place]

    def tokens(self, epoch: int = 0) -> list[int]:
        """Tokens of each batch of an epoch, padding included."""
        return [int(self._lengths[rows].max()) * len(rows) for rows in self.epoch(epoch)]
