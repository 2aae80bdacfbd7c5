"""Show the code: plain transformers that prints what is on screen, one function a part."""

from collections.abc import Sequence

from core.catalog import ModelEntry
from core.lens.cosine import CosineSteps
from core.lens.embeddings import InputEmbeddings
from core.lens.embeddings_contexts import ContextVectors
from core.lens.embeddings_neighbours import Measure, Neighbours
from core.lens.embeddings_positions import PositionVectors
from core.ui.tasks.code import literal, load_lines

_COSINE = "unit = torch.nn.functional.normalize(vectors, dim=-1)\n"


def _start(item: ModelEntry, paired: bool) -> str:
    # Files in half precision would be computed so, where the app takes 32 bits.
    stack = "model.get_encoder()" if paired else "model"
    return load_lines(item, None) + f"\nstack = {stack}.float()\n"


def _paired(item: ModelEntry) -> bool:
    return item.architecture == "encoder-decoder"


def _read(item: ModelEntry, first: str, second: str) -> str:
    lines = f"text = {literal(first.strip(chr(10)))}\n"
    second = second.strip("\n")
    if not second.strip():
        return lines + 'inputs = tokenizer(text, return_tensors="pt")\n'
    lines += f"second = {literal(second)}\n"
    # An encoder reads a pair; the others one text after the other.
    both = "text, second" if item.architecture == "encoder" else 'f"{text} {second}"'
    return lines + f'inputs = tokenizer({both}, return_tensors="pt")\n'


def sum_code(item: ModelEntry, first: str, second: str, found: InputEmbeddings) -> str:
    """Prints each token with the length of each vector that is added, and of what enters the first layer."""
    lines = [_start(item, found.paired), _read(item, first, second)]
    scale = f" * {found.scale!r}" if found.scale != 1 else ""
    lines.append(f'word = stack.{found.parts[0].path}.weight[inputs["input_ids"][0]]{scale}')
    names = ["word"]
    for part in found.parts[1:]:
        if part.kind == "position":
            low, high = part.rows[0], part.rows[-1] + 1
            plain = part.rows == tuple(range(low, high))
            rows = f"torch.arange({low}, {high})" if plain else f"torch.tensor({list(part.rows)})"
        else:
            rows = f"torch.tensor({list(part.rows)})"
        lines.append(f"{part.kind} = stack.{part.path}.weight[{rows}]")
        names.append(part.kind)
    lines.append(f"x = {' + '.join(names)}")
    if found.norm_path:
        lines.append(f"x = stack.{found.norm_path}(x)")
    lines += [
        "",
        'for at, token in enumerate(tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])):',
        f"    lengths = [vectors[at].norm().item() for vectors in ({', '.join([*names, 'x'])})]",
        '    print(token, " ".join(f"{length:.4f}" for length in lengths))',
    ]
    return "\n".join(lines) + "\n"


def positions_code(item: ModelEntry, found: PositionVectors, count: int, anchor: int) -> str:
    """Prints the cosine of one position and each of the others; for RoPE, what a distance leaves."""
    if found.kind == "rotary":
        return (
            _start(item, found.paired) + "frequencies = stack.rotary_emb.inv_freq\n"
            f"for distance in range({count}):\n"
            '    print(distance, f"{torch.cos(distance * frequencies).mean():.4f}")\n'
        )
    return (
        _start(item, found.paired)
        + f"vectors = stack.{found.path}.weight[{found.first_row}:{found.first_row + count}]\n"
        + _COSINE
        + f"for position, cosine in enumerate((unit @ unit[{anchor}]).tolist()):\n"
        '    print(position, f"{cosine:.4f}")\n'
    )


def sinusoids_code(count: int, width: int, anchor: int) -> str:
    """Prints the cosine of one position and each of the others, for the fixed vectors of 2017."""
    return (
        "import numpy as np\n\n"
        f"rates = 10000.0 ** (-2 * np.arange({(width + 1) // 2}) / {width})\n"
        f"angles = np.arange({count})[:, None] * rates\n"
        f"vectors = np.zeros(({count}, {width}))\n"
        "vectors[:, 0::2] = np.sin(angles)\n"
        f"vectors[:, 1::2] = np.cos(angles[:, :{width // 2}])\n"
        "unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)\n"
        f"for position, cosine in enumerate(unit @ unit[{anchor}]):\n"
        '    print(position, f"{cosine:.4f}")\n'
    )


def neighbours_code(item: ModelEntry, found: Neighbours, measure: Measure, special: bool) -> str:
    """Prints the nearest pieces and how near they are."""
    number, _piece = found.pieces[found.pick]
    lines = [
        _start(item, _paired(item)),
        f"table = stack.get_input_embeddings().weight[: {found.vocabulary}].detach()  # (vocabulary, width)",
    ]
    if measure == "centred":
        lines.append("table = table - table.mean(0)")
    lines.append(f"piece = table[{number}]")
    near = {
        "dot": "table @ piece",
        "cosine": "torch.nn.functional.cosine_similarity(table, piece[None])",
        "centred": "torch.nn.functional.cosine_similarity(table, piece[None])",
    }[measure]
    lines += [f"near = {near}", f"near[{number}] = -torch.inf  # not itself"]
    if not special:
        lines.append("near[tokenizer.all_special_ids] = -torch.inf")
    lines += [
        f"values, ids = near.topk({len(found.found) + (0 if special else 1_000)})",
        "pieces = tokenizer.convert_ids_to_tokens(ids)",
    ]
    if not special:
        lines.append('kept = [(p, v) for p, v in zip(pieces, values.tolist()) if "unused" not in p]')
    else:
        lines.append("kept = list(zip(pieces, values.tolist()))")
    lines += [f"for piece, value in kept[:{len(found.found)}]:", '    print(piece, f"{value:.4f}")']
    return "\n".join(lines) + "\n"


