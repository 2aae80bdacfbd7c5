"""Where each family of models keeps its weights: what a forward pass is recomputed from.

Read from the modules of transformers 5; ``tests/lens/test_forward.py`` compares every family with its own output.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from core.lens.forward import Affine, Block, Code, Norm

if TYPE_CHECKING:
    import torch

Convert = Callable[["torch.Tensor"], "torch.Tensor"]

# What a residual addition looks like in the library's code, in any family.
_RESIDUAL = r"\+ input_tensor|_output \+ (hidden_states|\w+_output)\b"


@dataclass(frozen=True)
class Table:
    """An embedding table ``(entries, width)``.

    Attributes:
        path: the module's name.
        weight: the table.
        scale: what each row is multiplied with (√width in some encoder-decoders).
        code: its line.
    """

    path: str
    weight: "torch.Tensor"
    scale: float
    code: Code


@dataclass(frozen=True)
class Positions:
    """Absolute positions: a table and which of its rows each token takes."""

    table: Table
    rows: Callable[[Sequence[int]], list[int]]


@dataclass(frozen=True)
class EmbeddingPart:
    """What stands before the first layer; ``total`` is the line that adds up."""

    words: Table
    positions: Positions | None
    types: Table | None
    norm: Norm | None
    project: Affine | None
    total: Code


@dataclass(frozen=True)
class AttentionPart:
    """One attention module.

    Attributes:
        core: the module that calls the attention function.
        q: queries, ``(heads · size, hidden)``.
        k: keys, ``(shared heads · size, hidden)``.
        v: values, as the keys.
        o: output projection.
        heads: of the queries.
        shared: of keys and values: fewer in grouped-query attention (Ainslie et al. 2023).
        size: of one head's vectors.
        scale: what q·k is multiplied with.
        q_norm: RMSNorm of each query before rotation, where there is one.
        k_norm: the same of the keys.
        position_bias: gives T5's relative position bias ``(heads, rows, columns)`` from two lengths.
        bias_path: the module whose table that bias is.
    """

    core: str
    q: Affine
    k: Affine
    v: Affine
    o: Affine
    heads: int
    shared: int
    size: int
    scale: float
    q_norm: Norm | None = None
    k_norm: Norm | None = None
    position_bias: Callable[[int, int], "torch.Tensor"] | None = None
    bias_path: str = ""


@dataclass(frozen=True)
class FeedForwardPart:
    """``down(act(up(x)))``, or ``down(act(gate(x)) · up(x))`` where there is a gate (Shazeer 2020)."""

    up: Affine
    gate: Affine | None
    down: Affine
    activation: Callable[["torch.Tensor"], "torch.Tensor"]
    name: str
    activation_code: Code
    product_code: Code | None = None


@dataclass(frozen=True)
class Sublayer:
    """Attention or feed-forward with its residual connection and its normalization."""

    block: Block
    part: AttentionPart | FeedForwardPart
    norm: Norm
    residual: Code


@dataclass(frozen=True)
class StackPart:
    """An encoder or a decoder.

    Attributes:
        name: which.
        embedding: what stands before the layers.
        layers: the sublayers of each layer.
        before: normalization comes before each sublayer (Xiong et al. 2020) instead of after.
        final: the normalization after the last layer, if there is one.
        rotary: the module that gives cosines and sines of rotary positions.
        rotary_path: its name.
        causal: whether a token sees only those before it.
    """

    name: Literal["encoder", "decoder"]
    embedding: EmbeddingPart
    layers: tuple[tuple[Sublayer, ...], ...]
    before: bool
    final: Norm | None
    rotary: Any
    rotary_path: str
    causal: bool


class Unsupported(Exception):
    """A family that isn't described here."""


