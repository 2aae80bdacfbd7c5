"""Answers and summaries in words of its own: mini-mt learns to answer and to shorten, as a LoRA adapter.

    python -m core.training.recipes.writer --data DIR --out DIR [--steps N]

A decoder that has learnt to translate writes what it has learnt here to write: short answers (SQuAD in English and
Spanish, QAMR) and one sentence for an abstract (SciTLDR; Cachola et al. 2020). What is read goes through mini-e5 with
the adapter of questions-es, which has learnt where an answer stands: the states of its last layer say that, and those
of the seventh, which mini-mt's decoder knows, say which words are there. The decoder reads their sum (with the last
layer alone the loss falls far more slowly). Neither half of that learns anything here, so each text is read once and
the states are kept. For Spanish, the summaries of the English abstracts are translated by mini-mt, and so is nothing
that is measured on. Everyday sentences, which are their own summary, teach to write what was read.
"""

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from core.training.recipes.loop import Schedule, autocast, command_line, log, padded, train
from core.training.tuning.scores import answer_f1

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BASE: Final = "mini-mt-en-es"
READS: Final = "mini-e5"
# Its adapter has learnt where an answer stands.
START: Final = "questions-es"
READING: Final = 12
ALSO: Final = mini_mt.READING
RANK: Final = 32
LONGEST: Final = 224
# What may be read when it is asked: BERT's window.
WINDOW: Final = 512
# Of the easy questions beside SQuAD's, and of the sentences of each language that are copied.
QAMR_BESIDE: Final = 14_000
COPIED: Final = 3_000
_READ_AT_ONCE: Final = 48


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a run; ``tokens`` is the size of a batch, counted on the longer side of its rows."""

    steps: int = 5_000
    tokens: int = 3_072
    learning_rate: float = 2.5e-3
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Abstract:
    """A text, its first sentence, and the sentences that people have put for it."""

    text: str
    first: str
    summaries: tuple[str, ...]


def abstracts(data: Path, split: str) -> list[Abstract]:
    """SciTLDR's abstracts of machine-learning papers; ``split`` is ``"train"``, ``"dev"`` or ``"test"``."""
    rows = map(json.loads, archive_text(data, "summarization", f"scitldr-a-en/{split}.jsonl").splitlines())
    return [
        Abstract(
            clean_paragraph(" ".join(row["source"])),
            clean_paragraph(row["source"][0]),
            tuple(clean_paragraph(text) for text in row["target"]),
        )
        for row in rows
    ]


def training_abstracts(data: Path) -> list[Abstract]:
    """Those of the training split that don't nearly repeat one that is measured on: a paper may stand in both."""
    held = HeldOutIndex(item.text for split in ("dev", "test") for item in abstracts(data, split))
    return [item for item in abstracts(data, "train") if not held.repeats(item.text)]


# --- questions --------------------------------------------------------------------------------------------


def tests(data: Path) -> dict[str, list[Question]]:
    """Articles that no part of this model has read: those that questions-es is measured on, in both languages."""
    (spanish,) = questions.tests(data, "es").values()
    originals = questions.originals(data)
    own = {originals.get(question.group) for question in spanish}
    return {"es": spanish, "en": [question for question in squad_english(data) if question.group in own]}


def training(data: Path) -> dict[str, list[Question]]:
    """Questions of each language, without the articles of either test in either language."""
    held = tests(data)
    without = {question.group for asked in held.values() for question in asked if question.group}
    index = HeldOutIndex({question.context for asked in held.values() for question in asked})

    def kept(found: Iterable[Question]) -> list[Question]:
        return [q for q in found if q.group not in without and not index.repeats(q.context)]

    easy = kept(qamr(data))
    few = random.Random(1).sample(easy, min(QAMR_BESIDE, len(easy)))
    return {"es": kept(questions.spanish(data)), "en": [*kept(squad_english(data)), *few]}


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


# --- what was read ----------------------------------------------------------------------------------------


