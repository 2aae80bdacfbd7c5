"""The vectors behind attention weights: queries and keys as they meet, and the size of what each value adds.

transformers calls a registered function with each layer's query, key and value vectors, after rotary positions
and before the softmax. Ours computes the same attention and notes them down, or lets a token go unseen.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import ModelUnavailable
from core.i18n import get_language
from core.i18n import gettext as _
from core.lens.attention import Kind
from core.lens.attention_inputs import Inputs, TextPair, prepare
from core.runtime.bundle import ModelBundle

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]

IMPLEMENTATION: Final = "taller_trace"
_CROSS: Final = ("encoder_attn", "EncDecAttention", "crossattention")
# Position biases are of the order of ten; what is below this is a mask.
_MASKED: Final = -1e4
_PROJECTIONS: Final = ("o_proj", "out_proj", "c_proj", "o", "out_lin")


@dataclass(frozen=True)
class Call:
    """What one attention layer was given; shapes without the batch, which is one text.

    Attributes:
        module: the layer's name in the model.
        query: ``(heads, rows, d)``.
        key: ``(heads, columns, d)``, repeated where heads share it.
        value: ``(heads, columns, d)``.
        scale: what q·k is multiplied with, mostly 1/√d.
        bias: ``(1 or heads, rows, columns)``: mask and position bias, added before the softmax; ``None`` for none.
    """

    module: str
    query: "torch.Tensor"
    key: "torch.Tensor"
    value: "torch.Tensor"
    scale: float
    bias: "torch.Tensor | None"


@dataclass
class Trace:
    """What to do during one run of the model.

    Attributes:
        kinds: which kind of attention each module computes, by the module's identity.
        names: the modules' names, by the same.
        keep: the kind whose calls are kept; ``None`` for none.
        calls: those calls, in the order of the layers.
        hidden: ``(batch, columns)``, true for columns that nobody may look at but the token itself.
        hide_in: in which kinds of attention.
        only: layer and head of ``hide_in[0]`` in which it is hidden; ``None`` for all.
    """

    kinds: dict[int, Kind]
    names: dict[int, str]
    keep: Kind | None = None
    calls: list[Call] = field(default_factory=list)
    hidden: "torch.Tensor | None" = None
    hide_in: tuple[Kind, ...] = ()
    only: tuple[int, int] | None = None
    seen: dict[str, int] = field(default_factory=dict)


_current: ContextVar[Trace | None] = ContextVar("attention_trace", default=None)


def _attend(
    module: Any,
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    attention_mask: "torch.Tensor | None",
    scaling: float | None = None,
    dropout: float = 0.0,
    position_bias: "torch.Tensor | None" = None,
    **_options: Any,
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Attention as Vaswani et al. 2017 write it, in the signature that transformers calls."""
    groups = query.shape[1] // key.shape[1]
    if groups > 1:  # several query heads share one key head
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = query @ key.transpose(2, 3) * scale  # (batch, heads, rows, columns)
    bias = position_bias
    if attention_mask is not None:
        mask = attention_mask[..., : key.shape[-2]]
        bias = mask if bias is None else bias + mask
    if bias is not None:
        scores = scores + bias
    trace = _current.get()
    if trace is not None:
        scores = _noted(trace, module, query, key, value, scale, bias, scores)
    weights = scores.float().softmax(-1).to(query.dtype)
    return (weights @ value).transpose(1, 2).contiguous(), weights


