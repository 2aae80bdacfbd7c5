"""Masked words and next sentence in English: BERT's two heads for all-MiniLM-L6-v2, which has lost its own.

    python -m core.training.recipes.english_heads --data DIR --out DIR [--steps N] [--rows N] [--start mini-bert]

A LoRA on every linear layer of the encoder, the transform of the masked-word head (whose output layer is the
word embeddings themselves, as in BERT), the embeddings of the most frequent pieces and the next-sentence
classifier. Learns from English novels, everyday sentences and the documentation's English side, masked word by
word and paired as in ``mini_beto``. ``--start`` goes on with an adapter that was trained before.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.training.recipes import adapters, mini_beto
from core.training.recipes.corpora import Document, HeldOutIndex, Split, clean_paragraph, read_file
from core.training.recipes.labelled import parallel
from core.training.recipes.loop import Schedule, command_line, log, plain_attention, train
from core.training.recipes.mini_beto import Batches, Special, Text, kept_text

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

BASE: Final = "minilm"
SOURCES: Final = ("en-novels", "tatoeba-en", "documentation-en")
SHARES: Final = {"en-novels": 0.75, "tatoeba-en": 0.12, "documentation-en": 0.13}
# The novels are not named in the file: every fourteenth is held apart, half for choosing, half for the card.
HELD_NOVELS: Final = 14


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a run.

    Attributes:
        rank: of the LoRA.
        rows: how many pieces, the most frequent ones, learn embeddings of their own; an adapter to begin with
            that has some goes on with those.
        start: key in the catalogue of the adapter to begin with; nothing for MiniLM as it is.
    """

    steps: int = 4000
    batch: int = 32
    length: int = 128
    learning_rate: float = 1e-3
    last: float = 0.02
    rank: int = 32
    rows: int = 800
    start: str = ""
    seed: int = 1


class _Mixed(Batches):
    """``mini_beto``'s batches with this recipe's shares."""

    def __init__(
        self,
        texts: Mapping[str, Text],
        special: Special,
        options: mini_beto.Options,
        share: float = mini_beto.ASKED_SHARE,
    ) -> None:
        import numpy as np

        super().__init__(texts, special, options, share)
        shares = np.array([SHARES[source] for source in self.sources])
        self.shares = shares / shares.sum()


def novels(data: Path, split: Split) -> Iterator[Document]:
    """The English novels of one split."""
    for number, block in enumerate(read_file(data / "en-novels/novels.txt.xz").split("\n\n")):
        held = number % HELD_NOVELS == 0
        own: Split = ("test" if number % (2 * HELD_NOVELS) else "dev") if held else "train"
        if own == split:
            paragraphs = tuple(p for p in map(clean_paragraph, block.split("\n")) if p)
            if paragraphs:
                yield Document("en-novels", str(number), paragraphs)


def documents(data: Path, source: str, split: Split) -> Iterator[Document]:
    """The documents of a source in one split; training text without what nearly repeats a test."""
    if source == "en-novels":
        yield from novels(data, split)
        return
    files = {
        "tatoeba-en": {"train": "tatoeba/train.tsv.xz"},
        "documentation-en": {"train": "train.tsv.xz", "test": "dev.tsv.xz"},
    }[source]
    if split not in files:
        return
    held = HeldOutIndex(en for en, _es in parallel(data, "dev.tsv.xz")) if split == "train" else HeldOutIndex()
    for number, (english, _spanish) in enumerate(parallel(data, files[split])):
        if split != "train" or not held.repeats(english):
            yield Document(source, str(number), (english,))


def load_texts(data: Path, split: Split, tokenizer: "Tokenizer", cache: Path) -> dict[str, Text]:
    """The tokens of each source in one split, read once and kept under ``cache``."""
    found: dict[str, Text] = {}
    for source in SOURCES:
        file = cache / f"{split}-{source}.npz"
        text = kept_text(file, partial(documents, data, source, split), tokenizer)
        if len(text.ids):
            found[source] = text
    return found


def frequent(texts: Mapping[str, Text], count: int) -> list[int]:
    """The ids of the ``count`` pieces that a mix of the sources by ``SHARES`` holds most often, in order of id."""
    import numpy as np

    size = 1 + max(int(text.ids.max()) for text in texts.values())
    share = sum(
        SHARES[source] * np.bincount(text.ids, minlength=size) / len(text.ids) for source, text in texts.items()
    )
    return sorted(np.argsort(-share, kind="stable")[:count].tolist())


