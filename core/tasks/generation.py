"""Text generation with a causal language model: one token after the other, and what else it might have been.

The loop is our own, so that every step's distribution can be seen and the work can be stopped at each token. It
does what ``generate`` of the library does, in the same order (temperature, top-k, top-p; Holtzman et al. 2020),
and draws from a generator of its own, so that ``torch.manual_seed`` and the library give the same text. Beam
search is the library's.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from core.errors import InputInvalid
from core.i18n import gettext as _
from core.runtime.bundle import ModelBundle
from core.runtime.stream import Stopped, Stream
from core.tasks.common import MAX_CHARACTERS, Clock, Timing, entropy_bits, require_text

if TYPE_CHECKING:
    import torch

Strategy = Literal["greedy", "sampling", "beam"]
Finish = Literal["end", "length", "stopped", "time"]
RIVALS: Final = 10


@dataclass(frozen=True, slots=True)
class Rival:
    """A token that might have come: its text, its probability for the model, and after temperature, top-k and top-p."""

    text: str
    probability: float
    adjusted: float


@dataclass(frozen=True, slots=True)
class Step:
    """One token that was produced.

    Attributes:
        piece: as the vocabulary writes it.
        text: what it adds to the text; the steps' texts joined are the whole. A token that is only part of a
            character adds nothing, the one that completes it adds all.
        probability: for the model.
        adjusted: in the distribution that was drawn from.
        entropy_bits: of the model's distribution.
        rivals: the likeliest tokens, with this one's probabilities.
    """

    piece: str
    text: str
    probability: float
    adjusted: float
    entropy_bits: float
    rivals: tuple[Rival, ...]


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """How a text goes on.

    Attributes:
        text: the beginning.
        tokens: most tokens to produce.
        strategy: always the likeliest, drawn by chance, or beam search.
        temperature: below 1 sharpens the distribution, above 1 flattens it (sampling).
        top_k: only the k likeliest tokens are drawn from; 0 for all (sampling).
        top_p: only the likeliest tokens that make up this share are drawn from; 1 for all (sampling).
        beams: how many beginnings are kept (beam).
        seed: of chance (sampling).
        seconds: after which it stops with what there is.
        rivals: how many of each step's likeliest tokens are kept.
        stream: where steps are put as they are produced; not part of what makes two requests equal.
    """

    text: str
    tokens: int = 40
    strategy: Strategy = "greedy"
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    beams: int = 4
    seed: int = 1
    seconds: float = 60.0
    rivals: int = RIVALS
    stream: Stream[Step] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Alternative:
    """A beam's text and the mean log-probability of its tokens, in nats."""

    text: str
    score: float


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """What was produced.

    Attributes:
        text: the continuation, without the beginning.
        steps: token by token.
        prompt_tokens: how many tokens of the beginning were read.
        unread: code points at the beginning of the text that did not fit into the window.
        finish: the model ended it, the limit did, the reader, or the clock.
        perplexity: of the produced tokens, for the model; ``None`` without tokens.
        alternatives: the beams, the best first; empty for the other strategies.
        timing: where the time went.
    """

    text: str
    steps: tuple[Step, ...]
    prompt_tokens: int
    unread: int
    finish: Finish
    perplexity: float | None
    alternatives: tuple[Alternative, ...]
    timing: Timing


def adjusted_logits(logits: "torch.Tensor", request: GenerationRequest) -> "torch.Tensor":
    """The scores ``(vocabulary,)`` that are drawn from: temperature, then top-k, then top-p, as the library does.

    Args:
        logits: ``(vocabulary,)``.
        request: its strategy and figures.
    """
    import torch

    if request.strategy != "sampling":
        return logits
    scores = logits / request.temperature
    if 0 < request.top_k < len(scores):
        scores = scores.masked_fill(scores < scores.topk(request.top_k).values[-1], float("-inf"))
    if request.top_p < 1:
        ordered, order = scores.sort(descending=False)
        # What lies in the tail of 1 − p goes; the likeliest token always stays.
        tail = ordered.softmax(-1).cumsum(-1) <= 1 - request.top_p
        tail[-1] = False
        scores = scores.masked_fill(torch.zeros_like(tail).scatter(0, order, tail), float("-inf"))
    return scores


