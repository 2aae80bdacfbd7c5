"""Extractive questions: where in a text the answer stands, as a LoRA head on the encoder of each language.

    python -m core.training.recipes.questions --language en --data DIR --out DIR [--epochs N]

English (on all-MiniLM-L6-v2): nine tenths of SQuAD 1.1's development articles, and QAMR's sentences. Spanish (on
mini-BETO): nine tenths of SQuAD-es' articles. The other articles measure.
"""

import argparse
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.training.recipes import adapters
from core.training.recipes.corpora import HeldOutIndex, read_file
from core.training.recipes.labelled import Question, qamr, squad, squad_english
from core.training.recipes.loop import Schedule, autocast, log, padded, tensors, train

if TYPE_CHECKING:
    import torch

BASES: Final = {"en": "minilm", "es": "mini-beto"}
LONGEST: Final = 224
STRIDE: Final = 96
LONGEST_ANSWER: Final = 24
_SQUAD_ES: Final = "squad-es/squad-es-v1.1-dev-small-minus-xquad.jsonl.xz"


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a run."""

    epochs: int = 3
    batch: int = 24
    learning_rate: float = 6e-4
    seed: int = 1


def _held(question: Question) -> bool:
    """Every tenth article, by its title, or by its text where it has none, is measured on."""
    return sum(map(ord, question.group or question.context)) % 10 == 0


def spanish(data: Path) -> list[Question]:
    """SQuAD-es (machine translated; Carrino et al. 2020), without XQuAD's paragraphs."""
    return list(squad(read_file(data / _SQUAD_ES)))


def tests(data: Path, language: str) -> dict[str, list[Question]]:
    """What a model is reported on: articles that it never saw."""
    name, found = ("SQuAD", squad_english(data)) if language == "en" else ("SQuAD-es", spanish(data))
    return {f"{name}, a tenth of the articles": [question for question in found if _held(question)]}


def training(data: Path, language: str) -> list[Question]:
    """All that may be trained on, without the paragraphs that are measured on."""
    held = {question.context for test in tests(data, language).values() for question in test}
    index = HeldOutIndex(held)
    if language == "es":
        return [q for q in spanish(data) if not _held(q) and not index.repeats(q.context)]
    seen: Counter[tuple[str, str]] = Counter()
    easy = []
    for question in qamr(data):
        # Three annotators ask nearly the same of each sentence: one question an answer.
        seen[question.context, question.answers[0][1]] += 1
        if seen[question.context, question.answers[0][1]] == 1 and not index.repeats(question.context):
            easy.append(question)
    return [*(q for q in squad_english(data) if not _held(q) and not index.repeats(q.context)), *easy]


