"""Named entities (person, place, organization, other) as a LoRA head on the encoder of each language.

    python -m core.training.recipes.entities --language en --data DIR --out DIR [--epochs N]

English (on all-MiniLM-L6-v2): WikiANN, the Broad Twitter Corpus, WNUT 2017 and two thirds of Wikigold.
Spanish (on mini-BETO): WikiANN, and sentences with its names (``names``). WikiNEuRal, which is non-commercial,
measures only.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.training.data import spans
from core.training.recipes import adapters, names
from core.training.recipes.corpora import HeldOutIndex
from core.training.recipes.labelled import Tagged, btc, conllu_entities, parallel, wikigold, wnut
from core.training.recipes.loop import Schedule, autocast, command_line, log, padded, tensors, train

if TYPE_CHECKING:
    import torch

KINDS: Final = ("PER", "LOC", "ORG", "MISC")
LABELS: Final = ("O", *(f"{mark}-{kind}" for kind in KINDS for mark in "BI"))
BASES: Final = {"en": "minilm", "es": "mini-beto"}
LONGEST: Final = 96
IGNORED: Final = -100
# Of the Spanish sentences with names: filled templates, and everyday ones.
MADE: Final = 10_000
EVERYDAY: Final = 8_000


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a run."""

    epochs: int = 3
    batch: int = 32
    learning_rate: float = 8e-4
    seed: int = 1


def _third(sentence: Tagged) -> bool:
    """Every third sentence of Wikigold, by its words, is measured on."""
    return sum(map(ord, " ".join(sentence.words))) % 3 == 0


def wikigold_test(data: Path) -> list[Tagged]:
    """The third of Wikigold that no model learns from."""
    return [sentence for sentence in wikigold(data) if _third(sentence)]


def without_repeats(found: Iterable[Tagged], held: Iterable[Tagged]) -> list[Tagged]:
    """``found`` without what nearly repeats a held-out sentence, each sentence once."""
    index = HeldOutIndex(" ".join(sentence.words) for sentence in held)
    seen: set[tuple[str, ...]] = set()
    kept = []
    for sentence in found:
        if sentence.words not in seen and not index.repeats(" ".join(sentence.words)):
            seen.add(sentence.words)
            kept.append(sentence)
    return kept


def joined(sentences: Sequence[Tagged], seed: int = 1) -> list[Tagged]:
    """Short fragments put together by twos and threes: WikiANN's are titles of seven words."""
    chance = random.Random(seed)
    order = list(sentences)
    chance.shuffle(order)
    found, at = [], 0
    while at < len(order):
        size = 1
        while size < 3 and at + size < len(order) and sum(len(s.words) for s in order[at : at + size]) < 12:
            size += 1
        part = order[at : at + size]
        found.append(Tagged(tuple(w for s in part for w in s.words), tuple(t for s in part for t in s.tags)))
        at += size
    return found


def training(data: Path, language: str) -> list[Tagged]:
    """All that may be trained on, without what is measured on."""
    held = list(chain.from_iterable(tests(data, language).values()))
    if language == "es":
        wiki = without_repeats(conllu_entities(data, "wikiann-es/train.conllu"), held)
        known = names.gazetteer(wiki)
        everyday = names.in_sentences((es for _en, es in parallel(data, "tatoeba/train.tsv.xz")), known)
        return [*joined(wiki), *names.from_templates(known, MADE), *without_repeats(everyday[:EVERYDAY], held)]
    gold = [sentence for sentence in wikigold(data) if not _third(sentence)]
    found = chain(btc(data), wnut(data, "train"), wnut(data, "dev"), gold * 3)
    wiki = joined(without_repeats(conllu_entities(data, "wikiann-en/train.conllu"), held))
    kept = without_repeats(found, held)
    return [*wiki, *kept, *(sentence for sentence in gold for _turn in range(2))]


def tests(data: Path, language: str) -> dict[str, list[Tagged]]:
    """What a model is reported on."""
    if language == "es":
        return {
            "WikiNEuRal es": list(conllu_entities(data, "wikineural-es/val.conllu"))[:3000],
            "WikiANN es": list(conllu_entities(data, "wikiann-es/test.conllu"))[:3000],
        }
    return {
        "Wikigold, a third": wikigold_test(data),
        "WikiNEuRal en": list(conllu_entities(data, "wikineural-en/test.conllu"))[:3000],
        "WNUT 2017": list(wnut(data, "test")),
    }


