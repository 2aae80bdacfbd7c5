"""Extractive questions: where in a text the answer stands, as a LoRA head on the encoder of each language.

    python -m core.training.recipes.questions --language en --data DIR --out DIR [--epochs N]

English (on all-MiniLM-L6-v2): nine tenths of SQuAD 1.1's development articles, and QAMR's sentences. Spanish (on
mini-e5, which reads both languages): nine tenths of SQuAD-es' articles, the same articles of SQuAD in English,
and some of QAMR's sentences. The other articles measure, and are left out in both languages. A fifth more
questions stand beside another paragraph of their article, which doesn't answer them: there the head learns to
point at [CLS], as for SQuAD 2.0 (Devlin et al. 2018).
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.training.recipes import adapters
from core.training.recipes.corpora import HeldOutIndex, read_file
from core.training.recipes.labelled import Question, english_lines, qamr, squad, squad_english, titles
from core.training.recipes.loop import Schedule, autocast, command_line, log, padded, tensors, train
from core.training.tuning.scores import answer_f1, bare_answer

if TYPE_CHECKING:
    import torch

BASES: Final = {"en": "minilm", "es": "mini-e5"}
# The lower layers of mini-e5, which know the languages, stay as they are.
FIRST_LAYER: Final = {"en": 0, "es": 4}
DROPOUT: Final = {"en": True, "es": False}
LONGEST: Final = 224
STRIDE: Final = 96
LONGEST_ANSWER: Final = 24
# Of the questions that are asked once more, beside a paragraph that doesn't answer them.
MISMATCHED: Final = 0.2
# Of QAMR's questions beside the Spanish ones: enough to learn from, too few to take the run over.
QAMR_BESIDE: Final = 6000
_SQUAD_ES: Final = "squad-es/squad-es-v1.1-dev-small-minus-xquad.jsonl.xz"


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a run."""

    epochs: float = 3.0
    batch: int = 24
    learning_rate: float = 6e-4
    seed: int = 1


def _held(question: Question) -> bool:
    """Every tenth article, by its title, or by its text where it has none, is measured on."""
    return sum(map(ord, question.group or question.context)) % 10 == 0


def spanish(data: Path) -> list[Question]:
    """SQuAD-es (machine translated; Carrino et al. 2020), without XQuAD's paragraphs."""
    return list(squad(read_file(data / _SQUAD_ES)))


def originals(data: Path) -> dict[str, str]:
    """The English title of each Spanish article: its questions carry the same number in both."""
    english = titles(english_lines(data))
    return {title: english[own] for own, title in titles(read_file(data / _SQUAD_ES)).items() if own in english}


def tests(data: Path, language: str) -> dict[str, list[Question]]:
    """What a model is reported on: articles that it never saw."""
    name, found = ("SQuAD", squad_english(data)) if language == "en" else ("SQuAD-es", spanish(data))
    return {f"{name}, a tenth of the articles": [question for question in found if _held(question)]}


def training(data: Path, language: str) -> list[Question]:
    """All that may be trained on, without the paragraphs that are measured on."""
    held = {question.context for test in tests(data, language).values() for question in test}
    index = HeldOutIndex(held)
    if language == "es":
        asked = spanish(data)
        own = [q for q in asked if not _held(q) and not index.repeats(q.context)]
        # Not even an answer that stands in the English original of a Spanish test was seen.
        known = originals(data)
        held_english = {known[q.group] for q in asked if _held(q)}
        english = training(data, "en")
        easy = [q for q in english if q.group not in set(known.values())]
        return [
            *own,
            *(q for q in squad_english(data) if q.group not in held_english),
            *random.Random(1).sample(easy, min(QAMR_BESIDE, len(easy))),
        ]
    seen: Counter[tuple[str, str]] = Counter()
    easy = []
    for question in qamr(data):
        # Three annotators ask nearly the same of each sentence: one question an answer.
        seen[question.context, question.answers[0][1]] += 1
        if seen[question.context, question.answers[0][1]] == 1 and not index.repeats(question.context):
            easy.append(question)
    return [*(q for q in squad_english(data) if not _held(q) and not index.repeats(q.context)), *easy]


