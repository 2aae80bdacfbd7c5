"""Extractive question answering: which stretch of a text answers a question.

transformers 5 has no pipeline for it. A long text is read in windows that overlap; a window scores each token as
the answer's first and its last; the best pair inside the text wins, over all windows. The pair of the [CLS] token
stands for "the text doesn't say", for models that were trained to say so (Devlin et al. 2018; Rajpurkar et al. 2018).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.errors import InputInvalid
from core.i18n import gettext as _
from core.runtime.bundle import ModelBundle
from core.tasks.common import Clock, Timing, require_text

if TYPE_CHECKING:
    import torch

WINDOW: Final = 384
STRIDE: Final = 128
LONGEST_ANSWER: Final = 30
# Windows that go through the model together.
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class QuestionRequest:
    """A question on a text.

    Attributes:
        question: what is asked.
        context: the text.
        top: how many answers are wanted.
        longest: tokens of the longest answer.
    """

    question: str
    context: str
    top: int = 5
    longest: int = LONGEST_ANSWER


@dataclass(frozen=True, slots=True)
class Answer:
    """One stretch of the text: where it stands (code points), and its probability among all stretches."""

    text: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True, slots=True)
class TokenScore:
    """One token of the text and the probability that the answer begins and ends there, in its best window."""

    text: str
    start: int
    end: int
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """The answers.

    Attributes:
        answers: the best first; they don't overlap.
        no_answer: probability that the text doesn't say, as the model sees it; only models that were trained
            on questions without an answer mean it.
        tokens: the tokens of the window that holds the best answer.
        windows: how many windows the text took.
        timing: where the batch's time went.
    """

    answers: tuple[Answer, ...]
    no_answer: float
    tokens: tuple[TokenScore, ...]
    windows: int
    timing: Timing


@dataclass(slots=True)
class _Window:
    request: int
    ids: "torch.Tensor"
    types: "torch.Tensor | None"
    offsets: list[tuple[int, int]]
    inside: "torch.Tensor"  # (tokens,): the token belongs to the text


def _windows(bundle: ModelBundle, index: int, request: QuestionRequest) -> list[_Window]:
    import torch

    question, context = request.question.strip(), request.context
    length = min(WINDOW, bundle.entry.window)
    with bundle.lock:
        asked = len(bundle.tokenizer(question, add_special_tokens=False)["input_ids"])
        if asked > length // 2:
            raise InputInvalid(_("La pregunta es demasiado larga. Hazla en una frase."))
        encoded: Any = bundle.tokenizer(
            question,
            context,
            truncation="only_second",
            max_length=length,
            stride=min(STRIDE, (length - asked) // 3),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
    found = []
    for place in range(len(encoded["input_ids"])):
        types = encoded.get("token_type_ids")
        found.append(
            _Window(
                index,
                torch.tensor(encoded["input_ids"][place]),
                torch.tensor(types[place]) if types else None,
                encoded["offset_mapping"][place],
                torch.tensor([which == 1 for which in encoded.sequence_ids(place)]),
            )
        )
    return found


def _scores(bundle: ModelBundle, windows: Sequence[_Window]) -> list[tuple["torch.Tensor", "torch.Tensor"]]:
    """Start and end logits of each window, each ``(tokens,)``."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    found: list[tuple[torch.Tensor, torch.Tensor]] = []
    device = bundle.device.name
    for at in range(0, len(windows), _AT_ONCE):
        part = windows[at : at + _AT_ONCE]
        padding = bundle.tokenizer.pad_token_id or 0
        inputs = {
            "input_ids": pad_sequence([w.ids for w in part], batch_first=True, padding_value=padding),
            "attention_mask": pad_sequence([torch.ones_like(w.ids) for w in part], batch_first=True),
        }
        if all(w.types is not None for w in part):
            inputs["token_type_ids"] = pad_sequence([w.types for w in part if w.types is not None], batch_first=True)
        out = bundle.model(**{name: value.to(device) for name, value in inputs.items()})
        for row, window in enumerate(part):
            size = len(window.ids)
            found.append((out.start_logits[row, :size].float().cpu(), out.end_logits[row, :size].float().cpu()))
    return found


