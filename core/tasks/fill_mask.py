"""Masked words: what the model would write in each gap, with probabilities (Devlin et al. 2018).

A gap is written ``[MASK]``. Each gap is answered on its own, the others staying masked, as BERT was trained.
With ``pieces`` above one, words that the vocabulary holds in several pieces are sought, too: one gap is opened
to so many masks and filled from left to right, keeping the best few at each step; a word's score is the
geometric mean of its pieces' probabilities, so that short and long words can stand in one list.

A causal model, such as GPT, can answer, too, but by other rules: it reads what stands before the gap and nothing
of what follows, and says which token would come next.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.errors import InputInvalid, InputTooLong
from core.i18n import format_number
from core.i18n import gettext as _
from core.runtime.bundle import ModelBundle
from core.tasks.common import Clock, Timing, entropy_bits, require_text
from core.tasks.generation import next_token

if TYPE_CHECKING:
    import torch

MASK: Final = "[MASK]"
MAX_MASKS: Final = 20
# How vocabularies of causal models write the space in front of a word.
SPACES: Final = ("Ġ", "▁")
MAX_PIECES: Final = 4
# How people write the gap: BERT's way, RoBERTa's, or three underscores.
_GAPS: Final = re.compile(r"\[\s*MASK\s*\]|<mask>|_{3,}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FillMaskRequest:
    """A text with gaps.

    Attributes:
        text: with ``[MASK]`` (``<mask>`` and ``___`` are taken for it) where words are sought.
        top: candidates a gap.
        pieces: how many pieces a word may have.
    """

    text: str
    top: int = 10
    pieces: int = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A word for a gap: its pieces, and its probability (of several pieces, their geometric mean)."""

    text: str
    pieces: tuple[str, ...]
    probability: float


@dataclass(frozen=True, slots=True)
class Gap:
    """One gap: where it stands in the text (code points), and its candidates, the best first."""

    start: int
    end: int
    candidates: tuple[Candidate, ...]
    entropy_bits: float


@dataclass(frozen=True, slots=True)
class FillMaskResult:
    """What stands in the gaps.

    Attributes:
        gaps: in order.
        tokens: how many tokens the model read.
        left_only: a causal model answered: of each gap it saw only what stands before it.
        timing: where the batch's time went.
    """

    gaps: tuple[Gap, ...]
    tokens: int
    left_only: bool
    timing: Timing


def gaps_of(text: str) -> list[tuple[int, int]]:
    """Where the gaps stand in ``text``, in code points.

    Raises:
        InputInvalid: there is none.
        InputTooLong: there are more than 20.
    """
    found = [match.span() for match in _GAPS.finditer(text)]
    if not found:
        raise InputInvalid(_("Falta el hueco: escribe [MASK] donde el modelo debe poner una palabra."))
    if len(found) > MAX_MASKS:
        raise InputTooLong(
            _(
                "El texto tiene {n} huecos y aquí caben {limit}: con tantos, el modelo ya no tiene de qué partir."
            ).format(n=format_number(len(found)), limit=format_number(MAX_MASKS))
        )
    return found


def _logits(output: Any) -> "torch.Tensor":
    """Scores of the vocabulary, also from a model that has BERT's two heads."""
    scores: torch.Tensor = output.logits if hasattr(output, "logits") else output.prediction_logits
    return scores


class FillMask:
    """The task."""

    name = "fill-mask"
    attention = False
    max_batch = 16

    def run(self, bundle: ModelBundle, requests: Sequence[FillMaskRequest]) -> list[FillMaskResult]:
        """Fills the gaps of each text.

        Raises:
            InputInvalid: an empty text, one without a gap or, for a causal model, one that begins with it.
            InputTooLong: too many gaps, or more tokens than the model reads.
        """
        if bundle.tokenizer.mask_token_id is None:
            return [_from_the_left(bundle, request) for request in requests]
        clock = Clock()
        mask = str(bundle.tokenizer.mask_token)
        with clock.part("tokenize"):
            spans = [gaps_of(require_text(request.text)) for request in requests]
            encoded = bundle.encode([_GAPS.sub(mask, request.text) for request in requests])
            inputs = {name: value.to(bundle.device.name) for name, value in encoded.items()}
        with clock.part("model"):
            scores = _logits(bundle.model(**inputs)).float().cpu()
        found = []
        for row, (request, own) in enumerate(zip(requests, spans, strict=True)):
            ids = encoded["input_ids"][row]
            places = (ids == bundle.tokenizer.mask_token_id).nonzero().flatten().tolist()
            gaps = []
            for place, (start, end) in zip(places, own, strict=True):
                with clock.part("decode"):
                    chances = scores[row, place].softmax(-1)
                    best = chances.topk(min(request.top, len(chances)))
                    candidates = [
                        _candidate(bundle, [piece], chance)
                        for chance, piece in zip(best.values.tolist(), best.indices.tolist(), strict=True)
                    ]
                    entropy = entropy_bits(chances)
                size = int(encoded["attention_mask"][row].sum())
                for pieces in range(2, min(request.pieces, MAX_PIECES) + 1):
                    with clock.part("model"):
                        candidates += _longer(bundle, ids[:size], place, pieces, request.top)
                candidates.sort(key=lambda candidate: -candidate.probability)
                gaps.append(Gap(start, end, tuple(candidates[: request.top]), entropy))
            found.append((tuple(gaps), int(encoded["attention_mask"][row].sum())))
        timing = clock.timing()
        return [FillMaskResult(gaps, tokens, False, timing) for gaps, tokens in found]