def _noted(
    trace: Trace,
    module: Any,
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    scale: float,
    bias: "torch.Tensor | None",
    scores: "torch.Tensor",
) -> "torch.Tensor":
    import torch

    kind = trace.kinds[id(module)]
    layer = trace.seen.get(kind, 0)
    trace.seen[kind] = layer + 1
    if trace.keep == kind:
        own = None if bias is None else bias[0].float()
        parts = (query[0].float(), key[0].float(), value[0].float())
        trace.calls.append(Call(trace.names[id(module)], *parts, float(scale), own))
    if trace.hidden is None or kind not in trace.hide_in:
        return scores
    unseen = trace.hidden[:, None, None, :].expand(-1, scores.shape[1], scores.shape[2], -1)
    if kind != "cross":
        # A token always sees itself: there would be nothing left to look at for the first one of a decoder.
        unseen = unseen & ~torch.eye(scores.shape[2], dtype=torch.bool, device=scores.device)
    if trace.only is not None:
        if layer != trace.only[0]:
            return scores
        head = torch.zeros(scores.shape[1], dtype=torch.bool, device=scores.device)
        head[trace.only[1]] = True
        unseen = unseen & head[None, :, None, None]
    return scores.masked_fill(unseen, torch.finfo(scores.dtype).min)


def _traced(bundle: ModelBundle) -> ModelBundle:
    """A view of the model whose attention can be traced; made once, kept on the bundle."""
    kept = vars(bundle).get("_traced")
    if isinstance(kept, ModelBundle):
        return kept
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(IMPLEMENTATION, _attend)
    AttentionMaskInterface.register(IMPLEMENTATION, eager_mask)
    try:
        traced = bundle.with_attention(IMPLEMENTATION)
    except (ValueError, RuntimeError) as error:
        raise _untraceable(bundle) from error
    vars(bundle)["_traced"] = traced
    return traced


def _untraceable(bundle: ModelBundle) -> ModelUnavailable:
    return ModelUnavailable(
        _(
            "{name} no deja ver sus vectores q, k y v: solo sus pesos de atención. Prueba esta vista con otro modelo."
        ).format(name=bundle.entry.name(get_language()))
    )


def _modules(bundle: ModelBundle) -> tuple[dict[int, Kind], dict[int, str]]:
    both = getattr(bundle.model.config, "is_encoder_decoder", False)
    kinds: dict[int, Kind] = {}
    names: dict[int, str] = {}
    for name, module in bundle.model.named_modules():
        names[id(module)] = name
        if any(part in name for part in _CROSS):
            kinds[id(module)] = "cross"
        elif both:
            kinds[id(module)] = "decoder" if "decoder" in name else "encoder"
        else:
            kinds[id(module)] = "decoder" if bundle.entry.architecture == "decoder" else "encoder"
    return kinds, names


@contextmanager
def tracing(bundle: ModelBundle, **options: Any) -> Iterator[tuple[ModelBundle, Trace]]:
    """Within its body, runs of the model it yields are traced.

    Args:
        bundle: any view of the model.
        options: fields of ``Trace``: what to keep, what to hide.

    Raises:
        ModelUnavailable: the model's attention can't be traced.
    """
    traced = _traced(bundle)
    trace = Trace(*_modules(traced), **options)
    token = _current.set(trace)
    try:
        yield traced, trace
    finally:
        _current.reset(token)


def calls_of(bundle: ModelBundle, inputs: Inputs) -> tuple[ModelBundle, list[Call]]:
    """Runs the model on one text and gives what each layer of ``inputs.kind`` was given.

    Raises:
        ModelUnavailable: the model's attention can't be traced.
    """
    with tracing(bundle, keep=inputs.kind) as (traced, trace):
        traced.model(**inputs.arguments(traced.device.name))
    if not trace.calls:
        raise _untraceable(bundle)
    return traced, trace.calls


# --- queries and keys -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeadVectors:
    """Queries and keys of one head: softmax over j of ``query[i]·key[j]·scale + bias[i, j]`` is its attention.

    Attributes:
        layer: index, from 0.
        head: index, from 0.
        query: ``(rows, d)``, with rotary positions in it where the model has them.
        key: ``(columns, d)``; several heads of a layer may share one.
        scale: mostly 1/√d.
        bias: ``(rows, columns)``: position bias, and -inf where masked; ``None`` where nothing is added.
    """

    layer: int
    head: int
    query: Floats
    key: Floats
    scale: float
    bias: Floats | None

    def scores(self) -> Floats:
        """What goes into the softmax, ``(rows, columns)``."""
        scores = self.query @ self.key.T * np.float32(self.scale)
        return scores if self.bias is None else scores + self.bias

    def weights(self) -> Floats:
        """The attention that the vectors give, ``(rows, columns)``."""
        scores = self.scores()
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        shares: Floats = powers / powers.sum(-1, keepdims=True)
        return shares


