"""mini-e5: multilingual-e5-small with the pieces that Spanish and English need, and no others.

    python -m core.training.recipes.mini_e5 --data DIR --out DIR

Nothing is trained. Of the 250,000 pieces of XLM-R's vocabulary two languages use a small part, and three
quarters of that model's numbers are word embeddings; its twelve layers stay as they are. The pieces that the
training texts of both languages use most are kept with their scores, so that a word whose piece is left out is
cut into smaller ones that the model knows as well. Cutting a vocabulary like this: Abdaoui, Pradel and Sigel
2020 ("Load What You Need").
"""

import argparse
import itertools
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.training.recipes import e5, english_heads
from core.training.recipes.corpora import Corpus
from core.training.recipes.loop import log

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import BertModel

# With them the file stays under 50 MB.
PIECES: Final = 17_000
MARKS: Final = ("<s>", "<pad>", "</s>", "<unk>")
MASK: Final = "<mask>"
WINDOW: Final = 512
# How much each language counts when pieces are chosen: Spanish is spelt in more of them.
_SHARES: Final = {"es": 0.6, "en": 0.4}
_SPANISH: Final = ("es-novels", "tatoeba", "en-es-parallel", "es-manuales", "wikiann-es", "intent-es", "es-leyes-uy")
_ROOM: Final = 4_000_000


def texts(data: Path, language: str) -> Iterator[str]:
    """Training text of a language, each source cut to four million characters."""
    if language == "en":
        sources = [english_heads.documents(data, source, "train") for source in english_heads.SOURCES]
    else:
        corpus = Corpus(data)
        known = {source.key for source in corpus.sources()}
        sources = [corpus.iter_documents(source, "train") for source in _SPANISH if source in known]
    for documents in sources:
        room = _ROOM
        for document in documents:
            for paragraph in document.paragraphs:
                yield paragraph
                room -= len(paragraph)
            if room <= 0:
                break


def used(words: "Tokenizer", lines: Iterator[str]) -> Counter[int]:
    """How often each piece occurs."""
    found: Counter[int] = Counter()
    while group := list(itertools.islice(lines, 2000)):
        for encoding in words.encode_batch(group, add_special_tokens=False):
            found.update(encoding.ids)
    return found


def chosen(packed: e5.Packed, counts: dict[str, Counter[int]], pieces: int = PIECES) -> list[int]:
    """The ids that stay, in their order: the marks, single characters that occur, then the most used pieces.

    Args:
        packed: the whole model.
        counts: of each language's pieces.
        pieces: how many to keep, ``<mask>`` included.
    """
    weight: Counter[int] = Counter()
    for language, found in counts.items():
        whole = sum(found.values())
        for piece, times in found.items():
            weight[piece] += _SHARES.get(language, 1.0) * times / whole  # type: ignore[assignment]
    # A character without a piece would be unknown, and with it the word.
    basic = [index for index, piece in enumerate(packed.pieces) if len(piece) == 1 and weight[index]]
    latin = [index for index, piece in enumerate(packed.pieces) if len(piece) == 1 and 32 < ord(piece) < 0x180]
    first = dict.fromkeys([*range(len(MARKS)), *latin, *basic])
    for index, _weight in weight.most_common():
        if len(first) >= pieces - 1:
            break
        first.setdefault(index)
    return sorted(first)


def build_tokenizer(packed: e5.Packed, kept: Sequence[int]) -> "Tokenizer":
    """The Unigram tokenizer of the pieces that stay, with XLM-R's marks around a text and between two."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    pairs = [(packed.pieces[index], packed.scores[index]) for index in kept]
    found = Tokenizer(models.Unigram([*pairs, (MASK, 0.0)], unk_id=MARKS.index("<unk>")))
    found.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("\u200b", "")])
    found.pre_tokenizer = pre_tokenizers.Metaspace()
    found.decoder = decoders.Metaspace()
    found.add_special_tokens(list(MARKS))
    found.add_special_tokens([AddedToken(MASK, lstrip=True)])
    found.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B:0 </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return found


def build_model(packed: e5.Packed, kept: Sequence[int]) -> "BertModel":
    """The model with the embeddings of the pieces that stay; ``<mask>`` is the last."""
    import torch

    model = e5.model(packed)
    table = packed.tensors["embeddings.word_embeddings.weight"]
    rows = np.concatenate([table[list(kept)], table[-1:]])
    words = torch.nn.Embedding(len(rows), packed.hidden, padding_idx=1)
    words.weight.data = torch.from_numpy(rows.copy())
    model.set_input_embeddings(words)  # type: ignore[no-untyped-call]
    model.config.vocab_size = len(rows)
    return model


def export(model: "BertModel", words: "Tokenizer", folder: Path) -> None:
    """Writes the ``save_pretrained`` layout, tokenizer included: half precision, word embeddings in eight bits.

    The weights come from four bits, so eight for the table (float8, four of exponent and three of fraction)
    lose nothing that a measurement would find.
    """
    import copy

    copy.deepcopy(model).half().cpu().save_pretrained(folder)  # type: ignore[no-untyped-call]
    to_eight_bits(folder, ("embeddings.word_embeddings.weight",))
    save_tokenizer(words, folder, WINDOW)


def to_eight_bits(folder: Path, names: Container[str]) -> None:
    """Writes some tensors of ``folder``'s weights again, in float8: four bits of exponent and three of fraction."""
    import torch
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    state = {
        name: weight.to(torch.float8_e4m3fn) if name in names else weight for name, weight in load_file(file).items()
    }
    save_file(state, file, metadata={"format": "pt"})


def save_tokenizer(words: "Tokenizer", folder: Path, window: int, more: Sequence[str] = ()) -> None:
    """Writes a tokenizer with XLM-R's marks, and ``more`` special tokens, in the ``save_pretrained`` layout."""
    from transformers import PreTrainedTokenizerFast

    whole: Any = PreTrainedTokenizerFast
    added = {"additional_special_tokens": list(more)} if more else {}
    whole(
        tokenizer_object=words,
        model_max_length=window,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token=MASK,
        **added,
    ).save_pretrained(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m core.training.recipes.mini_e5", description="Make mini-e5.")
    parser.add_argument("--data", type=Path, required=True, help="the folder with the text sets")
    parser.add_argument("--out", type=Path, required=True, help="where its folder model/ goes")
    parser.add_argument("--pieces", type=int, default=PIECES)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    packed = e5.read(e5.package_file())
    whole = e5.tokenizer(packed)
    counts = {language: used(whole, texts(options.data, language)) for language in _SHARES}
    kept = chosen(packed, counts, options.pieces)
    words = build_tokenizer(packed, kept)
    covered = {
        language: round(sum(found[index] for index in kept) / sum(found.values()), 5)
        for language, found in counts.items()
    }
    export(build_model(packed, kept), words, options.out / "model")
    log(options.out, {"pieces": len(kept) + 1, "covered": covered})


if __name__ == "__main__":
    main()