def contexts_code(item: ModelEntry, sentences: Sequence[str], found: ContextVectors, layer: int | None) -> str:
    """Prints the cosine of every two occurrences of the word at one layer."""
    first: dict[int, int] = {}
    for at, sentence in enumerate(found.sentence_of):
        first.setdefault(sentence, at)
    places = [(p.sentence, [at - first[p.sentence] for at in p.tokens]) for p in found.places]
    states = (
        'stack.get_input_embeddings().weight[inputs["input_ids"]]'
        if layer is None
        else f"stack(**inputs, output_hidden_states=True).hidden_states[{layer}]"
    )
    return (
        _start(item, _paired(item))
        + "sentences = [\n"
        + "".join(f"    {literal(sentence.strip(chr(10)))},\n" for sentence in sentences)
        + "]\n# the word's tokens in each sentence\n"
        f"places = {places}\n"
        "vectors = []\n"
        "for sentence, tokens in places:\n"
        '    inputs = tokenizer(sentences[sentence], return_tensors="pt")\n'
        "    with torch.inference_mode():\n"
        f"        states = {states}\n"
        "    vectors.append(states[0, tokens].mean(0))\n"
        "vectors = torch.stack(vectors)\n" + _COSINE + "for row in (unit @ unit.T).tolist():\n"
        '    print(" ".join(f"{cosine:.4f}" for cosine in row))\n'
    )


def pooling_code(item: ModelEntry, pairs: Sequence[tuple[str, str]], names: Sequence[str]) -> str:
    """Prints, for each way to pool, the share of sentences whose paraphrase is the nearest."""
    vectors = {
        "mean": "states.mean(0)",
        "cls": "states[0]",
        "last": "states[-1]",
        "static": "words[~special].mean(0)",
    }
    chosen = ", ".join(f'"{name}": {vectors[name]}' for name in names)
    return (
        _start(item, _paired(item))
        + "pairs = [\n"
        + "".join(f"    ({literal(a)}, {literal(b)}),\n" for a, b in pairs)
        + "]\n\n\ndef ways(sentence):\n"
        '    inputs = tokenizer(sentence, return_tensors="pt", return_special_tokens_mask=True)\n'
        '    special = inputs.pop("special_tokens_mask")[0].bool()\n'
        '    words = stack.get_input_embeddings().weight[inputs["input_ids"][0]]\n'
        "    with torch.inference_mode():\n"
        "        states = stack(**inputs).last_hidden_state[0]\n"
        f"    return {{{chosen}}}\n\n\n"
        "first = [ways(a) for a, _b in pairs]\n"
        "second = [ways(b) for _a, b in pairs]\n"
        "for name in first[0]:\n"
        "    a = torch.nn.functional.normalize(torch.stack([one[name] for one in first]), dim=-1)\n"
        "    b = torch.nn.functional.normalize(torch.stack([one[name] for one in second]), dim=-1)\n"
        "    found = (a @ b.T).argmax(1) == torch.arange(len(pairs))\n"
        '    print(name, f"{found.float().mean():.4f}")\n'
    )


def cosine_code(u: Sequence[float], v: Sequence[float], _steps: CosineSteps) -> str:
    """Prints the dot product, the lengths and the cosine."""
    return (
        "import math\n\n"
        f"u, v = {list(u)}, {list(v)}\n"
        "dot = sum(a * b for a, b in zip(u, v))\n"
        "norm_u, norm_v = math.hypot(*u), math.hypot(*v)\n"
        'print("u·v", f"{dot:.4f}")\n'
        'print("‖u‖", f"{norm_u:.4f}")\n'
        'print("‖v‖", f"{norm_v:.4f}")\n'
        'print("cos", f"{dot / (norm_u * norm_v):.4f}")\n'
    )


def batch_code(item: ModelEntry, sentences: Sequence[str], padding: int, has_padding: bool) -> str:
    """Prints the shapes, and what forgetting the mask does to each sentence."""
    start = _start(item, _paired(item))
    if not has_padding:
        start += (
            f"# this tokenizer has no token for padding: another has to stand in\ntokenizer.pad_token_id = {padding}\n"
        )
    return (
        start + 'tokenizer.padding_side = "right"\n'
        "sentences = [\n" + "".join(f"    {literal(one.strip(chr(10)))},\n" for one in sentences) + "]\n"
        'ids = tokenizer(sentences[0], return_tensors="pt")["input_ids"][0]\n'
        'print("one sentence", tuple(ids.shape), "unsqueeze(0)", tuple(ids.unsqueeze(0).shape))\n'
        'batch = tokenizer(sentences, padding=True, return_tensors="pt")\n'
        'ids, mask = batch["input_ids"], batch["attention_mask"]\n'
        'print("batch", tuple(ids.shape))\n'
        "with torch.inference_mode():\n"
        "    masked = stack(input_ids=ids, attention_mask=mask).last_hidden_state\n"
        "    bare = stack(input_ids=ids, attention_mask=torch.ones_like(mask)).last_hidden_state\n"
        'print("output", tuple(masked.shape))\n'
        "for row, length in enumerate(mask.sum(1).tolist()):\n"
        '    one = tokenizer(sentences[row], return_tensors="pt")["input_ids"]\n'
        "    with torch.inference_mode():\n"
        "        alone = stack(input_ids=one).last_hidden_state[0]\n"
        "    with_mask = (masked[row, :length] - alone).abs().max()\n"
        "    without = (bare[row, :length] - alone).abs().max()\n"
        '    print("sentence", row + 1, f"{with_mask:.4f} {without:.4f}")\n'
    )
