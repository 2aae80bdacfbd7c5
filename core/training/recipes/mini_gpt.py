"""mini-gpt: a small GPT-2 that writes Spanish, or English.

    python -m core.training.recipes.mini_gpt --data DIR --out DIR [--language en] [--steps N] [--batch N] [--length N]
                                             [--begin-with DIR]

A byte-level BPE of 8,192 pieces and a GPT-2 of 6 layers (256 wide, 8 heads, 6.9 million parameters), both
learnt from nothing: in Spanish on the novels, everyday sentences, manuals and laws of ``corpora``, in English
on the texts of ``english_heads``. Matrices inside the layers are trained with Muon, the rest with AdamW.
Resumable; ``OUT/model`` is the ``save_pretrained`` layout. ``--begin-with`` goes on with a model that was saved,
such as the one that ships, and with its pieces.

Sources: Radford et al. 2019 (GPT-2); Jordan et al. 2024 (Muon); bits per character as in Graves 2013.
"""

import argparse
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.training.recipes import english_heads, mini_e5
from core.training.recipes.corpora import Corpus, Split
from core.training.recipes.loop import Schedule, autocast, command_line, log, plain_attention, train

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import GPT2LMHeadModel

Ids = npt.NDArray[np.uint16]

# How often each source is drawn: prose first; short sentences of today; some of the technical and the legal.
SHARES: Final[Mapping[str, Mapping[str, float]]] = {
    "es": {
        "es-novels": 0.66,
        "tatoeba": 0.12,
        "es-manuales": 0.07,
        "en-es-parallel": 0.05,
        "es-python-docs": 0.03,
        "es-leyes-uy": 0.05,
        "wikiann-es": 0.02,
    },
    "en": {"en-novels": 0.72, "tatoeba-en": 0.15, "documentation-en": 0.13},
}
NOVELS: Final = {"es": "es-novels", "en": "en-novels"}
PROMPTS: Final = {
    "es": ("La mañana siguiente,", "El niño abrió la puerta y", "En aquel pueblo"),
    "en": ("The next morning,", "The boy opened the door and", "In that village"),
}
PIECES: Final = 8192
END: Final = "<|endoftext|>"
CONTEXT: Final = 256


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a run."""

    steps: int = 8000
    batch: int = 32
    length: int = CONTEXT
    learning_rate: float = 2e-3
    matrix_rate: float = 4e-3
    seed: int = 1


# --- text to tokens ---------------------------------------------------------------------------------------


@cache
def _corpus(data: Path) -> Corpus:
    # One for all sources and splits: what it holds apart takes minutes to read.
    return Corpus(data)


def _texts(data: Path, split: Split, source: str) -> Iterator[str]:
    if source in english_heads.SOURCES:
        return (document.text for document in english_heads.documents(data, source, split))
    return (document.text for document in _corpus(data).iter_documents(source, split))


def train_tokenizer(data: Path, file: Path, language: str = "es") -> "Tokenizer":
    """Learns the BPE from the training text, each source cut to 12 million characters, and keeps it in ``file``."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    if file.is_file():
        return Tokenizer.from_file(str(file))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()

    def sample() -> Iterator[str]:
        for source in SHARES[language]:
            room = 12_000_000
            for text in _texts(data, "train", source):
                yield text[:room]
                room -= len(text)
                if room <= 0:
                    break

    trainer = trainers.BpeTrainer(
        vocab_size=PIECES,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sample(), trainer)
    tokenizer.save(str(file))
    return tokenizer


def encode(texts: Iterator[str], tokenizer: "Tokenizer") -> Ids:
    """All texts as one row of ids ``(tokens,)``, each followed by the end mark."""
    end = tokenizer.token_to_id(END)
    rows: list[Ids] = []
    while group := list(itertools.islice(texts, 512)):
        encodings = tokenizer.encode_batch(group)
        rows += [np.array([*encoding.ids, end], dtype=np.uint16) for encoding in encodings]
    return np.concatenate(rows) if rows else np.zeros(0, dtype=np.uint16)


def load_ids(data: Path, split: Split, tokenizer: "Tokenizer", cache: Path, language: str = "es") -> dict[str, Ids]:
    """The tokens of each source of a language in one split, read once and kept under ``cache``."""
    found: dict[str, Ids] = {}
    cache.mkdir(parents=True, exist_ok=True)
    for source in SHARES[language]:
        file = cache / f"{split}-{source}.npy"
        if not file.is_file():
            partial = file.with_suffix(".partial.npy")
            np.save(partial, encode(_texts(data, split, source), tokenizer))
            partial.replace(file)
        ids = np.load(file, mmap_mode="r")
        if len(ids) > CONTEXT:
            found[source] = ids
    return found


class Windows:
    """Batch ``i`` of a run: windows of text, drawn by source and place from the seed and ``i`` alone."""

    def __init__(self, texts: Mapping[str, Ids], options: Options) -> None:
        self.texts = texts
        self.options = options
        self.sources = sorted(texts)
        every = {source: share for shares in SHARES.values() for source, share in shares.items()}
        shares = np.array([every.get(source, 1.0) for source in self.sources])
        self.shares = shares / shares.sum()

    def __getitem__(self, index: int) -> dict[str, npt.NDArray[np.int64]]:
        """``ids`` of shape ``(batch, length + 1)``: each token's label is the next one."""
        rng = np.random.default_rng((self.options.seed, index))
        length = self.options.length + 1
        ids = np.empty((self.options.batch, length), dtype=np.int64)
        for row, source in enumerate(rng.choice(len(self.sources), self.options.batch, p=self.shares)):
            text = self.texts[self.sources[source]]
            start = int(rng.integers(max(1, len(text) - length)))
            ids[row] = text[start : start + length]
        return {"ids": ids}