def rows(questions: Sequence[Question], tokenizer: Any, *, every: bool = False) -> list[dict[str, Any]]:
    """Windows of question and text: ids, segments, and the first and last token of the answer.

    Args:
        questions: what is asked.
        tokenizer: the encoder's.
        every: all windows of each text, for prediction; otherwise the one with most context around the answer.
    """
    found = []
    for start in range(0, len(questions), 500):
        part = questions[start : start + 500]
        encoded = tokenizer(
            [q.question for q in part],
            [q.context for q in part],
            truncation="only_second",
            max_length=LONGEST,
            stride=STRIDE,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        windows: dict[int, list[dict[str, Any]]] = {}
        for place, sample in enumerate(encoded["overflow_to_sample_mapping"]):
            sequence = encoded.sequence_ids(place)
            offsets = encoded["offset_mapping"][place]
            inside = [index for index, which in enumerate(sequence) if which == 1]
            if not inside:
                continue
            begin, words = part[sample].answers[0]
            end = begin + len(words)
            covers = offsets[inside[0]][0] <= begin and end <= offsets[inside[-1]][1]
            first = last = 0
            if covers:
                first = next((i for i in inside if offsets[i][1] > begin), inside[0])
                last = next((i for i in reversed(inside) if offsets[i][0] < end), inside[-1])
            windows.setdefault(sample, []).append(
                {
                    "ids": encoded["input_ids"][place],
                    "segments": encoded["token_type_ids"][place],
                    "first": first,
                    "last": last,
                    "from": inside[0],
                    "to": inside[-1] + 1,
                    "offsets": offsets,
                    "question": start + sample,
                }
            )
        for own in windows.values():
            if every:
                found += own
            elif answered := [window for window in own if window["last"]]:
                found.append(max(answered, key=lambda w: min(w["first"] - w["from"], w["to"] - w["last"])))
    return found


def collate(part: Sequence[Mapping[str, Any]]) -> dict[str, npt.NDArray[Any]]:
    """``ids``, ``segments``, ``attention``, ``outside`` ``(batch, tokens)``; ``first``, ``last`` ``(batch,)``."""
    ids = padded([row["ids"] for row in part], 0)
    outside = np.ones_like(ids)
    for index, row in enumerate(part):
        outside[index, row["from"] : row["to"]] = 0
    return {
        "ids": ids,
        "segments": padded([row["segments"] for row in part], 0),
        "attention": padded([[1] * len(row["ids"]) for row in part], 0),
        "outside": outside,
        "first": np.array([row["first"] for row in part], dtype=np.int64),
        "last": np.array([row["last"] for row in part], dtype=np.int64),
    }


def logits(model: Any, batch: Mapping[str, "torch.Tensor"]) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Scores of each token as the answer's first and last, ``(batch, tokens)``; those of the question are out."""
    out = adapters.scores(model, batch)
    outside = batch["outside"].bool()
    return out.start_logits.float().masked_fill(outside, -1e4), out.end_logits.float().masked_fill(outside, -1e4)


def losses(model: "torch.nn.Module", batch: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """Cross-entropy of the first and of the last token."""
    import torch.nn.functional as F

    first, last = logits(model, batch)
    return {"first": F.cross_entropy(first, batch["first"]), "last": F.cross_entropy(last, batch["last"])}


def answer(model: Any, tokenizer: Any, questions: Sequence[Question], device: str) -> list[str]:
    """The best stretch of each text, over all its windows."""
    import torch

    best: dict[int, tuple[float, str]] = {}
    windows = rows(questions, tokenizer, every=True)
    with torch.inference_mode(), autocast(device):
        for start in range(0, len(windows), 32):
            part = windows[start : start + 32]
            first, last = (x.log_softmax(-1).cpu() for x in logits(model, tensors(collate(part), device)))
            # (batch, first, last): every stretch of a sensible length.
            pairs = first[:, :, None] + last[:, None, :]
            near = torch.ones(pairs.shape[1:]).triu() - torch.ones(pairs.shape[1:]).triu(LONGEST_ANSWER)
            pairs = pairs.masked_fill(near[None] == 0, float("-inf"))
            values, places = pairs.flatten(1).max(-1)
            for row, value, place in zip(part, values.tolist(), places.tolist(), strict=True):
                begin, end = divmod(place, pairs.shape[2])
                context = questions[row["question"]].context
                text = context[row["offsets"][begin][0] : row["offsets"][end][1]]
                if value > best.get(row["question"], (float("-inf"), ""))[0]:
                    best[row["question"]] = (value, text)
    return [best.get(index, (0.0, ""))[1] for index in range(len(questions))]


_ARTICLES: Final = re.compile(r"\b(a|an|the|el|la|los|las|un|una|unos|unas)\b")
_MARKS: Final = str.maketrans(dict.fromkeys(string.punctuation + "«»¿¡“”’‘—–…", " "))


def words_of(text: str) -> list[str]:
    """The words that count, as SQuAD's scorer takes them: no case, punctuation or articles."""
    return _ARTICLES.sub(" ", text.lower().translate(_MARKS)).split()


def overlap(guess: str, right: str) -> float:
    """F1 of the words that two answers share."""
    ours, theirs = Counter(words_of(guess)), Counter(words_of(right))
    common = sum((ours & theirs).values())
    return 2 * common / (ours.total() + theirs.total()) if common else float(ours == theirs)


def score(model: Any, tokenizer: Any, questions: Sequence[Question], device: str) -> dict[str, Any]:
    """Exact answers and F1 of words, each the best over the right answers of a question."""
    guesses = answer(model, tokenizer, questions, device)
    exact = f1 = 0.0
    for guess, question in zip(guesses, questions, strict=True):
        exact += max(words_of(guess) == words_of(right) for _start, right in question.answers)
        f1 += max(overlap(guess, right) for _start, right in question.answers)
    n = len(questions)
    return {"exact": round(exact / n, 4), "f1": round(f1 / n, 4), "n": n}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    import torch

    parser = argparse.ArgumentParser(prog="python -m core.training.recipes.questions", description="Train questions.")
    parser.add_argument("--language", choices=sorted(BASES), required=True)
    parser.add_argument("--data", type=Path, required=True, help="the folder with the labelled sets")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; a run that is there goes on")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for name, default in asdict(Options()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    given = parser.parse_args(arguments)
    options = Options(given.epochs, given.batch, given.learning_rate, given.seed)
    base, data, out, device = BASES[given.language], given.data, given.out, given.device
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = adapters.load_tokenizer(base)
    found = rows(training(data, given.language), tokenizer)
    log(out, {"train": len(found)})
    batches = adapters.Shuffled(found, options.batch, collate, options.seed)
    schedule = Schedule(options.epochs * batches.per_epoch, options.learning_rate, warmup=0.06, seed=options.seed)
    model = adapters.build(base, "QuestionAnswering", seed=options.seed)
    train(model, batches, losses, schedule, out, device=device, options={"batch": options.batch, "rows": len(found)})
    adapters.export(model, base, out / "model")
    model.eval()
    for name, test in tests(data, given.language).items():
        log(out, {"test": name, **score(model, tokenizer, test, device)})


if __name__ == "__main__":
    main()
