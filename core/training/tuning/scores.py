"""What a run learnt, in figures: answers, the measure of each task with its interval, and the worst mistakes."""

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.training.data import OUTSIDE, DataSet, Labelled, Question, Tagged, spans
from core.training.recipes.loop import autocast, tensors
from core.training.tuning.models import logits
from core.training.tuning.rows import Row, collate

if TYPE_CHECKING:
    import torch

_BATCH: Final = 64
_MISTAKES: Final = 20
_DRAWS: Final = 1_000
LONGEST_ANSWER: Final = 30

Before = Callable[["dict[str, torch.Tensor]"], None]


def wilson(hits: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); sound near 0 and 1, where the usual one isn't."""
    if not total:
        return 0.0, 1.0
    share = hits / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(counts: npt.NDArray[Any], measure: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> tuple[float, float]:
    """The 95 % interval of a measure of summed counts, from samples drawn again (Efron 1979).

    Args:
        counts: what is summed, ``(examples, counts)``.
        measure: sums ``(draws, counts)`` → the measure of each ``(draws,)``.
    """
    chance = np.random.default_rng(1)
    times = chance.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=_DRAWS)
    low, high = np.percentile(measure(times @ counts), [2.5, 97.5])
    return float(low), float(high)


def f1(hits: float, found: float, wanted: float) -> float:
    """Harmonic mean of precision and recall, from counts."""
    return 2 * hits / (found + wanted) if found + wanted else 0.0


def _batches(rows: Sequence[Row], size: int = _BATCH) -> list[list[int]]:
    by_length = sorted(range(len(rows)), key=lambda index: len(rows[index]["ids"]))
    return [by_length[start : start + size] for start in range(0, len(by_length), size)]


def _outputs(model: Any, rows: Sequence[Row], device: str, before: Before | None) -> "list[tuple[list[int], Any, Any]]":
    import torch

    found = []
    with torch.inference_mode(), autocast(device):
        for chosen in _batches(rows):
            batch = tensors(collate([rows[index] for index in chosen]), device)
            if before is not None:
                before(batch)
            found.append((chosen, logits(model, batch), batch))
    return found


def class_chances(model: Any, rows: Sequence[Row], device: str, before: Before | None = None) -> npt.NDArray[Any]:
    """Probabilities ``(texts, classes)``."""
    found = np.zeros((len(rows), model.config.num_labels))
    for chosen, out, _batch in _outputs(model, rows, device, before):
        found[chosen] = out.logits.float().softmax(-1).cpu().numpy()
    return found


def word_tags(
    model: Any, rows: Sequence[Row], device: str, before: Before | None = None
) -> list[tuple[list[int], list[float]]]:
    """For each sentence the tag of each word within the window, and its probability."""
    found: list[tuple[list[int], list[float]]] = [([], [])] * len(rows)
    for chosen, out, batch in _outputs(model, rows, device, before):
        best = out.logits.float().softmax(-1).max(-1)
        tags, sure, marks = best.indices.cpu().numpy(), best.values.cpu().numpy(), batch["labels"].cpu().numpy()
        for place, index in enumerate(chosen):
            asked = marks[place] != -100
            found[index] = (tags[place][asked].tolist(), sure[place][asked].tolist())
    return found


def answers(
    model: Any,
    rows: Sequence[Row],
    contexts: Sequence[str],
    device: str,
    before: Before | None = None,
    *,
    may_be_none: bool = True,
) -> list[tuple[str, float]]:
    """The best stretch of each text over all its windows, and its probability in its window.

    An empty answer is what the first token, ``[CLS]``, stands for; it wins where no stretch scores higher.
    """
    best: dict[int, tuple[float, str, float]] = {}
    empty: dict[int, tuple[float, float]] = {}
    for chosen, out, batch in _outputs(model, rows, device, before):
        outside = batch["outside"].bool()
        first = out.start_logits.float().masked_fill(outside, -1e4)
        last = out.end_logits.float().masked_fill(outside, -1e4)
        chances = (first.softmax(-1).cpu().numpy(), last.softmax(-1).cpu().numpy())
        starts, ends = first.cpu().numpy(), last.cpu().numpy()
        for place, index in enumerate(chosen):
            row = rows[index]
            low, high = row["from"], row["to"]
            # scores of (first, last) pairs, (tokens, tokens), where the last stands behind and not too far
            pairs = starts[place, low:high, None] + ends[place, None, low:high]
            allowed = np.triu(np.ones(pairs.shape, dtype=bool)) & ~np.triu(
                np.ones(pairs.shape, dtype=bool), LONGEST_ANSWER
            )
            begin, end = np.unravel_index(np.where(allowed, pairs, -np.inf).argmax(), pairs.shape)
            score = float(pairs[begin, end])
            offsets, question = row["offsets"], row["question"]
            text = contexts[question][offsets[low + begin][0] : offsets[low + end][1]]
            sure = float(chances[0][place, low + begin] * chances[1][place, low + end])
            if question not in best or score > best[question][0]:
                best[question] = (score, text, sure)
            none = float(starts[place, 0] + ends[place, 0])
            # All windows must say that it isn't there: the lowest counts.
            if question not in empty or none < empty[question][0]:
                empty[question] = (none, float(chances[0][place, 0] * chances[1][place, 0]))
    found = []
    for question in range(len(contexts)):
        score, text, sure = best.get(question, (-np.inf, "", 0.0))
        none, none_sure = empty.get(question, (np.inf, 0.0))
        found.append(("", none_sure) if may_be_none and none > score else (text, sure))
    return found


