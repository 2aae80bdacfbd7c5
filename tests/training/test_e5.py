"""The packed multilingual-e5-small: its format on a tiny file of our own, and, where the package is, the real one."""

import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models

from core.training.recipes import e5

HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 4, 64, 16
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁la", "▁ca", "sa", "▁casa", "a", "<mask>"]
SCORES = [0.0, 0.0, 0.0, 0.0, -6.0, -2.0, -4.0, -4.0, -3.0, -5.0, 0.0]


def _four_bits(values: np.ndarray) -> bytes:
    """Packs weights that are whole multiples of a block's scale."""
    found = b""
    for block in values.reshape(-1, 32):
        quarters = np.rint(block * 4).astype(int) + 8
        found += struct.pack("<e", 0.25) + bytes(int(quarters[i]) | int(quarters[i + 16]) << 4 for i in range(16))
    return found


def packed_file(folder: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """A model of two layers in the package's format, and its tensors under their names in the file."""
    rng = np.random.default_rng(0)

    def quarters(*shape: int) -> np.ndarray:
        return (rng.integers(-8, 8, shape) / 4).astype(np.float32)

    def floats(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    tensors = {"emb.word": quarters(len(PIECES), HIDDEN), "emb.pos": floats(POSITIONS, HIDDEN)}
    tensors |= {"emb.type": floats(2, HIDDEN), "emb.ln.w": floats(HIDDEN), "emb.ln.b": floats(HIDDEN)}
    for layer in range(LAYERS):
        for name, rows, columns in (("q", HIDDEN, HIDDEN), ("k", HIDDEN, HIDDEN), ("v", HIDDEN, HIDDEN)):
            tensors |= {f"l{layer}.{name}.w": quarters(rows, columns), f"l{layer}.{name}.b": floats(rows)}
        tensors |= {f"l{layer}.ao.w": quarters(HIDDEN, HIDDEN), f"l{layer}.ao.b": floats(HIDDEN)}
        tensors |= {f"l{layer}.fi.w": quarters(INNER, HIDDEN), f"l{layer}.fi.b": floats(INNER)}
        tensors |= {f"l{layer}.fo.w": quarters(HIDDEN, INNER), f"l{layer}.fo.b": floats(HIDDEN)}
        tensors |= {f"l{layer}.{norm}.{kind}": floats(HIDDEN) for norm in ("aln", "oln") for kind in "wb"}
    in_bits = {name for name in tensors if name == "emb.word" or (name.endswith(".w") and "ln" not in name)}

    blob = "".join(PIECES).encode()
    starts = np.cumsum([0, *(len(piece.encode()) for piece in PIECES)]).astype("<u4")
    head = b"E5S1" + struct.pack("<i", 1)
    head += struct.pack("<7i", HIDDEN, LAYERS, HEADS, INNER, len(PIECES), POSITIONS, 2) + struct.pack("<fi", 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(blob)) + starts.tobytes()
    head += np.array(SCORES, "<f4").tobytes() + blob + struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0x3000, 1, 0x20)
    head += struct.pack("<i", len(tensors))
    at = len(head) + sum(2 + len(name) + 21 for name in tensors)
    table, body = b"", b""
    for name, tensor in tensors.items():
        raw = _four_bits(tensor) if name in in_bits else tensor.tobytes()
        table += struct.pack("<H", len(name)) + name.encode()
        table += struct.pack("<BIQQ", int(name in in_bits), tensor.size, at + len(body), len(raw))
        body += raw
    file = folder / "tiny.bin"
    file.write_bytes(head + table + body)
    return file, tensors


def tiny_e5(hidden: int = 384, inner: int = 1536) -> e5.Packed:
    """One of MiniLM's width with three layers and random weights, for the recipe that begins with it."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(PIECES) + 35, hidden_size=hidden, num_hidden_layers=3, num_attention_heads=12,
        intermediate_size=inner, max_position_embeddings=512,
    )  # fmt: skip
    state = BertModel(config, add_pooling_layer=False).state_dict()
    tensors = {name: tensor.numpy() for name, tensor in state.items() if "position_ids" not in name}
    tensors["embeddings.word_embeddings.weight"] = tensors["embeddings.word_embeddings.weight"][: len(PIECES)]
    return e5.Packed(hidden, 3, 12, inner, 512, 1e-12, PIECES, SCORES, tensors)


def test_every_tensor_comes_back_under_its_name_in_bert(tmp_path: Path) -> None:
    file, tensors = packed_file(tmp_path)
    packed = e5.read(file)
    assert (packed.hidden, packed.layers, packed.heads, packed.inner, packed.positions) == (32, 2, 4, 64, 16)
    assert packed.pieces == PIECES and packed.scores == SCORES and packed.epsilon == pytest.approx(1e-12)
    assert len(packed.tensors) == len(tensors)
    same = {
        "embeddings.word_embeddings.weight": "emb.word",
        "embeddings.LayerNorm.bias": "emb.ln.b",
        "encoder.layer.1.attention.output.dense.weight": "l1.ao.w",
        "encoder.layer.0.intermediate.dense.weight": "l0.fi.w",
        "encoder.layer.1.output.dense.weight": "l1.fo.w",
        "encoder.layer.0.output.LayerNorm.weight": "l0.oln.w",
    }
    for name, short in same.items():
        assert np.array_equal(packed.tensors[name], tensors[short]), name


def test_the_model_takes_them_all_and_answers(tmp_path: Path) -> None:
    packed = e5.read(packed_file(tmp_path)[0])
    model = e5.model(packed)
    assert model(torch.tensor([[0, 5, 8, 2]])).last_hidden_state.shape == (1, 4, HIDDEN)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ValueError, match="no packed e5"):
        e5.read(tmp_path / "x.bin")


def test_words_get_the_mean_of_the_pieces_that_spell_them(tmp_path: Path) -> None:
    packed = e5.read(packed_file(tmp_path)[0])
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "casa", "##sa", "laca", "##casa"]
    words = Tokenizer(models.WordPiece({piece: id_ for id_, piece in enumerate(pieces)}, unk_token="[UNK]"))
    found = e5.embeddings_for(packed, words).numpy()
    table = packed.tensors["embeddings.word_embeddings.weight"]
    assert np.array_equal(found[:5], table[[1, 3, 0, 2, 10]])
    assert np.array_equal(found[5], table[8]), "a whole word that e5 has gets its very vector"
    assert np.array_equal(found[6], table[7]), "a continuation is no word of its own"
    assert np.allclose(found[7], table[e5.tokenizer(packed).encode("laca").ids].mean(axis=0))


@pytest.mark.skipif(find_spec(e5.PACKAGE) is None, reason=f"{e5.PACKAGE} is not installed")
def test_the_real_one_brings_translations_together() -> None:
    packed = e5.read(e5.package_file())
    model, tokenizer = e5.model(packed), e5.tokenizer(packed)
    texts = ["The girl opened the door.", "La niña abrió la puerta.", "Mañana sube el precio del pan."]
    vectors = []
    for text in texts:
        with torch.inference_mode():
            states = model(torch.tensor([[0, *tokenizer.encode("query: " + text).ids, 2]])).last_hidden_state
        vectors.append(torch.nn.functional.normalize(states.mean(1), dim=-1)[0])
    same, other = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
    assert same > 0.85 > other
