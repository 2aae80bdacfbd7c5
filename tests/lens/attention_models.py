"""Models for the tests of attention: the one that ships, and random ones of each family."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from core.catalog import entry
from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from tests.runtime.models import WORDS, tiny_config, tiny_entry

TEXTS = ["El niño comió una manzana roja.", "Había una vez un perro y un gato.", "La niña corre por el campo 🧉."] * 4
SENTENCE = "The keys to the old cabinet are on the table because she left them there."


@cache
def minilm() -> ModelBundle:
    """The English encoder that ships."""
    return load_bundle(entry("minilm"), Settings(offline=True), CPU)


@cache
def minilm_eager() -> ModelBundle:
    return minilm().with_attention()


def reference(key: str, shared: Path) -> ModelBundle:
    """A small real model of the catalogue from ``../shared``."""
    return load_bundle(entry(key), Settings(offline=True, models_dir=shared / "hub"), CPU)


@cache
def byte_tokenizer() -> Any:
    """Byte-level BPE in the manner of GPT-2; ``<s>`` and ``</s>`` are there but added to nothing."""
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=["<s>", "</s>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="</s>")


@cache
def byte_tokenizer_with_end() -> Any:
    """The same, with ``</s>`` after each text, in the manner of T5."""
    import copy

    tokenizer = copy.deepcopy(byte_tokenizer())
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer


@cache
def wordpiece() -> Any:
    from transformers import BertTokenizer

    return BertTokenizer(vocab={word: index for index, word in enumerate(WORDS)}, do_lower_case=False)


def _bundle(model: Any, tokenizer: Any, key: str, head: str | None, architecture: str, window: int = 64) -> ModelBundle:
    item = tiny_entry(key, head, architecture=architecture, window=window)
    return ModelBundle(item, model.eval(), tokenizer, CPU, "float32", 0, "models_dir", Path())


def _wild(model: Any) -> Any:
    """Random models hardly look anywhere in particular: larger weights do."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(4.0)
    return model


@cache
@torch.inference_mode(False)
def family(name: str) -> ModelBundle:
    """A random model: ``"bert"``, ``"roberta"``, ``"electra"``, ``"gpt2"``, ``"llama"``, ``"bart"`` or ``"t5"``."""
    import transformers as tf

    torch.manual_seed(5)
    vocabulary = len(byte_tokenizer())
    if name == "bert":
        return _bundle(_wild(tf.BertForMaskedLM(tiny_config())), wordpiece(), name, "MaskedLM", "encoder", 32)
    if name in ("roberta", "electra"):
        kind = {"roberta": (tf.RobertaConfig, tf.RobertaForMaskedLM), "electra": (tf.ElectraConfig, tf.ElectraModel)}
        config, model = kind[name]
        made = model(
            config(
                vocab_size=len(WORDS),
                hidden_size=32,
                embedding_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                max_position_embeddings=64,
                pad_token_id=0,
            )
        )
        return _bundle(_wild(made), wordpiece(), name, "MaskedLM" if name == "roberta" else None, "encoder", 32)
    if name == "gpt2":
        config = tf.GPT2Config(vocab_size=vocabulary, n_positions=64, n_embd=32, n_layer=3, n_head=4)
        return _bundle(_wild(tf.GPT2LMHeadModel(config)), byte_tokenizer(), name, "CausalLM", "decoder")
    if name == "llama":
        config = tf.LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
        )
        return _bundle(_wild(tf.LlamaForCausalLM(config)), byte_tokenizer(), name, "CausalLM", "decoder")
    if name == "bart":
        config = tf.BartConfig(
            vocab_size=vocabulary,
            d_model=32,
            encoder_layers=2,
            decoder_layers=3,
            encoder_attention_heads=4,
            decoder_attention_heads=2,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            max_position_embeddings=64,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
            decoder_start_token_id=1,
            forced_eos_token_id=None,
        )
        model = tf.BartForConditionalGeneration(config)
        return _bundle(_wild(model), byte_tokenizer_with_end(), name, "Seq2SeqLM", "encoder-decoder")
    config = tf.T5Config(
        vocab_size=vocabulary,
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=1,
        pad_token_id=1,
        eos_token_id=1,
    )
    model = tf.T5ForConditionalGeneration(config)
    return _bundle(_wild(model), byte_tokenizer_with_end(), "t5", "Seq2SeqLM", "encoder-decoder")
