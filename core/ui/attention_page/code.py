"""Show the code: plain transformers that prints the very numbers which are on screen."""

from collections.abc import Sequence
from typing import Final

from core.catalog import ModelEntry
from core.lens.attention import AttentionMap, Kind
from core.lens.attention_heads import PLACE_SHARE
from core.lens.attention_inputs import TextPair
from core.ui.tasks.code import literal, load_lines

_FIELDS: Final[dict[Kind, str]] = {
    "cross": "cross_attentions",
    "encoder": "encoder_attentions",
    "decoder": "decoder_attentions",
}
# What each measure of a head is on one text: ``(layers, heads)``, over ``own``, the rows of the text's own tokens.
_MEASURES: Final = {
    "previous": "shifted(-1)",
    "next": "shifted(1)",
    "itself": "shifted(0)",
    "first": "weights[:, :, own, 0].mean(-1)",
    "separators": "weights[:, :, own][..., marks].sum(-1).mean(-1)",
    "entropy": "torch.special.entr(weights[:, :, own]).sum(-1).mean(-1) / math.log(2)",
    "distance": "(weights[:, :, own] * (torch.arange(count) - own[:, None]).abs()).sum(-1).mean(-1)",
}
_PLACES: Final = ("previous", "next", "itself", "first", "separators")


def _start(item: ModelEntry) -> str:
    # The fast implementation never holds the weights: only "eager" returns them. And files in half precision would
    # be computed so, where the app takes 32 bits.
    lines = load_lines(item, item.weights.head if item.weights is not None else None)
    return lines + '\nmodel = model.float()\nmodel.set_attn_implementation("eager")\n'


def _read(item: ModelEntry, pair: TextPair, amap: AttentionMap, written: tuple[int, ...]) -> tuple[str, str, str]:
    """A program up to the model's answer ``out``, its field that holds the weights, and where the rows' ids are."""
    first, second = pair.first.strip("\n"), pair.second.strip("\n")
    lines = [_start(item), f"text = {literal(first)}"]
    arguments = ""
    field = "attentions"
    if written:
        field = _FIELDS[amap.kind]
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
    lines += [
        "with torch.inference_mode():",
        f"    out = model(**inputs{arguments}, output_attentions=True)",
        "",
    ]
    rows = 'inputs["input_ids"]' if not written or amap.kind == "encoder" else "decoder"
    return "\n".join(lines) + "\n", field, rows


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
    start, field, rows = _read(item, pair, amap, written)
    lines = [
        f"layer, head = {layer}, {head}  # counted from 0",
        f"weights = out.{field}[layer][0, head]",
        f"tokens = tokenizer.convert_ids_to_tokens({rows}[0])",
        "for token, row in zip(tokens, weights.tolist()):",
        '    print(token, " ".join(f"{weight:.4f}" for weight in row))',
    ]
    return start + "\n".join(lines) + "\n"


def find_code(
    item: ModelEntry,
    pair: TextPair,
    amap: AttentionMap,
    written: tuple[int, ...],
    row: Sequence[int],
    column: Sequence[int],
) -> str:
    """A program that prints the ten heads that most link two words: layer and head from 1, and the link.

    Args:
        item: the model.
        pair: the texts.
        amap: what was read.
        written: ids that the decoder of an encoder-decoder read.
        row: the tokens of one word, as rows.
        column: the tokens of the other, as columns.
    """
    start, field, _rows = _read(item, pair, amap, written)
    link = "link = weights[:, :, word][..., other].sum(-1).mean(-1)  # (layers, heads)"
    back = "link = torch.maximum(link, weights[:, :, other][..., word].sum(-1).mean(-1))  # or the other way round"
    lines = [
        f"weights = torch.stack(out.{field})[:, 0]  # (layers, heads, rows, columns)",
        f"word, other = {list(row)}, {list(column)}  # their tokens, counted from 0",
        link,
        *([] if amap.kind == "cross" else [back]),
        "for place in link.flatten().argsort(descending=True)[:10].tolist():",
        "    layer, head = divmod(place, link.shape[1])",
        '    print(layer + 1, head + 1, f"{link[layer, head]:.4f}")',
    ]
    return start + "\n".join(lines) + "\n"


