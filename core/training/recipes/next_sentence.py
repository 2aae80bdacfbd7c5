"""Next sentence in Spanish and English: whether B was written after A, as a LoRA adapter on mini-e5.

    python -m core.training.recipes.next_sentence --data DIR --out DIR [--steps N] [--start KEY]

BERT learnt this beside masked words, from nothing; here a body that has read both languages learns it alone.
Half of the pairs are neighbours, half have a second part from another document of the same source (Devlin et al.
2018). Single sentences, as people type them, are as frequent as long stretches, as BERT saw them. Of each text
the adapter changes the upper layers only: what they learn is a question about whole texts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.training.recipes import adapters, english_heads
from core.training.recipes.corpora import Corpus, Document, Split
from core.training.recipes.loop import Schedule, autocast, command_line, log, padded, tensors, train
from core.training.recipes.mini_beto import Text, kept_text

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

BASE: Final = "mini-e5"
# Its adapter has learnt to compare what stands before and after </s></s>; from nothing, nothing is learnt for long.
START: Final = "questions-es"
LABELS: Final = ("follows", "random")
# What is not prose of several sentences has no next sentence: single pairs and titles are left out.
SHARES: Final[Mapping[str, float]] = {
    "es-novels": 0.35,
    "es-manuales": 0.08,
    "es-python-docs": 0.04,
    "es-leyes-uy": 0.05,
    "en-novels": 0.48,
}
# Tokens of both parts and the special ones; the last is BERT's way in the test.
LENGTHS: Final = (32, 48, 64, 96, 128)
FIRST_LAYER: Final = 4
# At first all the random ones come from another source, often in another language, and in the end a tenth do: a
# model that has never compared two texts learns nothing from two novels.
EASY_STEPS: Final = 600
EASY_LAST: Final = 0.1
_SPECIAL: Final = 4
_START, _STOP = 0, 2


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a run.

    Attributes:
        steps: batches in all.
        tokens: of a batch, whatever the length of its rows.
        learning_rate: of AdamW.
        seed: of the draw.
        start: the adapter to begin with; a head for this very task, such as the one that ships, needs no easy pairs.
    """

    steps: int = 4800
    tokens: int = 1536
    learning_rate: float = 4e-4
    seed: int = 1
    start: str = START


def documents(data: Path, source: str, split: Split) -> Iterator[Document]:
    """The documents of a source that have more than one paragraph."""
    found = (
        english_heads.documents(data, source, split)
        if source.startswith("en-")
        else Corpus(data).iter_documents(source, split)
    )
    return (document for document in found if len(document.paragraphs) > 1)


def load_texts(data: Path, split: Split, tokenizer: "Tokenizer", cache: Path) -> dict[str, Text]:
    """The tokens of each source in one split, read once and kept under ``cache``."""
    found: dict[str, Text] = {}
    for source in SHARES:
        file = cache / f"{split}-{source}.npz"
        text = kept_text(file, partial(documents, data, source, split), tokenizer)
        if len(text.documents) > 2:
            found[source] = text
    return found


class Places:
    """Where sentences of one source begin, and which stand beside each other.

    Args:
        text: the source's tokens.
    """

    def __init__(self, text: Text) -> None:
        self.text = text
        ends = np.flatnonzero(text.ends) + 1
        # (sentences,): first token and the one behind the last; a document ends its last sentence anyway.
        self.stops = np.unique(np.concatenate([ends, text.documents[1:]]))
        self.starts = np.concatenate([[0], self.stops[:-1]])
        self.document = np.searchsorted(text.documents, self.starts, side="right") - 1
        # Sentences with one before them in their document: each could be a B.
        self.seconds = np.flatnonzero(np.diff(self.document, prepend=-1) == 0)

    def before(self, sentence: int, room: int, sentences: int) -> npt.NDArray[np.uint16]:
        """What ends with ``sentence``: up to so many whole ones of its document that fit, or its last tokens."""
        stop = int(self.stops[sentence])
        first = sentence
        while (
            first > 0
            and sentence - first + 1 < sentences
            and self.document[first - 1] == self.document[sentence]
            and stop - self.starts[first - 1] <= room
        ):
            first -= 1
        return self.text.ids[max(int(self.starts[first]), stop - room) : stop]

    def after(self, sentence: int, room: int, sentences: int) -> npt.NDArray[np.uint16]:
        """What begins with ``sentence``: up to so many whole ones of its document that fit, or its first tokens."""
        start = int(self.starts[sentence])
        last = sentence
        while (
            last + 1 < len(self.stops)
            and last - sentence + 1 < sentences
            and self.document[last + 1] == self.document[sentence]
            and self.stops[last + 1] - start <= room
        ):
            last += 1
        return self.text.ids[start : min(int(self.stops[last]), start + room)]