class _Reader:
    """Takes weights out of a model by the names of its modules."""

    def __init__(self, model: Any, convert: Convert) -> None:
        self.model = model
        self.convert = convert

    def module(self, path: str) -> Any:
        return self.model.get_submodule(path)

    def tensor(self, tensor: "torch.Tensor | None") -> "torch.Tensor | None":
        return None if tensor is None else self.convert(tensor.detach())

    def affine(self, path: str, part: tuple[int, int] | None = None) -> Affine:
        module = self.module(path)
        turned = type(module).__name__ == "Conv1D"
        weight = module.weight.T if turned else module.weight
        bias = getattr(module, "bias", None)
        offset = 0
        if part is not None:
            offset = part[0]
            weight = weight[part[0] : part[1]]
            bias = None if bias is None else bias[part[0] : part[1]]
        return Affine(path, self.convert(weight.detach()), self.tensor(bias), offset, turned)

    def affines(self, path: str, q: str, k: str, v: str, o: str) -> tuple[Affine, Affine, Affine, Affine]:
        """The four maps of an attention module."""
        return tuple(self.affine(f"{path}.{name}") for name in (q, k, v, o))  # type: ignore[return-value]

    def norm(self, path: str) -> Norm:
        module = self.module(path)
        eps = getattr(module, "eps", None)
        centred = eps is not None and hasattr(module, "normalized_shape")
        epsilon = eps if eps is not None else module.variance_epsilon
        return Norm(
            path, self.convert(module.weight.detach()), self.tensor(getattr(module, "bias", None)), epsilon, centred
        )

    def table(self, path: str, scale: float = 1.0, code: Code | None = None) -> Table:
        return Table(path, self.convert(self.module(path).weight.detach()), scale, code or call(path))


def call(path: str, which: int | None = None) -> Code:
    """The line of the parent's ``forward`` that calls the module at ``path``."""
    owner, _dot, name = path.rpartition(".")
    return Code(owner, rf"self\.{name}\(", which)


def _ascending(offset: int = 0) -> Callable[[Sequence[int]], list[int]]:
    return lambda ids: [place + offset for place in range(len(ids))]


def _past_padding(padding: int) -> Callable[[Sequence[int]], list[int]]:
    """RoBERTa's positions: from padding + 1 on, and padding itself keeps its own."""

    def rows(ids: Sequence[int]) -> list[int]:
        found, count = [], 0
        for token in ids:
            count += token != padding
            found.append(padding + count if token != padding else padding)
        return found

    return rows


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


# --- BERT and its relatives -------------------------------------------------------------------------------


def _bert(read: _Reader, prefix: str, name: Literal["encoder", "decoder"]) -> StackPart:
    body = read.module(prefix) if prefix else read.model
    config = body.config
    own = _joined(prefix, "embeddings")
    embeddings = read.module(own)
    padded = hasattr(embeddings, "padding_idx")
    project = _joined(prefix, "embeddings_project")
    embedding = EmbeddingPart(
        read.table(f"{own}.word_embeddings"),
        Positions(
            read.table(f"{own}.position_embeddings"),
            _past_padding(embeddings.padding_idx) if padded else _ascending(),
        ),
        read.table(f"{own}.token_type_embeddings"),
        read.norm(f"{own}.LayerNorm"),
        read.affine(project) if hasattr(body, "embeddings_project") else None,
        Code(own, r"embeddings = \w+ \+"),
    )
    heads = config.num_attention_heads

    def attention(path: str) -> Sublayer:
        block: Block = "cross" if path.endswith("crossattention") else "attention"
        core = read.module(f"{path}.self")
        size = core.attention_head_size
        q, k, v = (read.affine(f"{path}.self.{part}") for part in ("query", "key", "value"))
        part = AttentionPart(
            f"{path}.self", q, k, v, read.affine(f"{path}.output.dense"), heads, heads, size, size**-0.5
        )
        return Sublayer(block, part, read.norm(f"{path}.output.LayerNorm"), Code(f"{path}.output", _RESIDUAL))

    layers = []
    for index in range(config.num_hidden_layers):
        path = _joined(prefix, f"encoder.layer.{index}")
        layer = read.module(path)
        sublayers = [attention(f"{path}.attention")]
        if hasattr(layer, "crossattention"):
            sublayers.append(attention(f"{path}.crossattention"))
        part = FeedForwardPart(
            read.affine(f"{path}.intermediate.dense"),
            None,
            read.affine(f"{path}.output.dense"),
            layer.intermediate.intermediate_act_fn,
            str(config.hidden_act),
            Code(f"{path}.intermediate", r"act_fn\("),
        )
        norm = read.norm(f"{path}.output.LayerNorm")
        sublayers.append(Sublayer("feed-forward", part, norm, Code(f"{path}.output", _RESIDUAL)))
        layers.append(tuple(sublayers))
    return StackPart(name, embedding, tuple(layers), False, None, None, "", name == "decoder")