def own_rows(start: str) -> list[int]:
    """The ids of the pieces of which an adapter of the catalogue has embeddings of its own."""
    settings = json.loads((adapters.base_folder(start) / "adapter_config.json").read_text(encoding="utf-8"))
    return list(settings.get("trainable_token_indices", {}).get("word_embeddings", []))


def build_model(rank: int = 32, rows: Sequence[int] = (), start: str = "", seed: int = 1) -> Any:
    """MiniLM with LoRA and BERT's two heads.

    Args:
        rank: of the LoRA.
        rows: ids of the pieces that learn embeddings of their own.
        start: key in the catalogue of an adapter to begin with, as far as it has these weights.
        seed: of the first weights.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import BertForPreTraining

    torch.manual_seed(seed)
    # Each text is read about once: dropout would only slow it down.
    model = BertForPreTraining.from_pretrained(
        str(adapters.base_folder(BASE)),
        dtype=torch.float32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules=r"bert\..*(query|key|value|dense)",
        modules_to_save=["transform", "seq_relationship"],
        trainable_token_indices={"word_embeddings": list(rows)} if rows else None,
    )
    wrapped = get_peft_model(model, config)
    # The output layer is the embeddings; its bias is the one thing of its own that it has.
    inner: Any = wrapped.get_base_model()
    inner.cls.predictions.bias.requires_grad_(True)
    if rows:
        # Peft (0.21) leaves it out where single rows of tied embeddings learn.
        bias = inner.cls.predictions.bias
        inner.cls.predictions.decoder.register_forward_hook(lambda _decoder, _args, scores: scores + bias)
    if start:
        adapters.begin_as(wrapped, start)
    return wrapped


def losses(model: Any, batch: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """Those of ``mini_beto``."""
    return mini_beto.named_losses(model.get_base_model(), batch)


def load_tokenizer() -> "Tokenizer":
    """MiniLM's, without cutting or padding."""
    from tokenizers import Tokenizer

    tokenizer: Tokenizer = Tokenizer.from_file(str(adapters.base_folder(BASE) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def held_batches(data: Path, cache: Path, split: Split = "test") -> Batches:
    """What the model is asked about text that it never learned from, as mini-BETO is."""
    tokenizer = load_tokenizer()
    return _Mixed(load_texts(data, split, tokenizer, cache), Special.of(tokenizer), mini_beto.ASKED)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    given, options = command_line("english_heads", Options, arguments)
    data, out, device = given.data, given.out, given.device
    tokenizer = load_tokenizer()
    special = Special.of(tokenizer)
    texts = {split: load_texts(data, split, tokenizer, out / "text") for split in ("train", "dev", "test")}
    log(out, {split: {source: len(t.ids) for source, t in found.items()} for split, found in texts.items()})
    own = mini_beto.Options(steps=options.steps, batch=options.batch, length=options.length, seed=options.seed)
    checks = {split: _Mixed(texts[split], special, mini_beto.ASKED) for split in ("dev", "test")}
    rows = (own_rows(options.start) if options.start else []) or frequent(texts["train"], options.rows)
    model = build_model(options.rank, rows, options.start, options.seed)
    plain_attention(model.get_base_model(), device)

    def check(trained: "torch.nn.Module") -> dict[str, Any]:
        inner: Any = trained
        return asdict(mini_beto.evaluate(inner.get_base_model(), checks["dev"], 8, device))

    schedule = Schedule(options.steps, options.learning_rate, warmup=0.03, seed=options.seed, last=options.last)
    kept = {name: getattr(options, name) for name in ("batch", "length", "rank", "rows", "start")}
    batches = mini_beto.Named(_Mixed(texts["train"], special, own, mini_beto.MASK_SHARE))
    train(model, batches, losses, schedule, out, device=device, options=kept, check=check)
    # Whoever trains it further has less text, and wants BERT's dropout.
    model.get_base_model().config.update({"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1})
    adapters.export(model, BASE, out / "model")
    for split, batch in checks.items():
        log(
            out,
            {
                "split": split,
                **asdict(mini_beto.evaluate(model.get_base_model(), batch, mini_beto.TEST_BATCHES, device)),
            },
        )


if __name__ == "__main__":
    main()
