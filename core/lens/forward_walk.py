"""Recomputes a forward pass from a model's weights, and keeps every step of it.

The tone is that of the papers: one line an operation, shapes beside it. Nothing here calls the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.lens import forward as f
from core.lens.forward import Affine, Axis, Block, Code, Node, Norm, Rule, StackName
from core.lens.forward_models import (
    AttentionPart,
    FeedForwardPart,
    StackPart,
    Sublayer,
    Table,
    call,
    reader,
    stacks_of,
)

if TYPE_CHECKING:
    import torch

_EAGER_SCORES = r"matmul\(query"
_EAGER_MASK = r"\+ attention_mask"
_EAGER_BIAS = r"\+ position_bias"
_EAGER_SOFTMAX = r"softmax\("
_EAGER_MIX = r"matmul\(attn_weights"
_SIZE_AXES: tuple[Axis, ...] = ("heads", "tokens", "size")


@dataclass
class Walk:
    """The steps of one pass, in order.

    Attributes:
        nodes: by id.
        outputs: the last steps, to be compared with the model's own: by the name of its output.
        hidden: the state that leaves each stack's embedding and layers, by stack.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    outputs: dict[str, Node] = field(default_factory=dict)
    hidden: dict[str, list[Node]] = field(default_factory=dict)
    _at: tuple[StackName, int | None, Block] = ("encoder", None, "embeddings")

    def at(self, stack: StackName, layer: int | None, block: Block) -> None:
        """Where the next steps belong."""
        self._at = (stack, layer, block)

    def put(
        self, op: str, values: "torch.Tensor", axes: tuple[Axis, ...], rule: Rule, module: str, code: Code | None
    ) -> Node:
        """Adds a step."""
        stack, layer, block = self._at
        parts = [stack, *([] if layer is None else [str(layer)]), *([] if stack == "head" else [block]), op]
        node = Node(".".join(parts), op, stack, layer, block, values, axes, rule, module, code)
        if node.id in self.nodes:
            raise ValueError(f"two steps named {node.id}")
        self.nodes[node.id] = node
        return node

    # --- single operations --------------------------------------------------------------------------------

    def linear(self, op: str, x: Node, affine: Affine, axes: tuple[Axis, ...], *, size: int | None = None) -> Node:
        """``x Wᵀ + b``, cut into heads of ``size`` if that is given."""
        y = x.values @ affine.weight.T  # (tokens, in) @ (in, out)
        if affine.bias is not None:
            y = y + affine.bias
        if size is not None:
            y = y.view(y.shape[0], -1, size).transpose(0, 1)  # (tokens, heads · size) → (heads, tokens, size)
        return self.put(op, y, axes, f.Linear(x, affine, size), affine.path, call(affine.path))

    def norm(self, op: str, x: Node, norm: Norm, code: Code | None = None) -> Node:
        """LayerNorm or RMSNorm."""
        y = x.values
        if norm.centred:
            y = y - y.mean(-1, keepdim=True)
        y = y * (y.pow(2).mean(-1, keepdim=True) + norm.eps).rsqrt() * norm.weight
        if norm.bias is not None:
            y = y + norm.bias
        if op == "norm" and not norm.centred:
            op = "rms-norm"
        return self.put(op, y, x.axes, f.Normed(x, norm), norm.path, code or call(norm.path))

    def lookup(self, op: str, table: Table, rows: Sequence[int], axes: tuple[Axis, ...]) -> Node:
        """Rows of a table, ``(tokens, width)``."""
        import torch

        y = table.weight[torch.tensor(list(rows), device=table.weight.device)] * table.scale  # (tokens, hidden)
        rule = f.Lookup(None, rows, table.weight, f"{table.path}.weight", table.scale)
        return self.put(op, y, axes, rule, table.path, table.code)

    def apply(self, op: str, x: Node, function: Any, name: str, module: str, code: Code) -> Node:
        """A function of each value on its own."""
        y = function(x.values)
        return self.put(op, y, x.axes, f.Applied(x, name, y), module, code)

    def add(self, op: str, nodes: tuple[Node, ...], module: str, code: Code) -> Node:
        """The sum of steps of one shape."""
        y = nodes[0].values
        for node in nodes[1:]:
            y = y + node.values
        return self.put(op, y, nodes[0].axes, f.Added(nodes), module, code)

    def softmax(self, op: str, x: Node, module: str, code: Code | None) -> Node:
        """Over the last dimension."""
        return self.put(op, x.values.softmax(-1), x.axes, f.Softmaxed(x), module, code)

    # --- parts of a layer ---------------------------------------------------------------------------------

    def attention(self, x: Node, memory: Node, part: AttentionPart, mask: "torch.Tensor", rotary: Any) -> Node:
        """Attention (Vaswani et al. 2017): queries from ``x``, keys and values from ``memory``.

        Args:
            x: ``(tokens, hidden)``.
            memory: ``(keys, hidden)``: ``x`` itself, or what the encoder made.
            part: the weights.
            mask: ``(rows, columns)``: 0 or −inf.
            rotary: cosines and sines ``(tokens, size)`` and the module's name, or ``None``.
        """
        groups = part.heads // part.shared
        q = self.linear("query", x, part.q, _SIZE_AXES, size=part.size)
        k = self.linear("key", memory, part.k, ("heads", "keys", "size"), size=part.size)
        v = self.linear("value", memory, part.v, ("heads", "keys", "size"), size=part.size)
        if part.q_norm is not None and part.k_norm is not None:
            q = self.norm("query-norm", q, part.q_norm)
            k = self.norm("key-norm", k, part.k_norm)
        if rotary is not None:
            cos, sin, path = rotary
            code = Code(part.core, r"apply_rotary_pos_emb\(")
            q = self.put("query-rotated", _rotated(q.values, cos, sin), q.axes, f.Rotated(q, cos, sin), path, code)
            k = self.put("key-rotated", _rotated(k.values, cos, sin), k.axes, f.Rotated(k, cos, sin), path, code)
        keys = k.values.repeat_interleave(groups, 0)  # shared heads serve several queries
        values = v.values.repeat_interleave(groups, 0)
        grid: tuple[Axis, ...] = ("heads", "tokens", "keys")
        s = self.put(
            "scores",
            q.values @ keys.transpose(1, 2) * part.scale,  # (heads, tokens, keys)
            grid,
            f.Scored(q, k, part.scale, groups),
            part.core,
            Code(part.core, _EAGER_SCORES, eager=True),
        )
        if part.position_bias is not None:
            bias = part.position_bias(*s.values.shape[1:])
            code = Code(part.core, _EAGER_BIAS, eager=True)
            rule = f.Biased(s, bias, f"{part.bias_path}.weight")
            s = self.put("position-bias", s.values + bias, grid, rule, part.bias_path, code)
        code = Code(part.core, _EAGER_MASK, eager=True)
        s = self.put("mask", s.values + mask, grid, f.Biased(s, mask[None], "mask"), part.core, code)
        a = self.softmax("weights", s, part.core, Code(part.core, _EAGER_SOFTMAX, eager=True))
        m = self.put(
            "mixed",
            a.values @ values,  # (heads, tokens, keys) @ (heads, keys, size)
            _SIZE_AXES,
            f.Mixed(a, v, groups),
            part.core,
            Code(part.core, _EAGER_MIX, eager=True),
        )
        size = part.size
        joined = m.values.transpose(0, 1).reshape(m.values.shape[1], -1)  # (tokens, heads · size)
        c = self.put(
            "concatenated",
            joined,
            ("tokens", "hidden"),
            f.Copied(m, lambda index: (index[1] // size, index[0], index[1] % size)),
            part.core,
            Code(part.core, r"attn_output\.reshape\("),
        )
        return self.linear("output", c, part.o, ("tokens", "hidden"))

    def feed_forward(self, x: Node, part: FeedForwardPart) -> Node:
        """Two linear maps with a function between them, for each token on its own."""
        inner: tuple[Axis, ...] = ("tokens", "inner")
        module = part.activation_code.owner
        if part.gate is None:
            h = self.linear("up", x, part.up, inner)
            h = self.apply("activation", h, part.activation, part.name, module, part.activation_code)
        else:
            g = self.linear("gate", x, part.gate, inner)
            g = self.apply("activation", g, part.activation, part.name, module, part.activation_code)
            u = self.linear("up", x, part.up, inner)
            h = self.put("product", g.values * u.values, inner, f.Multiplied(g, u), module, part.product_code)
        return self.linear("down", h, part.down, ("tokens", "hidden"))

    def sublayer(self, x: Node, part: Sublayer, before: bool, memory: Node | None, mask: Any, rotary: Any) -> Node:
        """A sublayer with its residual connection; its normalization comes before or after."""
        y = self.norm("norm", x, part.norm) if before else x
        if isinstance(part.part, AttentionPart):
            y = self.attention(y, memory if memory is not None else y, part.part, mask, rotary)
        else:
            y = self.feed_forward(y, part.part)
        y = self.add("residual", (y, x), part.residual.owner, part.residual)
        return y if before else self.norm("norm", y, part.norm)

    # --- stacks -------------------------------------------------------------------------------------------

    def stack(self, part: StackPart, ids: Sequence[int], segments: Sequence[int] | None, memory: Node | None) -> Node:
        """An encoder or a decoder, from ids to its last state ``(tokens, hidden)``."""
        import torch

        x = self._embedding(part, ids, segments)
        self.hidden[part.name] = [x]
        device, dtype, count = x.values.device, x.values.dtype, len(ids)
        own = torch.zeros(count, count, device=device, dtype=dtype)
        if part.causal:
            own = own.masked_fill(torch.ones_like(own, dtype=torch.bool).triu(1), float("-inf"))
        across = None if memory is None else torch.zeros(count, len(memory.values), device=device, dtype=dtype)
        rotary = None
        if part.rotary is not None:
            cos, sin = _angles(part.rotary, count, x.values)
            rotary = (cos, sin, part.rotary_path)
        for index, layer in enumerate(part.layers):
            for sublayer in layer:
                self.at(part.name, index, sublayer.block)
                cross = sublayer.block == "cross"
                x = self.sublayer(
                    x,
                    sublayer,
                    part.before,
                    memory if cross else None,
                    across if cross else own,
                    None if cross else rotary,
                )
            self.hidden[part.name].append(x)
        if part.final is not None:
            self.at(part.name, None, "final")
            x = self.norm("norm", x, part.final)
        return x

    def _embedding(self, part: StackPart, ids: Sequence[int], segments: Sequence[int] | None) -> Node:
        import torch

        self.at(part.name, None, "embeddings")
        e = part.embedding
        device = e.words.weight.device
        numbers = torch.tensor(list(ids), dtype=torch.float32, device=device)
        self.put("ids", numbers, ("tokens",), f.Given(numbers), "", None)
        wide: tuple[Axis, ...] = ("tokens", "embedding" if e.project is not None else "hidden")
        found = [self.lookup("words", e.words, ids, wide)]
        if e.types is not None:
            found.append(self.lookup("types", e.types, segments or [0] * len(ids), wide))
        if e.positions is not None:
            found.append(self.lookup("positions", e.positions.table, e.positions.rows(ids), wide))
        x = found[0]
        if len(found) > 1:
            x = self.add("sum", tuple(found), e.total.owner, e.total)
        if e.norm is not None:
            x = self.norm("norm", x, e.norm)
        if e.project is not None:
            x = self.linear("project", x, e.project, ("tokens", "hidden"))
        return x


def _rotated(x: "torch.Tensor", cos: "torch.Tensor", sin: "torch.Tensor") -> "torch.Tensor":
    import torch

    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin  # (heads, tokens, size) with (tokens, size)


def _angles(rotary: Any, count: int, like: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
    """Cosines and sines of rotary positions, ``(tokens, size)``."""
    import torch

    frequencies = rotary.inv_freq.float().to(like.device)
    places = torch.arange(count, device=like.device, dtype=torch.float32)
    angles = torch.outer(places, frequencies)
    angles = torch.cat((angles, angles), dim=-1)
    scale = float(getattr(rotary, "attention_scaling", 1.0))
    return angles.cos() * scale, angles.sin() * scale


# --- heads ------------------------------------------------------------------------------------------------


def _first(walk: Walk, x: Node, owner: str) -> Node:
    """The first token's vector, ``(hidden,)``."""
    code = Code(owner, r"\[:, 0")
    return walk.put("first", x.values[0], ("hidden",), f.Copied(x, lambda index: (0, *index)), owner, code)


def _function(walk: Walk, op: str, x: Node, name: str, owner: str, pattern: str) -> Node:
    from transformers.activations import ACT2FN

    return walk.apply(op, x, ACT2FN[name], name, owner, Code(owner, pattern))


def _vocabulary(walk: Walk, model: Any, x: Node, read: Any) -> Node:
    """From states to one score for each piece of the vocabulary, ``(tokens, vocabulary)``."""
    name = type(model).__name__
    wide: tuple[Axis, ...] = ("tokens", "vocabulary")
    hidden: tuple[Axis, ...] = ("tokens", "hidden")
    prefix = ""
    if model.config.model_type == "encoder-decoder":
        prefix, model = "decoder.", model.decoder
        name = type(model).__name__
    if hasattr(model, "cls"):
        own = f"{prefix}cls.predictions"
        x = walk.linear("transform", x, read.affine(f"{own}.transform.dense"), hidden)
        function = model.cls.predictions.transform.transform_act_fn
        code = Code(f"{own}.transform", r"act_fn\(")
        x = walk.apply("activation", x, function, str(model.config.hidden_act), f"{own}.transform", code)
        x = walk.norm("norm", x, read.norm(f"{own}.transform.LayerNorm"))
        return walk.linear("logits", x, read.affine(f"{own}.decoder"), wide)
    if name.startswith("DistilBert"):
        x = walk.linear("transform", x, read.affine("vocab_transform"), hidden)
        code = Code("", r"self\.activation\(")
        x = walk.apply("activation", x, model.activation, str(model.config.activation), "", code)
        x = walk.norm("norm", x, read.norm("vocab_layer_norm"))
        return walk.linear("logits", x, read.affine("vocab_projector"), wide)
    if hasattr(model, "lm_head") and hasattr(model.lm_head, "dense"):
        own = f"{prefix}lm_head"
        x = walk.linear("transform", x, read.affine(f"{own}.dense"), hidden)
        x = _function(walk, "activation", x, "gelu", own, r"gelu\(")
        x = walk.norm("norm", x, read.norm(f"{own}.layer_norm"))
        return walk.linear("logits", x, read.affine(f"{own}.decoder"), wide)
    if getattr(model.config, "scale_decoder_outputs", False):
        scale = float(model.model_dim) ** -0.5
        code = Code("", r"model_dim\s*\*\*")
        x = walk.put("scaled", x.values * scale, hidden, f.Copied(x, lambda index: index, scale), "", code)
    x = walk.linear("logits", x, read.affine(f"{prefix}lm_head"), wide)
    bias = getattr(model, "final_logits_bias", None)
    if bias is not None:
        bias = read.convert(bias.detach())
        y = x.values + bias
        code = Code("", r"\+ self\.final_logits_bias")
        x = walk.put("logits-bias", y, wide, f.Biased(x, bias, "final_logits_bias"), "", code)
    return x


def _pooled(walk: Walk, model: Any, x: Node, read: Any) -> Node:
    """BERT's pooler: the first token through a linear map and tanh."""
    prefix = model.base_model_prefix
    own = f"{prefix}.pooler"
    x = _first(walk, x, own)
    x = walk.linear("pooler", x, read.affine(f"{own}.dense"), ("hidden",))
    return _function(walk, "tanh", x, "tanh", own, r"activation\(")


def _classes(walk: Walk, model: Any, x: Node, read: Any) -> Node:
    """From states to one score for each label of the whole text, ``(labels,)``."""
    base = getattr(model, model.base_model_prefix)
    if getattr(base, "pooler", None) is not None:
        x = _pooled(walk, model, x, read)
        return walk.linear("logits", x, read.affine("classifier"), ("labels",))
    if hasattr(model, "pre_classifier"):
        x = _first(walk, x, "")
        x = walk.linear("transform", x, read.affine("pre_classifier"), ("hidden",))
        x = _function(walk, "activation", x, "relu", "", r"ReLU\(\)")
        return walk.linear("logits", x, read.affine("classifier"), ("labels",))
    x = _first(walk, x, "classifier")
    x = walk.linear("transform", x, read.affine("classifier.dense"), ("hidden",))
    name = "gelu" if model.config.model_type == "electra" else "tanh"
    x = _function(walk, "activation", x, name, "classifier", r"tanh\(|activation\(")
    return walk.linear("logits", x, read.affine("classifier.out_proj"), ("labels",))


def _head(walk: Walk, model: Any, head: str | None, x: Node, convert: Any) -> None:
    """What comes after the body: from states to probabilities, or to the sentence's vector."""
    read = reader(model, convert)
    walk.outputs["last_hidden_state"] = x
    walk.at("head", None, "head")
    if head is None:
        y = x.values.mean(0)
        x = walk.put("mean", y, ("hidden",), f.Averaged(x), "", None)
        walk.put("unit", x.values / x.values.norm(), ("hidden",), f.Unit(x), "", None)
        return
    if head in ("SequenceClassification", "NextSentencePrediction"):
        x = _classes(walk, model, x, read)
    elif head == "TokenClassification":
        x = walk.linear("logits", x, read.affine("classifier"), ("tokens", "labels"))
    elif head == "QuestionAnswering":
        x = walk.linear("logits", x, read.affine("qa_outputs"), ("tokens", "labels"))
        walk.outputs["start_logits"] = walk.outputs["end_logits"] = x
        # Begin and end are each chosen among the tokens.
        y = x.values.T
        x = walk.put("turned", y, ("labels", "tokens"), f.Copied(x, lambda i: (i[1], i[0])), "", Code("", r"split\("))
    else:
        last = x
        x = _vocabulary(walk, model, x, read)
        walk.outputs["logits"] = x
        walk.softmax("probabilities", x, "", None)
        if head == "PreTraining":
            walk.outputs["prediction_logits"] = walk.outputs.pop("logits")
            pooled = _pooled(walk, model, last, read)
            verdict = walk.linear("relationship", pooled, read.affine("cls.seq_relationship"), ("labels",))
            walk.outputs["seq_relationship_logits"] = verdict
            walk.softmax("follows", verdict, "", None)
        return
    if head != "QuestionAnswering":
        walk.outputs["logits"] = x
    walk.softmax("probabilities", x, "", None)


def walk_model(
    model: Any,
    head: str | None,
    ids: Sequence[int],
    segments: Sequence[int] | None,
    written: Sequence[int],
    *,
    shapes_only: bool = False,
) -> Walk:
    """Recomputes the pass of one text.

    Args:
        model: a transformers model.
        head: suffix of its Auto class; ``None`` for a body alone.
        ids: what the encoder, or the only stack, reads.
        segments: ``token_type_ids``, or ``None``.
        written: what the decoder of an encoder-decoder reads; else empty.
        shapes_only: computes no values: every tensor is on PyTorch's ``meta`` device.

    Raises:
        Unsupported: a family that isn't described.
    """

    def convert(tensor: "torch.Tensor") -> "torch.Tensor":
        tensor = tensor.float()
        return tensor.to("meta") if shapes_only else tensor

    stacks = stacks_of(model, convert)
    walk = Walk()
    x = walk.stack(stacks[0], ids, segments, None)
    if len(stacks) > 1:
        x = walk.stack(stacks[1], written, None, x)
    _head(walk, model, head, x, convert)
    return walk
