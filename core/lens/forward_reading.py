"""The tasks behind the page Por dentro: the steps of a pass, the values of one, and the origin of one value."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from core.errors import InputInvalid, InputTooLong, ModelUnavailable
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.lens.attention import MAX_TOKENS, Token
from core.lens.attention_inputs import Inputs, TextPair, kinds_of, prepare, shown_pieces
from core.lens.forward import MAX_DETAIL, Axis, Index, Linear, Lookup, Node, Normed, Origin, Step
from core.lens.forward_models import Unsupported
from core.lens.forward_source import SourceLines, source_of
from core.lens.forward_walk import Walk, walk_model
from core.runtime.bundle import ModelBundle

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]

# How many candidates are named where a head chooses among the vocabulary.
CANDIDATES: Final = 10
# Of a vocabulary of thousands only the pieces that somebody bets on are drawn.
_COLUMNS: Final = 48


@dataclass(frozen=True, slots=True)
class ForwardRequest:
    """What to walk through.

    Attributes:
        text: the text.
        second: a second text for an encoder that reads pairs; a decoder reads one after the other.
        added: ids that the decoder has written after the text so far; ``None`` lets an encoder-decoder write by
            itself to the end, and is the same as nothing for a decoder.
    """

    text: str
    second: str = ""
    added: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible answer: a piece of the vocabulary or a label, and its probability."""

    id: int
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the recomputed output is from the model's own: largest absolute difference and largest value."""

    output: str
    difference: float
    largest: float


@dataclass(frozen=True)
class Outline:
    """The steps of one pass and what came of it.

    Attributes:
        rows: tokens of the last stack.
        source: tokens of the encoder, for encoder-decoders; else the same as ``rows``.
        steps: all steps in order.
        detailed: whether values can be asked for; false for texts of more than ``MAX_DETAIL`` tokens.
        agreements: each output against the model's own; empty without values.
        candidates: by row the most likely answers; one row, 0, where a head judges the whole text.
        written: ids that the decoder has written after the text, without the start sign.
        ended: whether the last one of them, or the next one to come, ends the text.
        answer: ``written`` as text.
        kept: largest change of the earlier tokens' last states by the last token that was written; ``None`` where
            none was.
        labels: names of the classes of the head, if it has some.
        heads: of the attention, by stack.
        milliseconds: of the recomputation.
    """

    rows: tuple[Token, ...]
    source: tuple[Token, ...]
    steps: tuple[Step, ...]
    detailed: bool
    agreements: tuple[Agreement, ...]
    candidates: dict[int, tuple[Candidate, ...]]
    written: tuple[int, ...]
    ended: bool
    answer: str
    kept: float | None
    labels: tuple[str, ...]
    milliseconds: float

    def step(self, name: str) -> Step | None:
        """The step of that id."""
        return next((step for step in self.steps if step.id == name), None)


@dataclass(frozen=True, slots=True)
class Tap:
    """Where plain transformers lets one read a step.

    Attributes:
        kind: ``"output"`` or ``"input"`` of a module, inside its ``"attention"`` function, or ``"end"``: out of what
            the model returns.
        module: the module's name; ``""`` for ``"end"``.
        part: first output and the one after the last, where the module computes more than this step.
    """

    kind: Literal["output", "input", "attention", "end"]
    module: str
    part: tuple[int, int] | None = None


@dataclass(frozen=True)
class StepValues:
    """One step with its values.

    Attributes:
        step: which.
        values: without the batch; where the vocabulary is an axis, the columns in ``columns`` alone.
        columns: for a vocabulary, the ids that are kept; else empty.
        names: the pieces of ``columns``.
        source: the lines of the library that compute it; ``None`` where none does.
        tap: where plain transformers lets one read it; ``None`` where it doesn't.
    """

    step: Step
    values: Floats
    columns: tuple[int, ...]
    names: tuple[str, ...]
    source: SourceLines | None
    tap: Tap | None


@dataclass(frozen=True, slots=True)
class ValuesRequest:
    """A walk and the step whose values are wanted; ``column`` is an id of the vocabulary that is drawn in any case."""

    forward: ForwardRequest
    step: str
    column: int | None = None


@dataclass(frozen=True, slots=True)
class OriginRequest:
    """A walk and the value whose origin is wanted; a vocabulary axis takes the piece's id."""

    forward: ForwardRequest
    step: str
    index: Index


# --- shared -----------------------------------------------------------------------------------------------