def _from_the_left(bundle: ModelBundle, request: FillMaskRequest) -> FillMaskResult:
    """What a causal model would write in each gap; earlier gaps are filled with its own best tokens."""
    clock = Clock()
    gaps: list[Gap] = []
    tokens = 0
    before, at = "", 0
    for start, end in gaps_of(require_text(request.text)):
        before += request.text[at:start]
        at = end
        if not before.strip():
            raise InputInvalid(
                _("Un modelo causal, como GPT, solo lee lo que va antes del hueco, y aquí no hay nada antes.")
            )
        # These vocabularies write the space in front of a word into its token.
        chances, tokens = next_token(bundle, before.rstrip(), clock)
        with clock.part("decode"):
            best = chances.topk(min(request.top, len(chances)))
            candidates = [
                _candidate(bundle, [piece], chance)
                for chance, piece in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            ]
            gaps.append(Gap(start, end, tuple(candidates), entropy_bits(chances)))
        # A token without the sign for a space goes on with the word before it.
        if candidates[0].pieces[0].startswith(SPACES):
            before = f"{before.rstrip()} {candidates[0].text}"
        else:
            before = before.rstrip() + candidates[0].text
    return FillMaskResult(tuple(gaps), tokens, True, clock.timing())


def _candidate(bundle: ModelBundle, ids: Sequence[int], probability: float) -> Candidate:
    pieces = tuple(bundle.tokenizer.convert_ids_to_tokens(list(ids)))
    with bundle.lock:
        text = str(bundle.tokenizer.decode(list(ids))).strip()
    return Candidate(text or pieces[0], pieces, probability)


def _longer(bundle: ModelBundle, ids: "torch.Tensor", place: int, pieces: int, top: int) -> list[Candidate]:
    """Words of ``pieces`` pieces for the gap at token ``place``, by a beam of ``top`` from left to right."""
    import torch

    if len(ids) + pieces - 1 > bundle.entry.window:
        return []
    masks = torch.full((pieces,), int(bundle.tokenizer.mask_token_id or 0))
    beams: list[tuple[float, list[int]]] = [(0.0, [])]
    continues = _continuations(bundle)
    for step in range(pieces):
        rows = [
            torch.cat([ids[:place], torch.tensor(words + masks[step:].tolist()), ids[place + 1 :]])
            for _s, words in beams
        ]
        logits = _logits(bundle.model(input_ids=torch.stack(rows).to(bundle.device.name))).float().cpu()
        logs = logits[:, place + step].log_softmax(-1)
        # The first piece begins a word and the others continue it; WordPiece marks which are which.
        if continues is not None:
            logs = logs.masked_fill(continues if step == 0 else ~continues, float("-inf"))
        best = logs.topk(min(top, logs.shape[-1]), dim=-1)
        grown = [
            (score + gain, [*words, piece])
            for (score, words), gains, found in zip(beams, best.values.tolist(), best.indices.tolist(), strict=True)
            for gain, piece in zip(gains, found, strict=True)
            if gain > float("-inf")
        ]
        beams = sorted(grown, key=lambda beam: -beam[0])[:top]
    return [_candidate(bundle, words, math.exp(score / pieces)) for score, words in beams]


def _continuations(bundle: ModelBundle) -> "torch.Tensor | None":
    """Which pieces continue a word, ``(vocabulary,)``; ``None`` for vocabularies without WordPiece's mark."""
    import torch

    with bundle.lock:
        vocabulary = bundle.tokenizer.get_vocab()
    size = int(bundle.model.config.vocab_size)
    found = torch.zeros(size, dtype=torch.bool)
    for piece, id_ in vocabulary.items():
        if piece.startswith("##") and id_ < size:
            found[id_] = True
    return found if bool(found.any()) else None


TASK: Final = FillMask()
