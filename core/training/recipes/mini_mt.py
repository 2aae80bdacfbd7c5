"""mini-mt: a small transformer as of 2017 that translates between English and Spanish, both ways.

    python -m core.training.recipes.mini_mt --data DIR --out DIR [--steps N] [--batch N]

One model, one BPE of 16,000 pieces for both languages; the first token of the source says which language is
wanted (">>es<<", ">>en<<"; Johnson et al. 2017). Five encoder layers and three decoder layers, 256 wide, sines
for positions and layers normalized after the sum, as in Vaswani et al. 2017 (the Marian class of transformers).
Learns from everyday sentences, documentation and messages of free software. chrF (Popović 2015) by sacrebleu.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.training.recipes.adapters import Shuffled
from core.training.recipes.corpora import HeldOutIndex, clean_paragraph, read_file
from core.training.recipes.labelled import parallel
from core.training.recipes.loop import Schedule, autocast, log, padded, train

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import MarianMTModel

PIECES: Final = 16_000
PAD: Final = "<pad>"
END: Final = "</s>"
UNKNOWN: Final = "<unk>"
WANTED: Final = {"es": ">>es<<", "en": ">>en<<"}
LONGEST: Final = 72
IGNORED: Final = -100


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a run."""

    steps: int = 30_000
    batch: int = 64
    learning_rate: float = 1.5e-3
    matrix_rate: float = 3e-3
    seed: int = 1


# --- pairs ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Test:
    """Source sentences of one language with all their right translations into the other."""

    language: str
    sources: list[str]
    references: list[list[str]]


def tests(data: Path) -> dict[str, Test]:
    """What the model is reported on: Tatoeba's development sentences and the documentation's, both ways."""
    everyday: dict[str, list[str]] = {}
    for line in read_file(data / "en-es-parallel/tatoeba/dev.tsv").splitlines():
        english, spanish = line.split("\t")[:2]
        everyday.setdefault(clean_paragraph(english), []).append(clean_paragraph(spanish))
    back: dict[str, list[str]] = {}
    for english, versions in everyday.items():
        for spanish in versions:
            back.setdefault(spanish, []).append(english)
    technical = list(parallel(data, "dev.tsv.xz"))
    return {
        "Tatoeba en→es": Test("es", list(everyday), list(everyday.values())),
        "Tatoeba es→en": Test("en", list(back), list(back.values())),
        "documentation en→es": Test("es", [en for en, _es in technical], [[es] for _en, es in technical]),
        "documentation es→en": Test("en", [es for _en, es in technical], [[en] for en, _es in technical]),
    }


def training(data: Path) -> list[tuple[str, str]]:
    """Pairs (English, Spanish), each once, without what nearly repeats a test sentence on either side."""
    index = HeldOutIndex()
    for test in tests(data).values():
        for source, references in zip(test.sources, test.references, strict=True):
            index.add(source)
            for reference in references:
                index.add(reference)
    seen: set[tuple[str, str]] = set()
    found = []
    for name in ("tatoeba/train.tsv.xz", "train.tsv.xz"):
        for pair in parallel(data, name):
            english, spanish = pair
            # Lengths that don't go together are no translation; equal sides teach to copy.
            alike = 0.4 < (len(english) + 10) / (len(spanish) + 10) < 2.0 and english != spanish
            if alike and pair not in seen and not index.repeats(english) and not index.repeats(spanish):
                seen.add(pair)
                found.append(pair)
    return found


