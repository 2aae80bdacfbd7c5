"""Show the code: plain transformers that prints the very weights which are on screen."""

from core.catalog import ModelEntry
from core.lens.attention import AttentionMap
from core.lens.attention_inputs import TextPair
from core.ui.tasks.code import literal, load_lines


def code(item: ModelEntry, pair: TextPair, amap: AttentionMap, written: tuple[int, ...], layer: int, head: int) -> str:
    """A program that prints the tokens and the matrix of one head, a row a line.

    Args:
        item: the model.
        pair: the texts.
        amap: what was read, in the form of single tokens and heads.
        written: ids that the decoder of an encoder-decoder read.
        layer: from 0.
        head: from 0.
    """
    head_class = item.weights.head if item.weights is not None else None
    start = load_lines(item, head_class)
    # The fast implementation never holds the weights: only "eager" returns them. And files in half precision would
    # be computed so, where the app takes 32 bits.
    start += '\nmodel = model.float()\nmodel.set_attn_implementation("eager")\n'
    first, second = pair.first.strip("\n"), pair.second.strip("\n")
    lines = [start, f"text = {literal(first)}"]
    arguments = ""
    field = "attentions"
    if written:
        field = {"cross": "cross_attentions", "encoder": "encoder_attentions", "decoder": "decoder_attentions"}[
            amap.kind
        ]
        lines += [
            'inputs = tokenizer(text, return_tensors="pt")',
            f"decoder = torch.tensor([{list(written)}])",
        ]
        arguments = ", decoder_input_ids=decoder, use_cache=False"
    elif second.strip() and amap.kind == "encoder":
        lines += [f"second = {literal(second)}", 'inputs = tokenizer(text, second, return_tensors="pt")']
    elif second.strip():
        lines += [f"second = {literal(second)}", 'inputs = tokenizer(f"{text} {second}", return_tensors="pt")']
    else:
        lines.append('inputs = tokenizer(text, return_tensors="pt")')
    rows = 'inputs["input_ids"]' if not written or amap.kind == "encoder" else "decoder"
    lines += [
        "with torch.inference_mode():",
        f"    out = model(**inputs{arguments}, output_attentions=True)",
        "",
        f"layer, head = {layer}, {head}  # counted from 0",
        f"weights = out.{field}[layer][0, head]",
        f"tokens = tokenizer.convert_ids_to_tokens({rows}[0])",
        "for token, row in zip(tokens, weights.tolist()):",
        '    print(token, " ".join(f"{weight:.4f}" for weight in row))',
    ]
    return "\n".join(lines) + "\n"