class Batches(mini_mt.Batches):
    """``mini_mt.Batches`` with the states of what is read instead of its tokens.

    Args:
        found: the rows.
        tokens: of a batch, rows times the longest of them on either side.
        seed: of the order.
        encoder: reads each text once; in evaluation mode.
        file: where the states are kept; those that are there are not computed again.
        device: where to compute.
    """

    def __init__(
        self, found: Sequence[Mapping[str, Any]], tokens: int, seed: int, encoder: Any, file: Path, device: str
    ) -> None:
        super().__init__(found, tokens, seed)
        texts = sorted({bytes(row["ids"]) for row in found}, key=lambda ids: (len(ids), ids))
        lengths = np.array([len(ids) // 2 for ids in texts])
        ends = np.cumsum(lengths)
        self._places = {
            ids: (int(end - length), int(end)) for ids, end, length in zip(texts, ends, lengths, strict=True)
        }
        width = encoder.config.hidden_size
        _read(encoder, texts, width, file, device)
        # (tokens of all texts, width): some gigabytes, which are needed again all the time.
        self._states = np.fromfile(file, np.float16).reshape(-1, width)

    def collate(self, part: Sequence[Mapping[str, Any]]) -> dict[str, npt.NDArray[Any]]:
        """``attention`` ``(batch, source)``, ``labels`` ``(batch, target)``, ``read`` ``(batch, source, width)``."""
        found = super().collate(part)
        read = np.zeros((*found.pop("ids").shape, self._states.shape[1]), np.float16)
        for place, row in enumerate(part):
            first, last = self._places[bytes(row["ids"])]
            read[place, : last - first] = self._states[first:last]
        return {**found, "read": read}


def _read(encoder: Any, texts: Sequence[bytes], width: int, file: Path, device: str) -> None:
    """Writes the states of all texts one after the other; goes on where an earlier run was cut."""
    import torch

    done = file.stat().st_size if file.is_file() else 0
    with file.open("r+b" if done else "wb") as out, torch.inference_mode(), autocast(device):
        at = 0
        for start in range(0, len(texts), _READ_AT_ONCE):
            part = texts[start : start + _READ_AT_ONCE]
            size = sum(len(ids) // 2 for ids in part) * width * 2
            if at + size > done:
                out.seek(at)
                ids = torch.from_numpy(
                    padded([np.frombuffer(one, np.uint16).tolist() for one in part], mini_mt.PAD)
                ).to(device)
                states = encoder(input_ids=ids, attention_mask=(ids != mini_mt.PAD).long()).last_hidden_state
                for own, one in zip(states.to("cpu", torch.float16).numpy(), part, strict=True):
                    out.write(own[: len(one) // 2].tobytes())
            at += size
        out.truncate(at)


# --- the model --------------------------------------------------------------------------------------------


def load_base() -> tuple[Any, "Tokenizer"]:
    """mini-mt that reads as questions-es does, and its tokenizer."""
    from tokenizers import Tokenizer

    decoder = adapters.base_folder(BASE)
    reader, adapter = adapters.base_folder(READS), adapters.base_folder(START)
    model = with_encoder(reader, decoder, READING, also=ALSO, adapter=adapter)
    return model, Tokenizer.from_file(str(decoder / "tokenizer.json"))


def build_model(seed: int = 1) -> tuple[Any, "Tokenizer"]:
    """The same with a LoRA on the decoder."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    base, words = load_base()
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=r"decoder\..*(query|key|value|dense)")
    return get_peft_model(base, config), words


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


def first_sentences(data: Path) -> dict[str, Any]:
    """What the first sentence of each abstract scores as its summary."""
    items = abstracts(data, "test")
    return summary_scores([item.first for item in items], items)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    given, options = command_line("writer", Options, arguments)
    data, out, device = given.data, given.out, given.device
    translated = translations(data, out, device)
    model, words = build_model(options.seed)
    found = rows(data, words, translated)
    reader = model.get_base_model().encoder.to(device).eval()
    batches = Batches(found, options.tokens, options.seed, reader, out / "states.bin", device)
    log(out, {"rows": len(found), "batches": batches.per_epoch})

    def check(trained: Any) -> dict[str, Any]:
        return {name: own["f1"] for name, own in scores(trained, words, data, device, most=64, beams=1).items()}

    schedule = Schedule(options.steps, options.learning_rate, warmup=0.06, seed=options.seed)
    kept = {"tokens": options.tokens, "rows": len(found)}
    train(model, batches, mini_mt.losses, schedule, out, device=device, options=kept, check=check)
    adapters.export(model, BASE, out / "model")
    model.eval()
    for name, own in scores(model, words, data, device).items():
        log(out, {"test": name, **own})


if __name__ == "__main__":
    main()