def head_vectors(calls: Sequence[Call], layer: int, head: int) -> HeadVectors:
    """The queries and keys of one head.

    Args:
        calls: from ``calls_of``.
        layer: index, from 0.
        head: index, from 0.
    """
    call = calls[layer]
    bias = None
    if call.bias is not None:
        bias = call.bias[min(head, call.bias.shape[0] - 1)].cpu().numpy().astype(np.float32)
        # The library writes the mask as the smallest number of the format.
        bias = np.where(bias < _MASKED, np.float32(-np.inf), bias)
        bias = bias if bias.any() else None
    query, key = call.query[head].cpu().numpy(), call.key[head].cpu().numpy()
    return HeadVectors(layer, head, query, key, call.scale, bias)


@dataclass(frozen=True, slots=True)
class HeadRequest:
    """A text and the head whose vectors are wanted."""

    pair: TextPair
    layer: int
    head: int


class ReadHead:
    """The task that gives queries and keys of one head (the neuron view of Vig 2019)."""

    name = "attention-head"
    attention = False
    max_batch = 2

    def run(self, bundle: ModelBundle, requests: Sequence[HeadRequest]) -> list[HeadVectors]:
        """The vectors for each request.

        Raises:
            InputInvalid: no text.
            InputTooLong: too many tokens.
            ModelUnavailable: the model's attention can't be traced.
            IndexError: it has no such layer or head.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: HeadRequest) -> HeadVectors:
        _traced, calls = calls_of(bundle, prepare(bundle, request.pair))
        return head_vectors(calls, request.layer, request.head)


# --- norms ------------------------------------------------------------------------------------------------


def _projection(model: Any, name: str) -> "torch.Tensor | None":
    """The layer's output matrix as ``(heads · d, hidden)``; ``None`` where it isn't found."""
    module = model.get_submodule(name)
    found = next((getattr(module, own) for own in _PROJECTIONS if hasattr(module, own)), None)
    if found is None:
        parent = model.get_submodule(name.rpartition(".")[0])
        found = getattr(getattr(parent, "output", None), "dense", None)
    if found is None:
        return None
    weight: torch.Tensor = found.weight
    # GPT-2's Conv1D holds its matrix the other way round.
    return weight if type(found).__name__ == "Conv1D" else weight.T


class ReadNorms:
    """The task that gives the size of what each token would add: ‖f(x)‖ of Kobayashi et al. 2020."""

    name = "attention-norms"
    attention = False
    max_batch = 2

    def run(self, bundle: ModelBundle, requests: Sequence[TextPair]) -> list[Floats]:
        """For each text ‖f(xⱼ)‖ with f(x) = (xWᵛ + bᵛ)Wᵒ, ``(layers, heads, columns)``.

        Raises:
            InputInvalid: no text.
            InputTooLong: too many tokens.
            ModelUnavailable: the model's attention can't be traced.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: TextPair) -> Floats:
        import torch

        traced, calls = calls_of(bundle, prepare(bundle, request))
        layers = []
        for call in calls:
            matrix = _projection(traced.model, call.module)
            if matrix is None:
                raise _untraceable(bundle)
            heads, _columns, size = call.value.shape
            parts = matrix.float().view(heads, size, -1)
            layers.append((call.value @ parts).norm(dim=-1))  # (heads, columns, hidden) → (heads, columns)
        norms: Floats = torch.stack(layers).cpu().numpy()
        return norms


HEAD_TASK: Final = ReadHead()
NORMS_TASK: Final = ReadNorms()
