"""A random decoder with a byte-level tokenizer, for tests that need no shared models."""

from pathlib import Path

from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from tests.runtime.models import tiny_entry

TEXTS = ["El niño comió una manzana roja.", "Había una vez un perro y un gato.", "La niña corre por el campo 🧉."] * 4


def write_decoder(folder: Path, *, seed: int = 0) -> Path:
    """A random Llama of two layers whose tokenizer cuts bytes, so that "ñ" takes two tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>", bos_token="<|end|>")
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        bos_token_id=0,
        eos_token_id=0,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def decoder(folder: Path, *, window: int = 64) -> ModelBundle:
    """The random decoder, loaded as any other model."""
    item = tiny_entry("decoder", "CausalLM", window=window)
    write_decoder(folder / item.id)
    return load_bundle(item, Settings(models_dir=folder, offline=True), CPU)
