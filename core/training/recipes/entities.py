"""Named entities (person, place, organization, other) as a LoRA head on the encoder of each language.

    python -m core.training.recipes.entities --language en --data DIR --out DIR [--epochs N]

Both on mini-e5, which reads both languages and sees capitals. English: WikiANN, sentences with its names (``names``),
the Broad Twitter Corpus, WNUT 2017 and two thirds of Wikigold. Spanish: WikiANN, sentences with its names, and the
English sets. A model so trained is then the teacher of a second one (``--teacher FOLDER``): it labels sentences of
encyclopedia and news, and where it hesitates nothing is learnt (self-training, Yarowsky 1995).
WikiNEuRal, which is non-commercial, measures only.
"""

import argparse
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.runtime.loading import with_adapter
from core.tasks.common import like_lengths
from core.tasks.entities import legal_path
from core.training.data import span_tags, spans
from core.training.recipes import adapters, names, pronouns
from core.training.recipes.corpora import HeldOutIndex, clean_paragraph, read_file
from core.training.recipes.labelled import (
    Tagged,
    btc,
    conllu_entities,
    parallel,
    qamr_sentences,
    squad_english,
    wikigold,
    wnut,
)
from core.training.recipes.loop import Schedule, autocast, command_line, log, padded, tensors, train
from core.training.recipes.questions import spanish

if TYPE_CHECKING:
    import torch

KINDS: Final = ("PER", "LOC", "ORG", "MISC")
LABELS: Final = ("O", *(f"{mark}-{kind}" for kind in KINDS for mark in "BI"))
BASE: Final = "mini-e5"
# Its lower layers, which know the languages, stay as they are.
FIRST_LAYER: Final = 4
RANKS: Final = {"en": 12, "es": 16}
LONGEST: Final = 96
# Of a word that may be a name of any kind, or none: nothing is learnt there.
UNSURE: Final = "?"
# A teacher's label is taken where it gives it this probability.
SURE: Final = 0.8
IGNORED: Final = -100
# How often Wikigold's sentences are seen: they are few, and the only ones of their kind that people have tagged.
GOLD: Final = 5
# Of the sentences with names: filled templates, and everyday ones.
MADE: Final = 14_000
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


# What WikiANN calls organizations or places, and others "other": competitions, wars, treaties, prizes, festivals.
_EVENT: Final = re.compile(
    r"(?:(?:Copa|Supercopa|Eurocopa|Campeonato|Torneo|Juegos|Mundial|Gran Premio|Abierto|Rally|Guerra|Batalla|"
    r"Revolución|Tratado|Premios?|Festival)\b.*|.*\b(?:Cup|Championships?|Olympics|Games|Grand Prix|Open|War|"
    r"Battle of .*|Treaty of .*|Awards?|Prize|Festival))$"
)


def three_kinds(sentences: Iterable[Tagged]) -> list[Tagged]:
    """WikiANN's fragments, which know no works and events: what those may be is taken for what it is, or not learnt.

    Competitions and the like become ``MISC``. Of a capitalized word without tag, and of a name without any capital,
    nothing is said.
    """
    found = []
    for sentence in sentences:
        tags = [
            UNSURE if tag == "O" and word[:1].isupper() else tag
            for word, tag in zip(sentence.words, sentence.tags, strict=True)
        ]
        for _kind, start, end in spans(sentence.tags):
            name = " ".join(sentence.words[start:end])
            if _EVENT.match(name):
                tags[start:end] = span_tags("MISC", end - start)
            elif name == name.lower():
                tags[start:end] = [UNSURE] * (end - start)
        found.append(Tagged(sentence.words, tuple(tags)))
    return found


def _held(data: Path, language: str) -> list[Tagged]:
    return list(chain.from_iterable(tests(data, language).values()))


def _english_sets(data: Path) -> tuple[list[Tagged], list[Tagged], list[Tagged], list[Tagged]]:
    """WikiANN, tweets, WNUT's rare names, and two thirds of Wikigold."""
    held = _held(data, "en")
    return (
        without_repeats(conllu_entities(data, "wikiann-en/train.conllu"), held),
        without_repeats(btc(data), held),
        without_repeats(chain(wnut(data, "train"), wnut(data, "dev")), held),
        without_repeats((sentence for sentence in wikigold(data) if not _third(sentence)), held),
    )


def training(data: Path, language: str, teachers: Sequence[Tagged] = ()) -> list[Tagged]:
    """All that may be trained on, without what is measured on.

    Args:
        data: the folder with the data sets.
        language: ``"en"`` or ``"es"``.
        teachers: sentences with a teacher's tags.
    """
    more = without_repeats(teachers, _held(data, language))
    return _english(data, more) if language == "en" else _spanish(data, more)


