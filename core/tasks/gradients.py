"""Integrated gradients: how much each token adds to a label's probability (Sundararajan et al. 2017).

The input goes in a straight line from a baseline, the same text with every word's vector replaced by [MASK]'s, to
the text itself; along that line the gradients are added up. Their sum is what the answer gained on the way
(completeness), so the error of the sum says whether the steps were fine enough: they are doubled until it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.runtime.bundle import ModelBundle

if TYPE_CHECKING:
    import torch

# An error of the sum, in probability, that nobody sees on the page: half a point in a hundred.
TOLERANCE: Final = 0.005
FEWEST_STEPS: Final = 16
MOST_STEPS: Final = 128
# Tokens that go through the model at once, all steps together: gradients need several times a forward's memory.
_TOKENS_AT_ONCE: Final = 2_048


@dataclass(frozen=True, slots=True)
class Completeness:
    """The check that integrated gradients bring along.

    Attributes:
        baseline: the label's probability for the text with all its words masked.
        answer: the same for the text.
        total: the sum of all attributions, which should be ``answer − baseline``.
        steps: points on the line at which gradients were taken.
    """

    baseline: float
    answer: float
    total: float
    steps: int

    @property
    def error(self) -> float:
        """By how much the sum misses, in probability."""
        return abs(self.total - (self.answer - self.baseline))


def midpoints(steps: int) -> list[float]:
    """Where gradients are taken between 0 and 1: in the middle of ``steps`` equal parts."""
    return [(index + 0.5) / steps for index in range(steps)]


def integrated(
    gradient: "Callable[[torch.Tensor], torch.Tensor]",
    start: "torch.Tensor",
    end: "torch.Tensor",
    steps: int,
    at_once: int,
) -> "torch.Tensor":
    """Attributions by the midpoint rule.

    Args:
        gradient: points ``(n, tokens, width)`` → the function's gradients there, of the same shape.
        start: the baseline ``(tokens, width)``.
        end: the input ``(tokens, width)``.
        steps: points on the line.
        at_once: points that are computed together.

    Returns:
        One attribution a token, ``(tokens,)``; they add up to f(end) − f(start), but for the rule's error.
    """
    import torch

    line = end - start  # (tokens, width)
    total = torch.zeros_like(line)
    places = torch.tensor(midpoints(steps), dtype=line.dtype, device=line.device)
    for at in range(0, steps, max(1, at_once)):
        part = places[at : at + max(1, at_once)]
        points = start + part[:, None, None] * line  # (n, tokens, width)
        total += gradient(points).sum(0)
    return (line * total / steps).sum(-1)


def label_gradients(
    bundle: ModelBundle, text: str, label: int
) -> tuple[list[tuple[int, int]], list[float], Completeness]:
    """Attributions of a text's tokens to a label's probability.

    Args:
        bundle: a model that classifies texts.
        text: cut to the model's window.
        label: the label's number.

    Returns:
        Where each token stands (code points, special tokens left out), its attribution, and the check.
    """
    import torch

    with bundle.lock:
        encoded: Any = bundle.tokenizer(
            text,
            truncation=True,
            max_length=bundle.entry.window,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
    device = bundle.device.name
    model: Any = bundle.model
    # Engines compute in inference mode, which keeps nothing that a gradient could be made of.
    with torch.inference_mode(False), torch.enable_grad():
        special = torch.tensor(encoded["special_tokens_mask"], dtype=torch.bool, device=device)
        ids = torch.tensor(encoded["input_ids"], device=device)
        vectors = model.get_input_embeddings()
        masked = torch.full_like(ids, int(bundle.tokenizer.mask_token_id))
        end = vectors(ids).detach()  # (tokens, width)
        start = vectors(torch.where(special, ids, masked)).detach()
        types = encoded.get("token_type_ids")
        types = torch.tensor(types, device=device) if types is not None else None

        def chance(points: torch.Tensor) -> torch.Tensor:
            """The label's probability at ``(n, tokens, width)``: ``(n,)``."""
            n, tokens, _width = points.shape
            inputs = {"attention_mask": torch.ones(n, tokens, dtype=torch.long, device=device)}
            if types is not None:
                inputs["token_type_ids"] = types.expand(n, -1)
            probability: torch.Tensor = model(inputs_embeds=points, **inputs).logits.float().softmax(-1)[:, label]
            return probability

        def gradient(points: torch.Tensor) -> torch.Tensor:
            points = points.detach().requires_grad_()
            # Not ``backward``: the model is shared, and its own gradients must stay empty.
            (found,) = torch.autograd.grad(chance(points).sum(), points)
            return found

        with torch.no_grad():
            before, after = chance(torch.stack([start, end])).tolist()
        at_once = max(1, _TOKENS_AT_ONCE // len(ids))
        steps = FEWEST_STEPS
        while True:
            found = integrated(gradient, start, end, steps, at_once)
            check = Completeness(before, after, float(found.sum()), steps)
            if check.error <= TOLERANCE or steps >= MOST_STEPS:
                break
            steps *= 2
    spans, values = [], []
    for (low, high), value, apart in zip(encoded["offset_mapping"], found.tolist(), special.tolist(), strict=True):
        if not apart and high > low:
            spans.append((low, high))
            values.append(value)
    return spans, values, check