def _distilbert(read: _Reader, prefix: str) -> StackPart:
    body = read.module(prefix) if prefix else read.model
    config = body.config
    own = _joined(prefix, "embeddings")
    embedding = EmbeddingPart(
        read.table(f"{own}.word_embeddings", code=Code(own, r"self\.word_embeddings\(")),
        Positions(read.table(f"{own}.position_embeddings"), _ascending()),
        None,
        read.norm(f"{own}.LayerNorm"),
        None,
        Code(own, r"embeddings = \w+ \+"),
    )
    layers = []
    for index in range(config.n_layers):
        path = _joined(prefix, f"transformer.layer.{index}")
        inner = f"{path}.attention"
        size = config.dim // config.n_heads
        attention = AttentionPart(
            inner,
            *read.affines(f"{inner}", "q_lin", "k_lin", "v_lin", "out_lin"),
            heads=config.n_heads,
            shared=config.n_heads,
            size=size,
            scale=size**-0.5,
        )
        ffn = FeedForwardPart(
            read.affine(f"{path}.ffn.lin1"),
            None,
            read.affine(f"{path}.ffn.lin2"),
            read.module(f"{path}.ffn").activation,
            config.activation,
            Code(f"{path}.ffn", r"self\.activation\("),
        )
        layers.append(
            (
                Sublayer("attention", attention, read.norm(f"{path}.sa_layer_norm"), Code(path, _RESIDUAL, 0)),
                Sublayer("feed-forward", ffn, read.norm(f"{path}.output_layer_norm"), Code(path, _RESIDUAL, -1)),
            )
        )
    return StackPart("encoder", embedding, tuple(layers), False, None, None, "", False)


# --- decoders ---------------------------------------------------------------------------------------------


def _gpt2(read: _Reader, prefix: str) -> StackPart:
    config = read.model.config
    width, heads = config.n_embd, config.n_head
    embedding = EmbeddingPart(
        read.table(_joined(prefix, "wte")),
        Positions(read.table(_joined(prefix, "wpe")), _ascending()),
        None,
        None,
        None,
        Code(prefix, r"inputs_embeds \+ position_embeds"),
    )
    layers = []
    for index in range(config.n_layer):
        path = _joined(prefix, f"h.{index}")
        core = read.module(f"{path}.attn")
        parts = [read.affine(f"{path}.attn.c_attn", (at * width, (at + 1) * width)) for at in range(3)]
        attention = AttentionPart(
            f"{path}.attn",
            parts[0],
            parts[1],
            parts[2],
            read.affine(f"{path}.attn.c_proj"),
            heads,
            heads,
            width // heads,
            core.scaling,
        )
        ffn = FeedForwardPart(
            read.affine(f"{path}.mlp.c_fc"),
            None,
            read.affine(f"{path}.mlp.c_proj"),
            read.module(f"{path}.mlp").act,
            config.activation_function,
            Code(f"{path}.mlp", r"self\.act\("),
        )
        layers.append(
            (
                Sublayer("attention", attention, read.norm(f"{path}.ln_1"), Code(path, r"attn_output \+ residual", 0)),
                Sublayer("feed-forward", ffn, read.norm(f"{path}.ln_2"), Code(path, r"residual \+ feed_forward")),
            )
        )
    return StackPart("decoder", embedding, tuple(layers), True, read.norm(_joined(prefix, "ln_f")), None, "", True)