def rows(sentences: Sequence[Tagged], tokenizer: Any) -> list[dict[str, Any]]:
    """Token ids, and labels on each word's first piece."""
    found = []
    for start in range(0, len(sentences), 1000):
        part = sentences[start : start + 1000]
        encoded = tokenizer(
            [list(s.words) for s in part], is_split_into_words=True, truncation=True, max_length=LONGEST
        )
        for index, sentence in enumerate(part):
            labels, before = [], None
            for word in encoded.word_ids(index):
                fresh = word is not None and word != before
                labels.append(LABELS.index(sentence.tags[word]) if fresh else IGNORED)
                before = word
            found.append({"ids": encoded["input_ids"][index], "labels": labels})
    return found


def collate(part: Sequence[Mapping[str, Any]]) -> dict[str, npt.NDArray[Any]]:
    """``ids``, ``segments``, ``attention`` and ``labels``, each ``(batch, tokens)``."""
    ids = padded([row["ids"] for row in part], 0)
    return {
        "ids": ids,
        "segments": np.zeros_like(ids),
        "attention": padded([[1] * len(row["ids"]) for row in part], 0),
        "labels": padded([row["labels"] for row in part], IGNORED),
    }


def losses(model: "torch.nn.Module", batch: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """Cross-entropy of each word's tag."""
    import torch.nn.functional as F

    logits = adapters.scores(model, batch).logits
    return {"loss": F.cross_entropy(logits.flatten(0, 1).float(), batch["labels"].flatten(), ignore_index=IGNORED)}


def entities(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """The entities of IOB2 tags, as (kind, first word, one after the last)."""
    return set(spans(tags))


def predict(model: Any, tokenizer: Any, sentences: Sequence[Tagged], device: str) -> list[list[str]]:
    """A tag for each word that fits the window, ``"O"`` for those behind it."""
    import torch

    found = []
    encoded = rows(sentences, tokenizer)
    with torch.inference_mode(), autocast(device):
        for start in range(0, len(encoded), 64):
            part = encoded[start : start + 64]
            best = adapters.scores(model, tensors(collate(part), device)).logits.argmax(-1).cpu().tolist()
            for row, guess, sentence in zip(part, best, sentences[start : start + 64], strict=True):
                tags = [LABELS[guess[place]] for place in range(len(row["ids"])) if row["labels"][place] != IGNORED]
                found.append(tags + ["O"] * (len(sentence.words) - len(tags)))
    return found


def f1(model: Any, tokenizer: Any, sentences: Sequence[Tagged], device: str) -> dict[str, Any]:
    """F1 of whole entities, as CoNLL counts them; sets without MISC don't ask for it."""
    guessed = predict(model, tokenizer, sentences, device)
    asked = {tag[2:] for sentence in sentences for tag in sentence.tags if tag != "O"}
    hits = found = wanted = 0
    for sentence, tags in zip(sentences, guessed, strict=True):
        right, ours = entities(sentence.tags), {e for e in entities(tags) if e[0] in asked}
        hits += len(right & ours)
        found += len(ours)
        wanted += len(right)
    return {"f1": round(2 * hits / max(1, found + wanted), 4), "entities": wanted, "sentences": len(sentences)}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    given, options = command_line(
        "entities",
        Options,
        arguments,
        lambda parser: parser.add_argument("--language", choices=sorted(BASES), required=True),
    )
    base, data, out, device = BASES[given.language], given.data, given.out, given.device
    tokenizer = adapters.load_tokenizer(base)
    found = training(data, given.language)
    log(out, {"train": len(found), "words": sum(len(sentence.words) for sentence in found)})
    batches = adapters.Shuffled(rows(found, tokenizer), options.batch, collate, options.seed)
    schedule = Schedule(options.epochs * batches.per_epoch, options.learning_rate, warmup=0.06, seed=options.seed)
    model = adapters.build(base, "TokenClassification", LABELS, seed=options.seed)
    train(model, batches, losses, schedule, out, device=device, options={"batch": options.batch, "rows": len(found)})
    adapters.export(model, base, out / "model")
    model.eval()
    for name, test in tests(data, given.language).items():
        log(out, {"test": name, **f1(model, tokenizer, test, device)})


if __name__ == "__main__":
    main()
