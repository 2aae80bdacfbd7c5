"""What goes into the first layer: the word, position and segment vectors of each token, and their sum.

Devlin et al. 2019, "BERT", figure 2: the input of a token is the sum of three learnt vectors, then layer
normalization. Other families leave some of it out, and ``Anatomy`` says which: GPT-2 has no segments and normalizes
inside its blocks; Llama turns queries and keys instead of adding positions (RoPE, Su et al. 2021); T5 adds a bias by
distance to the attention scores (Raffel et al. 2020). The sum is compared with the model's own input of its first
layer, so what is shown is what the model reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from core.errors import ModelUnavailable
from core.i18n import get_language
from core.i18n import gettext as _
from core.lens.attention import Token
from core.lens.attention_inputs import read_source
from core.runtime.bundle import ModelBundle

if TYPE_CHECKING:
    import torch

PartKind = Literal["word", "position", "segment"]
#: ``"learned"`` and ``"sinusoidal"`` are vectors that are added; ``"rotary"`` turns queries and keys; ``"relative"``
#: is a bias on the scores; ``"none"`` is none that we found.
PositionKind = Literal["learned", "sinusoidal", "rotary", "relative", "none"]
#: ``"one"``: a table of a single row, the same for every token (RoBERTa).
SegmentKind = Literal["learned", "one", "none"]


@dataclass(frozen=True)
class Anatomy:
    """Where a model keeps its embeddings.

    Attributes:
        stack: the module that reads ids and gives hidden states: the encoder of an encoder-decoder, else the body.
        word: the table of the vocabulary, an ``nn.Embedding``.
        scale: what a word's vector is multiplied by before anything is added (√width in Marian, 1 in most).
        position: the table of positions, or ``None``.
        offset: the row of the first position: BART's is 2; RoBERTa's is told by ``holder`` instead.
        segment: the table of segments, or ``None``.
        norm: the layer normalization of the sum, or ``None``.
        projection: a linear map from the embeddings' width to the layers' (ELECTRA), or ``None``.
        position_kind: how the model knows the order.
        segment_kind: whether it knows which text a token belongs to.
        holder: the module that holds the tables.
        paths: attributes that lead from ``stack`` to the tables and ``"norm"``, as one would write them.
    """

    stack: Any
    word: Any
    scale: float
    position: Any
    offset: int
    segment: Any
    norm: Any
    projection: Any
    position_kind: PositionKind
    segment_kind: SegmentKind
    holder: Any
    paths: dict[str, str]


def _unknown(bundle: ModelBundle) -> ModelUnavailable:
    return ModelUnavailable(
        _("No sabemos dónde guarda {name} sus embeddings. Elige otro modelo.").format(
            name=bundle.entry.name(get_language())
        )
    )


def anatomy(bundle: ModelBundle) -> Anatomy:
    """Finds the embeddings of a model.

    Raises:
        ModelUnavailable: a family that this module doesn't know.
    """
    model: Any = bundle.model
    pair = bool(getattr(model.config, "is_encoder_decoder", False))
    stack = model.get_encoder() if pair else getattr(model, "base_model", model)
    holder = getattr(stack, "embeddings", None)
    if holder is not None and hasattr(holder, "word_embeddings"):
        segment = getattr(holder, "token_type_embeddings", None)
        position = getattr(holder, "position_embeddings", None)
        return Anatomy(
            stack=stack,
            word=holder.word_embeddings,
            scale=1.0,
            position=position,
            offset=0,
            segment=segment,
            norm=getattr(holder, "LayerNorm", None),
            projection=getattr(stack, "embeddings_project", None),
            position_kind="learned" if position is not None else "none",
            segment_kind="none" if segment is None else "learned" if segment.num_embeddings > 1 else "one",
            holder=holder,
            paths={
                "word": "embeddings.word_embeddings",
                "position": "embeddings.position_embeddings",
                "segment": "embeddings.token_type_embeddings",
                "norm": "embeddings.LayerNorm",
            },
        )
    if hasattr(stack, "wte"):
        position = getattr(stack, "wpe", None)
        return Anatomy(
            stack=stack,
            word=stack.wte,
            scale=1.0,
            position=position,
            offset=0,
            segment=None,
            norm=None,
            projection=None,
            position_kind="learned" if position is not None else "none",
            segment_kind="none",
            holder=stack,
            paths={"word": "wte", "position": "wpe"},
        )
    word = getattr(stack, "embed_tokens", None)
    if word is None:
        raise _unknown(bundle)
    scale = getattr(stack, "embed_scale", None) or getattr(word, "embed_scale", None) or 1.0
    position = getattr(stack, "embed_positions", None)
    kind: PositionKind = "none"
    if position is not None:
        kind = "sinusoidal" if "Sinusoidal" in type(position).__name__ else "learned"
    elif hasattr(stack, "rotary_emb"):
        kind = "rotary"
    elif hasattr(model.config, "relative_attention_num_buckets"):
        kind = "relative"
    return Anatomy(
        stack=stack,
        word=word,
        scale=float(scale),
        position=position,
        offset=int(getattr(position, "offset", 0) or 0),
        segment=None,
        norm=getattr(stack, "layernorm_embedding", None),
        projection=None,
        position_kind=kind,
        segment_kind="none",
        holder=stack,
        paths={"word": "embed_tokens", "position": "embed_positions", "norm": "layernorm_embedding"},
    )


def position_rows(found: Anatomy, ids: "torch.Tensor") -> "torch.Tensor":
    """The row of the position table that each token takes: ``(1, tokens)`` → ``(tokens,)``.

    RoBERTa counts from the row after its padding's, and gives padding none (fairseq's ``make_positions``).
    """
    import torch

    made = getattr(found.holder, "create_position_ids_from_input_ids", None)
    padding = getattr(found.holder, "padding_idx", None)
    if made is not None and padding is not None:
        rows: torch.Tensor = made(ids, padding)[0]
        return rows
    return torch.arange(ids.shape[1]) + found.offset


@dataclass(frozen=True, slots=True)
class EmbeddingPart:
    """One of the vectors that are added.

    Attributes:
        kind: which.
        vectors: ``(tokens, width)``, after ``scale``.
        rows: the row of its table that each token took.
        table: rows and columns of the table.
        path: attributes that lead from the stack to the table.
    """

    kind: PartKind
    vectors: npt.NDArray[np.float32]
    rows: tuple[int, ...]
    table: tuple[int, int]
    path: str


@dataclass(frozen=True, slots=True)
class InputEmbeddings:
    """The input of the first layer, and what it is the sum of.

    Attributes:
        tokens: what was read.
        ids: their ids.
        parts: what is added, in the order word, position, segment.
        total: the sum, ``(tokens, width)``.
        normalized: the sum after layer normalization, same shape; ``None`` for models without one there.
        position_kind: how the model knows the order.
        segment_kind: whether it knows which text a token belongs to.
        scale: what word vectors were multiplied by.
        hidden: width of the layers.
        difference: largest absolute difference from what the model's first layer really got.
        norm_path: attributes that lead from the stack to the normalization; empty without one.
        paired: whether the stack is the encoder of an encoder-decoder.
    """

    tokens: tuple[Token, ...]
    ids: tuple[int, ...]
    parts: tuple[EmbeddingPart, ...]
    total: npt.NDArray[np.float32]
    normalized: npt.NDArray[np.float32] | None
    position_kind: PositionKind
    segment_kind: SegmentKind
    scale: float
    hidden: int
    difference: float
    norm_path: str
    paired: bool

    def part(self, kind: PartKind) -> EmbeddingPart | None:
        """The part of that kind, if the model adds one."""
        return next((part for part in self.parts if part.kind == kind), None)


@dataclass(frozen=True, slots=True)
class SumRequest:
    """One text, or two, which an encoder reads as a pair."""

    first: str
    second: str = ""


def as_array(tensor: "torch.Tensor") -> npt.NDArray[np.float32]:
    """A tensor as float32 on the CPU, in memory of its own."""
    return np.array(tensor.detach().float().cpu().numpy(), dtype=np.float32)


def _part(kind: PartKind, found: Anatomy, table: Any, rows: "torch.Tensor", scale: float = 1.0) -> EmbeddingPart:
    weight = table.weight
    vectors = as_array(weight[rows.to(weight.device)]) * np.float32(scale)
    size = (int(weight.shape[0]), int(weight.shape[1]))
    return EmbeddingPart(kind, vectors, tuple(rows.tolist()), size, found.paths[kind])


def hidden_states(found: Anatomy, ids: "torch.Tensor", segments: "torch.Tensor | None") -> tuple["torch.Tensor", ...]:
    """What each layer gets, and what the last one gives: layers + 1 tensors ``(1, tokens, hidden)``."""
    import torch

    device = found.word.weight.device
    arguments: dict[str, Any] = {"input_ids": ids.to(device), "attention_mask": torch.ones_like(ids).to(device)}
    if segments is not None and found.segment is not None:
        arguments["token_type_ids"] = segments.to(device)
    out = found.stack(**arguments, output_hidden_states=True, return_dict=True)
    states: tuple[torch.Tensor, ...] = out.hidden_states
    return states


class AddEmbeddings:
    """The task."""

    name = "input-embeddings"
    attention = False
    max_batch = 4

    def run(self, bundle: ModelBundle, requests: Sequence[SumRequest]) -> list[InputEmbeddings]:
        """The parts of each text's input.

        Raises:
            InputInvalid: no text.
            InputTooLong: too many tokens for the model or the page.
            ModelUnavailable: a family that isn't known here.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: SumRequest) -> InputEmbeddings:
        import torch

        found = anatomy(bundle)
        tokens, ids, segments = read_source(bundle, request.first, request.second)
        if found.segment is not None and segments is None:
            segments = torch.zeros_like(ids)
        parts = [_part("word", found, found.word, ids[0], found.scale)]
        if found.position is not None:
            parts.append(_part("position", found, found.position, position_rows(found, ids)))
        if found.segment is not None and segments is not None:
            parts.append(_part("segment", found, found.segment, segments[0]))
        total: npt.NDArray[np.float32] = np.stack([part.vectors for part in parts]).sum(axis=0, dtype=np.float32)
        normalized = self._after(found.norm, total)
        entered = normalized if normalized is not None else total
        projected = self._after(found.projection, entered)
        entered = projected if projected is not None else entered
        own = as_array(hidden_states(found, ids, segments)[0][0])
        return InputEmbeddings(
            tokens=tokens,
            ids=tuple(ids[0].tolist()),
            parts=tuple(parts),
            total=total,
            normalized=normalized,
            position_kind=found.position_kind,
            segment_kind=found.segment_kind,
            scale=found.scale,
            hidden=int(own.shape[-1]),
            difference=float(np.abs(own - entered).max()),
            norm_path=found.paths["norm"] if found.norm is not None else "",
            paired=bool(getattr(bundle.model.config, "is_encoder_decoder", False)),
        )

    def _after(self, module: Any, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | None:
        import torch

        if module is None:
            return None
        weight = module.weight
        return as_array(module(torch.from_numpy(values).to(weight.device, weight.dtype)))


TASK: Final = AddEmbeddings()
