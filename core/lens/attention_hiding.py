"""The masking test: hide a token from all others, run again, and see whether anything changes.

If attention explained a prediction, hiding the most attended token should change it most. Jain and Wallace 2019,
"Attention is not Explanation", compare attention with such leave-one-out effects by Kendall's τ; so does this.
Wiegreffe and Pinter 2019, "Attention is not not Explanation", answer what that does and does not prove.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from core.errors import InputInvalid
from core.i18n import gettext as _
from core.lens.attention import Kind
from core.lens.attention_inputs import Inputs, TextPair, prepare
from core.lens.attention_trace import tracing
from core.runtime.bundle import ModelBundle

if TYPE_CHECKING:
    import torch

Measure = Literal["gap", "next", "vector"]

# With more words than these, only the one that was asked for is hidden.
MAX_WORDS: Final = 96
# How many words of a distribution are shown.
SHOWN: Final = 5
_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class HidingRequest:
    """What to hide and whose prediction to watch.

    Attributes:
        pair: the text or texts.
        row: the tokens of the word that looks.
        words: the tokens of each word that could be looked at, as indexes of the columns.
        hidden: which of ``words`` to hide.
        only: layer and head in which alone it is hidden; ``None``: in all of them.
    """

    pair: TextPair
    row: tuple[int, ...]
    words: tuple[tuple[int, ...], ...]
    hidden: int
    only: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Guess:
    """A word that the model could put there, and its probability with everything in sight and without the word."""

    text: str
    before: float
    after: float


@dataclass(frozen=True)
class Hiding:
    """What hiding did.

    Attributes:
        measure: ``"gap"``: the looking word was replaced by a gap, and its prediction is compared; ``"next"``: the
            prediction of the next token; ``"vector"``: the looking word's last vector, for models that predict none.
        effect: from 0. For predictions the total variation distance of the two distributions, the share of
            probability that moved, at most 1; for vectors ‖after - before‖ / ‖before‖.
        changed: whether the most probable word is another one; ``None`` for vectors.
        guesses: the most probable words before and after; empty for vectors.
        effects: the effect of hiding each word in turn, ``(words,)``; NaN where a word can't be hidden from the one
            that looks (it is the same, or out of sight). Empty with more than ``MAX_WORDS`` words.
    """

    measure: Measure
    effect: float
    changed: bool | None
    guesses: tuple[Guess, ...]
    effects: npt.NDArray[np.float64]


def agreement(attention: Sequence[float], effects: Sequence[float]) -> float | None:
    """Kendall's τ-b between what was looked at and what mattered, over the words that could be hidden.

    Returns:
        From -1 to 1; ``None`` with fewer than three words, or where all are equal.
    """
    from scipy.stats import kendalltau

    pairs = [(a, e) for a, e in zip(attention, effects, strict=True) if not np.isnan(e)]
    if len(pairs) < 3:
        return None
    tau = float(kendalltau(*zip(*pairs, strict=True)).statistic)
    return None if np.isnan(tau) else tau


def _measure(bundle: ModelBundle, inputs: Inputs) -> Measure:
    head = bundle.entry.weights.head if bundle.entry.weights is not None else None
    if inputs.kind == "encoder":
        return "gap" if head in ("MaskedLM", "PreTraining") and _gap(bundle) is not None else "vector"
    return "next" if head in ("CausalLM", "Seq2SeqLM") else "vector"


def _gap(bundle: ModelBundle) -> int | None:
    with bundle.lock:
        gap: int | None = bundle.tokenizer.mask_token_id
    return gap


class HideTokens:
    """The task."""

    name = "attention-hiding"
    attention = False
    max_batch = 1

    def run(self, bundle: ModelBundle, requests: Sequence[HidingRequest]) -> list[Hiding]:
        """What hiding did, for each request.

        Raises:
            InputInvalid: no text, or a word that can't be hidden from the one that looks.
            InputTooLong: too many tokens.
            ModelUnavailable: the model's attention can't be changed.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: HidingRequest) -> Hiding:
        inputs = prepare(bundle, request.pair)
        measure = _measure(bundle, inputs)
        able = [_can_hide(inputs, request.row, word) for word in request.words]
        if not able[request.hidden]:
            raise InputInvalid(
                _("Esa palabra no se puede tapar: o es la misma que mira, o está después y el decodificador no la ve.")
            )
        tried = [index for index, can in enumerate(able) if can]
        if len(request.words) > MAX_WORDS:
            tried = [request.hidden]
        # The first row of the batch is the text with everything in sight.
        found = _run(bundle, inputs, measure, request, [(), *(request.words[index] for index in tried)])
        effects = np.full(len(request.words), np.nan)
        for place, index in enumerate(tried, 1):
            effects[index] = _effect(measure, found[0], found[place])
        before, after = found[0], found[1 + tried.index(request.hidden)]
        guesses: tuple[Guess, ...] = ()
        changed = None
        if measure != "vector":
            guesses = _guesses(bundle, before, after)
            changed = int(before.argmax()) != int(after.argmax())
        return Hiding(
            measure,
            float(effects[request.hidden]),
            changed,
            guesses,
            effects if len(request.words) <= MAX_WORDS else np.zeros(0),
        )


