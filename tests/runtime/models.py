"""Small models on disk for tests of loading: random weights where only shapes and errors matter."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from core.catalog import ModelEntry, WeightsSpec, entry

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hola", "mundo", "el", "niño", "##s", "."]


def tiny_config(**options: Any) -> Any:
    from transformers import BertConfig

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    return BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, **{**sizes, **options})


def write_tokenizer(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer", "do_lower_case": false, "model_max_length": 32}', encoding="utf-8"
    )


def write_model(folder: Path, head: str | None = "MaskedLM", *, as_bin: bool = False, **options: Any) -> Path:
    """A random BERT in ``folder``, with the tokenizer's files."""
    import torch
    import transformers

    torch.manual_seed(0)
    write_tokenizer(folder)
    name = f"AutoModelFor{head}" if head else "AutoModel"
    model = getattr(transformers, name).from_config(tiny_config(**options))
    if as_bin:
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(folder)
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    else:
        model.save_pretrained(folder)
    return folder


def tiny_entry(key: str = "tiny", head: str | None = "MaskedLM", **changes: Any) -> ModelEntry:
    """An entry for what ``write_model`` writes, found under ``TALLER_MODELS_DIR/test/KEY``."""
    weights = WeightsSpec(head, "safetensors", ("*",), 20_000, 0.1, None)
    base = replace(
        entry("beto-cased"), key=key, id=f"test/{key}", names={"es": key, "en": key}, window=32, weights=weights
    )
    return replace(base, **changes)
