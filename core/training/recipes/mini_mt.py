"""mini-mt: a small translator between English and Spanish, both ways, on mini-e5's encoder.

    python -m core.training.recipes.mini_mt --data DIR --out DIR [--steps N] [--tokens N]

An encoder-decoder as of Vaswani et al. 2017. Its encoder are the lower seven layers of mini-e5, which has read both
languages; they aren't changed (the upper ones know more about the whole text and less about each word: with all
twelve the loss falls more slowly). Its decoder of three layers learns to write: it begins with mini-e5's word
embeddings and three of its layers (Rothe, Narayan and Severyn 2020); its cross-attention begins with nothing. The
first token that the decoder reads says which language is wanted ("<es>", "<en>"; Johnson et al. 2017). Learns from
everyday sentences, documentation and messages of free software. chrF (Popović 2015) by sacrebleu.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.training.recipes import adapters, mini_e5
from core.training.recipes.corpora import HeldOutIndex, clean_paragraph, read_file
from core.training.recipes.labelled import parallel
from core.training.recipes.loop import Schedule, autocast, command_line, log, padded, shuffled, train

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import EncoderDecoderModel

BASE: Final = "mini-e5"
WANTED: Final = {"es": "<es>", "en": "<en>"}
READING: Final = 7
LAYERS: Final = (0, 4, 6)
LONGEST: Final = 48
IGNORED: Final = -100
# <pad> and </s> of mini-e5's vocabulary.
PAD: Final = 1
END: Final = 2
# How many batches are sorted by length together.
_WINDOW: Final = 32
# Besides a batch's own pieces so many others compete while most of the steps last: the first of the vocabulary,
# which are the commonest, and some by chance.
_COMMON: Final = 2000
_CHANCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a run.

    Attributes:
        steps: batches in all.
        tokens: of a batch, counted on the longer side of its rows.
        learning_rate: of AdamW, for the embeddings.
        matrix_rate: of Muon, for the matrices.
        narrow: share of the steps in which only some pieces compete.
        seed: of the order, and of what begins with chance.
    """

    steps: int = 6_000
    tokens: int = 2_048
    learning_rate: float = 2.5e-3
    matrix_rate: float = 6e-3
    narrow: float = 0.8
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


def build_tokenizer(base: "Tokenizer") -> "Tokenizer":
    """mini-e5's tokenizer with the two marks that tell the decoder which language to write."""
    from tokenizers import Tokenizer

    words = Tokenizer.from_str(base.to_str())
    words.add_special_tokens(list(WANTED.values()))
    return words


def rows(pairs: Sequence[tuple[str, str]], tokenizer: "Tokenizer") -> list[dict[str, npt.NDArray[np.uint16]]]:
    """Each pair both ways, as ids; what is longer than ``LONGEST`` on either side is left out.

    Returns:
        ``ids``, the source with its marks; ``labels``, the target: the mark of its language, its pieces, ``</s>``.
    """
    vocabulary = tokenizer.get_vocab()
    wanted = {language: vocabulary[mark] for language, mark in WANTED.items()}
    found = []
    for start in range(0, len(pairs), 4096):
        part = pairs[start : start + 4096]
        english = tokenizer.encode_batch([en for en, _es in part])
        spanish = tokenizer.encode_batch([es for _en, es in part])
        for en, es in zip(english, spanish, strict=True):
            if max(len(en.ids), len(es.ids)) <= LONGEST:
                found.append(row(wanted["es"], en.ids, es.ids))
                found.append(row(wanted["en"], es.ids, en.ids))
    return found


def row(mark: int, source: list[int], target: list[int]) -> dict[str, npt.NDArray[np.uint16]]:
    """What is read, and what shall be written: its first token gives way to the mark of the language."""
    return {"ids": np.array(source, dtype=np.uint16), "labels": np.array([mark, *target[1:]], dtype=np.uint16)}