def _llama(read: _Reader, prefix: str) -> StackPart:
    """Llama, Qwen 2 and 3, Mistral: rotary positions, RMSNorm, gated feed-forward."""
    config = read.model.config
    heads, shared = config.num_attention_heads, config.num_key_value_heads
    embedding = EmbeddingPart(
        read.table(_joined(prefix, "embed_tokens")), None, None, None, None, call(_joined(prefix, "embed_tokens"))
    )
    layers = []
    for index in range(config.num_hidden_layers):
        path = _joined(prefix, f"layers.{index}")
        core = read.module(f"{path}.self_attn")
        normed = hasattr(core, "q_norm")
        attention = AttentionPart(
            f"{path}.self_attn",
            *read.affines(f"{path}.self_attn", "q_proj", "k_proj", "v_proj", "o_proj"),
            heads=heads,
            shared=shared,
            size=core.head_dim,
            scale=core.scaling,
            q_norm=read.norm(f"{path}.self_attn.q_norm") if normed else None,
            k_norm=read.norm(f"{path}.self_attn.k_norm") if normed else None,
        )
        mlp = f"{path}.mlp"
        ffn = FeedForwardPart(
            read.affine(f"{mlp}.up_proj"),
            read.affine(f"{mlp}.gate_proj"),
            read.affine(f"{mlp}.down_proj"),
            read.module(mlp).act_fn,
            config.hidden_act,
            Code(mlp, r"self\.act_fn\("),
            Code(mlp, r"\* self\.up_proj\("),
        )
        layers.append(
            (
                Sublayer("attention", attention, read.norm(f"{path}.input_layernorm"), Code(path, r"residual \+", 0)),
                Sublayer(
                    "feed-forward", ffn, read.norm(f"{path}.post_attention_layernorm"), Code(path, r"residual \+", -1)
                ),
            )
        )
    rotary = _joined(prefix, "rotary_emb")
    final = read.norm(_joined(prefix, "norm"))
    return StackPart("decoder", embedding, tuple(layers), True, final, read.module(rotary), rotary, True)


# --- encoder-decoders -------------------------------------------------------------------------------------


def _bart(read: _Reader, prefix: str, name: Literal["encoder", "decoder"]) -> StackPart:
    """BART and Marian."""
    path = _joined(prefix, name)
    stack = read.module(path)
    config = stack.config
    heads = config.encoder_attention_heads if name == "encoder" else config.decoder_attention_heads
    scale = getattr(stack.embed_tokens, "embed_scale", None)
    scale = float(scale if scale is not None else getattr(stack, "embed_scale", 1.0))
    position = stack.embed_positions
    embedding = EmbeddingPart(
        read.table(f"{path}.embed_tokens", scale),
        Positions(read.table(f"{path}.embed_positions"), _ascending(getattr(position, "offset", 0))),
        None,
        read.norm(f"{path}.layernorm_embedding") if hasattr(stack, "layernorm_embedding") else None,
        None,
        Code(path, r"inputs_embeds \+ (embed_pos|pos\w*)"),
    )

    def attention(own: str, norm: str, block: Block, which: int) -> Sublayer:
        core = read.module(own)
        part = AttentionPart(
            own,
            *read.affines(f"{own}", "q_proj", "k_proj", "v_proj", "out_proj"),
            heads=heads,
            shared=heads,
            size=core.head_dim,
            scale=core.scaling,
        )
        return Sublayer(block, part, read.norm(norm), Code(own.rpartition(".")[0], r"residual \+", which))

    layers = []
    for index in range(len(stack.layers)):
        layer = f"{path}.layers.{index}"
        sublayers = [attention(f"{layer}.self_attn", f"{layer}.self_attn_layer_norm", "attention", 0)]
        if name == "decoder":
            sublayers.append(attention(f"{layer}.encoder_attn", f"{layer}.encoder_attn_layer_norm", "cross", 1))
        ffn = FeedForwardPart(
            read.affine(f"{layer}.fc1"),
            None,
            read.affine(f"{layer}.fc2"),
            read.module(layer).activation_fn,
            config.activation_function,
            Code(layer, r"activation_fn\("),
        )
        norm = read.norm(f"{layer}.final_layer_norm")
        sublayers.append(Sublayer("feed-forward", ffn, norm, Code(layer, r"residual \+", -1)))
        layers.append(tuple(sublayers))
    return StackPart(name, embedding, tuple(layers), False, None, None, "", name == "decoder")


