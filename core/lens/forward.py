"""One forward pass, step by step: the types, and how each number is traced to the numbers that made it.

``forward_models`` says where each family keeps its weights, ``forward_walk`` recomputes the pass from them,
``forward_source`` finds the lines of transformers that do the same. All shapes in this module are those of the
tensors themselves; the batch, which is one text, is left out, and put back where a shape is shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    import torch

# Longest text whose values are kept and drawn, in tokens; longer ones are walked in shapes alone.
MAX_DETAIL: Final = 64
# How many of the numbers that made a value are named; the others are summed up.
MAX_TERMS: Final = 12

Axis = Literal["batch", "tokens", "keys", "heads", "size", "hidden", "inner", "embedding", "vocabulary", "labels"]
StackName = Literal["encoder", "decoder", "head"]
Block = Literal["embeddings", "attention", "cross", "feed-forward", "final", "head"]
Way = Literal["id", "dot", "norm", "rms", "softmax", "apply", "copy", "mean", "unit"]

Index = tuple[int, ...]


# --- where a value comes from -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Factor:
    """One number that took part.

    Attributes:
        value: the number.
        step: id of the step whose value it is; ``""`` for a weight or a constant.
        index: its place in that step's values.
        weight: the parameter's name and place, such as ``"layer.0.query.weight[3, 17]"``; ``""`` for a step's value.
    """

    value: float
    step: str = ""
    index: Index = ()
    weight: str = ""


@dataclass(frozen=True, slots=True)
class Term:
    """What one group of factors adds: their product, or in a softmax the power of the score."""

    value: float
    factors: tuple[Factor, ...]


@dataclass(frozen=True)
class Origin:
    """The numbers that made one value.

    Attributes:
        way: how they made it: a sum of products, a normalization …
        result: the value.
        terms: those that add most, largest first; at most ``MAX_TERMS``.
        rest: what all other terms add together.
        rest_count: how many those are.
        numbers: other numbers of the formula by name: ``"bias"``, ``"scale"``, ``"mean"``, ``"deviation"``,
            ``"gain"``, ``"largest"``, ``"denominator"``, ``"count"``, ``"norm"``.
        name: the function that was applied, for ``"apply"``.
        pieces: the text of the vocabulary's pieces among the factors' places, by id.
    """

    way: Way
    result: float
    terms: tuple[Term, ...]
    rest: float = 0.0
    rest_count: int = 0
    numbers: dict[str, float] = field(default_factory=dict)
    name: str = ""
    pieces: dict[int, str] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """The value that terms and numbers give; what ``"apply"`` gives is for the function itself to say."""
        number = self.numbers.get
        terms = sum(term.value for term in self.terms) + self.rest
        if self.way == "dot":
            return terms * number("scale", 1.0) + number("bias", 0.0)
        if self.way == "norm":
            return (terms - number("mean", 0.0)) / number("deviation", 1.0) * number("gain", 1.0) + number("bias", 0.0)
        if self.way in ("rms", "unit"):
            return terms / number("deviation", 1.0) * number("gain", 1.0)
        if self.way == "mean":
            return terms / number("count", 1.0)
        if self.way == "softmax":
            return number("own", 0.0) / number("denominator", 1.0)
        return terms


class Rule(Protocol):
    """How a step's values are made."""

    def origin(self, index: Index) -> Origin:
        """The numbers behind the value at ``index``."""
        ...


# --- steps ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Code:
    """Where to look for the lines of a step.

    Attributes:
        owner: a module's name in the model, whose class is searched from its ``forward`` on; ``""`` is the model.
        pattern: regular expression of the lines.
        which: the match to take where there are several, counted as list indexes are; ``None`` for all.
        eager: search the file's ``eager_attention_forward`` instead of the class.
    """

    owner: str
    pattern: str
    which: int | None = None
    eager: bool = False


