"""Next sentence: whether B was written after A, or comes from elsewhere (Devlin et al. 2018).

RoBERTa (Liu et al. 2019) showed that BERT loses nothing without this exercise: the negatives, sentences of
another document, can be told by topic alone. So the probability says more about topic than about order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.runtime.bundle import ModelBundle
from core.tasks.common import Clock, Timing, require_text


@dataclass(frozen=True, slots=True)
class NextSentenceRequest:
    """Two texts."""

    first: str
    second: str


@dataclass(frozen=True, slots=True)
class NextSentenceResult:
    """Probability that the second follows the first, the tokens of both together, and the time."""

    follows: float
    tokens: int
    timing: Timing


class NextSentence:
    """The task."""

    name = "next-sentence"
    attention = False
    max_batch = 16

    def run(self, bundle: ModelBundle, requests: Sequence[NextSentenceRequest]) -> list[NextSentenceResult]:
        """Judges each pair.

        Raises:
            InputInvalid: one of the two is empty.
            InputTooLong: together they have more tokens than the model reads.
        """
        clock = Clock()
        with clock.part("tokenize"):
            firsts = [require_text(request.first) for request in requests]
            seconds = [require_text(request.second) for request in requests]
            encoded = bundle.encode(firsts, seconds)
            inputs = {name: value.to(bundle.device.name) for name, value in encoded.items()}
        with clock.part("model"):
            out: Any = bundle.model(**inputs)
            logits = out.seq_relationship_logits if hasattr(out, "seq_relationship_logits") else out.logits
            # Class 0 is "follows": transformers keeps BERT's order, which surprises people.
            chances = logits.float().softmax(-1)[:, 0].cpu().tolist()
        tokens = encoded["attention_mask"].sum(-1).tolist()
        timing = clock.timing()
        return [NextSentenceResult(chance, size, timing) for chance, size in zip(chances, tokens, strict=True)]


TASK: Final = NextSentence()