class _Writer:
    """Texts of tokens one at a time, although some hold only a part of a character."""

    def __init__(self, bundle: ModelBundle, before: Sequence[int]) -> None:
        self._bundle = bundle
        # A few tokens before, for tokenizers that write a space only after something.
        self._ids = list(before[-8:])
        self._done = len(self._decode())

    def _decode(self) -> str:
        with self._bundle.lock:
            text = self._bundle.tokenizer.decode(
                self._ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        return str(text)

    def add(self, token: int) -> str:
        """What this token adds to the text."""
        self._ids.append(token)
        whole = self._decode()
        if whole.endswith("�"):
            return ""
        fresh, self._done = whole[self._done :], len(whole)
        return fresh


def _prompt(bundle: ModelBundle, request: GenerationRequest) -> tuple[list[int], int]:
    """Ids of the beginning, and how many code points at its start did not fit."""
    if not request.text.strip():
        start = bundle.tokenizer.bos_token_id
        if start is None:
            raise InputInvalid(_("Escribe el principio del texto: este modelo no sabe empezar de la nada."))
        return [int(start)], 0
    require_text(request.text, MAX_CHARACTERS)
    with bundle.lock:
        encoded: Any = bundle.tokenizer(request.text, return_offsets_mapping=True, truncation=False, verbose=False)
    ids, offsets = list(encoded["input_ids"]), encoded["offset_mapping"]
    # A tokenizer that closes its texts would make the model believe that all is said.
    while len(ids) > 1 and ids[-1] == bundle.tokenizer.eos_token_id and offsets[-1][0] == offsets[-1][1]:
        ids, offsets = ids[:-1], offsets[:-1]
    room = max(1, bundle.entry.window - request.tokens)
    if len(ids) <= room:
        return ids, 0
    return ids[-room:], int(offsets[-room][0])


def next_token(bundle: ModelBundle, text: str, clock: Clock) -> tuple["torch.Tensor", int]:
    """Probabilities ``(vocabulary,)`` of the token after ``text``, and how many tokens were read.

    Raises:
        InputInvalid: an empty text, for a model that can't begin with nothing.
        InputTooLong: more than 50,000 characters.
    """
    import torch

    with clock.part("tokenize"):
        ids, _unread = _prompt(bundle, GenerationRequest(text, tokens=1))
    with clock.part("model"):
        logits = bundle.model(input_ids=torch.tensor([ids], device=bundle.device.name)).logits[0, -1].float().cpu()
    return logits.softmax(-1), len(ids)


def _rivals(
    bundle: ModelBundle, raw: "torch.Tensor", adjusted: "torch.Tensor", chosen: int, count: int
) -> tuple[Rival, ...]:
    best = raw.topk(min(count, len(raw))).indices.tolist()
    if chosen not in best:
        best[-1] = chosen
    with bundle.lock:
        texts = [str(bundle.tokenizer.decode([token])) for token in best]
    return tuple(
        Rival(text, float(raw[token]), float(adjusted[token])) for text, token in zip(texts, best, strict=True)
    )


def _step(
    bundle: ModelBundle, writer: _Writer, logits: "torch.Tensor", scores: "torch.Tensor", chosen: int, count: int
) -> Step:
    raw, drawn = logits.softmax(-1), scores.softmax(-1)
    piece = str(bundle.tokenizer.convert_ids_to_tokens(chosen))
    return Step(
        piece,
        writer.add(chosen),
        float(raw[chosen]),
        float(drawn[chosen]),
        entropy_bits(raw),
        _rivals(bundle, raw, drawn, chosen, count),
    )


class Generation:
    """The task."""

    name = "text-generation"
    attention = False
    # A visitor's text appears while it is made: each has its own loop.
    max_batch = 1

    def run(self, bundle: ModelBundle, requests: Sequence[GenerationRequest]) -> list[GenerationResult]:
        """Continues each text.

        Raises:
            InputInvalid: an empty text, for a model that can't begin with nothing.
            InputTooLong: more than 50,000 characters.
        """
        return [self._beam(bundle, r) if r.strategy == "beam" else self._loop(bundle, r) for r in requests]

    def _loop(self, bundle: ModelBundle, request: GenerationRequest) -> GenerationResult:
        import torch

        clock = Clock()
        with clock.part("tokenize"):
            ids, unread = _prompt(bundle, request)
        ends = _ends(bundle)
        chance = torch.Generator().manual_seed(request.seed)
        writer = _Writer(bundle, ids)
        steps: list[Step] = []
        cache: Any = None
        fresh = torch.tensor([ids], device=bundle.device.name)
        finish: Finish = "length"
        deadline = time.monotonic() + request.seconds
        while len(steps) < request.tokens:
            with clock.part("model"):
                out = bundle.model(input_ids=fresh, past_key_values=cache, use_cache=True)
                cache = out.past_key_values
                logits = out.logits[0, -1].float().cpu()
            with clock.part("decode"):
                scores = adjusted_logits(logits, request)
                if request.strategy == "sampling":
                    chosen = int(torch.multinomial(scores.softmax(-1), 1, generator=chance))
                else:
                    chosen = int(scores.argmax())
                if chosen in ends:
                    finish = "end"
                    break
                steps.append(_step(bundle, writer, logits, scores, chosen, request.rivals))
            if request.stream is not None:
                try:
                    request.stream.put(steps[-1])
                except Stopped:
                    finish = "stopped"
                    break
            if time.monotonic() > deadline:
                finish = "time"
                break
            fresh = torch.tensor([[chosen]], device=bundle.device.name)
        text = "".join(step.text for step in steps)
        return GenerationResult(text, tuple(steps), len(ids), unread, finish, _perplexity(steps), (), clock.timing())

    def _beam(self, bundle: ModelBundle, request: GenerationRequest) -> GenerationResult:
        import torch

        clock = Clock()
        with clock.part("tokenize"):
            ids, unread = _prompt(bundle, request)
        ends = _ends(bundle)
        inputs = torch.tensor([ids], device=bundle.device.name)
        model: Any = bundle.model
        stream = request.stream

        def halt(rows: torch.Tensor, _scores: Any, **_rest: Any) -> torch.Tensor:
            return torch.full((len(rows),), stream is not None and stream.stopped, device=rows.device)

        with clock.part("model"):
            out = model.generate(
                inputs,
                attention_mask=torch.ones_like(inputs),
                do_sample=False,
                num_beams=request.beams,
                num_return_sequences=request.beams,
                max_new_tokens=request.tokens,
                max_time=request.seconds,
                # The library asks at each token: a stop ends it with the beams as they are.
                stopping_criteria=[halt],
                pad_token_id=bundle.tokenizer.pad_token_id or next(iter(ends), 0),
                return_dict_in_generate=True,
                output_scores=True,
            )
        found = []
        for row, score in zip(out.sequences[:, len(ids) :].tolist(), out.sequences_scores.tolist(), strict=True):
            end = next((i for i, token in enumerate(row) if token in ends), len(row))
            found.append((row[:end], end < len(row), float(score)))
        best, ended, _score = found[0]
        with clock.part("model"):
            # One pass over the best beam gives every step's distribution.
            whole = torch.tensor([[*ids, *best]], device=bundle.device.name)
            logits = model(input_ids=whole).logits[0, len(ids) - 1 : -1].float().cpu() if best else torch.empty(0)
        with clock.part("decode"):
            writer = _Writer(bundle, ids)
            steps = [
                _step(bundle, writer, row, row, token, request.rivals) for row, token in zip(logits, best, strict=True)
            ]
            alternatives = tuple(Alternative(_text(bundle, ids, row), score) for row, _ended, score in found)
            stopped = stream is not None and stream.stopped
            if stream is not None and not stopped:
                try:
                    for step in steps:
                        stream.put(step)
                except Stopped:
                    pass  # all is computed already
        text = "".join(step.text for step in steps)
        finish: Finish = "end" if ended else "length" if len(best) >= request.tokens else "time"
        if stopped and finish == "time":
            finish = "stopped"
        return GenerationResult(
            text, tuple(steps), len(ids), unread, finish, _perplexity(steps), alternatives, clock.timing()
        )


def _text(bundle: ModelBundle, before: Sequence[int], ids: Sequence[int]) -> str:
    writer = _Writer(bundle, before)
    return "".join(writer.add(token) for token in ids)


def _ends(bundle: ModelBundle) -> set[int]:
    """The tokens that end a text, for this model."""
    config: Any = getattr(bundle.model, "generation_config", None)
    ends = getattr(config, "eos_token_id", None)
    if ends is None:
        ends = bundle.tokenizer.eos_token_id
    return {int(end) for end in (ends if isinstance(ends, list) else [ends]) if end is not None}


def _perplexity(steps: Sequence[Step]) -> float | None:
    import math

    if not steps:
        return None
    return math.exp(-sum(math.log(max(step.probability, 1e-12)) for step in steps) / len(steps))


TASK: Final = Generation()
