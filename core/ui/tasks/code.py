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
        return _both_lines(item, item)
    if item.weights is not None and item.weights.base and head == "Seq2SeqLM":
        return _both_lines(item, entry(item.weights.base))
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
        "model = PeftModel.from_pretrained(model.float(), adapter).merge_and_unload().eval()\n"
    )


def _both_lines(item: ModelEntry, home: ModelEntry) -> str:
    """Lines for an encoder-decoder whose halves are models of their own.

    Args:
        item: the model; perhaps an adapter of ``home``.
        home: whose decoder and encoder it uses.
    """
    assert item.weights is not None and home.weights is not None and home.weights.encoder is not None
    extra, read = place(entry(home.weights.encoder))
    _none, written = place(home)
    adapted, reads, also = item is not home, item.weights.encoder_adapter, item.weights.encoder_also
    classes = ["AutoModelForCausalLM", "AutoTokenizer", "EncoderDecoderModel"]
    classes += ["AutoConfig", "AutoModelForQuestionAnswering"] if reads else ["AutoModel"]
    lines = (
        f"import torch\n{extra}" + ("from peft import PeftModel\n" if adapted else "") + f"from transformers import "
        f"{', '.join(sorted(classes))}\n\n"
        f"tokenizer = AutoTokenizer.from_pretrained({written})\n"
    )
    layers = item.weights.encoder_layers
    if reads:
        _none, adapter = place(entry(reads))
        lines += (
            f"reader = {adapter}\n"
            "# The encoder reads with an adapter of its own, which has learnt where an answer stands.\n"
            f"encoder = AutoModelForQuestionAnswering.from_pretrained({read}, "
            "config=AutoConfig.from_pretrained(reader))\n"
            "encoder = PeftModel.from_pretrained(encoder, reader).merge_and_unload().bert\n"
        )
    else:
        lines += (
            "# The encoder is a model of its own, whose lower layers are read; the decoder was trained on them.\n"
            f"encoder = AutoModel.from_pretrained({read}, num_hidden_layers={layers}, add_pooling_layer=False)\n"
        )
    if also:
        lines += (
            "\n\ndef ask(encoder, args, options):\n"
            '    return args, {**options, "output_hidden_states": True}\n\n\n'
            "def add(encoder, args, read):\n"
            f"    read.last_hidden_state = read.last_hidden_state + read.hidden_states[{also}]\n"
            "    return read\n\n\n"
            f"# The decoder knows layer {also}, which says what words there are; the last says where the answer is.\n"
            "encoder.register_forward_pre_hook(ask, with_kwargs=True)\n"
            "encoder.register_forward_hook(add)\n"
        )
    lines += (
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
    if adapted:
        _none, own = place(item)
        lines += f"model = PeftModel.from_pretrained(model, {own})\nmodel = model.merge_and_unload().eval()\n"
    return lines