def _pairs(first: "torch.Tensor", last: "torch.Tensor", inside: "torch.Tensor", longest: int) -> "torch.Tensor":
    """Scores ``(tokens, tokens)`` of every stretch from row to column; impossible ones are minus infinity."""
    import torch

    size = len(first)
    pairs = first[:, None] + last[None, :]
    forward = torch.ones(size, size, dtype=torch.bool).triu() & ~torch.ones(size, size, dtype=torch.bool).triu(longest)
    return pairs.masked_fill(~(forward & inside[:, None] & inside[None, :]), float("-inf"))


class QuestionAnswering:
    """The task."""

    name = "question-answering"
    attention = False
    max_batch = 8

    def run(self, bundle: ModelBundle, requests: Sequence[QuestionRequest]) -> list[QuestionResult]:
        """Answers each question.

        Raises:
            InputInvalid: no question or no text, or a question as long as a text.
            InputTooLong: the text has more than 50,000 characters.
        """
        clock = Clock()
        windows: list[_Window] = []
        with clock.part("tokenize"):
            for index, request in enumerate(requests):
                if not request.question.strip():
                    raise InputInvalid(_("Escribe una pregunta."))
                require_text(request.context)
                windows += _windows(bundle, index, request)
        with clock.part("model"):
            scores = _scores(bundle, windows)
        with clock.part("decode"):
            decoded = [
                _decode(
                    request,
                    [(w, *s) for w, s in zip(windows, scores, strict=True) if w.request == index],
                )
                for index, request in enumerate(requests)
            ]
        timing = clock.timing()
        return [QuestionResult(answers, none, tokens, count, timing) for answers, none, tokens, count in decoded]


def _decode(
    request: QuestionRequest, windows: Sequence[tuple[_Window, "torch.Tensor", "torch.Tensor"]]
) -> tuple[tuple[Answer, ...], float, tuple[TokenScore, ...], int]:
    import torch

    # One distribution over all stretches of all windows and, for each window, over "it doesn't say": its [CLS].
    tables = [_pairs(first, last, window.inside, request.longest) for window, first, last in windows]
    nothing = min(float(first[0] + last[0]) for _window, first, last in windows)
    everything = torch.cat([*(table.flatten() for table in tables), torch.tensor([nothing])])
    total = torch.logsumexp(everything, 0)
    candidates: list[tuple[float, int, int, int]] = []  # score, window, start, end
    for number, ((window, _first, _last), table) in enumerate(zip(windows, tables, strict=True)):
        best = table.flatten().topk(min(table.numel(), 20 * request.top))
        for score, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            if score == float("-inf"):
                break
            begin, end = divmod(place, len(window.ids))
            candidates.append((score, number, window.offsets[begin][0], window.offsets[end][1]))
    candidates.sort(key=lambda candidate: -candidate[0])
    answers: list[Answer] = []
    chosen = 0
    for score, number, start, end in candidates:
        # A SentencePiece token begins with the space before its word, which is no part of the answer.
        start += len(request.context[start:end]) - len(request.context[start:end].lstrip())
        if any(start < other.end and other.start < end for other in answers) or start >= end:
            continue
        if not answers:
            chosen = number
        probability = float(torch.exp(torch.tensor(score) - total))
        answers.append(Answer(request.context[start:end], start, end, probability))
        if len(answers) == request.top:
            break
    window, first, last = windows[chosen]
    inside = window.inside.nonzero().flatten().tolist()
    firsts, lasts = first[window.inside].softmax(0).tolist(), last[window.inside].softmax(0).tolist()
    spans = [window.offsets[place] for place in inside]
    tokens = tuple(
        TokenScore(request.context[start:end], start, end, one, other)
        for (start, end), one, other in zip(spans, firsts, lasts, strict=True)
    )
    return tuple(answers), float(torch.exp(torch.tensor(nothing) - total)), tokens, len(windows)


TASK: Final = QuestionAnswering()
