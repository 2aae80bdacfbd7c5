"""The attention weights of a model that read one or two texts.

Vaswani et al. 2017, "Attention Is All You Need", section 3.2: softmax(QKᵀ/√d). The weights are those that the
model's own code returns (``output_attentions``); nothing is computed again here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from core.errors import ModelUnavailable
from core.i18n import get_language
from core.i18n import gettext as _
from core.lens.attention import AttentionMap, Kind
from core.lens.attention_inputs import Inputs, TextPair, kinds_of, prepare
from core.runtime.bundle import ModelBundle


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model looked at.

    Attributes:
        map: the weights.
        kinds: the attentions that this model has.
        written: ids that the decoder of an encoder-decoder read; empty for other models.
        decoded: the same as text.
    """

    map: AttentionMap
    kinds: tuple[Kind, ...]
    written: tuple[int, ...]
    decoded: str


def _no_attentions(bundle: ModelBundle) -> ModelUnavailable:
    return ModelUnavailable(
        _("{name} no entrega atenciones: o no las calcula, o su código no las deja ver. Elige otro modelo.").format(
            name=bundle.entry.name(get_language())
        )
    )


def attention_of(bundle: ModelBundle, inputs: Inputs) -> AttentionMap:
    """Runs the model and collects the weights of one stack.

    Args:
        bundle: a view with eager attention.
        inputs: from ``prepare``.

    Raises:
        ModelUnavailable: the model gives no attention weights.
    """
    import torch

    model: Any = bundle.model
    try:
        out = model(**inputs.arguments(bundle.device.name), output_attentions=True)
    except TypeError as error:  # some models without attention refuse the very argument
        raise _no_attentions(bundle) from error
    if not inputs.written:
        found = out.get("attentions")
    else:
        name = {"cross": "cross_attentions", "encoder": "encoder_attentions", "decoder": "decoder_attentions"}
        found = out.get(name[inputs.kind])
    if not found or any(layer is None or layer.ndim != 4 for layer in found):
        raise _no_attentions(bundle)
    stacked = torch.stack([layer[0].float() for layer in found]).cpu()  # (layers, heads, rows, columns)
    if bundle.dtype != "float32":
        # Half precision rounds each weight: a row is off by up to a thousandth, which the drawing would show.
        stacked = stacked / stacked.sum(-1, keepdim=True)
    weights = np.ascontiguousarray(stacked.numpy())
    return AttentionMap(bundle.entry.key, inputs.kind, inputs.rows, inputs.columns, weights)


class ReadAttention:
    """The task."""

    name = "attention"
    attention = True
    max_batch = 2

    def run(self, bundle: ModelBundle, requests: Sequence[TextPair]) -> list[Reading]:
        """The weights for each text.

        Raises:
            InputInvalid: no text.
            InputTooLong: too many tokens for the model or the page.
            ModelUnavailable: the model gives no attention weights, or not of that kind.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: TextPair) -> Reading:
        inputs = prepare(bundle, request)
        return Reading(attention_of(bundle, inputs), kinds_of(bundle), inputs.written, inputs.decoded)


TASK: Final = ReadAttention()
