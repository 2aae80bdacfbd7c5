"""Answers and summaries in words of its own: mini-mt learns to answer and to shorten, as a LoRA adapter.

    python -m core.training.recipes.writer --data DIR --out DIR [--steps N]

An encoder-decoder that has learnt to translate reads a text, or a question and a text, and writes what it has learnt
here to write: short answers (SQuAD in English and Spanish, QAMR) and one sentence for an abstract (SciTLDR; Cachola
et al. 2020). The layers of mini-e5 that read begin, from the fourth upwards, with the adapter of questions-es, which
has learnt where an answer stands. For Spanish, the summaries of the English abstracts are translated by mini-mt, and so
is nothing that is measured on. Everyday sentences, which are their own summary, teach to write what was read.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.runtime.loading import with_encoder
from core.training.data import Question
from core.training.recipes import adapters, mini_mt, questions
from core.training.recipes.corpora import HeldOutIndex, clean_paragraph
from core.training.recipes.labelled import archive_text, parallel, qamr, squad_english
from core.training.recipes.loop import Schedule, command_line, log, train
from core.training.tuning.scores import answer_f1

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

BASE: Final = "mini-mt-en-es"
READS: Final = "mini-e5"
# Its adapter has learnt where an answer stands.
START: Final = "questions-es"
# mini-mt's own seven layers: with all twelve the loss falls more slowly here, too.
READING: Final = mini_mt.READING
FIRST_LAYER: Final = 2
LONGEST: Final = 224
# What may be read when it is asked: BERT's window.
WINDOW: Final = 512
# Of the easy questions beside SQuAD's, and of the sentences of each language that are copied.
QAMR_BESIDE: Final = 14_000
COPIED: Final = 3_000


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a run; ``tokens`` is the size of a batch, counted on the longer side of its rows."""

    steps: int = 3_000
    tokens: int = 1_536
    learning_rate: float = 8e-4
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Abstract:
    """A text and the sentences that people have put for it."""

    text: str
    summaries: tuple[str, ...]


def abstracts(data: Path, split: str) -> list[Abstract]:
    """SciTLDR's abstracts of machine-learning papers; ``split`` is ``"train"``, ``"dev"`` or ``"test"``."""
    rows = map(json.loads, archive_text(data, "summarization", f"scitldr-a-en/{split}.jsonl").splitlines())
    return [
        Abstract(clean_paragraph(" ".join(row["source"])), tuple(clean_paragraph(text) for text in row["target"]))
        for row in rows
    ]


def training_abstracts(data: Path) -> list[Abstract]:
    """Those of the training split that don't nearly repeat one that is measured on: a paper may stand in both."""
    held = HeldOutIndex(item.text for split in ("dev", "test") for item in abstracts(data, split))
    return [item for item in abstracts(data, "train") if not held.repeats(item.text)]


# --- questions --------------------------------------------------------------------------------------------


def tests(data: Path) -> dict[str, list[Question]]:
    """Articles that no part of this model has read: those that questions-en and questions-es are measured on."""
    return {language: next(iter(questions.tests(data, language).values())) for language in ("es", "en")}


def training(data: Path) -> dict[str, list[Question]]:
    """Questions of each language, without the articles of either test in either language."""
    held = tests(data)
    originals = questions.originals(data)
    english = {q.group for q in held["en"]} | {originals[q.group] for q in held["es"] if q.group in originals}
    spanish = {q.group for q in held["es"]} | {own for own, other in originals.items() if other in english}
    index = HeldOutIndex({q.context for own in held.values() for q in own})

    def kept(found: Sequence[Question], without: set[str]) -> list[Question]:
        return [q for q in found if q.group not in without and not index.repeats(q.context)]

    easy = kept(list(qamr(data)), set())
    return {
        "es": kept(questions.spanish(data), spanish),
        "en": [
            *kept(squad_english(data), english),
            *random.Random(1).sample(easy, min(QAMR_BESIDE, len(easy))),
        ],
    }


# --- rows -------------------------------------------------------------------------------------------------


def answered(
    found: Sequence[Question], reader: Any, words: "Tokenizer", mark: int
) -> Iterator[dict[str, npt.NDArray[np.uint16]]]:
    """Question and text as ids, cut around the answer where they are long, and the answer to write."""
    for row in questions.rows(found, reader):
        if len(row["ids"]) <= LONGEST:
            right = found[row["question"]].answers[0][1]
            yield mini_mt.row(mark, row["ids"], words.encode(right).ids)


def rows(data: Path, words: "Tokenizer", translated: Mapping[str, str]) -> list[dict[str, Any]]:
    """All there is to learn from.

    Args:
        data: the folder with the text sets.
        words: mini-mt's tokenizer.
        translated: Spanish of the English summaries.

    Returns:
        ``ids``, what is read, and ``labels``: the mark of the language, what shall be written, ``</s>``.
    """
    reader = adapters.load_tokenizer(READS)
    vocabulary = words.get_vocab()
    marks = {language: vocabulary[mark] for language, mark in mini_mt.WANTED.items()}
    found: list[dict[str, Any]] = []
    for language, asked in training(data).items():
        found += answered(asked, reader, words, marks[language])
    for item in training_abstracts(data):
        ids = _cut(words.encode(item.text).ids, LONGEST)
        for text in item.summaries:
            found.append(mini_mt.row(marks["en"], ids, words.encode(text).ids))
            found.append(mini_mt.row(marks["es"], ids, words.encode(translated[text]).ids))
    pairs = random.Random(1).sample(list(parallel(data, "tatoeba/train.tsv.xz")), COPIED)
    for language, texts in zip(("en", "es"), zip(*pairs, strict=True), strict=True):
        for text in texts:
            ids = words.encode(text).ids
            found.append(mini_mt.row(marks[language], ids, ids))
    return found


