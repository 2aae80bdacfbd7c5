"""Other matrices made of attention weights: without special tokens, by words, means, rollout, norms.

All are ``AttentionMap``s again, so that whatever draws or measures one takes the others, too.
"""

import unicodedata
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from core.errors import InputInvalid
from core.i18n import gettext as _
from core.lens.attention import AttentionMap, Token, word_groups

Floats = npt.NDArray[np.float32]


def rescaled(weights: Floats) -> Floats:
    """Rows that sum to 1 again; a row of zeros stays so."""
    sums = weights.sum(-1, keepdims=True)
    scaled: Floats = np.divide(weights, sums, out=np.zeros_like(weights), where=sums > 0)
    return scaled


def hide_special(amap: AttentionMap, *, renormalize: bool) -> AttentionMap:
    """Leaves out special tokens, as rows and as columns.

    Args:
        amap: the weights.
        renormalize: make the rows sum to 1 again; else they sum to what went to other tokens.

    Raises:
        InputInvalid: nothing would be left.
    """
    rows = [index for index, token in enumerate(amap.rows) if not token.special]
    columns = [index for index, token in enumerate(amap.columns) if not token.special]
    if not rows or not columns:
        raise InputInvalid(_("El texto no tiene más que tokens especiales: no queda nada que mostrar sin ellos."))
    weights = np.ascontiguousarray(amap.weights[:, :, rows][:, :, :, columns])
    if renormalize:
        weights = rescaled(weights)
    return replace(
        amap,
        rows=tuple(amap.rows[index] for index in rows),
        columns=tuple(amap.columns[index] for index in columns),
        weights=weights,
    )


def _merged(tokens: tuple[Token, ...], groups: list[tuple[int, ...]]) -> tuple[Token, ...]:
    found = []
    for group in groups:
        first, last = tokens[group[0]], tokens[group[-1]]
        text = "".join(tokens[index].text for index in group)
        found.append(replace(first, text=text, piece=text, end=max(first.end, last.end), continues=False))
    return tuple(found)


def merge_words(amap: AttentionMap) -> AttentionMap:
    """Pieces as words: what a word receives is the sum over its pieces, what it gives the mean (rows sum to 1 still).

    Clark et al. 2019, "What Does BERT Look at?", section 4.1.
    """
    columns = word_groups(amap.columns)
    rows = columns if amap.rows is amap.columns else word_groups(amap.rows)
    received = np.add.reduceat(amap.weights, [group[0] for group in columns], axis=3)
    summed = np.add.reduceat(received, [group[0] for group in rows], axis=2)
    weights = summed / np.array([len(group) for group in rows], dtype=np.float32)[:, None]
    merged = _merged(amap.columns, columns)
    return replace(
        amap,
        rows=merged if amap.rows is amap.columns else _merged(amap.rows, rows),
        columns=merged,
        weights=weights.astype(np.float32),
    )


def mean_heads(amap: AttentionMap) -> AttentionMap:
    """The mean over the heads of each layer, ``(layers, 1, rows, columns)``."""
    return replace(amap, weights=amap.weights.mean(1, keepdims=True))


def rollout(amap: AttentionMap) -> AttentionMap:
    """Attention rollout: how much of each input token would flow to each row, up to each layer.

    Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers", section 3: the mean over heads, half of
    each layer for the residual connection (0.5·A + 0.5·I), and the product of all layers up to that one.

    Returns:
        ``(layers, 1, tokens, tokens)``.

    Raises:
        InputInvalid: cross-attention, whose rows and columns are different tokens.
    """
    if amap.kind == "cross" or len(amap.rows) != len(amap.columns):
        raise InputInvalid(
            _(
                "El despliegue de la atención multiplica capas entre sí: solo tiene sentido donde un texto se mira "
                "a sí mismo."
            )
        )
    identity = np.eye(len(amap.rows), dtype=np.float64)
    flow = identity
    layers = []
    for layer in amap.weights.mean(1, dtype=np.float64):
        mixed = 0.5 * layer + 0.5 * identity
        flow = (mixed / mixed.sum(-1, keepdims=True)) @ flow
        layers.append(flow)
    return replace(amap, weights=np.stack(layers)[:, None].astype(np.float32))


def norm_weighted(amap: AttentionMap, norms: Floats) -> AttentionMap:
    """Attention by the size of what it brings, ‖α·f(x)‖, with rows scaled to sum to 1.

    Kobayashi et al. 2020, "Attention is Not Only a Weight: Analyzing Transformers with Vector Norms": a token may be
    looked at much and bring next to nothing, as [SEP] often does.

    Args:
        amap: the weights of tokens (not of words).
        norms: ‖f(xⱼ)‖, ``(layers, heads, columns)``, from ``attention_trace.NORMS_TASK``.
    """
    if norms.shape != (*amap.weights.shape[:2], len(amap.columns)):
        raise ValueError(f"norms {norms.shape} for weights {amap.weights.shape}")
    return replace(amap, weights=rescaled(amap.weights * norms[:, :, None, :]))


def received(amap: AttentionMap, layer: int, heads: tuple[int, ...]) -> Floats:
    """How much each column receives, the mean over rows and the heads given, ``(columns,)``."""
    mean: Floats = amap.weights[layer, list(heads)].mean((0, 1))
    return mean


def shown_groups(tokens: tuple[Token, ...], *, special: bool, words: bool) -> list[tuple[int, ...]]:
    """Which tokens stand behind each row or column once special tokens are hidden and pieces merged.

    Args:
        tokens: of the map as it was read.
        special: whether special tokens are shown.
        words: whether pieces are merged.

    Returns:
        For each row or column shown, in order, the indexes of its tokens.
    """
    kept = [index for index, token in enumerate(tokens) if special or not token.special]
    if not words:
        return [(index,) for index in kept]
    return [tuple(kept[place] for place in group) for group in word_groups(tuple(tokens[index] for index in kept))]


def word_places(tokens: tuple[Token, ...], word: str) -> tuple[int, ...]:
    """The tokens of a word of the text, as indexes; ``"bank#1"`` is its second occurrence. Empty if there is none.

    Compared without regard to case or accents, which some vocabularies don't know.
    """
    wanted, _hash, which = word.partition("#")
    target = _plain(wanted)
    found = [group for group in word_groups(tokens) if _plain("".join(tokens[index].text for index in group)) == target]
    place = int(which) if which.isdecimal() else 0
    return found[place] if place < len(found) else ()


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
