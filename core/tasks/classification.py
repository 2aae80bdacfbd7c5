"""Text classification, such as sentiment: the probability of every label, and which words pushed it.

Two ways to weigh the words, which need not agree. Occlusion (Zeiler & Fergus 2014; Li et al. 2016) hides each word
behind [MASK] in turn; its weight is how much the winning label's probability falls. Integrated gradients
(Sundararajan et al. 2017; ``core.tasks.gradients``) share out what the label gained from a text with all words
masked. Both say what the model's answer depends on, not why it is right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from core.runtime.bundle import ModelBundle
from core.tasks.common import Clock, Timing, like_lengths, require_text, word_spans
from core.tasks.gradients import Completeness, label_gradients

if TYPE_CHECKING:
    import torch

# More words than this are hidden in groups, so that a long text takes no longer.
MAX_PASSES: Final = 64
Method = Literal["occlusion", "gradients"]
_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class ClassificationRequest:
    """A text, and the ways in which its words shall be weighed."""

    text: str
    explain: tuple[Method, ...] = ()


@dataclass(frozen=True, slots=True)
class Label:
    """A label as the model calls it, and its probability."""

    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Push:
    """A stretch of the text (code points) and what the winning label owes to it, in probability."""

    text: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class ClassificationResult:
    """What the model says of a text.

    Attributes:
        labels: the likeliest first.
        pushes: the words' weights by occlusion, in order; empty if they weren't asked for.
        gradients: the same by integrated gradients.
        completeness: their check; ``None`` if they weren't asked for.
        tokens: how many the model read, special ones included.
        read: code points up to which it read; what follows did not fit into its window.
        timing: where the batch's time went.
    """

    labels: tuple[Label, ...]
    pushes: tuple[Push, ...]
    gradients: tuple[Push, ...]
    completeness: Completeness | None
    tokens: int
    read: int
    timing: Timing


def probabilities(bundle: ModelBundle, texts: Sequence[str], lengths: Sequence[int], clock: Clock) -> "torch.Tensor":
    """Probabilities ``(texts, labels)``; texts of like length, in tokens, go together."""
    import torch

    found: list[torch.Tensor] = [torch.empty(0)] * len(texts)
    window = bundle.entry.window
    for part in like_lengths([min(length, window) for length in lengths], _AT_ONCE):
        with clock.part("tokenize"):
            encoded = bundle.encode([texts[index] for index in part], truncate=True)
            inputs = {name: value.to(bundle.device.name) for name, value in encoded.items()}
        with clock.part("model"):
            rows = bundle.model(**inputs).logits.float().softmax(-1).cpu()
        for index, row in zip(part, rows, strict=True):
            found[index] = row
    return torch.stack(found)


def _words(bundle: ModelBundle, text: str) -> list[tuple[int, int]]:
    """Where each word stands, those behind the window left out."""
    with bundle.lock:
        encoded: Any = bundle.tokenizer(
            text, truncation=True, max_length=bundle.entry.window, return_offsets_mapping=True
        )
    read = max((end for _start, end in encoded["offset_mapping"]), default=0)
    return [(start, min(end, read)) for start, end in word_spans(text) if start < read]


def _groups(words: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    size = -(-len(words) // MAX_PASSES)
    return [(words[at][0], words[min(at + size, len(words)) - 1][1]) for at in range(0, len(words), max(1, size))]


class Classification:
    """The task."""

    name = "sentiment"
    attention = False
    max_batch = 32

    def run(self, bundle: ModelBundle, requests: Sequence[ClassificationRequest]) -> list[ClassificationResult]:
        """Classifies each text.

        Raises:
            InputInvalid: an empty text.
            InputTooLong: more than 50,000 characters.
        """
        clock = Clock()
        texts = [require_text(request.text) for request in requests]
        with clock.part("tokenize"):
            lengths = [len(ids) for ids in bundle.token_ids(texts)]
        rows = probabilities(bundle, texts, lengths, clock)
        names: Any = bundle.model.config.id2label
        found = []
        for request, row, length in zip(requests, rows, lengths, strict=True):
            pushes = self._occlude(bundle, request.text, length, row, clock) if "occlusion" in request.explain else ()
            gradients: tuple[Push, ...] = ()
            check: Completeness | None = None
            if "gradients" in request.explain:
                with clock.part("model"):
                    gradients, check = self._gradients(bundle, request.text, row)
            ranked = sorted(enumerate(row.tolist()), key=lambda pair: -pair[1])
            labels = tuple(Label(str(names[index]), chance) for index, chance in ranked)
            window = bundle.entry.window
            spans = _words(bundle, request.text) if length > window else []
            read = spans[-1][1] if spans else len(request.text)
            found.append((labels, pushes, gradients, check, min(length, window), read))
        timing = clock.timing()
        return [ClassificationResult(*parts, timing) for parts in found]

    def _occlude(
        self, bundle: ModelBundle, text: str, length: int, row: "torch.Tensor", clock: Clock
    ) -> tuple[Push, ...]:
        groups = _groups(_words(bundle, text))
        mask = str(bundle.tokenizer.mask_token)
        hidden = probabilities(
            bundle, [f"{text[:start]} {mask} {text[end:]}" for start, end in groups], [length] * len(groups), clock
        )
        winner = int(row.argmax())
        return tuple(
            Push(text[start:end], start, end, float(row[winner] - without[winner]))
            for (start, end), without in zip(groups, hidden, strict=True)
        )

    def _gradients(self, bundle: ModelBundle, text: str, row: "torch.Tensor") -> tuple[tuple[Push, ...], Completeness]:
        spans, values, check = label_gradients(bundle, text, int(row.argmax()))
        words = _words(bundle, text)
        sums = [0.0] * len(words)
        at = 0
        for (start, end), value in zip(spans, values, strict=True):
            start += len(text[start:end]) - len(text[start:end].lstrip())  # SentencePiece counts the space before
            while at + 1 < len(words) and words[at + 1][0] <= start:
                at += 1
            sums[at] += value
        pushes = (Push(text[low:high], low, high, total) for (low, high), total in zip(words, sums, strict=True))
        return tuple(pushes), check


TASK: Final = Classification()