def _can_hide(inputs: Inputs, row: Sequence[int], word: Sequence[int]) -> bool:
    if inputs.kind == "cross":
        return True
    return not set(row) & set(word) and (inputs.kind == "encoder" or min(word) < max(row))


def _run(
    bundle: ModelBundle,
    inputs: Inputs,
    measure: Measure,
    request: HidingRequest,
    hidden: Sequence[tuple[int, ...]],
) -> "list[torch.Tensor]":
    """Distributions over the vocabulary or last vectors of the looking word, one for each of ``hidden``."""
    import torch

    kinds: tuple[Kind, ...] = ("cross", "encoder") if inputs.kind == "cross" else (inputs.kind,)
    if request.only is not None:
        kinds = (inputs.kind,)
    found: list[torch.Tensor] = []
    for start in range(0, len(hidden), _AT_ONCE):
        part = hidden[start : start + _AT_ONCE]
        unseen = torch.zeros(len(part), len(inputs.columns), dtype=torch.bool)
        for place, word in enumerate(part):
            unseen[place, list(word)] = True
        options = {"hidden": unseen.to(bundle.device.name), "hide_in": kinds, "only": request.only}
        with tracing(bundle, **options) as (traced, _trace):
            arguments = inputs.arguments(traced.device.name, len(part))
            if measure == "gap":
                ids = arguments["input_ids"].clone()
                ids[:, list(request.row)] = _gap(bundle)
                arguments["input_ids"] = ids
            model: Any = traced.model
            out = model(**arguments, output_hidden_states=measure == "vector")
        if measure == "vector":
            found += _last_vectors(out, inputs)[:, list(request.row)].float().mean(1).cpu()
            continue
        logits = out["prediction_logits"] if "prediction_logits" in out else out["logits"]
        row = request.row[0] if measure == "gap" else request.row[-1]
        found += logits[:, row].float().softmax(-1).cpu()
    return found


def _last_vectors(out: Any, inputs: Inputs) -> "torch.Tensor":
    if not inputs.written:
        vectors: torch.Tensor = out["hidden_states"][-1]
        return vectors
    stack: torch.Tensor = out["encoder_hidden_states" if inputs.kind == "encoder" else "decoder_hidden_states"][-1]
    return stack


def _effect(measure: Measure, before: "torch.Tensor", after: "torch.Tensor") -> float:
    if measure == "vector":
        return float((after - before).norm() / before.norm().clamp_min(1e-12))
    return float((after - before).abs().sum() / 2)


def _guesses(bundle: ModelBundle, before: "torch.Tensor", after: "torch.Tensor") -> tuple[Guess, ...]:
    ids = list(dict.fromkeys([*before.topk(SHOWN).indices.tolist(), *after.topk(SHOWN).indices.tolist()]))
    with bundle.lock:
        texts = [str(bundle.tokenizer.decode([token])).strip() for token in ids]
        pieces = bundle.tokenizer.convert_ids_to_tokens(ids)
    return tuple(
        Guess(text or str(piece), float(before[token]), float(after[token]))
        for token, text, piece in zip(ids, texts, pieces, strict=True)
    )


TASK: Final = HideTokens()