def _spanish(data: Path, more: Sequence[Tagged]) -> list[Tagged]:
    held = _held(data, "es")
    wiki = without_repeats(conllu_entities(data, "wikiann-es/train.conllu"), held)
    known = names.gazetteer(wiki)
    everyday = names.in_sentences((es for _en, es in parallel(data, "tatoeba/train.tsv.xz")), known)
    titles, tweets, rare, gold = _english_sets(data)
    return [
        *three_kinds(joined(wiki)),
        *names.from_templates(known, MADE),
        *without_repeats(everyday[:EVERYDAY], held),
        *three_kinds(joined(titles)),
        *tweets,
        *rare,
        *(sentence for sentence in gold for _turn in range(3)),
        *more,
    ]


def with_peoples(sentences: Iterable[Tagged]) -> list[Tagged]:
    """What only some sets have: adjectives of nations and creeds are names of the other kind."""
    peoples = {name[0] for name in names.templates("en")[1]["PEOPLE"] if len(name) == 1}
    return [
        Tagged(
            s.words,
            tuple("B-MISC" if t in ("O", UNSURE) and w in peoples else t for w, t in zip(s.words, s.tags, strict=True)),
        )
        for s in sentences
    ]


def one_place_each(sentences: Iterable[Tagged]) -> list[Tagged]:
    """Titles such as "Springfield, Illinois" are two places."""
    found = []
    for sentence in sentences:
        tags = list(sentence.tags)
        for kind, start, end in spans(sentence.tags):
            commas = [at for at in range(start + 1, end - 1) if sentence.words[at] == ","]
            if kind == "LOC" and commas:
                for at in commas:
                    tags[at : at + 2] = ["O", "B-LOC"]
        found.append(Tagged(sentence.words, tuple(tags)))
    return found


def uncapitalized(sentences: Iterable[Tagged], share: float = 0.06, seed: int = 1) -> list[Tagged]:
    """Some sentences without any capital, as people type on phones, and half as many in capitals, as headlines are."""
    chance = random.Random(seed)
    found = []
    for sentence in sentences:
        draw, words = chance.random(), sentence.words
        if draw < share:
            words = tuple(word.lower() for word in words)
        elif draw < 1.5 * share:
            words = tuple(word.upper() for word in words)
        found.append(Tagged(words, sentence.tags))
    return found


def _english(data: Path, more: Sequence[Tagged]) -> list[Tagged]:
    wiki, tweets, rare, gold = _english_sets(data)
    known = names.gazetteer([*wiki, *more], "en")
    if more:  # what WikiANN calls organizations are often songs and people; a teacher saw its own in sentences
        known["ORG"] = names.gazetteer(more, "en")["ORG"]
    everyday = names.in_sentences((en for en, _es in parallel(data, "tatoeba/train.tsv.xz")), known, plain=names.PLAIN)
    return uncapitalized(
        [
            *with_peoples(three_kinds(joined(one_place_each(wiki)))),
            *names.from_templates(known, MADE, language="en"),
            *without_repeats(everyday[:EVERYDAY], _held(data, "en")),
            *with_peoples([*tweets, *rare, *rare]),
            *(sentence for sentence in gold for _turn in range(GOLD)),
            *more,
        ]
    )


# A paragraph's sentences: nothing else is done with them, so a wrong cut costs little.
_END: Final = re.compile(r"(?<=[.!?…»\"])(?<!\b[A-Z]\.)(?<!\b[DMS][rt]\.)(?<!\bMrs\.)\s+(?=[¿¡«\"(]?[A-ZÁÉÍÓÚÑ0-9])")


Unlabelled = tuple[tuple[str, ...], tuple[bool | None, ...]]


def _of_paragraphs(paragraphs: Iterable[str]) -> list[Unlabelled]:
    found: list[Unlabelled] = []
    for paragraph in dict.fromkeys(paragraphs):
        for sentence in _END.split(clean_paragraph(paragraph)):
            words = names.split_words(sentence)
            if 5 <= len(words) <= 70:
                found.append((words, (None,) * len(words)))
    return found


def unlabelled(data: Path, language: str) -> list[Unlabelled]:
    """Sentences of encyclopedia and news, in words, and of each word whether it is a proper noun.

    Spanish: from the paragraphs of SQuAD-es, where that isn't known (``None``), and from Universal Dependencies'
    treebanks GSD and PUD, where people have said so. English: from SQuAD's, QAMR's sentences and GAP's paragraphs.
    """
    if language == "en":
        asked = (question.context for question in squad_english(data))
        told = (request.text for part in ("development", "validation") for request in pronouns.gap(data, part))
        return _of_paragraphs(chain(asked, qamr_sentences(data).values(), told))
    found = _of_paragraphs(question.context for question in spanish(data))
    for file in sorted((data / "ud-es").iterdir()):
        for block in read_file(file).split("\n\n"):
            inside = 0
            pairs: list[tuple[str, bool]] = []
            for line in block.splitlines():
                if not line or line.startswith("#"):
                    continue
                number, word, _lemma, kind = line.split("\t")[:4]
                if "-" in number:  # "del" is one word, analysed as two
                    inside = int(number.split("-")[1])
                    pairs.append((word, False))
                elif number.isdigit() and int(number) > inside:
                    pairs.append((word, kind == "PROPN"))
            if 5 <= len(pairs) <= 70:
                words, proper = zip(*pairs, strict=True)
                found.append((words, proper))
    return found


