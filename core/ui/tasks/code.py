"""The beginnings of "show the code": how plain transformers loads a model of the catalogue."""

from core.catalog import MODELS_FOLDER, ModelEntry, entry
from core.training.tuning.export import zip_folder

_ROOT = MODELS_FOLDER.parent.parent


def literal(text: str) -> str:
    """``text`` as a Python literal; lone surrogates and control characters are escaped."""
    return repr(text) if text.isprintable() else ascii(text)


def place(item: ModelEntry) -> tuple[str, str]:
    """An import line (or nothing) and the expression that ``from_pretrained`` takes for ``item``'s files."""
    if item.embedded is None:
        return "", repr(item.id)
    kind, _colon, name = item.embedded.partition(":")
    if kind == "package":
        return f"import {name}\n", f"{name}.MODEL_DIR"
    if kind == "folder":
        return "# The folder in the ZIP of your model, which the page Ajuste fino gives you.\n", repr(zip_folder())
    return "", repr(str((MODELS_FOLDER / name).relative_to(_ROOT)))


def load_lines(item: ModelEntry, head: str | None) -> str:
    """Python lines that define ``tokenizer`` and ``model``; the caller adds no import for them.

    Args:
        item: the model.
        head: suffix of the Auto class; ``None`` for the body alone.
    """
    auto = f"AutoModelFor{head}" if head else "AutoModel"
    if item.weights is not None and item.weights.encoder is not None:
        return _both_lines(item, item.weights.encoder)
    if item.weights is None or item.weights.base is None:
        extra, where = place(item)
        return (
            f"import torch\n{extra}from transformers import {auto}, AutoTokenizer\n\n"
            f"tokenizer = AutoTokenizer.from_pretrained({where})\n"
            f"model = {auto}.from_pretrained({where}).eval()\n"
        )
    extra, base = place(entry(item.weights.base))
    _none, adapter = place(item)
    return (
        f"import torch\n{extra}from peft import PeftModel\n"
        f"from transformers import AutoConfig, {auto}, AutoTokenizer\n\n"
        f"adapter = {adapter}\n"
        f"tokenizer = AutoTokenizer.from_pretrained({base})\n"
        f"model = {auto}.from_pretrained({base}, config=AutoConfig.from_pretrained(adapter))\n"
        "# LoRA: a few small matrices that were trained, and the head, on top of the encoder as it was.\n"
        "model = PeftModel.from_pretrained(model, adapter).eval()\n"
    )


def _both_lines(item: ModelEntry, encoder: str) -> str:
    assert item.weights is not None
    extra, read = place(entry(encoder))
    _none, written = place(item)
    return (
        f"import torch\n{extra}"
        "from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, EncoderDecoderModel\n\n"
        f"tokenizer = AutoTokenizer.from_pretrained({written})\n"
        "# The encoder is a model of its own, whose lower layers are read; the decoder was trained on them.\n"
        f"encoder = AutoModel.from_pretrained({read}, num_hidden_layers={item.weights.encoder_layers}, "
        "add_pooling_layer=False)\n"
        f"decoder = AutoModelForCausalLM.from_pretrained({written})\n"
        "model = EncoderDecoderModel(encoder=encoder, decoder=decoder).float().eval()\n"
        "marks = {\n"
        f'    "decoder_start_token_id": tokenizer.convert_tokens_to_ids({item.weights.start!r}),  '
        "# the language wanted\n"
        '    "eos_token_id": tokenizer.eos_token_id,\n'
        '    "pad_token_id": tokenizer.pad_token_id,\n'
        "}\n"
        "model.config.update(marks)\n"
        "model.generation_config.update(**marks)\n"
    )
