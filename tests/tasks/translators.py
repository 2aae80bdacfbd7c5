"""A random translator of both directions, a Marian model as of 2017, for tests that need no trained one."""

from pathlib import Path

from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from core.tasks.translation import WANTED
from tests.runtime.models import tiny_entry

PAIRS = [
    ("The dog runs in the field.", "El perro corre por el campo."),
    ("The girl eats an apple.", "La niña come una manzana."),
    ("It rains a lot today.", "Hoy llueve mucho."),
] * 10
PIECES = 400


def write_translator(folder: Path) -> Path:
    """Writes it with a byte-level BPE whose vocabulary has a mark for each direction, as OPUS-MT's have."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import MarianConfig, MarianMTModel, PreTrainedTokenizerFast

    torch.manual_seed(3)
    folder.mkdir(parents=True, exist_ok=True)
    words = Tokenizer(models.BPE(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES,
        special_tokens=["<pad>", "</s>", "<unk>", *WANTED.values()],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator((side for pair in PAIRS for side in pair), trainer)
    words.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=words,
        model_max_length=256,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=list(WANTED.values()),
    ).save_pretrained(folder)
    net = MarianMTModel(
        MarianConfig(
            vocab_size=words.get_vocab_size(),
            decoder_vocab_size=words.get_vocab_size(),
            d_model=32,
            encoder_layers=1,
            decoder_layers=2,
            encoder_attention_heads=8,
            decoder_attention_heads=8,
            encoder_ffn_dim=128,
            decoder_ffn_dim=128,
            max_position_embeddings=256,
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
    with torch.no_grad():
        for weight in net.parameters():
            weight.mul_(3.0)  # a random model must not always say the same
    net.half().save_pretrained(folder)
    return folder


def translator(folder: Path) -> ModelBundle:
    """The same, loaded as it would ship, with eager attention."""
    item = tiny_entry("mt", "Seq2SeqLM", window=48)
    write_translator(folder / item.id)
    return load_bundle(item, Settings(models_dir=folder, offline=True), CPU).with_attention()