def taught(model: Any, tokenizer: Any, sentences: Sequence[Unlabelled], device: str) -> list[Tagged]:
    """Sentences with a teacher's tags, ``UNSURE`` where it hesitates or where it contradicts what is known.

    Args:
        model: the teacher.
        tokenizer: its tokenizer.
        sentences: as from ``unlabelled``.
        device: where to compute.
    """
    found = []
    asked = [Tagged(words, ("O",) * len(words)) for words, _proper in sentences]
    for (words, proper), guesses in zip(sentences, chances(model, tokenizer, asked, device), strict=True):
        tags = [tag if chance >= SURE else UNSURE for tag, chance in guesses]
        for _kind, start, end in entities([tag for tag, _chance in guesses]):
            name = " ".join(words[start:end])
            common = not any(known is None or known for known in proper[start:end])
            if name == name.lower():
                tags[start:end] = ["O"] * (end - start)
            elif UNSURE in tags[start:end] or common:
                tags[start:end] = [UNSURE] * (end - start)
            elif _EVENT.match(name):
                tags[start:end] = span_tags("MISC", end - start)
        for place, known in enumerate(proper):
            if known and tags[place] == "O":
                tags[place] = UNSURE
        found.append(Tagged(words, tuple(tags)))
    return found


def tests(data: Path, language: str) -> dict[str, list[Tagged]]:
    """What a model is reported on."""
    if language == "es":
        return {
            # Errors on the first 3,000 were read while the templates were written.
            "WikiNEuRal es": list(conllu_entities(data, "wikineural-es/val.conllu"))[3000:6000],
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
                known = fresh and sentence.tags[word] != UNSURE
                labels.append(LABELS.index(sentence.tags[word]) if known else IGNORED)
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


def _probabilities(model: Any, tokenizer: Any, sentences: Sequence[Tagged], device: str) -> "list[torch.Tensor]":
    """The probability of each tag for each sentence's words that fit the window, each ``(words, tags)``."""
    import torch

    encoded = rows([Tagged(sentence.words, ("O",) * len(sentence.words)) for sentence in sentences], tokenizer)
    found = [torch.empty(0)] * len(encoded)
    for places in like_lengths([len(row["ids"]) for row in encoded], 64):
        part = [encoded[place] for place in places]
        with torch.inference_mode(), autocast(device):
            chances = adapters.scores(model, tensors(collate(part), device)).logits.float().softmax(-1).cpu()
        for place, row, own in zip(places, part, chances, strict=True):
            found[place] = own[[index for index, label in enumerate(row["labels"]) if label != IGNORED]]
    return found


def chances(model: Any, tokenizer: Any, sentences: Sequence[Tagged], device: str) -> list[list[tuple[str, float]]]:
    """The likeliest tag of each word and its probability, ``("O", 1.0)`` for words behind the window."""
    found = []
    for own, sentence in zip(_probabilities(model, tokenizer, sentences, device), sentences, strict=True):
        best = own.max(-1)
        tags = [(LABELS[tag], chance) for tag, chance in zip(best.indices.tolist(), best.values.tolist(), strict=True)]
        found.append(tags + [("O", 1.0)] * (len(sentence.words) - len(tags)))
    return found


def predict(model: Any, tokenizer: Any, sentences: Sequence[Tagged], device: str) -> list[list[str]]:
    """A tag for each word that fits the window, as the page chooses them; ``"O"`` for those behind it."""
    found = []
    for own, sentence in zip(_probabilities(model, tokenizer, sentences, device), sentences, strict=True):
        tags = [LABELS[tag] for tag in legal_path(own, LABELS)]
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


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--language", choices=sorted(RANKS), required=True)
    parser.add_argument("--teacher", type=Path, help="the folder of a model that labels more sentences")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    given, options = command_line("entities", Options, arguments, _more)
    data, out, device = given.data, given.out, given.device
    tokenizer = adapters.load_tokenizer(BASE)
    labelled: list[Tagged] = []
    if given.teacher is not None:
        teacher = with_adapter(adapters.base_folder(BASE), given.teacher, "TokenClassification").to(device).eval()
        labelled = taught(teacher, tokenizer, unlabelled(data, given.language), device)
    found = training(data, given.language, labelled)
    log(out, {"train": len(found), "words": sum(len(sentence.words) for sentence in found)})
    batches = adapters.Shuffled(rows(found, tokenizer), options.batch, collate, options.seed)
    schedule = Schedule(options.epochs * batches.per_epoch, options.learning_rate, warmup=0.06, seed=options.seed)
    model = adapters.build(
        BASE,
        "TokenClassification",
        LABELS,
        rank=RANKS[given.language],
        seed=options.seed,
        first=FIRST_LAYER,
        dropout=False,
    )
    train(model, batches, losses, schedule, out, device=device, options={"batch": options.batch, "rows": len(found)})
    adapters.export(model, BASE, out / "model")
    model.eval()
    for name, test in tests(data, given.language).items():
        log(out, {"test": name, **f1(model, tokenizer, test, device)})


if __name__ == "__main__":
    main()