class Pairs:
    """Batch ``i`` of a run: it depends on the seed and on ``i`` alone.

    Args:
        texts: the sources.
        tokens: in each batch.
        seed: of the draw.
        lengths: of the rows, all those of a batch alike; the even batches hold one sentence a part.
        easy: whether some of the random second parts come from another source, most of them at first.
    """

    def __init__(
        self,
        texts: Mapping[str, Text],
        tokens: int,
        seed: int = 1,
        lengths: Sequence[int] = LENGTHS,
        *,
        easy: bool = False,
    ) -> None:
        self.places = {source: Places(text) for source, text in sorted(texts.items())}
        self.tokens = tokens
        self.seed = seed
        self.lengths = tuple(lengths)
        self.easy = easy
        shares = np.array([SHARES[source] for source in self.places])
        self.shares = shares / shares.sum()

    def pair(
        self, places: Places, rng: np.random.Generator, length: int, sentences: int, easy: float = 0.0
    ) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16], int]:
        """Tokens of A and B, and 1 if B is a random one; of these, a share ``easy`` is from another source."""
        room = length - _SPECIAL
        second = int(rng.choice(places.seconds))
        first = places.before(second - 1, room // 2, sentences)
        room -= len(first)
        if rng.random() < 0.5:
            return first, places.after(second, room, sentences), 0
        if rng.random() < easy:
            others = [own for own in self.places.values() if own is not places]
            elsewhere = others[int(rng.integers(len(others)))]
            return first, elsewhere.after(int(rng.choice(elsewhere.seconds)), room, sentences), 1
        other = second
        while places.document[other] == places.document[second]:
            other = int(rng.choice(places.seconds))
        return first, places.after(other, room, sentences), 1

    def __getitem__(self, index: int) -> dict[str, npt.NDArray[Any]]:
        """``ids``, ``segments``, ``attention`` ``(batch, tokens)`` and ``label`` ``(batch,)``."""
        rng = np.random.default_rng((self.seed, index))
        length = self.lengths[int(rng.integers(len(self.lengths)))]
        single = index % 2 == 0
        easy = max(EASY_LAST, 1 - index / EASY_STEPS) if self.easy else 0.0
        rows, labels = [], []
        for source in rng.choice(len(self.places), max(2, self.tokens // length), p=self.shares):
            places = list(self.places.values())[source]
            first, second, label = self.pair(places, rng, length, 1 if single else 100, easy)
            rows.append([_START, *first.tolist(), _STOP, _STOP, *second.tolist(), _STOP])
            labels.append(label)
        ids = padded(rows, 1)
        return {
            "ids": ids,
            "segments": np.zeros_like(ids),
            "attention": padded([[1] * len(row) for row in rows], 0),
            "label": np.array(labels, dtype=np.int64),
        }


def losses(model: "torch.nn.Module", batch: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """Cross-entropy of the two classes."""
    import torch.nn.functional as F

    return {"loss": F.cross_entropy(adapters.scores(model, batch).logits.float(), batch["label"])}


def score(model: Any, texts: Mapping[str, Text], device: str, *, single: bool, pairs: int = 1500) -> dict[str, Any]:
    """Share of right answers on pairs of held-out documents, single sentences or stretches of up to 128 tokens."""
    import torch

    asked = Pairs(texts, 64 * LENGTHS[-1], seed=7, lengths=LENGTHS[-1:])
    right = total = 0
    index = 0 if single else 1
    learning = model.training
    model.eval()
    with torch.inference_mode(), autocast(device):
        while total < pairs:
            batch = tensors(asked[index], device)
            guess = adapters.scores(model, batch).logits.argmax(-1)
            right += int((guess == batch["label"]).sum())
            total += len(guess)
            index += 2
    model.train(learning)
    return {"right": round(right / total, 4), "n": total}


def by_language(texts: Mapping[str, Text]) -> dict[str, dict[str, Text]]:
    """The sources of each language."""
    return {
        language: {source: text for source, text in texts.items() if source.startswith(language)}
        for language in ("es", "en")
    }


def scores(model: Any, texts: Mapping[str, Text], device: str, pairs: int = 1500) -> dict[str, dict[str, Any]]:
    """What the card says: both languages, both kinds of pairs."""
    return {
        f"{language}, {'single sentences' if single else 'up to 128 tokens'}": score(
            model, own, device, single=single, pairs=pairs
        )
        for language, own in by_language(texts).items()
        for single in (False, True)
    }


def build_model(start: str = START, seed: int = 1) -> Any:
    """mini-e5 with a LoRA on its upper layers, a pooler and a classifier, which begin as those of ``start`` do."""
    model = adapters.build(
        BASE,
        "SequenceClassification",
        LABELS,
        seed=seed,
        dropout=False,
        first=FIRST_LAYER,
        fresh=("pooler",),
    )
    adapters.begin_as(model, start)
    return model


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    given, options = command_line("next_sentence", Options, arguments)
    data, out, device = given.data, given.out, given.device
    words = adapters.load_tokenizer(BASE).backend_tokenizer
    texts = {split: load_texts(data, split, words, out / "text") for split in ("train", "dev", "test")}
    for split, found in texts.items():
        log(out, {"split": split, "tokens": {source: len(text.ids) for source, text in found.items()}})
    model = build_model(options.start, options.seed)

    def check(trained: Any) -> dict[str, Any]:
        return {name: own["right"] for name, own in scores(trained, texts["dev"], device, pairs=256).items()}

    schedule = Schedule(options.steps, options.learning_rate, warmup=0.06, seed=options.seed)
    batches = Pairs(texts["train"], options.tokens, options.seed, easy=options.start == START)
    train(model, batches, losses, schedule, out, device=device, options={"tokens": options.tokens}, check=check)
    adapters.export(model, BASE, out / "model")
    for name, own in scores(model, texts["test"], device).items():
        log(out, {"test": name, **own})


if __name__ == "__main__":
    main()