# --- the model --------------------------------------------------------------------------------------------


def build_model(layers: int = 6, width: int = 256, heads: int = 8) -> "GPT2LMHeadModel":
    """A GPT-2 with random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=PIECES,
        n_positions=CONTEXT,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    return GPT2LMHeadModel(config)


def saved_model(folder: Path) -> "tuple[GPT2LMHeadModel, Tokenizer]":
    """A model that ``export`` wrote, in single precision, and its pieces."""
    import torch
    from tokenizers import Tokenizer
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32)
    return model, Tokenizer.from_file(str(folder / "tokenizer.json"))


def losses(model: "torch.nn.Module", batch: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """Mean loss of the next token, in nats."""
    import torch.nn.functional as F

    ids = batch["ids"]
    scores = model(input_ids=ids[:, :-1], use_cache=False).logits  # (batch, length, pieces)
    return {"loss": F.cross_entropy(scores.flatten(0, 1).float(), ids[:, 1:].flatten())}


def bits_per_character(
    model: "torch.nn.Module", ids: Ids, tokenizer: "Tokenizer", device: str, most: int = 40_000
) -> tuple[float, int]:
    """How well the model foresees unseen text.

    Each token is scored once, with at least half a window of context before it but for the first ones.

    Args:
        model: the language model.
        ids: the text, ``(tokens,)``.
        tokenizer: to count the characters that the tokens stand for.
        device: where to compute.
        most: tokens to score at most.

    Returns:
        Bits per character (Graves, 2013), and the number of characters.
    """
    import torch
    import torch.nn.functional as F

    ids = np.asarray(ids[: most + 1]).astype(np.int64)
    half = CONTEXT // 2
    nats, scored = 0.0, 0
    with torch.inference_mode(), autocast(device):
        for start in range(0, len(ids) - 1, half):
            row = torch.from_numpy(ids[max(0, start - half) : start + half + 1]).to(device)[None]
            fresh = min(half, len(ids) - 1 - start)
            scores = model(input_ids=row[:, :-1], use_cache=False).logits[0, -fresh:]
            nats += float(F.cross_entropy(scores.float(), row[0, -fresh:], reduction="sum"))
            scored += fresh
    characters = len(tokenizer.decode(ids[1 : scored + 1].tolist(), skip_special_tokens=False).replace(END, "\n"))
    return nats / math.log(2) / characters, characters


def sample(model: Any, tokenizer: "Tokenizer", prompt: str, *, tokens: int = 60, seed: int = 0) -> str:
    """A continuation, drawn from the most probable half of the distribution (top-p 0.9, temperature 0.8)."""
    import torch

    torch.manual_seed(seed)
    ids = torch.tensor([tokenizer.encode(prompt).ids], device=model.device)
    out = model.generate(ids, max_new_tokens=tokens, do_sample=True, top_p=0.9, temperature=0.8, pad_token_id=0)
    return str(tokenizer.decode(out[0].tolist()))


def export(model: "GPT2LMHeadModel", tokenizer: "Tokenizer", folder: Path) -> None:
    """Writes the ``save_pretrained`` layout in half precision, its table of words in eight bits, and the tokenizer."""
    import copy

    from transformers import PreTrainedTokenizerFast

    copy.deepcopy(model).half().cpu().save_pretrained(folder)  # type: ignore[no-untyped-call]
    mini_e5.to_eight_bits(folder, {"transformer.wte.weight"})
    marks = {"bos_token": END, "eos_token": END, "pad_token": END}
    whole: Any = PreTrainedTokenizerFast
    whole(tokenizer_object=tokenizer, model_max_length=CONTEXT, **marks).save_pretrained(folder)


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--language", choices=sorted(SHARES), default="es")
    parser.add_argument("--begin-with", type=Path, help="the folder of a saved model to go on with")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    import torch

    given, options = command_line("mini_gpt", Options, arguments, _more)
    data, out, device, language = given.data, given.out, given.device, given.language
    torch.manual_seed(options.seed)
    if given.begin_with is not None:
        model, tokenizer = saved_model(given.begin_with)
    else:
        model, tokenizer = build_model(), train_tokenizer(data, out / "bpe.json", language)
    plain_attention(model, device)
    splits: tuple[Split, ...] = ("train", "dev", "test")
    texts = {split: load_ids(data, split, tokenizer, out / "text", language) for split in splits}
    log(out, {split: {source: len(ids) for source, ids in found.items()} for split, found in texts.items()})

    def check(trained: "torch.nn.Module") -> dict[str, Any]:
        bits, characters = bits_per_character(trained, texts["dev"][NOVELS[language]], tokenizer, device, 10_000)
        return {"bits_per_character": round(bits, 4), "characters": characters}

    schedule = Schedule(
        steps=options.steps,
        learning_rate=options.learning_rate,
        matrix_rate=options.matrix_rate,
        warmup=0.02,
        seed=options.seed,
    )
    kept = {"batch": options.batch, "length": options.length}
    train(model, Windows(texts["train"], options), losses, schedule, out, device=device, options=kept, check=check)
    export(model, tokenizer, out / "model")
    model.eval()  # type: ignore[no-untyped-call]
    for source, ids in texts["test"].items():
        bits, characters = bits_per_character(model, ids, tokenizer, device)
        log(out, {"test": source, "bits_per_character": round(bits, 4), "characters": characters})
    for prompt in PROMPTS[language]:
        print(sample(model, tokenizer, prompt))


if __name__ == "__main__":
    main()