@dataclass
class _Read:
    inputs: Inputs
    ids: list[int]
    segments: list[int] | None
    written: tuple[int, ...]
    rows: tuple[Token, ...]
    source: tuple[Token, ...]
    added: tuple[int, ...]

    @property
    def detailed(self) -> bool:
        return max(len(self.rows), len(self.source)) <= MAX_DETAIL


def _read(bundle: ModelBundle, request: ForwardRequest) -> _Read:
    """Tokens and ids of the walk.

    Raises:
        InputInvalid: no text, or ids that are none of the model's.
        InputTooLong: more tokens than the model reads.
    """
    table: Any = bundle.model.get_input_embeddings()
    size = int(table.weight.shape[0])
    added = request.added or ()
    if any(not 0 <= token < size for token in added):
        raise InputInvalid(_("El enlace trae tokens que este modelo no tiene. Empieza de nuevo con «Desde cero»."))
    kinds = kinds_of(bundle)
    if "cross" in kinds:
        start: Any = bundle.model.config.decoder_start_token_id
        if start is None:
            start = bundle.model.generation_config.decoder_start_token_id
        given = () if request.added is None else (int(start), *added)
        inputs = prepare(bundle, TextPair(request.text, kind="cross", written=given))
        return _Read(
            inputs, inputs.ids[0].tolist(), None, inputs.written, inputs.rows, inputs.columns, inputs.written[1:]
        )
    inputs = prepare(bundle, TextPair(request.text, request.second))
    ids, rows = inputs.ids[0].tolist(), inputs.rows
    if kinds[0] == "decoder" and added:
        limit = min(bundle.entry.window, MAX_TOKENS)
        if len(ids) + len(added) > limit:
            raise InputTooLong(
                _("Con lo escrito ya son {n} tokens, y aquí {name} lee {limit} como máximo. Quita algunos.").format(
                    n=format_number(len(ids) + len(added)),
                    name=bundle.entry.name(get_language()),
                    limit=format_number(limit),
                )
            )
        pieces = shown_pieces(bundle, added)
        ids = [*ids, *added]
        rows = (*rows, *(Token(text, piece, 0, 0, 1, False, at, False) for at, (piece, text) in enumerate(pieces)))
    segments = inputs.segments[0].tolist() if inputs.segments is not None else None
    return _Read(inputs, ids, segments, (), rows, rows, added if kinds[0] == "decoder" else ())


def _walk(bundle: ModelBundle, read: _Read, *, shapes_only: bool = False) -> Walk:
    head = bundle.entry.weights.head if bundle.entry.weights is not None else None
    try:
        return walk_model(bundle.model, head, read.ids, read.segments, read.written, shapes_only=shapes_only)
    except (Unsupported, AttributeError) as error:
        raise ModelUnavailable(
            _("El recorrido paso a paso aún no conoce la arquitectura de {name} ({kind}). Elige otro modelo.").format(
                name=bundle.entry.name(get_language()), kind=bundle.model.config.model_type
            )
        ) from error


def _own_outputs(bundle: ModelBundle, read: _Read) -> dict[str, "torch.Tensor"]:
    """The model's own outputs for the same ids, without the batch."""
    import torch

    device = bundle.device.name
    ids = torch.tensor([read.ids], device=device)
    arguments: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if read.segments is not None:
        arguments["token_type_ids"] = torch.tensor([read.segments], device=device)
    if read.written:
        arguments["decoder_input_ids"] = torch.tensor([read.written], device=device)
    if read.written or bundle.entry.architecture == "decoder":
        arguments["use_cache"] = False
    model: Any = bundle.model
    out = model(**arguments)
    return {name: value[0].float() for name, value in out.items() if hasattr(value, "ndim") and value.ndim > 1}


def _agreements(walk: Walk, own: dict[str, "torch.Tensor"]) -> tuple[Agreement, ...]:
    found = []
    for name, node in walk.outputs.items():
        if name not in own:
            continue
        mine = node.values
        if name in ("start_logits", "end_logits"):
            mine = mine[:, int(name == "end_logits")]
        theirs = own[name]
        found.append(Agreement(name, float((mine - theirs).abs().max()), float(theirs.abs().max())))
    return tuple(found)


def _labels(bundle: ModelBundle) -> tuple[str, ...]:
    names = getattr(bundle.model.config, "id2label", None) or {}
    return tuple(str(names[index]) for index in sorted(names))