def train_tokenizer(pairs: Sequence[tuple[str, str]], file: Path) -> "Tokenizer":
    """A byte-level BPE for both languages, kept in ``file``; it ends each text with the end mark."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    if file.is_file():
        return Tokenizer.from_file(str(file))
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    special = [PAD, END, UNKNOWN, *WANTED.values()]
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((side for pair in pairs for side in pair), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    tokenizer.save(str(file))
    return tokenizer


def rows(pairs: Sequence[tuple[str, str]], tokenizer: "Tokenizer") -> list[dict[str, npt.NDArray[np.uint16]]]:
    """Each pair both ways, as ids; what is longer than ``LONGEST`` on either side is left out."""
    wanted = {language: tokenizer.get_vocab()[mark] for language, mark in WANTED.items()}
    found = []
    for start in range(0, len(pairs), 4096):
        part = pairs[start : start + 4096]
        english = tokenizer.encode_batch([en for en, _es in part])
        spanish = tokenizer.encode_batch([es for _en, es in part])
        for en, es in zip(english, spanish, strict=True):
            if max(len(en.ids), len(es.ids)) < LONGEST:
                found.append(_row(wanted["es"], en.ids, es.ids))
                found.append(_row(wanted["en"], es.ids, en.ids))
    return found


def _row(mark: int, source: list[int], target: list[int]) -> dict[str, npt.NDArray[np.uint16]]:
    return {"ids": np.array([mark, *source], dtype=np.uint16), "labels": np.array(target, dtype=np.uint16)}


def collate(part: Sequence[Mapping[str, Any]]) -> dict[str, npt.NDArray[Any]]:
    """``ids`` and ``attention`` ``(batch, source)``; ``labels`` ``(batch, target)``."""
    return {
        "ids": padded([row["ids"] for row in part], 0),
        "attention": padded([[1] * len(row["ids"]) for row in part], 0),
        "labels": padded([row["labels"] for row in part], IGNORED),
    }


# --- the model --------------------------------------------------------------------------------------------


def build_model(pieces: int = PIECES, width: int = 256, encoder: int = 5, decoder: int = 3) -> "MarianMTModel":
    """A Marian model with random weights."""
    from transformers import MarianConfig, MarianMTModel

    return MarianMTModel(
        MarianConfig(
            vocab_size=pieces,
            decoder_vocab_size=pieces,
            d_model=width,
            encoder_layers=encoder,
            decoder_layers=decoder,
            encoder_attention_heads=8,
            decoder_attention_heads=8,
            encoder_ffn_dim=4 * width,
            decoder_ffn_dim=4 * width,
            max_position_embeddings=256,
            dropout=0.1,
            activation_function="relu",
            scale_embedding=True,
            share_encoder_decoder_embeddings=True,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=None,
            decoder_start_token_id=0,
            forced_eos_token_id=1,
        )
    )


def losses(model: "torch.nn.Module", batch: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """Cross-entropy of the next target piece, smoothed by a tenth as in Vaswani et al. 2017."""
    import torch
    import torch.nn.functional as F

    labels = batch["labels"]
    # The decoder reads the target shifted by one, beginning with the padding mark.
    shifted = torch.cat([torch.zeros_like(labels[:, :1]), labels[:, :-1].clamp(min=0)], dim=1)
    logits = model(
        input_ids=batch["ids"], attention_mask=batch["attention"], decoder_input_ids=shifted, use_cache=False
    ).logits
    loss = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, label_smoothing=0.1)
    return {"loss": loss}


def translate(
    model: Any, tokenizer: "Tokenizer", texts: Sequence[str], language: str, device: str, *, beams: int = 4
) -> list[str]:
    """Translations into ``language`` (``"es"`` or ``"en"``), longest together so that little is padded."""
    import torch

    mark = tokenizer.get_vocab()[WANTED[language]]
    encoded = [[mark, *encoding.ids][:200] for encoding in tokenizer.encode_batch(list(texts))]
    order = sorted(range(len(texts)), key=lambda index: -len(encoded[index]))
    found = [""] * len(texts)
    with torch.inference_mode(), autocast(device):
        for start in range(0, len(order), 32):
            part = order[start : start + 32]
            ids = torch.from_numpy(padded([encoded[index] for index in part], 0)).to(device)
            out = model.generate(
                input_ids=ids,
                attention_mask=(ids != 0).long(),
                num_beams=beams,
                max_new_tokens=min(200, 2 * ids.shape[1] + 10),
            )
            for index, row in zip(part, out.tolist(), strict=True):
                found[index] = tokenizer.decode(row, skip_special_tokens=True).strip()
    return found


def chrf(translations: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """ChrF over a corpus, 0–100, against the nearest of several references."""
    from sacrebleu.metrics import CHRF  # type: ignore[attr-defined]

    most = max(map(len, references))
    columns = [[row[index] if index < len(row) else row[0] for row in references] for index in range(most)]
    return float(CHRF().corpus_score(list(translations), columns).score)


def score(
    model: Any, tokenizer: "Tokenizer", test: Test, device: str, *, most: int = 1500, beams: int = 4
) -> dict[str, Any]:
    """ChrF on the first ``most`` sentences of a test."""
    translations = translate(model, tokenizer, test.sources[:most], test.language, device, beams=beams)
    return {"chrf": round(chrf(translations, test.references[:most]), 2), "n": len(translations)}


def export(model: "MarianMTModel", tokenizer: "Tokenizer", folder: Path) -> None:
    """Writes the ``save_pretrained`` layout in half precision, tokenizer included."""
    import copy

    from transformers import PreTrainedTokenizerFast

    copy.deepcopy(model).half().cpu().save_pretrained(folder)  # type: ignore[no-untyped-call]
    whole: Any = PreTrainedTokenizerFast
    marks = {"pad_token": PAD, "eos_token": END, "unk_token": UNKNOWN}
    whole(
        tokenizer_object=tokenizer,
        model_max_length=256,
        additional_special_tokens=list(WANTED.values()),
        **marks,
    ).save_pretrained(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    import torch

    parser = argparse.ArgumentParser(prog="python -m core.training.recipes.mini_mt", description="Train mini-mt.")
    parser.add_argument("--data", type=Path, required=True, help="the folder with the text sets")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; a run that is there goes on")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for name, default in asdict(Options()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    chosen = vars(parser.parse_args(arguments))
    data, out, device = chosen.pop("data"), chosen.pop("out"), chosen.pop("device")
    options = Options(**chosen)
    out.mkdir(parents=True, exist_ok=True)
    pairs = training(data)
    tokenizer = train_tokenizer(pairs, out / "bpe.json")
    found = rows(pairs, tokenizer)
    log(out, {"pairs": len(pairs), "rows": len(found), "tokens": int(sum(len(row["labels"]) for row in found))})
    torch.manual_seed(options.seed)
    model = build_model(tokenizer.get_vocab_size())
    held = tests(data)

    def check(trained: "torch.nn.Module") -> dict[str, Any]:
        return {"chrf_of_100": score(trained, tokenizer, held["Tatoeba en→es"], device, most=100, beams=1)["chrf"]}

    schedule = Schedule(
        steps=options.steps,
        learning_rate=options.learning_rate,
        matrix_rate=options.matrix_rate,
        warmup=0.03,
        seed=options.seed,
    )
    batches = Shuffled(found, options.batch, collate, options.seed)
    kept = {"batch": options.batch, "rows": len(found)}
    train(model, batches, losses, schedule, out, device=device, options=kept, check=check)
    export(model, tokenizer, out / "model")
    model.eval()  # type: ignore[no-untyped-call]
    for name, test in held.items():
        log(out, {"test": name, **score(model, tokenizer, test, device)})


if __name__ == "__main__":
    main()
