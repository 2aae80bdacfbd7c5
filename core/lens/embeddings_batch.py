"""The batch dimension on real tensors: ``unsqueeze(0)``, padding, the attention mask, and what they change.

A model takes ids of shape ``(batch, tokens)``. One sentence is a batch of one; several are padded to the longest,
and the mask says what is padding. What happens without the dimension, and without the mask, is tried here, not told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import InputInvalid, InputTooLong
from core.i18n import format_number
from core.i18n import gettext as _
from core.lens.attention import Token
from core.lens.attention_inputs import read_source
from core.lens.embeddings import anatomy, as_array
from core.runtime.bundle import ModelBundle

MAX_SENTENCES: Final = 6
MAX_LENGTH: Final = 64


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """The sentences of one batch."""

    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BatchTensors:
    """The tensors of a batch, and what comes out of the model.

    Attributes:
        tokens: of each sentence, without padding.
        ids: ``(sentences, tokens)``, padded on the right.
        mask: the same shape; 1 for what is read, 0 for padding.
        padding: the id and the piece that fill up.
        has_padding: whether the tokenizer has a token of its own for it.
        embedded: shape after the word table: ``(sentences, tokens, width)``.
        output: shape of the last hidden state.
        refusal: what the library says to a tensor without the batch dimension, such as ``"ValueError: …"``; empty if
            the model takes it.
        shape_without: shape of that tensor.
        with_mask: for each sentence, the largest absolute difference of its tokens' last vectors from those that it
            gets alone, when the batch has its mask.
        without_mask: the same when the mask is left out.
        cosine_without: cosine of the mean of its tokens' vectors, alone and in the batch without mask.
        causal: whether tokens see only what stands before them.
    """

    tokens: tuple[tuple[Token, ...], ...]
    ids: npt.NDArray[np.int64]
    mask: npt.NDArray[np.int64]
    padding: tuple[int, str]
    has_padding: bool
    embedded: tuple[int, ...]
    output: tuple[int, ...]
    refusal: str
    shape_without: tuple[int, ...]
    with_mask: tuple[float, ...]
    without_mask: tuple[float, ...]
    cosine_without: tuple[float, ...]
    causal: bool


def _cosine(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    return float(a @ b / max(1e-12, float(np.linalg.norm(a) * np.linalg.norm(b))))


class BuildBatch:
    """The task."""

    name = "batch"
    attention = False
    max_batch = 1

    def run(self, bundle: ModelBundle, requests: Sequence[BatchRequest]) -> list[BatchTensors]:
        """The tensors of each request.

        Raises:
            InputInvalid: no sentence.
            InputTooLong: more than ``MAX_SENTENCES``, or one of more than ``MAX_LENGTH`` tokens.
            ModelUnavailable: a family that isn't known here.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: BatchRequest) -> BatchTensors:
        import torch

        if not request.sentences:
            raise InputInvalid(_("Escribe algo primero: el texto está vacío."))
        if len(request.sentences) > MAX_SENTENCES:
            raise InputTooLong(
                _("Hay {n} frases y aquí caben {limit}. Quita algunas.").format(
                    n=format_number(len(request.sentences)), limit=format_number(MAX_SENTENCES)
                )
            )
        found = anatomy(bundle)
        read = [read_source(bundle, sentence) for sentence in request.sentences]
        longest = max(len(tokens) for tokens, _ids, _segments in read)
        if longest > MAX_LENGTH:
            raise InputTooLong(
                _("Una frase tiene {n} tokens y aquí caben {limit}, para que la tabla se lea. Acórtala.").format(
                    n=format_number(longest), limit=format_number(MAX_LENGTH)
                )
            )
        tokenizer: Any = bundle.tokenizer
        own = tokenizer.pad_token_id
        filler = own if own is not None else tokenizer.eos_token_id if tokenizer.eos_token_id is not None else 0
        ids = torch.full((len(read), longest), int(filler))
        mask = torch.zeros_like(ids)
        for row, (tokens, own_ids, _segments) in enumerate(read):
            ids[row, : len(tokens)] = own_ids[0]
            mask[row, : len(tokens)] = 1
        device = found.word.weight.device

        def states(some: "torch.Tensor", which: "torch.Tensor") -> npt.NDArray[np.float32]:
            return as_array(found.stack(input_ids=some.to(device), attention_mask=which.to(device)).last_hidden_state)

        alone = [states(own_ids, torch.ones_like(own_ids))[0] for _tokens, own_ids, _segments in read]
        masked, bare = states(ids, mask), states(ids, torch.ones_like(mask))
        refusal = ""
        flat = read[0][1][0]
        try:
            found.stack(input_ids=flat.to(device))
        except Exception as error:  # what the library says is what we show, whatever it is
            refusal = f"{type(error).__name__}: {error}"
        with bundle.lock:
            piece = str(tokenizer.convert_ids_to_tokens([int(filler)])[0])
        return BatchTensors(
            tokens=tuple(tokens for tokens, _ids, _segments in read),
            ids=ids.numpy(),
            mask=mask.numpy(),
            padding=(int(filler), piece),
            has_padding=own is not None,
            embedded=(len(read), longest, int(found.word.weight.shape[1])),
            output=tuple(masked.shape),
            refusal=refusal,
            shape_without=tuple(flat.shape),
            with_mask=tuple(float(np.abs(masked[row, : len(one)] - one).max()) for row, one in enumerate(alone)),
            without_mask=tuple(float(np.abs(bare[row, : len(one)] - one).max()) for row, one in enumerate(alone)),
            cosine_without=tuple(_cosine(bare[row, : len(one)].mean(0), one.mean(0)) for row, one in enumerate(alone)),
            causal=bundle.entry.architecture == "decoder",
        )


TASK: Final = BuildBatch()
