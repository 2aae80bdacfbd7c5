"""Head statistics over many texts: what a head does in general, not in one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.lens.attention_heads import HeadStatistics, head_statistics, pooled
from core.lens.attention_inputs import TextPair, prepare
from core.lens.attention_reading import attention_of
from core.runtime.bundle import ModelBundle


@dataclass(frozen=True, slots=True)
class SurveyRequest:
    """The texts to measure heads on."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Survey:
    """The means over all texts, and over how many.

    Attributes:
        statistics: the means, each text counting by its rows.
        texts: how many texts.
        tokens: how many tokens, special ones included.
    """

    statistics: HeadStatistics
    texts: int
    tokens: int


class SurveyHeads:
    """The task."""

    name = "attention-survey"
    attention = True
    max_batch = 1

    def run(self, bundle: ModelBundle, requests: Sequence[SurveyRequest]) -> list[Survey]:
        """Measures all heads on all texts of each request.

        Raises:
            InputInvalid: a text is empty.
            InputTooLong: a text is too long.
            ModelUnavailable: the model gives no attention weights.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: SurveyRequest) -> Survey:
        parts, tokens = [], 0
        for text in request.texts:
            amap = attention_of(bundle, prepare(bundle, TextPair(text)))
            parts.append(head_statistics(amap))
            tokens += len(amap.columns)
        return Survey(pooled(parts), len(request.texts), tokens)


TASK: Final = SurveyHeads()