def _t5(read: _Reader, name: Literal["encoder", "decoder"]) -> StackPart:
    stack = read.module(name)
    config = stack.config
    words = f"{name}.embed_tokens"
    embedding = EmbeddingPart(read.table(words), None, None, None, None, call(words))
    first = read.module(f"{name}.block.0.layer.0.SelfAttention")
    bias_path = f"{name}.block.0.layer.0.SelfAttention.relative_attention_bias"

    def bias(rows: int, columns: int) -> "torch.Tensor":
        tensor: torch.Tensor = read.convert(first.compute_bias(rows, columns)[0].detach())
        return tensor

    def attention(own: str, inner: str, block: Block) -> Sublayer:
        part = AttentionPart(
            f"{own}.{inner}",
            *read.affines(f"{own}.{inner}", "q", "k", "v", "o"),
            heads=config.num_heads,
            shared=config.num_heads,
            size=config.d_kv,
            scale=1.0,
            position_bias=bias if block == "attention" else None,
            bias_path=bias_path,
        )
        return Sublayer(block, part, read.norm(f"{own}.layer_norm"), Code(own, r"hidden_states \+ self\.dropout"))

    layers = []
    for index in range(len(stack.block)):
        path = f"{name}.block.{index}.layer"
        count = len(stack.block[index].layer)
        sublayers = [attention(f"{path}.0", "SelfAttention", "attention")]
        if count == 3:
            sublayers.append(attention(f"{path}.1", "EncDecAttention", "cross"))
        own = f"{path}.{count - 1}"
        dense = f"{own}.DenseReluDense"
        gated = hasattr(read.module(dense), "wi_0")
        ffn = FeedForwardPart(
            read.affine(f"{dense}.{'wi_1' if gated else 'wi'}"),
            read.affine(f"{dense}.wi_0") if gated else None,
            read.affine(f"{dense}.wo"),
            read.module(dense).act,
            config.dense_act_fn,
            Code(dense, r"self\.act\("),
            Code(dense, r"hidden_gelu \* hidden_linear") if gated else None,
        )
        residual = Code(own, r"hidden_states \+ self\.dropout")
        sublayers.append(Sublayer("feed-forward", ffn, read.norm(f"{own}.layer_norm"), residual))
        layers.append(tuple(sublayers))
    final = read.norm(f"{name}.final_layer_norm")
    return StackPart(name, embedding, tuple(layers), True, final, None, "", name == "decoder")


# --- by family --------------------------------------------------------------------------------------------


_BERTS = ("bert", "roberta", "xlm-roberta", "electra", "camembert")
_LLAMAS = ("llama", "qwen2", "qwen3", "mistral")
_BARTS = ("bart", "marian", "mbart")


def stacks_of(model: Any, convert: Convert) -> tuple[StackPart, ...]:
    """The stacks of a model: one, or encoder and decoder.

    Args:
        model: a transformers model with or without a head.
        convert: what is done to each weight that is taken, such as ``Tensor.float``.

    Raises:
        Unsupported: a family that isn't described here.
    """
    read = _Reader(model, convert)
    kind = model.config.model_type
    own = model.base_model_prefix
    prefix = own if hasattr(model, own) and model.base_model is not model else ""
    if kind in _BERTS:
        return (_bert(read, prefix, "encoder"),)
    if kind == "distilbert":
        return (_distilbert(read, prefix),)
    if kind == "gpt2":
        return (_gpt2(read, prefix),)
    if kind in _LLAMAS:
        return (_llama(read, prefix),)
    if kind in _BARTS and kind != "mbart":
        return (_bart(read, prefix, "encoder"), _bart(read, prefix, "decoder"))
    if kind == "t5":
        return (_t5(read, "encoder"), _t5(read, "decoder"))
    if kind == "encoder-decoder":
        inner = model.decoder.base_model_prefix
        if model.encoder.config.model_type in _BERTS and model.decoder.config.model_type in _BERTS:
            return (_bert(read, "encoder", "encoder"), _bert(read, f"decoder.{inner}", "decoder"))
    raise Unsupported(kind)


def reader(model: Any, convert: Convert) -> _Reader:
    """What takes single weights out of ``model``."""
    return _Reader(model, convert)