def _candidates(bundle: ModelBundle, walk: Walk, rows: int) -> dict[int, tuple[Candidate, ...]]:
    node = walk.nodes.get("head.probabilities")
    if node is None:
        return {}
    values = node.values
    if node.axes[-1] == "labels":
        names = _labels(bundle)
        table = values if values.ndim == 2 else values[None]
        return {
            row: tuple(
                sorted(
                    (
                        Candidate(at, names[at] if at < len(names) else str(at), float(chance))
                        for at, chance in enumerate(table[row])
                    ),
                    key=lambda item: -item.probability,
                )[:CANDIDATES]
            )
            for row in range(table.shape[0])
        }
    if node.axes[-1] != "vocabulary":
        return {}
    chances, ids = values.topk(min(CANDIDATES, values.shape[-1]), dim=-1)
    known = sorted({int(token) for row in ids.tolist() for token in row})
    with_text = dict(zip(known, (text for _piece, text in _pieces(bundle, known)), strict=True))
    return {
        row: tuple(
            Candidate(int(token), with_text[int(token)], float(chance))
            for token, chance in zip(ids[row].tolist(), chances[row].tolist(), strict=True)
        )
        for row in range(rows)
    }


def _pieces(bundle: ModelBundle, ids: Sequence[int]) -> list[tuple[str, str]]:
    """Piece and text of ids; a model may have rows that its tokenizer has no piece for."""
    with bundle.lock:
        size = len(bundle.tokenizer)
    found = dict(
        zip(
            (token for token in ids if token < size),
            shown_pieces(bundle, [token for token in ids if token < size]),
            strict=True,
        )
    )
    return [found.get(token, (f"#{token}", f"#{token}")) for token in ids]


def _ends(bundle: ModelBundle) -> set[int]:
    config = getattr(bundle.model, "generation_config", None)
    end = getattr(config, "eos_token_id", None)
    if end is None:
        end = getattr(bundle.model.config, "eos_token_id", None)
    return set() if end is None else set(end if isinstance(end, list) else [end])


def _step(node: Node) -> Step:
    axes: tuple[Axis, ...] = ("batch", *node.axes)
    return Step(node.id, node.op, node.stack, node.layer, node.block, axes, (1, *node.values.shape), node.module)


# --- the tasks --------------------------------------------------------------------------------------------


class WalkThrough:
    """The task that gives the steps, and compares their end with the model's own output."""

    name = "forward"
    attention = False
    max_batch = 1

    def run(self, bundle: ModelBundle, requests: Sequence[ForwardRequest]) -> list[Outline]:
        """The outline of each walk.

        Raises:
            InputInvalid: no text.
            InputTooLong: too many tokens.
            ModelUnavailable: an architecture that isn't described.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: ForwardRequest) -> Outline:
        read = _read(bundle, request)
        began = time.perf_counter()
        walk = _walk(bundle, read, shapes_only=not read.detailed)
        took = (time.perf_counter() - began) * 1000
        agreements: tuple[Agreement, ...] = ()
        candidates: dict[int, tuple[Candidate, ...]] = {}
        kept = None
        if read.detailed:
            agreements = _agreements(walk, _own_outputs(bundle, read))
            candidates = _candidates(bundle, walk, len(read.rows))
            kept = self._kept(bundle, read, walk)
        ends = _ends(bundle)
        last = candidates.get(len(read.rows) - 1, ()) if bundle.entry.architecture != "encoder" else ()
        with bundle.lock:
            answer = str(bundle.tokenizer.decode(list(read.added), skip_special_tokens=True)) if read.added else ""
        return Outline(
            rows=read.rows,
            source=read.source,
            steps=tuple(_step(node) for node in walk.nodes.values()),
            detailed=read.detailed,
            agreements=agreements,
            candidates=candidates,
            written=read.added,
            ended=bool((set(read.added) & ends) or (last and last[0].id in ends)),
            answer=answer,
            kept=kept,
            labels=_labels(bundle) if any("labels" in node.axes for node in walk.nodes.values()) else (),
            milliseconds=took,
        )

    def _kept(self, bundle: ModelBundle, read: _Read, walk: Walk) -> float | None:
        """By how much the last token that was written changed the states of those before it."""
        if not read.added:
            return None
        stack = "decoder"
        if read.written:
            shorter = _Read(read.inputs, read.ids, read.segments, read.written[:-1], (), (), ())
        else:
            shorter = _Read(read.inputs, read.ids[:-1], read.segments, (), (), (), ())
        before = _walk(bundle, shorter).hidden[stack][-1].values
        return float((walk.hidden[stack][-1].values[:-1] - before).abs().max())


class ReadValues:
    """The task that gives the values of one step."""

    name = "forward-values"
    attention = False
    max_batch = 1

    def run(self, bundle: ModelBundle, requests: Sequence[ValuesRequest]) -> list[StepValues]:
        """The values that each request asks for.

        Raises:
            InputInvalid: no such step.
            InputTooLong: a text of more than ``MAX_DETAIL`` tokens.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: ValuesRequest) -> StepValues:
        walk, node = _node(bundle, request.forward, request.step)
        source = source_of(bundle.model, node.code) if node.code is not None else None
        values = node.values
        columns: tuple[int, ...] = ()
        names: tuple[str, ...] = ()
        if node.axes[-1] == "vocabulary":
            columns = _drawn(values)
            if request.column is not None and 0 <= request.column < values.shape[-1] and request.column not in columns:
                columns = (*columns, request.column)
            values = values[:, list(columns)]
            names = tuple(text for _piece, text in _pieces(bundle, columns))
        kept = values.cpu().numpy().astype(np.float32)
        return StepValues(_step(node), kept, columns, names, source, _tap(walk, node))