# --- classification ---------------------------------------------------------------------------------------


def _class_rows(wanted: Sequence[int], got: Sequence[int], labels: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for index, label in enumerate(labels):
        hits = sum(w == g == index for w, g in zip(wanted, got, strict=True))
        asked, found = sum(w == index for w in wanted), sum(g == index for g in got)
        low, high = wilson(hits, asked)
        rows.append(
            {
                "label": label,
                "precision": hits / found if found else None,
                "recall": hits / asked if asked else None,
                "f1": f1(hits, found, asked) if asked or found else None,
                "n": asked,
                "low": low,
                "high": high,
            }
        )
    return rows


def class_scores(chances: npt.NDArray[Any], data: DataSet) -> dict[str, Any]:
    """Accuracy with Wilson's interval, macro F1, per class, confusion matrix and the surest mistakes."""
    wanted = [example.label for example in data.test if isinstance(example, Labelled)]
    texts = [example.text for example in data.test if isinstance(example, Labelled)]
    got = chances.argmax(-1).tolist()
    hits = sum(w == g for w, g in zip(wanted, got, strict=True))
    low, high = wilson(hits, len(wanted))
    matrix = np.zeros((len(data.labels), len(data.labels)), dtype=int)
    for right, guess in zip(wanted, got, strict=True):
        matrix[right, guess] += 1
    per_class = _class_rows(wanted, got, data.labels)
    wrong = sorted(
        (index for index, (w, g) in enumerate(zip(wanted, got, strict=True)) if w != g),
        key=lambda index: -chances[index, got[index]],
    )
    known = [row["f1"] for row in per_class if row["f1"] is not None]
    return {
        "metric": "accuracy",
        "value": hits / len(wanted),
        "low": low,
        "high": high,
        "n": len(wanted),
        "more": {"macro_f1": sum(known) / max(1, len(known))},
        "classes": per_class,
        "labels": list(data.labels),
        "confusion": matrix.tolist(),
        "mistakes": [
            {
                "text": texts[index],
                "wanted": data.labels[wanted[index]],
                "got": data.labels[got[index]],
                "sure": float(chances[index, got[index]]),
            }
            for index in wrong[:_MISTAKES]
        ],
        "wrong": len(wrong),
    }


# --- entities ---------------------------------------------------------------------------------------------


def _written(words: Sequence[str], found: Sequence[tuple[str, int, int]]) -> str:
    return " · ".join(f"{' '.join(words[start:end])} = {kind}" for kind, start, end in found) or "–"


def tag_scores(guessed: Sequence[tuple[Sequence[int], Sequence[float]]], data: DataSet) -> dict[str, Any]:
    """F1 of whole entities, as CoNLL-2003 and seqeval count them: kind and both ends must be right."""
    counts = np.zeros((len(data.test), 3))
    kinds = data.kinds
    by_kind: dict[str, list[int]] = {kind: [0, 0, 0] for kind in kinds}
    mistakes = []
    names = [*kinds, OUTSIDE]
    matrix = np.zeros((len(names), len(names)), dtype=int)
    words_right = words_all = 0
    for index, (example, (tags, sure)) in enumerate(zip(data.test, guessed, strict=True)):
        assert isinstance(example, Tagged)
        full = [data.labels[tag] for tag in tags] + [OUTSIDE] * (len(example.words) - len(tags))
        right, ours = set(spans(example.tags)), set(spans(full))
        counts[index] = len(right & ours), len(ours), len(right)
        for kind, _start, _end in right & ours:
            by_kind[kind][0] += 1
        for kind, _start, _end in ours:
            by_kind[kind][1] += 1
        for kind, _start, _end in right:
            by_kind.setdefault(kind, [0, 0, 0])[2] += 1
        for wanted, got in zip(example.tags, full, strict=True):
            words_right += wanted == got
            words_all += 1
            row, column = wanted[2:] or OUTSIDE, got[2:] or OUTSIDE
            if row in names:
                matrix[names.index(row), names.index(column)] += 1
        if right != ours:
            doubtful = len(right ^ ours)
            mistakes.append(
                (
                    -doubtful,
                    -float(np.mean(sure)) if len(sure) else 0.0,
                    {
                        "text": " ".join(example.words),
                        "wanted": _written(example.words, [s for s in spans(example.tags) if s not in ours]),
                        "got": _written(example.words, [s for s in spans(full) if s not in right]),
                        "sure": float(np.mean(sure)) if len(sure) else 0.0,
                    },
                )
            )

    def measure(sums: npt.NDArray[Any]) -> npt.NDArray[Any]:
        scores: npt.NDArray[Any] = 2 * sums[:, 0] / np.maximum(1, sums[:, 1] + sums[:, 2])
        return scores

    hits, found, wanted_all = (int(total) for total in counts.sum(0))
    low, high = bootstrap(counts, measure)
    mistakes.sort(key=lambda item: item[:2])
    rows = []
    for kind, (own, ours_all, asked) in by_kind.items():
        kind_low, kind_high = wilson(own, asked)
        rows.append(
            {
                "label": kind,
                "precision": own / ours_all if ours_all else None,
                "recall": own / asked if asked else None,
                "f1": f1(own, ours_all, asked) if asked or ours_all else None,
                "n": asked,
                "low": kind_low,
                "high": kind_high,
            }
        )
    return {
        "metric": "f1",
        "value": f1(hits, found, wanted_all),
        "low": low,
        "high": high,
        "n": wanted_all,
        "more": {
            "precision": hits / found if found else 0.0,
            "recall": hits / wanted_all if wanted_all else 0.0,
            "word_accuracy": words_right / max(1, words_all),
        },
        "classes": rows,
        "labels": names,
        "confusion": matrix.tolist(),
        "mistakes": [item[2] for item in mistakes[:_MISTAKES]],
        "wrong": len(mistakes),
    }


# --- questions --------------------------------------------------------------------------------------------

_ARTICLES: Final = re.compile(r"\b(a|an|the|el|la|los|las|un|una|unos|unas)\b")
_MARKS: Final = str.maketrans("", "", string.punctuation + "«»“”‘’¿¡…—–")


def bare_answer(text: str) -> str:
    """An answer without case, punctuation and articles, English ones as in SQuAD's own script and Spanish ones."""
    lowered = unicodedata.normalize("NFC", text).casefold().translate(_MARKS)
    return " ".join(_ARTICLES.sub(" ", lowered).split())


def answer_f1(got: str, wanted: str) -> float:
    """Overlap in words (Rajpurkar et al. 2016); an empty answer is right only where none was wanted."""
    ours, right = bare_answer(got).split(), bare_answer(wanted).split()
    if not ours or not right:
        return float(ours == right)
    shared = sum((Counter(ours) & Counter(right)).values())
    return f1(shared, len(ours), len(right))


def answer_scores(found: Sequence[tuple[str, float]], data: DataSet) -> dict[str, Any]:
    """SQuAD's two measures: F1 in words and exact match, the best over all answers that are right."""
    exact, overlap, mistakes = [], [], []
    kinds: dict[str, list[int]] = {kind: [] for kind in data.kinds}
    for index, (example, (got, sure)) in enumerate(zip(data.test, found, strict=True)):
        assert isinstance(example, Question)
        wanted = [text for _start, text in example.answers] or [""]
        exact.append(max(bare_answer(got) == bare_answer(text) for text in wanted))
        overlap.append(max(answer_f1(got, text) for text in wanted))
        kinds[data.kinds[0 if example.answers else 1]].append(index)
        if overlap[-1] < 1:
            mistakes.append(
                (
                    overlap[-1],
                    -sure,
                    {
                        "text": example.question,
                        "context": example.context,
                        "wanted": wanted[0],
                        "got": got,
                        "sure": sure,
                    },
                )
            )
    low, high = bootstrap(np.array(overlap)[:, None], lambda sums: sums[:, 0] / len(overlap))
    exact_low, exact_high = wilson(sum(exact), len(exact))
    mistakes.sort(key=lambda item: item[:2])
    rows = [
        {
            "label": kind,
            "f1": float(np.mean([overlap[i] for i in members])) if members else None,
            "exact": float(np.mean([exact[i] for i in members])) if members else None,
            "n": len(members),
        }
        for kind, members in kinds.items()
    ]
    return {
        "metric": "f1",
        "value": float(np.mean(overlap)),
        "low": low,
        "high": high,
        "n": len(overlap),
        "more": {"exact_match": float(np.mean(exact)), "exact_low": exact_low, "exact_high": exact_high},
        "classes": rows,
        "labels": [],
        "confusion": [],
        "mistakes": [item[2] for item in mistakes[:_MISTAKES]],
        "wrong": len(mistakes),
    }
