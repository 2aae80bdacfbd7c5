"""Sentence similarity: a vector for each sentence, and the cosine of each pair.

``pooling`` says how a sentence gets one vector out of its tokens': ``mean`` averages them, ``cls`` takes the first
token's. On a model that was never trained to compare sentences both put everything close together, [CLS] most of
all; a sentence-transformers model spreads them out (Reimers & Gurevych 2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from core.errors import InputInvalid, InputTooLong
from core.i18n import format_number
from core.i18n import gettext as _
from core.runtime.bundle import ModelBundle
from core.tasks.common import Clock, Timing, like_lengths, require_text

if TYPE_CHECKING:
    import torch

Pooling = Literal["mean", "cls"]
MAX_SENTENCES: Final = 50
_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class SimilarityRequest:
    """Two to fifty sentences, and how each gets its vector."""

    sentences: tuple[str, ...]
    pooling: Pooling = "mean"


@dataclass(frozen=True, slots=True)
class SimilarityResult:
    """Cosines ``matrix[i][j]`` of sentences i and j, from −1 to 1; which sentences were cut; and the time."""

    matrix: tuple[tuple[float, ...], ...]
    cut: tuple[bool, ...]
    timing: Timing


def sentence_vectors(
    bundle: ModelBundle, sentences: Sequence[str], pooling: Pooling, clock: Clock
) -> tuple["torch.Tensor", list[bool]]:
    """Vectors of length one, ``(sentences, width)``, and whether each sentence was cut to the model's window."""
    import torch
    import torch.nn.functional as F

    body: Any = bundle.model.base_model if hasattr(bundle.model, "base_model") else bundle.model
    with clock.part("tokenize"):
        lengths = [len(ids) for ids in bundle.token_ids(sentences)]
    found: list[torch.Tensor] = [torch.empty(0)] * len(sentences)
    for part in like_lengths([min(length, bundle.entry.window) for length in lengths], _AT_ONCE):
        with clock.part("tokenize"):
            encoded = bundle.encode([sentences[index] for index in part], truncate=True)
            inputs = {name: value.to(bundle.device.name) for name, value in encoded.items()}
        with clock.part("model"):
            states = body(**inputs).last_hidden_state.float()  # (batch, tokens, width)
            mask = inputs["attention_mask"][:, :, None].float()
            pooled = states[:, 0] if pooling == "cls" else (states * mask).sum(1) / mask.sum(1)
            vectors = F.normalize(pooled, dim=-1).cpu()
        for index, vector in zip(part, vectors, strict=True):
            found[index] = vector
    return torch.stack(found), [length > bundle.entry.window for length in lengths]


class Similarity:
    """The task."""

    name = "similarity"
    attention = False
    max_batch = 4

    def run(self, bundle: ModelBundle, requests: Sequence[SimilarityRequest]) -> list[SimilarityResult]:
        """Compares the sentences of each request with one another.

        Raises:
            InputInvalid: fewer than two sentences, or an empty one.
            InputTooLong: more than fifty.
        """
        found = []
        for request in requests:
            clock = Clock()
            if len(request.sentences) < 2:
                raise InputInvalid(_("Escribe al menos dos frases, una por línea."))
            if len(request.sentences) > MAX_SENTENCES:
                raise InputTooLong(
                    _("Hay {n} frases y aquí caben {limit}. Quita algunas.").format(
                        n=format_number(len(request.sentences)), limit=format_number(MAX_SENTENCES)
                    )
                )
            for sentence in request.sentences:
                require_text(sentence)
            vectors, cut = sentence_vectors(bundle, request.sentences, request.pooling, clock)
            with clock.part("decode"):
                matrix = (vectors @ vectors.T).clamp(-1, 1).tolist()
            found.append(SimilarityResult(tuple(map(tuple, matrix)), tuple(cut), clock.timing()))
        return found


TASK: Final = Similarity()
