"""Random models of the families that only the forward pass has to know."""

from functools import cache
from typing import Any

import torch

from core.runtime.bundle import ModelBundle
from tests.lens.attention_models import _bundle, _wild, byte_tokenizer, byte_tokenizer_with_end, family, wordpiece
from tests.runtime.models import WORDS, tiny_config

WORDPIECE_TEXT = "hola mundo . el niños"
BYTE_TEXT = "El perro come."

_SMALL = {
    "vocab_size": len(WORDS),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
OLD = ("bert", "roberta", "electra", "gpt2", "llama", "bart", "t5")
NEW = (
    "bert-pretraining",
    "bert-body",
    "bert-classes",
    "bert-labels",
    "bert-answers",
    "roberta-classes",
    "electra-classes",
    "distilbert",
    "distilbert-classes",
    "distilbert-answers",
    "qwen3",
    "marian",
    "flan-t5",
    "bert2bert",
)


def text_of(name: str) -> str:
    encoder = any(name.startswith(kind) for kind in ("bert", "roberta", "electra", "distilbert"))
    return WORDPIECE_TEXT if encoder else BYTE_TEXT


def _encoder(model: Any, name: str, head: str | None) -> ModelBundle:
    # Biases and norms that are all zero or one would hide what adds or multiplies them.
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.add_(0.2 * torch.randn_like(weight))
    return _bundle(_wild(model), wordpiece(), name, head, "encoder", 32)


@cache
def forward_family(name: str) -> ModelBundle:
    import transformers as tf

    if name in OLD:
        return family(name)
    torch.manual_seed(11)
    vocabulary = len(byte_tokenizer())
    distil = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "vocab_size": len(WORDS), "pad_token_id": 0}
    if name == "bert-pretraining":
        return _encoder(tf.BertForPreTraining(tiny_config()), name, "PreTraining")
    if name == "bert-body":
        return _encoder(tf.BertModel(tiny_config()), name, None)
    if name == "bert-classes":
        return _encoder(tf.BertForSequenceClassification(tiny_config(num_labels=3)), name, "SequenceClassification")
    if name == "bert-labels":
        return _encoder(tf.BertForTokenClassification(tiny_config(num_labels=5)), name, "TokenClassification")
    if name == "bert-answers":
        return _encoder(tf.BertForQuestionAnswering(tiny_config()), name, "QuestionAnswering")
    if name == "roberta-classes":
        model = tf.RobertaForSequenceClassification(tf.RobertaConfig(**_SMALL, num_labels=3))
        return _encoder(model, name, "SequenceClassification")
    if name == "electra-classes":
        model = tf.ElectraForSequenceClassification(tf.ElectraConfig(**_SMALL, embedding_size=16, num_labels=3))
        return _encoder(model, name, "SequenceClassification")
    if name == "distilbert":
        return _encoder(tf.DistilBertForMaskedLM(tf.DistilBertConfig(**distil)), name, "MaskedLM")
    if name == "distilbert-classes":
        model = tf.DistilBertForSequenceClassification(tf.DistilBertConfig(**distil, num_labels=2))
        return _encoder(model, name, "SequenceClassification")
    if name == "distilbert-answers":
        return _encoder(tf.DistilBertForQuestionAnswering(tf.DistilBertConfig(**distil)), name, "QuestionAnswering")
    if name == "qwen3":
        config = tf.Qwen3Config(
            vocab_size=vocabulary,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=64,
        )
        return _bundle(_wild(tf.Qwen3ForCausalLM(config)), byte_tokenizer(), name, "CausalLM", "decoder")
    sizes = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 2}
    if name == "marian":
        config = tf.MarianConfig(
            vocab_size=vocabulary,
            d_model=32,
            **sizes,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            max_position_embeddings=64,
            scale_embedding=True,
            activation_function="swish",
            pad_token_id=1,
            eos_token_id=1,
            decoder_start_token_id=1,
            forced_eos_token_id=None,
        )
        model = tf.MarianMTModel(config)
    elif name == "flan-t5":
        config = tf.T5Config(
            vocab_size=vocabulary,
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
            decoder_start_token_id=1,
            pad_token_id=1,
            eos_token_id=1,
        )
        model = tf.T5ForConditionalGeneration(config)
    else:
        small = {**_SMALL, "vocab_size": vocabulary}
        encoder = tf.BertConfig(**small)
        decoder = tf.BertConfig(**small, is_decoder=True, add_cross_attention=True)
        config = tf.EncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
        config.decoder_start_token_id = config.pad_token_id = 1
        config.eos_token_id = 1
        model = tf.EncoderDecoderModel(config=config)
        model.generation_config.decoder_start_token_id = 1
        model.generation_config.pad_token_id = model.generation_config.eos_token_id = 1
    return _bundle(_wild(model), byte_tokenizer_with_end(), name, "Seq2SeqLM", "encoder-decoder")