def mismatched(questions: Sequence[Question], share: float = MISMATCHED, seed: int = 1) -> list[Question]:
    """Questions without an answer: each beside another paragraph of its article that doesn't hold the right words.

    Args:
        questions: with their articles' titles; those of articles of one paragraph are passed over.
        share: of the questions that are tried.
        seed: of the draw.
    """
    chance = random.Random(seed)
    articles: dict[str, list[str]] = {}
    for question in questions:
        own = articles.setdefault(question.group, [])
        if question.context not in own:
            own.append(question.context)
    found = []
    for question in questions:
        if chance.random() < share:
            other = chance.choice(articles[question.group])
            if not any(right.casefold() in other.casefold() for _start, right in question.answers):
                found.append(Question(question.question, other, (), question.group))
    return found


def rows(questions: Sequence[Question], tokenizer: Any, *, every: bool = False) -> list[dict[str, Any]]:
    """Windows of question and text: ids, segments, and the first and last token of the answer (0, [CLS], for none).

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
        typed = "token_type_ids" in encoded
        windows: dict[int, list[dict[str, Any]]] = {}
        for place, sample in enumerate(encoded["overflow_to_sample_mapping"]):
            sequence = encoded.sequence_ids(place)
            offsets = encoded["offset_mapping"][place]
            inside = [index for index, which in enumerate(sequence) if which == 1]
            if not inside:
                continue
            first = last = 0
            begin, words = part[sample].answers[0] if part[sample].answers else (0, "")
            end = begin + len(words)
            if words and offsets[inside[0]][0] <= begin and end <= offsets[inside[-1]][1]:
                first = next((i for i in inside if offsets[i][1] > begin), inside[0])
                last = next((i for i in reversed(inside) if offsets[i][0] < end), inside[-1])
            windows.setdefault(sample, []).append(
                {
                    "ids": encoded["input_ids"][place],
                    # XLM-R reads question and text as one segment, and its tokenizer says nothing of them.
                    "segments": encoded["token_type_ids"][place] if typed else [0] * len(encoded["input_ids"][place]),
                    "first": first,
                    "last": last,
                    "from": inside[0],
                    "to": inside[-1] + 1,
                    "offsets": offsets,
                    "question": start + sample,
                }
            )
        for sample, own in windows.items():
            if every:
                found += own
            elif not part[sample].answers:
                found.append(own[0])
            elif answered := [window for window in own if window["last"]]:
                found.append(max(answered, key=lambda w: min(w["first"] - w["from"], w["to"] - w["last"])))
    return found


def collate(part: Sequence[Mapping[str, Any]]) -> dict[str, npt.NDArray[Any]]:
    """``ids``, ``segments``, ``attention``, ``outside`` ``(batch, tokens)``; ``first``, ``last`` ``(batch,)``."""
    ids = padded([row["ids"] for row in part], 0)
    outside = np.ones_like(ids)
    outside[:, 0] = 0  # [CLS] stands for "the text doesn't say"
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


@dataclass(frozen=True, slots=True)
class Guess:
    """The best stretch of a text, and whether [CLS] scores higher than it: "the text doesn't say"."""

    text: str
    refused: bool


def answer(model: Any, tokenizer: Any, questions: Sequence[Question], device: str) -> list[Guess]:
    """The best stretch of each text, over all its windows; the lowest [CLS] of them speaks for "it doesn't say"."""
    import torch

    best: dict[int, tuple[float, str]] = {}
    nothing: dict[int, float] = {}
    windows = rows(questions, tokenizer, every=True)
    with torch.inference_mode(), autocast(device):
        for start in range(0, len(windows), 32):
            part = windows[start : start + 32]
            first, last = (x.cpu() for x in logits(model, tensors(collate(part), device)))
            # (batch, first, last): every stretch of a sensible length.
            pairs = first[:, :, None] + last[:, None, :]
            near = torch.ones(pairs.shape[1:]).triu() - torch.ones(pairs.shape[1:]).triu(LONGEST_ANSWER)
            pairs = pairs.masked_fill(near[None] == 0, float("-inf"))
            none = pairs[:, 0, 0].tolist()
            pairs[:, 0] = float("-inf")
            values, places = pairs.flatten(1).max(-1)
            for row, value, place, own in zip(part, values.tolist(), places.tolist(), none, strict=True):
                begin, end = divmod(place, pairs.shape[2])
                asked = row["question"]
                text = questions[asked].context[row["offsets"][begin][0] : row["offsets"][end][1]]
                nothing[asked] = min(own, nothing.get(asked, float("inf")))
                if value > best.get(asked, (float("-inf"), ""))[0]:
                    best[asked] = (value, text)
    empty = (float("-inf"), "")
    found = [(*best.get(index, empty), nothing.get(index, 0.0)) for index in range(len(questions))]
    return [Guess(text, none > value) for value, text, none in found]


def answer_scores(texts: Sequence[str], questions: Sequence[Question]) -> dict[str, Any]:
    """SQuAD's measures: ``exact`` and ``f1``, the best over the right answers of each question."""
    exact = f1 = 0.0
    for text, question in zip(texts, questions, strict=True):
        exact += max(bare_answer(text) == bare_answer(right) for _start, right in question.answers)
        f1 += max(answer_f1(text, right) for _start, right in question.answers)
    n = len(questions)
    return {"exact": round(exact / n, 4), "f1": round(f1 / n, 4), "n": n}