class Batches:
    """Batches of about as many tokens each; batch ``i`` depends on the seed and on ``i`` alone.

    Args:
        found: the rows.
        tokens: of a batch, rows times the longest of them on either side.
        seed: of the order.
        narrow: up to this batch, only some pieces compete: its ``pieces`` ``(candidates,)``.
        vocabulary: how many pieces there are.
    """

    def __init__(
        self, found: Sequence[Mapping[str, Any]], tokens: int, seed: int, narrow: int = 0, vocabulary: int = 0
    ) -> None:
        self.rows = found
        self.tokens = tokens
        self.seed = seed
        self.narrow = narrow
        self.vocabulary = vocabulary
        self.lengths = np.array([max(len(row["ids"]), len(row["labels"])) for row in found])
        # An epoch's number of batches depends on its order by a few; that of the first is the measure of all.
        self._kept: tuple[int, list[npt.NDArray[np.int64]]] = (-1, [])
        self.per_epoch = len(self._epoch(0))

    def _epoch(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        if self._kept[0] != epoch:
            order = shuffled(len(self.rows), self.seed, epoch)
            size = _WINDOW * max(1, round(self.tokens / float(self.lengths.mean())))
            batches: list[npt.NDArray[np.int64]] = []
            for start in range(0, len(order), size):
                part = order[start : start + size]
                part = part[np.argsort(self.lengths[part], kind="stable")]
                first = 0
                for place in range(1, len(part) + 1):
                    full = place < len(part) and (place + 1 - first) * self.lengths[part[place]] > self.tokens
                    if full or place == len(part):
                        batches.append(part[first:place])
                        first = place
            mixed = shuffled(len(batches), self.seed + 1, epoch)
            self._kept = (epoch, [batches[index] for index in mixed])
        return self._kept[1]

    def collate(self, part: Sequence[Mapping[str, Any]]) -> dict[str, npt.NDArray[Any]]:
        """``ids`` and ``attention`` ``(batch, source)``; ``labels`` ``(batch, target)``."""
        return {
            "ids": padded([row["ids"] for row in part], PAD),
            "attention": padded([[1] * len(row["ids"]) for row in part], 0),
            "labels": padded([row["labels"] for row in part], IGNORED),
        }

    def __getitem__(self, index: int) -> dict[str, npt.NDArray[Any]]:
        epoch, place = divmod(index, self.per_epoch)
        own = self._epoch(epoch)
        batch = self.collate([self.rows[row] for row in own[place % len(own)]])
        if index < self.narrow:
            chance = np.random.default_rng((self.seed, index)).integers(0, self.vocabulary, _CHANCE)
            known = batch["labels"][batch["labels"] >= 0]
            batch["pieces"] = np.unique(np.concatenate([known, chance, np.arange(min(_COMMON, self.vocabulary))]))
        return batch


# --- the model --------------------------------------------------------------------------------------------


def build_model(encoder: Any, pieces: int, taken: Sequence[int] = LAYERS, seed: int = 1) -> "EncoderDecoderModel":
    """A BERT as it is, and a decoder that begins with its embeddings and some of its layers.

    Args:
        encoder: a BertModel without pooler; its weights will not change.
        pieces: of the decoder's vocabulary, the encoder's first.
        taken: the encoder's layers of which the decoder's are made.
        seed: of what begins with chance: the marks, the cross-attention, the output's transform.
    """
    import torch
    from transformers import BertConfig, BertLMHeadModel, EncoderDecoderModel

    torch.manual_seed(seed)
    own = encoder.config
    config = BertConfig(
        vocab_size=pieces,
        hidden_size=own.hidden_size,
        num_hidden_layers=len(taken),
        num_attention_heads=own.num_attention_heads,
        intermediate_size=own.intermediate_size,
        max_position_embeddings=LONGEST * 4,
        type_vocab_size=1,
        layer_norm_eps=own.layer_norm_eps,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=PAD,
        bos_token_id=None,
        eos_token_id=END,
        is_decoder=True,
        add_cross_attention=True,
    )
    decoder: Any = BertLMHeadModel(config)
    known = encoder.state_dict()
    with torch.no_grad():
        for name, weight in decoder.bert.state_dict().items():
            parts = name.split(".")
            if parts[:2] == ["encoder", "layer"]:
                name = ".".join([*parts[:2], str(taken[int(parts[2])]), *parts[3:]])
            if name in known and "position_ids" not in name and "token_type_ids" not in name:
                rows_ = min(len(weight), len(known[name]))
                weight[:rows_].copy_(known[name][:rows_])
    model = EncoderDecoderModel(encoder=encoder, decoder=decoder)
    for weight in model.encoder.parameters():
        weight.requires_grad_(False)
    model.config.update({"pad_token_id": PAD, "eos_token_id": END, "decoder_start_token_id": pieces - len(WANTED)})
    return model


def losses(model: "torch.nn.Module", batch: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """Cross-entropy of the next target piece, smoothed by a tenth as in Vaswani et al. 2017.

    Args:
        model: the encoder-decoder; the encoder doesn't learn.
        batch: as from ``Batches.collate``; where ``read``, the encoder's states, is given, the encoder isn't asked.
    """
    import torch
    import torch.nn.functional as F

    both: Any = model
    with torch.no_grad():
        read = (
            batch["read"].float()
            if "read" in batch
            else both.encoder(input_ids=batch["ids"], attention_mask=batch["attention"]).last_hidden_state
        )
    labels = batch["labels"]
    # The decoder reads the mark of the language and all but the last piece, and writes what follows each.
    own, target = labels[:, :-1], labels[:, 1:]
    written = both.decoder.bert(
        input_ids=own.clamp(min=0) + (own < 0) * PAD,
        encoder_hidden_states=read,
        encoder_attention_mask=batch["attention"],
        use_cache=False,
    ).last_hidden_state
    asked = target >= 0  # (batch, target)
    head = both.decoder.cls.predictions
    states, right = head.transform(written[asked]), target[asked]
    if "pieces" in batch:
        pieces = batch["pieces"]
        scores = F.linear(states, head.decoder.weight[pieces], head.decoder.bias[pieces])
        right = torch.searchsorted(pieces, right)
    else:
        scores = head.decoder(states)
    return {"loss": F.cross_entropy(scores.float(), right, label_smoothing=0.1)}


def translate(
    model: Any,
    tokenizer: "Tokenizer",
    texts: Sequence[str | tuple[str, str]],
    language: str,
    device: str,
    *,
    beams: int = 4,
    window: int = 150,
    most: int = 150,
) -> list[str]:
    """Translations into ``language`` (``"es"`` or ``"en"``), longest together so that little is padded.

    Args:
        model: the encoder-decoder.
        tokenizer: its tokenizer.
        texts: what is read; pairs of texts are read one after the other.
        language: the mark with which the decoder begins.
        device: where to compute.
        beams: of beam search.
        window: tokens that are read, at most.
        most: tokens that are written, at most.
    """
    import torch

    mark = tokenizer.token_to_id(WANTED[language])
    encoded = [encoding.ids[:window] for encoding in tokenizer.encode_batch(list(texts))]
    order = sorted(range(len(texts)), key=lambda index: -len(encoded[index]))
    found = [""] * len(texts)
    with torch.inference_mode(), autocast(device):
        for start in range(0, len(order), 32):
            part = order[start : start + 32]
            ids = torch.from_numpy(padded([encoded[index] for index in part], PAD)).to(device)
            out = model.generate(
                input_ids=ids,
                attention_mask=(ids != PAD).long(),
                decoder_start_token_id=mark,
                eos_token_id=END,
                pad_token_id=PAD,
                num_beams=beams,
                max_new_tokens=min(most, 2 * ids.shape[1] + 10),
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


def export(model: Any, tokenizer: "Tokenizer", folder: Path) -> None:
    """Writes the decoder in the ``save_pretrained`` layout, its matrices in eight bits, and the tokenizer.

    float8 with four bits of exponent and three of fraction; biases and normalizations in half precision. The encoder
    is mini-e5, and isn't written again: ``EncoderDecoderModel.from_encoder_decoder_pretrained`` puts both together.
    """
    import copy

    copy.deepcopy(model.decoder).half().cpu().save_pretrained(folder)
    matrices = {name for name, weight in model.decoder.state_dict().items() if weight.ndim == 2}
    mini_e5.to_eight_bits(folder, matrices)
    mini_e5.save_tokenizer(tokenizer, folder, LONGEST * 4, list(WANTED.values()))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    import torch
    from transformers import BertModel

    given, options = command_line("mini_mt", Options, arguments)
    data, out, device = given.data, given.out, given.device
    tokenizer = build_tokenizer(adapters.load_tokenizer(BASE).backend_tokenizer)
    found = rows(training(data), tokenizer)
    pieces = tokenizer.get_vocab_size()
    batches = Batches(found, options.tokens, options.seed, round(options.narrow * options.steps), pieces)
    tokens = int(sum(len(row["labels"]) for row in found))
    log(out, {"rows": len(found), "tokens": tokens, "batches": batches.per_epoch})
    encoder = BertModel.from_pretrained(
        str(adapters.base_folder(BASE)),
        dtype=torch.float32,
        add_pooling_layer=False,
        num_hidden_layers=READING,
    )
    model = build_model(encoder, pieces, seed=options.seed)
    held = tests(data)

    def check(trained: "torch.nn.Module") -> dict[str, Any]:
        return {
            f"{name}: chrF of 100": score(trained, tokenizer, held[name], device, most=100, beams=1)["chrf"]
            for name in ("Tatoeba en→es", "documentation en→es")
        }

    schedule = Schedule(
        steps=options.steps,
        learning_rate=options.learning_rate,
        matrix_rate=options.matrix_rate,
        warmup=0.03,
        seed=options.seed,
    )
    kept = {"tokens": options.tokens, "rows": len(found)}
    train(model, batches, losses, schedule, out, device=device, options=kept, check=check)
    export(model, tokenizer, out / "model")
    model.eval()  # type: ignore[no-untyped-call]
    for name, test in held.items():
        log(out, {"test": name, **score(model, tokenizer, test, device)})


if __name__ == "__main__":
    main()
