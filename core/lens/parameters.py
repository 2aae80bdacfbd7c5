"""Where a model's parameters are: exact counts, each tensor once, by part of the architecture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.lens.forward import Affine, Norm
from core.lens.forward_models import AttentionPart, StackPart, Unsupported, stacks_of
from core.runtime.bundle import ModelBundle


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters of one part.

    Attributes:
        stack: ``"encoder"``, ``"decoder"``, ``"head"``, or ``""`` where the architecture isn't described.
        layer: from 0; ``None`` outside layers.
        part: ``"embeddings"``, ``"attention"``, ``"cross"``, ``"feed-forward"``, ``"norm"``, ``"head"`` or ``"other"``.
        piece: what it is there: ``"query"``, ``"words"`` …; a module's name in heads.
        count: numbers in it.
        shapes: name and shape of each tensor.
    """

    stack: str
    layer: int | None
    part: str
    piece: str
    count: int
    shapes: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class ParameterCount:
    """All parameters of a model.

    Attributes:
        groups: disjoint and complete.
        total: their sum: what ``model.num_parameters()`` says.
        tied: pairs of names that share one tensor, which is counted once, under the second name.
    """

    groups: tuple[ParameterGroup, ...]
    total: int
    tied: tuple[tuple[str, str], ...]


Place = tuple[str, int | None, str, str]


def _places(stacks: Sequence[StackPart]) -> Iterator[tuple[str, Place]]:
    """Module names and what they are; the first mention of a name counts."""
    for stack in stacks:
        own = stack.name
        e = stack.embedding
        yield e.words.path, (own, None, "embeddings", "words")
        if e.positions is not None:
            yield e.positions.table.path, (own, None, "embeddings", "positions")
        if e.types is not None:
            yield e.types.path, (own, None, "embeddings", "types")
        if e.norm is not None:
            yield e.norm.path, (own, None, "embeddings", "norm")
        if e.project is not None:
            yield e.project.path, (own, None, "embeddings", "project")
        for index, layer in enumerate(stack.layers):
            for sublayer in layer:
                yield sublayer.norm.path, (own, index, "norm", sublayer.block)
                part = sublayer.part
                pieces: dict[str, Affine | Norm | None]
                if isinstance(part, AttentionPart):
                    # GPT-2's one matrix for all three is named once.
                    names = ("query", "key", "value") if part.q.path != part.k.path else ("qkv",)
                    pieces = dict(zip(names, (part.q, part.k, part.v), strict=False))
                    pieces |= {"output": part.o, "query-norm": part.q_norm, "key-norm": part.k_norm}
                    if part.bias_path and index == 0:
                        yield part.bias_path, (own, index, sublayer.block, "position-bias")
                else:
                    pieces = {"up": part.up, "gate": part.gate, "down": part.down}
                for name, piece in pieces.items():
                    if piece is not None:
                        yield piece.path, (own, index, sublayer.block, name)
        if stack.final is not None:
            yield stack.final.path, (own, None, "norm", "final")


def count_parameters(model: Any) -> ParameterCount:
    """Counts the parameters of a transformers model."""
    places: dict[str, Place] = {}
    try:
        for path, place in _places(stacks_of(model, lambda tensor: tensor)):
            places.setdefault(path, place)
        described = True
    except (Unsupported, AttributeError):
        described = False
    found: dict[Place, list[tuple[str, tuple[int, ...], int]]] = {}
    seen: dict[int, str] = {}
    tied: list[tuple[str, str]] = []
    for name, tensor in model.named_parameters(remove_duplicate=False):
        if id(tensor) in seen:
            tied.append((name, seen[id(tensor)]))
            continue
        seen[id(tensor)] = name
        path = name.rpartition(".")[0]
        default: Place = ("head", None, "head", path or name) if described else ("", None, "other", path or name)
        found.setdefault(places.get(path, default), []).append((name, tuple(tensor.shape), tensor.numel()))
    # A tied tensor goes to the place that is described, whichever of its names comes first.
    for other, first in tied:
        described_place = places.get(other.rpartition(".")[0])
        mine = next(key for key, rows in found.items() if any(row[0] == first for row in rows))
        if described_place is not None and mine[2] in ("head", "other"):
            row = next(row for row in found[mine] if row[0] == first)
            found[mine].remove(row)
            found.setdefault(described_place, []).append(row)
    groups = tuple(
        ParameterGroup(*place, sum(row[2] for row in rows), tuple((row[0], row[1]) for row in rows))
        for place, rows in found.items()
        if rows
    )
    order = {"encoder": 0, "decoder": 1, "": 2, "head": 3}
    groups = tuple(
        sorted(
            groups,
            key=lambda g: (order[g.stack], 0 if g.part == "embeddings" else 1, 999 if g.layer is None else g.layer),
        )
    )
    return ParameterCount(groups, sum(group.count for group in groups), tuple(tied))


@dataclass(frozen=True, slots=True)
class ParametersRequest:
    """Nothing to say: the model itself is looked at."""


class CountParameters:
    """The task."""

    name = "parameters"
    attention = False
    max_batch = 8

    def run(self, bundle: ModelBundle, requests: Sequence[ParametersRequest]) -> list[ParameterCount]:
        """The same count for each request."""
        count = count_parameters(bundle.model)
        return [count for _request in requests]


PARAMETERS_TASK: Final = CountParameters()