def compare_code(sides: Sequence[tuple[ModelEntry, AttentionMap, tuple[int, ...]]], pair: TextPair) -> str:
    """A program that prints, for each model, the weights' shape and the share of attention that goes to what follows.

    Args:
        sides: the models, what was read of them, and what their decoders read, if they have one beside an encoder.
        pair: the texts.
    """
    programs = []
    for item, amap, written in sides:
        start, field, _rows = _read(item, pair, amap, written)
        lines = [
            f"weights = torch.stack(out.{field})[:, 0]  # (layers, heads, rows, columns)",
            "later = weights.triu(1).sum() / weights.sum()",
            'print(*weights.shape, f"{later:.4f}")',
        ]
        programs.append(f"# {item.id}\n{start}" + "\n".join(lines) + "\n")
    return "\n".join(programs)


def map_code(item: ModelEntry, texts: Sequence[str], measure: str) -> str | None:
    """A program that prints a measure of all heads over several texts, a layer a line.

    For ``"pattern"`` it prints where each head looks most and how much, or ``-`` where that is under the threshold.

    Args:
        item: the model.
        texts: the texts.
        measure: a field of ``HeadStatistics``, or ``"pattern"``.

    Returns:
        ``None`` for an encoder-decoder, whose decoder would have to write first.
    """
    if item.architecture == "encoder-decoder":
        return None
    wanted = _PLACES if measure == "pattern" else (measure,)
    own = "own = torch.tensor([place for place, special in enumerate(mask) if not special"
    own += " and place > 0])" if item.architecture == "decoder" else "])"
    lines = [
        ("import math\n" if measure == "entropy" else "") + _start(item),
        "texts = [",
        *(f"    {literal(text)}," for text in texts),
        "]",
        "",
        "",
        "def shifted(by):",
        '    """From each token to the one so many places further on."""',
        "    rows = own[(own + by >= 0) & (own + by < count)]",
        "    return weights[:, :, rows, rows + by].mean(-1)",
        "",
        "",
        f"sums, seen = {{name: 0 for name in {list(wanted)}}}, 0",
        "for text in texts:",
        '    inputs = tokenizer(text, return_tensors="pt")',
        '    ids = inputs["input_ids"][0].tolist()',
        "    mask = tokenizer.get_special_tokens_mask(ids, already_has_special_tokens=True)",
        f"    {own}",
        "    marks = [place for place, special in enumerate(mask) if special and place > 0]",
        "    count = len(ids)",
        "    with torch.inference_mode():",
        "        out = model(**inputs, output_attentions=True)",
        "    weights = torch.stack(out.attentions)[:, 0]  # (layers, heads, rows, columns)",
        *(f'    sums["{name}"] += {_MEASURES[name]} * len(own)' for name in wanted),
        "    seen += len(own)",
        "",
    ]
    if measure == "pattern":
        lines += [
            "shares = torch.stack([total / seen for total in sums.values()])  # (places, layers, heads)",
            "most, which = shares.max(0)",
            "names = list(sums)",
            "for layer in range(most.shape[0]):",
            "    best = zip(most[layer].tolist(), which[layer].tolist())",
            f"    said = [(names[index], share) if share >= {PLACE_SHARE} else None for share, index in best]",
            '    print(*(f"{cell[0]}:{cell[1]:.4f}" if cell else "-" for cell in said))',
        ]
    else:
        lines += [
            f'for row in (sums["{measure}"] / seen).tolist():',
            '    print(*(f"{value:.4f}" for value in row))',
        ]
    return "\n".join(lines) + "\n"