@dataclass
class Node:
    """One step while the pass is computed.

    Attributes:
        id: ``"encoder.0.attention.query"``: stack, layer (if any), block, operation.
        op: the operation, which decides title, formula and explanation.
        stack: encoder, decoder or head.
        layer: from 0; ``None`` outside layers.
        block: the part of the layer.
        values: the tensor, without the batch.
        axes: what its dimensions are.
        rule: where its values come from.
        module: the module that computes it, ``""`` where no module does.
        code: where its lines of transformers are found; ``None`` where transformers doesn't do it.
    """

    id: str
    op: str
    stack: StackName
    layer: int | None
    block: Block
    values: "torch.Tensor"
    axes: tuple[Axis, ...]
    rule: Rule
    module: str
    code: Code | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step without its values.

    Attributes:
        id: see ``Node``.
        op: see ``Node``.
        stack: see ``Node``.
        layer: see ``Node``.
        block: see ``Node``.
        axes: the names of its dimensions, the batch first.
        shape: their sizes.
        module: see ``Node``.
    """

    id: str
    op: str
    stack: StackName
    layer: int | None
    block: Block
    axes: tuple[Axis, ...]
    shape: tuple[int, ...]
    module: str

    @property
    def part(self) -> str:
        """The part of the walk it belongs to: ``"encoder.embeddings"``, ``"encoder.0"``, ``"head"`` …"""
        if self.stack == "head":
            return "head"
        return f"{self.stack}.{self.layer if self.layer is not None else self.block}"


# --- the rules --------------------------------------------------------------------------------------------


def _largest(
    values: "torch.Tensor", factors: Callable[[int], tuple[Factor, ...]]
) -> tuple[tuple[Term, ...], float, int]:
    """The largest of ``values`` (n,) as terms, what the others add, and how many they are."""
    count = min(MAX_TERMS, values.numel())
    order = values.abs().topk(count).indices.tolist()
    terms = tuple(Term(float(values[i]), factors(i)) for i in order)
    rest = values.double().sum().item() - sum(term.value for term in terms)
    return terms, rest if values.numel() > count else 0.0, values.numel() - count


@dataclass
class Given:
    """Ids: nothing but the tokenizer made them."""

    values: "torch.Tensor"

    def origin(self, index: Index) -> Origin:
        """See ``Rule``."""
        value = float(self.values[index])
        return Origin("id", value, (Term(value, (Factor(value),)),))


@dataclass
class Lookup:
    """A row of a table: ``table[ids[i], j] · scale``."""

    node: Node | None
    ids: Sequence[int]
    table: "torch.Tensor"
    weight: str
    scale: float = 1.0

    def origin(self, index: Index) -> Origin:
        """See ``Rule``."""
        row, column = index
        value = float(self.table[self.ids[row], column])
        factor = Factor(value, weight=f"{self.weight}[{self.ids[row]}, {column}]")
        numbers = {"scale": self.scale} if self.scale != 1.0 else {}
        return Origin("dot", value * self.scale, (Term(value, (factor,)),), numbers=numbers)


@dataclass
class Added:
    """Steps of one shape, value by value: ``a + b + …``."""

    nodes: tuple[Node, ...]

    def origin(self, index: Index) -> Origin:
        """See ``Rule``."""
        terms = tuple(
            Term(float(node.values[index]), (Factor(float(node.values[index]), node.id, index),)) for node in self.nodes
        )
        return Origin("dot", sum(term.value for term in terms), terms)


@dataclass
class Multiplied:
    """Two steps of one shape, value by value: ``a · b``."""

    left: Node
    right: Node

    def origin(self, index: Index) -> Origin:
        """See ``Rule``."""
        a, b = float(self.left.values[index]), float(self.right.values[index])
        term = Term(a * b, (Factor(a, self.left.id, index), Factor(b, self.right.id, index)))
        return Origin("dot", a * b, (term,))


@dataclass
class Linear:
    """``x · Wᵀ + b``; with ``size``, the output cut into heads: ``(heads, tokens, size)``."""

    node: Node
    affine: "Affine"
    size: int | None = None

    def origin(self, index: Index) -> Origin:
        """See ``Rule``."""
        if self.size is None:
            place, out = index[:-1], index[-1]
        else:
            head, row, column = index
            place, out = (row,), head * self.size + column
        inputs, weights = self.node.values[place], self.affine.weight[out]
        terms, rest, count = _largest(
            inputs * weights,
            lambda k: (
                Factor(float(inputs[k]), self.node.id, (*place, k)),
                Factor(float(weights[k]), weight=self.affine.cell(out, k)),
            ),
        )
        bias = float(self.affine.bias[out]) if self.affine.bias is not None else None
        numbers = {} if bias is None else {"bias": bias}
        return Origin("dot", float(inputs @ weights) + (bias or 0.0), terms, rest, count, numbers)


@dataclass
class Normed:
    """LayerNorm (Ba et al. 2016) or RMSNorm (Zhang & Sennrich 2019) over the last dimension."""

    node: Node
    norm: "Norm"

    def origin(self, index: Index) -> Origin:
        """See ``Rule``."""
        row = self.node.values[index[:-1]]
        column = index[-1]
        own = float(row[column])
        terms = (Term(own, (Factor(own, self.node.id, index),)),)
        gain = float(self.norm.weight[column])
        mean = float(row.mean()) if self.norm.centred else 0.0
        deviation = float((((row - mean) ** 2).mean() + self.norm.eps).sqrt())
        numbers = {"deviation": deviation, "gain": gain}
        if self.norm.centred:
            numbers["mean"] = mean
        if self.norm.bias is not None:
            numbers["bias"] = float(self.norm.bias[column])
        way: Way = "norm" if self.norm.centred else "rms"
        result = (own - mean) / deviation * gain + numbers.get("bias", 0.0)
        return Origin(way, result, terms, numbers=numbers)


@dataclass
class Rotated:
    """Rotary positions (Su et al. 2021): each value turned together with the one half a vector away."""

    node: Node
    cos: "torch.Tensor"
    sin: "torch.Tensor"

    def origin(self, index: Index) -> Origin:
        """See ``Rule``."""
        head, row, column = index
        half = self.cos.shape[-1] // 2
        other, sign = (column + half, -1.0) if column < half else (column - half, 1.0)
        own, far = float(self.node.values[index]), float(self.node.values[head, row, other])
        cos, sin = float(self.cos[row, column]), sign * float(self.sin[row, column])
        terms = (
            Term(
                own * cos, (Factor(own, self.node.id, index), Factor(cos, weight=f"cos(pos {row} · θ{column % half})"))
            ),
            Term(
                far * sin,
                (
                    Factor(far, self.node.id, (head, row, other)),
                    Factor(sin, weight=f"{'−' if sign < 0 else ''}sin(pos {row} · θ{column % half})"),
                ),
            ),
        )
        return Origin("dot", own * cos + far * sin, terms)


@dataclass
class Scored:
    """``q · k · scale``; several query heads may share one key head (``groups``)."""

    query: Node
    key: Node
    scale: float
    groups: int

    def origin(self, index: Index) -> Origin:
        """See ``Rule``."""
        head, row, column = index
        shared = head // self.groups
        q, k = self.query.values[head, row], self.key.values[shared, column]
        terms, rest, count = _largest(
            q * k,
            lambda d: (
                Factor(float(q[d]), self.query.id, (head, row, d)),
                Factor(float(k[d]), self.key.id, (shared, column, d)),
            ),
        )
        return Origin("dot", float(q @ k) * self.scale, terms, rest, count, {"scale": self.scale})


@dataclass
class Biased:
    """What is added to a step: a mask, or position biases ``(1 or heads, rows, columns)``."""

    node: Node
    bias: "torch.Tensor"
    weight: str

    def origin(self, index: Index) -> Origin:
        """See ``Rule``."""
        own = float(self.node.values[index])
        added = float(self.bias[(min(index[0], self.bias.shape[0] - 1), *index[1:])])
        terms = (
            Term(own, (Factor(own, self.node.id, index),)),
            Term(added, (Factor(added, weight=self.weight),)),
        )
        return Origin("dot", own + added, terms)


@dataclass
class Softmaxed:
    """``exp(s) / Σ exp(s)`` over the last dimension."""

    node: Node

    def origin(self, index: Index) -> Origin:
        """See ``Rule``."""
        row = self.node.values[index[:-1]].double()
        largest = row.max()
        powers = (row - largest).exp()
        terms, rest, count = _largest(powers, lambda j: (Factor(float(row[j]), self.node.id, (*index[:-1], j)),))
        own, denominator = float(powers[index[-1]]), float(powers.sum())
        numbers = {
            "score": float(row[index[-1]]),
            "largest": float(largest),
            "own": own,
            "denominator": denominator,
        }
        return Origin("softmax", own / denominator, terms, rest, count, numbers)


@dataclass
class Mixed:
    """``Σⱼ αᵢⱼ vⱼ``."""

    weights: Node
    value: Node
    groups: int

    def origin(self, index: Index) -> Origin:
        """See ``Rule``."""
        head, row, column = index
        shared = head // self.groups
        alphas, values = self.weights.values[head, row], self.value.values[shared, :, column]
        terms, rest, count = _largest(
            alphas * values,
            lambda j: (
                Factor(float(alphas[j]), self.weights.id, (head, row, j)),
                Factor(float(values[j]), self.value.id, (shared, j, column)),
            ),
        )
        return Origin("dot", float(alphas @ values), terms, rest, count)


@dataclass
class Copied:
    """A value taken over from another place, times ``scale``."""

    node: Node
    place: Callable[[Index], Index]
    scale: float = 1.0

    def origin(self, index: Index) -> Origin:
        """See ``Rule``."""
        place = self.place(index)
        value = float(self.node.values[place])
        terms = (Term(value, (Factor(value, self.node.id, place),)),)
        if self.scale == 1.0:
            return Origin("copy", value, terms)
        return Origin("dot", value * self.scale, terms, numbers={"scale": self.scale})


@dataclass
class Applied:
    """A function of each value on its own, such as GELU (Hendrycks & Gimpel 2016)."""

    node: Node
    name: str
    values: "torch.Tensor"

    def origin(self, index: Index) -> Origin:
        """See ``Rule``."""
        own = float(self.node.values[index])
        return Origin(
            "apply", float(self.values[index]), (Term(own, (Factor(own, self.node.id, index),)),), name=self.name
        )


@dataclass
class Averaged:
    """The mean over the tokens (Reimers & Gurevych 2019)."""

    node: Node

    def origin(self, index: Index) -> Origin:
        """See ``Rule``."""
        column = self.node.values[:, index[-1]]
        terms, rest, count = _largest(column, lambda i: (Factor(float(column[i]), self.node.id, (i, index[-1])),))
        return Origin("mean", float(column.mean()), terms, rest, count, {"count": float(column.numel())})


@dataclass
class Unit:
    """Divided by the vector's length, so that it becomes 1."""

    node: Node

    def origin(self, index: Index) -> Origin:
        """See ``Rule``."""
        own, length = float(self.node.values[index]), float(self.node.values.norm())
        numbers = {"deviation": length, "gain": 1.0}
        return Origin("unit", own / length, (Term(own, (Factor(own, self.node.id, index),)),), numbers=numbers)


# --- weights ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Affine:
    """``y = x Wᵀ + b``.

    Attributes:
        path: the module's name in the model.
        weight: ``(out, in)``.
        bias: ``(out,)`` or none.
        offset: where its outputs begin in a module that computes several at once (GPT-2's ``c_attn``).
        turned: whether the file holds the matrix as ``(in, out)``.
        param: the bias's and weight's names, where they are not the module's own.
    """

    path: str
    weight: "torch.Tensor"
    bias: "torch.Tensor | None"
    offset: int = 0
    turned: bool = False

    def cell(self, out: int, k: int) -> str:
        """The name of one weight."""
        row, column = (k, out + self.offset) if self.turned else (out + self.offset, k)
        return f"{self.path}.weight[{row}, {column}]"


@dataclass(frozen=True)
class Norm:
    """Parameters of a normalization; ``centred`` subtracts the mean (LayerNorm), else it is RMSNorm."""

    path: str
    weight: "torch.Tensor"
    bias: "torch.Tensor | None"
    eps: float
    centred: bool
