"""Sentiment: negative, neutral or positive, as a LoRA head on the encoder of each language.

    python -m core.training.recipes.sentiment --language en --data DIR --out DIR [--epochs N]

English (on all-MiniLM-L6-v2): film reviews, pros and cons, and Reddit comments, whose licences allow it,
and sentences that only inform, as neutral ones.
Spanish (on mini-e5, which reads both languages): no labelled set may be trained on, so it learns from the English
ones, and from Spanish sentences whose English translation the English model is sure of. SST-2 and OpeNER measure
only.
"""

import argparse
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.catalog import MODELS_FOLDER
from core.training import samples
from core.training.recipes import adapters
from core.training.recipes.labelled import (
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    Labelled,
    goemotions,
    movie_reviews,
    opener,
    parallel,
    plain_statements,
    pros_and_cons,
    rt_polarity,
    sst2_test,
    without_repeats,
)
from core.training.recipes.loop import Schedule, autocast, command_line, log, tensors, train

if TYPE_CHECKING:
    import torch

LABELS: Final = ("negative", "neutral", "positive")
BASES: Final = {"en": "minilm", "es": "mini-e5"}
# The lower layers of mini-e5, which know the languages, stay as they are.
FIRST_LAYER: Final = {"en": 0, "es": 4}
LONGEST: Final = 96
# What the English model must be sure of before its label is carried over to the Spanish side.
SURE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a run."""

    epochs: int = 3
    batch: int = 32
    learning_rate: float = 5e-4
    seed: int = 1


def english_training(data: Path) -> list[Labelled]:
    """All that may be trained on, without what is measured on."""
    held = [*sst2_test(data), *goemotions(data, "test"), *goemotions(data, "dev"), *opener(data, "en")]
    # Pros and cons are short lists, all alike: a third of them says as much.
    some = random.Random(1).sample(list(pros_and_cons(data)), 15_000)
    found = chain(rt_polarity(data), goemotions(data, "train"), some, movie_reviews(data), plain_statements(data))
    return list(without_repeats(found, [*held, *samples.sentiment("en")]))


def carried_labels(data: Path, english: Path, device: str) -> list[Labelled]:
    """Spanish sentences with the label that the English model gives their translation, where it is sure.

    Args:
        data: the folder with the text sets.
        english: the folder of the English model.
        device: where to compute.
    """
    from core.training.recipes.corpora import HeldOutIndex

    held = HeldOutIndex(item.text for item in opener(data, "es"))
    pairs = [(en, es) for en, es in parallel(data, "tatoeba/train.tsv.xz") if not held.repeats(es)]
    model, tokenizer = load(english, BASES["en"], device), adapters.load_tokenizer(BASES["en"])
    found: list[Labelled] = []
    for start in range(0, len(pairs), 256):
        part = pairs[start : start + 256]
        chances = predict(model, tokenizer, [en for en, _es in part], device)
        best = chances.max(-1)
        for (_en, es), chance, label in zip(part, best.values.tolist(), best.indices.tolist(), strict=True):
            if chance >= SURE:
                found.append(Labelled(es, int(label)))
    return balanced(without_repeats(found, ()))


def balanced(found: Iterable[Labelled], most: float = 1.5) -> list[Labelled]:
    """No class more than ``most`` times as frequent as the rarest."""
    classes: dict[int, list[Labelled]] = {}
    for item in found:
        classes.setdefault(item.label, []).append(item)
    room = int(most * min(map(len, classes.values())))
    chance = random.Random(1)
    return [item for items in classes.values() for item in chance.sample(items, min(room, len(items)))]


def rows(items: Sequence[Labelled], tokenizer: Any) -> list[dict[str, Any]]:
    """Token ids and label of each text."""
    encoded = tokenizer([item.text for item in items], truncation=True, max_length=LONGEST)["input_ids"]
    return [{"ids": ids, "label": item.label} for ids, item in zip(encoded, items, strict=True)]


def losses(model: "torch.nn.Module", batch: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """Cross-entropy, with labels softened a little: a tenth of the training labels is wrong."""
    import torch.nn.functional as F

    logits = adapters.scores(model, batch).logits
    return {"loss": F.cross_entropy(logits.float(), batch["label"], label_smoothing=0.05)}


def predict(model: Any, tokenizer: Any, texts: Sequence[str], device: str) -> "torch.Tensor":
    """Probabilities ``(texts, 3)``."""
    import torch

    found = []
    with torch.inference_mode(), autocast(device):
        for start in range(0, len(texts), 64):
            part = rows([Labelled(text, 0) for text in texts[start : start + 64]], tokenizer)
            logits = adapters.scores(model, tensors(adapters.collate_text(part), device)).logits
            found.append(logits.float().softmax(-1).cpu())
    return torch.cat(found)


def accuracy(model: Any, tokenizer: Any, items: Sequence[Labelled], device: str, *, two_way: bool) -> dict[str, Any]:
    """Share of right answers; ``two_way`` asks only whether negative or positive is the likelier."""
    chances = predict(model, tokenizer, [item.text for item in items], device)
    if two_way:
        chances = chances[:, [NEGATIVE, POSITIVE]]
        right = [POSITIVE if guess else NEGATIVE for guess in chances.argmax(-1).tolist()]
    else:
        right = chances.argmax(-1).tolist()
    hits = sum(guess == item.label for guess, item in zip(right, items, strict=True))
    return {"accuracy": round(hits / len(items), 4), "n": len(items)}


def tests(data: Path, language: str) -> dict[str, tuple[list[Labelled], bool]]:
    """What a model is reported on: name → sentences, and whether the set has no neutral ones."""
    if language == "en":
        return {
            "SST-2": (sst2_test(data), True),
            "GoEmotions": (list(goemotions(data, "test")), False),
            "OpeNER en": (opener(data, "en"), True),
        }
    return {"OpeNER es": (opener(data, "es"), True)}


def build_model(language: str, seed: int = 1) -> Any:
    """The encoder of a language with a LoRA and a head, ready to train."""
    first = FIRST_LAYER[language]
    # mini-e5 has no pooler. The one between its first token and the head is left as chance made it, and written.
    fresh = ("pooler",) if language == "es" else ()
    model = adapters.build(
        BASES[language], "SequenceClassification", LABELS, seed=seed, first=first, dropout=not first, fresh=fresh
    )
    for name, weight in model.named_parameters():
        if language == "es" and "pooler" in name:
            weight.requires_grad_(False)
    return model


def load(folder: Path, base: str, device: str) -> Any:
    """A model that ``adapters.export`` wrote, in evaluation mode."""
    from core.runtime.loading import with_adapter

    model: Any = with_adapter(adapters.base_folder(base), folder, "SequenceClassification")
    return model.to(device).eval()


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--language", choices=sorted(BASES), required=True)
    english = MODELS_FOLDER / "sentiment-en"
    parser.add_argument("--english", type=Path, default=english, help="for Spanish: the folder of the English model")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    given, options = command_line("sentiment", Options, arguments, _more)
    base, data, out, device = BASES[given.language], given.data, given.out, given.device
    tokenizer = adapters.load_tokenizer(base)
    items = english_training(data)
    if given.language == "es":
        items += carried_labels(data, given.english, device)
    counts = {LABELS[label]: sum(item.label == label for item in items) for label in (NEGATIVE, NEUTRAL, POSITIVE)}
    log(out, {"train": counts})
    batches = adapters.Shuffled(rows(items, tokenizer), options.batch, adapters.collate_text, options.seed)
    schedule = Schedule(options.epochs * batches.per_epoch, options.learning_rate, warmup=0.06, seed=options.seed)
    model = build_model(given.language, options.seed)
    train(model, batches, losses, schedule, out, device=device, options={"batch": options.batch, "rows": len(items)})
    adapters.export(model, base, out / "model")
    model.eval()
    for name, (test, two_way) in tests(data, given.language).items():
        log(out, {"test": name, **accuracy(model, tokenizer, test, device, two_way=two_way)})


if __name__ == "__main__":
    main()