_INSIDE_ATTENTION: Final = ("query-rotated", "key-rotated", "scores", "position-bias", "mask", "weights", "mixed")
_AT_THE_END: Final = ("ids", "mean", "unit", "probabilities", "follows", "logits-bias")


def _tap(walk: Walk, node: Node) -> Tap | None:
    if node.op in _AT_THE_END:
        return Tap("end", "")
    if node.op in _INSIDE_ATTENTION:
        core = walk.nodes[node.id.removesuffix(node.op) + "weights"].module
        return Tap("attention", core)
    rule = node.rule
    if isinstance(rule, Linear):
        affine = rule.affine
        part = (affine.offset, affine.offset + affine.weight.shape[0]) if affine.turned else None
        return Tap("output", node.module, part)
    if isinstance(rule, Normed) or (isinstance(rule, Lookup) and rule.scale == 1.0):
        return Tap("output", node.module)
    for other in walk.nodes.values():
        if isinstance(other.rule, (Linear, Normed)) and other.rule.node is node:
            return Tap("input", other.module)
    return None


def _drawn(values: "torch.Tensor") -> tuple[int, ...]:
    """The pieces that are drawn of a vocabulary: each token's best in turn until there are enough."""
    best = values.topk(min(_COLUMNS, values.shape[-1]), dim=-1).indices.tolist()
    # The last token's come first: it is what a decoder goes on from.
    found: dict[int, None] = {}
    for rank in range(len(best[0])):
        for row in reversed(best):
            if len(found) < _COLUMNS:
                found.setdefault(row[rank])
    return tuple(found)


def _node(bundle: ModelBundle, forward: ForwardRequest, step: str) -> tuple[Walk, Node]:
    read = _read(bundle, forward)
    if not read.detailed:
        raise InputTooLong(
            _("Con más de {n} tokens solo se muestran las formas, no los valores. Acorta el texto.").format(
                n=format_number(MAX_DETAIL)
            )
        )
    walk = _walk(bundle, read)
    node = walk.nodes.get(step)
    if node is None:
        raise InputInvalid(_("Este modelo no tiene ese paso. Elige otro en la lista."))
    return walk, node


class FindOrigin:
    """The task that says which numbers made one value."""

    name = "forward-origin"
    attention = False
    max_batch = 1

    def run(self, bundle: ModelBundle, requests: Sequence[OriginRequest]) -> list[Origin]:
        """The origin of each value.

        Raises:
            InputInvalid: no such step or place.
            InputTooLong: a text of more than ``MAX_DETAIL`` tokens.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: OriginRequest) -> Origin:
        walk, node = _node(bundle, request.forward, request.step)
        shape = node.values.shape
        inside = len(request.index) == len(shape) and all(
            0 <= at < size for at, size in zip(request.index, shape, strict=True)
        )
        if not inside:
            raise InputInvalid(_("Ese paso no tiene ningún valor en ese lugar. Elige otro en el mapa."))
        origin = node.rule.origin(request.index)
        ids = {
            factor.index[-1]
            for term in origin.terms
            for factor in term.factors
            if factor.step and walk.nodes[factor.step].axes[-1] == "vocabulary"
        }
        texts = [text for _piece, text in _pieces(bundle, sorted(ids))]
        return replace(origin, pieces=dict(zip(sorted(ids), texts, strict=True)))


WALK_TASK: Final = WalkThrough()
VALUES_TASK: Final = ReadValues()
ORIGIN_TASK: Final = FindOrigin()