def _cut(ids: list[int], most: int) -> list[int]:
    return ids if len(ids) <= most else [*ids[: most - 1], ids[-1]]


def translations(data: Path, out: Path, device: str) -> dict[str, str]:
    """The Spanish of the training summaries, by mini-mt; kept in ``out``."""
    file = out / "summaries-es.json"
    if not file.is_file():
        texts = sorted({text for item in training_abstracts(data) for text in item.summaries})
        model, words = load_base()
        spanish = mini_mt.translate(model.to(device).eval(), words, texts, "es", device, beams=1)
        file.write_text(json.dumps(dict(zip(texts, spanish, strict=True)), ensure_ascii=False), encoding="utf-8")
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return found


# --- the model --------------------------------------------------------------------------------------------


def load_base() -> tuple[Any, "Tokenizer"]:
    """mini-mt, ready to be trained, and its tokenizer."""
    from tokenizers import Tokenizer

    decoder = adapters.base_folder(BASE)
    model: Any = with_encoder(adapters.base_folder(READS), decoder, READING)
    return model.float(), Tokenizer.from_file(str(decoder / "tokenizer.json"))


def build_model(seed: int = 1) -> tuple[Any, "Tokenizer"]:
    """mini-mt with a LoRA on its decoder and on the upper layers that read, which begins there as ``START``'s."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    base, words = load_base()
    upper = "|".join(str(layer) for layer in range(FIRST_LAYER, READING))
    config = LoraConfig(
        # As ``START`` has them.
        r=adapters.RANK,
        lora_alpha=2 * adapters.RANK,
        target_modules=rf"(encoder\.encoder\.layer\.({upper})|decoder)\..*(query|key|value|dense)",
    )
    model = get_peft_model(base, config)
    # Neither its head nor its upper layers have a place here.
    adapters.begin_as(model, START, (".bert.", ".encoder."))
    return model, words


def losses(model: "torch.nn.Module", batch: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """Cross-entropy of the next piece, smoothed by a tenth."""
    return mini_mt.losses(model, batch, reads=True)


def answer(
    model: Any, words: "Tokenizer", asked: Sequence[Question], language: str, device: str, *, beams: int = 4
) -> list[str]:
    """An answer to each question."""
    texts = [(question.question, question.context) for question in asked]
    return mini_mt.translate(model, words, texts, language, device, beams=beams, window=WINDOW, most=40)


def summarize(
    model: Any, words: "Tokenizer", texts: Sequence[str], language: str, device: str, *, beams: int = 4
) -> list[str]:
    """A sentence for each text."""
    return mini_mt.translate(model, words, texts, language, device, beams=beams, window=WINDOW, most=80)


def summary_scores(found: Sequence[str], items: Sequence[Abstract]) -> dict[str, Any]:
    """``f1`` of words (as ROUGE-1, without stems), the best over an abstract's summaries, and chrF."""
    best = sum(max(answer_f1(text, right) for right in item.summaries) for text, item in zip(found, items, strict=True))
    chrf = mini_mt.chrf(found, [item.summaries for item in items])
    return {"f1": round(best / len(items), 4), "chrf": round(chrf, 2), "n": len(items)}


def scores(model: Any, words: "Tokenizer", data: Path, device: str, *, most: int = 2000, beams: int = 4) -> Any:
    """What the card says: answers of both languages, summaries."""
    found = {}
    for language, asked in tests(data).items():
        part = asked[:most]
        written = answer(model, words, part, language, device, beams=beams)
        found[f"answers, {language}"] = questions.answer_scores(written, part)
    items = abstracts(data, "test")[:most]
    written = summarize(model, words, [item.text for item in items], "en", device, beams=beams)
    found["summaries, en"] = summary_scores(written, items)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    given, options = command_line("writer", Options, arguments)
    data, out, device = given.data, given.out, given.device
    translated = translations(data, out, device)
    model, words = build_model(options.seed)
    found = rows(data, words, translated)
    batches = mini_mt.Batches(found, options.tokens, options.seed)
    log(out, {"rows": len(found), "batches": batches.per_epoch})

    def check(trained: Any) -> dict[str, Any]:
        return {name: own["f1"] for name, own in scores(trained, words, data, device, most=64, beams=1).items()}

    schedule = Schedule(options.steps, options.learning_rate, warmup=0.06, seed=options.seed)
    kept = {"tokens": options.tokens, "rows": len(found)}
    train(model, batches, losses, schedule, out, device=device, options=kept, check=check)
    adapters.export(model, BASE, out / "model")
    model.eval()
    for name, own in scores(model, words, data, device).items():
        log(out, {"test": name, **own})


if __name__ == "__main__":
    main()