def score(model: Any, tokenizer: Any, questions: Sequence[Question], device: str) -> dict[str, Any]:
    """How good the best stretches are, and how well the model knows when there is none.

    Returns:
        ``exact`` and ``f1``: of the best stretch, the best over the right answers of a question; ``answered``:
        share of these questions for which it beats "the text doesn't say"; ``refused``: share for which it
        doesn't, where the question stands beside another paragraph (left out where there are no such).
    """
    guesses = answer(model, tokenizer, questions, device)
    answered = sum(not guess.refused for guess in guesses) / len(questions)
    found = {**answer_scores([guess.text for guess in guesses], questions), "answered": round(answered, 4)}
    if wrong := mismatched(questions, 1.0, seed=2):
        refused = sum(guess.refused for guess in answer(model, tokenizer, wrong, device))
        found["refused"] = round(refused / len(wrong), 4)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    given, options = command_line(
        "questions",
        Options,
        arguments,
        lambda parser: parser.add_argument("--language", choices=sorted(BASES), required=True),
    )
    base, data, out, device = BASES[given.language], given.data, given.out, given.device
    tokenizer = adapters.load_tokenizer(base)
    asked = training(data, given.language)
    found = rows([*asked, *mismatched(asked)], tokenizer)
    log(out, {"train": len(found)})
    batches = adapters.Shuffled(found, options.batch, collate, options.seed)
    steps = round(options.epochs * batches.per_epoch)
    schedule = Schedule(steps, options.learning_rate, warmup=0.06, seed=options.seed)
    model = adapters.build(
        base,
        "QuestionAnswering",
        seed=options.seed,
        dropout=DROPOUT[given.language],
        first=FIRST_LAYER[given.language],
    )
    train(model, batches, losses, schedule, out, device=device, options={"batch": options.batch, "rows": len(found)})
    adapters.export(model, base, out / "model")
    model.eval()
    for name, test in tests(data, given.language).items():
        log(out, {"test": name, **score(model, tokenizer, test, device)})


if __name__ == "__main__":
    main()
