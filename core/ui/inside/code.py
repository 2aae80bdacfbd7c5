"""Show the code: plain transformers that prints the very row of numbers which is on screen."""

from collections.abc import Callable, Mapping
from typing import Final

from core.catalog import ModelEntry
from core.lens.forward_reading import ForwardRequest, StepValues
from core.ui.tasks.code import literal, load_lines

_SPY = '''
import torch.nn.functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

kept = {}


def attention(module, query, key, value, attention_mask, scaling=None, position_bias=None, **options):
    """Attention step by step, in place of the library's own function."""
    groups = query.shape[1] // key.shape[1]
    step = {"query-rotated": query, "key-rotated": key}
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = step["scores"] = query @ key.transpose(2, 3) * scaling
    if position_bias is not None:
        scores = step["position-bias"] = scores + position_bias
    if attention_mask is not None:
        scores = scores + attention_mask
    step["mask"] = scores
    step["weights"] = F.softmax(scores, dim=-1)
    step["mixed"] = step["weights"] @ value
    kept[id(module)] = step
    return step["mixed"].transpose(1, 2).contiguous(), step["weights"]


AttentionInterface.register("step_by_step", attention)
AttentionMaskInterface.register("step_by_step", eager_mask)
model.set_attn_implementation("step_by_step")
'''


def code(
    item: ModelEntry, wanted: ForwardRequest, found: StepValues, written: tuple[int, ...], head: int, row: int
) -> str | None:
    """A program that prints one row of a step's values.

    Args:
        item: the model.
        wanted: the texts.
        found: the step.
        written: ids that the decoder has written.
        head: from 0.
        row: from 0.

    Returns:
        ``None`` where plain transformers doesn't let one see the step.
    """
    tap, step = found.tap, found.step
    if tap is None:
        return None
    weights = item.weights
    start = load_lines(item, weights.head if weights is not None else None)
    # Files in half precision would be computed so, where the app takes 32 bits.
    lines = [start + "model = model.float()"]
    first, second = wanted.text.strip("\n"), wanted.second.strip("\n")
    lines.append(f"text = {literal(first)}")
    if second.strip() and item.architecture == "encoder":
        lines += [f"second = {literal(second)}", 'inputs = tokenizer(text, second, return_tensors="pt")']
    elif second.strip() and item.architecture == "decoder":
        lines.append(f'inputs = tokenizer(f"{{text}} {{{literal(second)}}}", return_tensors="pt")')
    else:
        lines.append('inputs = tokenizer(text, return_tensors="pt")')
    arguments = "**inputs"
    if item.architecture == "decoder":
        lines.append('ids = inputs["input_ids"]')
        if written:
            lines.append(f"ids = torch.cat([ids, torch.tensor([{list(written)}])], dim=1)  # written so far")
        arguments = "ids, use_cache=False"
    elif item.architecture == "encoder-decoder":
        lines += [
            "start = model.config.decoder_start_token_id",
            f"written = torch.tensor([[start, *{list(written)}]])",
        ]
        arguments = 'inputs["input_ids"], decoder_input_ids=written, use_cache=False'
    turn = "-1" if step.stack == "decoder" else "0"
    if tap.kind == "attention":
        lines += [
            _SPY,
            "with torch.inference_mode():",
            f"    model({arguments})",
            f"values = kept[id(model.get_submodule({tap.module!r}))][{step.op!r}]",
        ]
    elif tap.kind in ("output", "input"):
        hook = (
            "module.register_forward_hook(lambda module, given, made: kept.append(made))"
            if tap.kind == "output"
            else "module.register_forward_pre_hook(lambda module, given: kept.append(given[0]))"
        )
        lines += [
            "kept = []",
            f"module = model.get_submodule({tap.module!r})",
            hook,
            "with torch.inference_mode():",
            f"    model({arguments})",
            f"values = kept[{turn}]" + (f"[..., {tap.part[0]}:{tap.part[1]}]" if tap.part is not None else ""),
        ]
        if step.axes[1] == "heads":
            heads, size = step.shape[1], step.shape[3]
            lines.append(f"values = values.view(1, -1, {heads}, {size}).transpose(1, 2)  # cut into heads")
    else:
        lines += ["with torch.inference_mode():", f"    out = model({arguments}, output_hidden_states=False)"]
        decoder_ids = step.id == "decoder.embeddings.ids" and item.architecture == "encoder-decoder"
        lines.append("values = written" if decoder_ids else _END[step.op](item))
    # Some tables of positions give their rows without a batch.
    place = {4: f"[0, {head}, {row}]", 3: f"[..., {row}, :].flatten()", 2: "[0]"}[len(step.shape)]
    if step.op == "ids":
        place = "[0]"
    if found.columns:
        lines.append(f"columns = {list(found.columns)}  # of the whole vocabulary, those on screen")
        place += "[columns]"
    lines += [f"row = values{place}", 'print(" ".join(f"{value:.4f}" for value in row.tolist()))']
    return "\n".join(lines) + "\n"


def _logits(item: ModelEntry) -> str:
    head = item.weights.head if item.weights is not None else None
    if head == "PreTraining":
        return "out.prediction_logits"
    if head == "QuestionAnswering":
        return "torch.stack([out.start_logits, out.end_logits], dim=1)"
    return "out.logits"


_END: Final[Mapping[str, Callable[[ModelEntry], str]]] = {
    "ids": lambda item: 'values = inputs["input_ids"]' if item.architecture != "decoder" else "values = ids",
    "mean": lambda item: "values = out.last_hidden_state.mean(1)",
    "unit": lambda item: "mean = out.last_hidden_state.mean(1)\nvalues = mean / mean.norm(dim=-1, keepdim=True)",
    "probabilities": lambda item: f"values = {_logits(item)}.softmax(-1)",
    "follows": lambda item: "values = out.seq_relationship_logits.softmax(-1)",
    "logits-bias": lambda item: "values = out.logits",
}
