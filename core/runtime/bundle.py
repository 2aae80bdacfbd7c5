"""One loaded model: weights, tokenizer and the lock that keeps the tokenizer's callers apart."""

import copy
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.catalog import ModelEntry
from core.errors import InputTooLong
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.runtime.device import Device
from core.runtime.hub import Source

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class ModelBundle:
    """A model ready to compute, in evaluation mode. Shared by everybody: nobody may change it.

    Attributes:
        entry: its line in the catalogue.
        model: the weights.
        tokenizer: transformers' tokenizer; call it through ``encode``, which holds the lock.
        device: where the weights are.
        dtype: their number format, such as ``"float32"``.
        bytes: memory that parameters and buffers take.
        source: where the files were found.
        folder: the files.
        eager: whether this view computes attention weights (``output_attentions=True`` works).
        note: a sentence for the reader if something is not as usual, such as a fall-back to the CPU.
        lock: held by every call of the tokenizer: padding and truncation are state on the shared object,
            and two threads that set them differently get wrong lengths without an error.
    """

    entry: ModelEntry
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    device: Device
    dtype: str
    bytes: int
    source: Source
    folder: Path
    eager: bool = False
    note: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def encode(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        truncate: bool | str = False,
        **options: Any,
    ) -> "BatchEncoding":
        """Tokenizes a batch, padded to its longest, as tensors on the CPU.

        Args:
            texts: the texts.
            pairs: the second texts, for models that read pairs.
            truncate: cut what exceeds the model's window, instead of refusing it; ``"only_first"`` and
                ``"only_second"`` say of which text of a pair.
            options: more options of the tokenizer's call, such as ``return_offsets_mapping=True``.

        Returns:
            ``input_ids`` and ``attention_mask`` of shape ``(batch, tokens)``, and what ``options`` ask for.

        Raises:
            InputTooLong: a text has more tokens than the model's window, and ``truncate`` is false.
        """
        window = self.entry.window
        with self.lock:
            encoded: BatchEncoding = self.tokenizer(
                list(texts),
                list(pairs) if pairs is not None else None,
                padding=len(texts) > 1,
                truncation=truncate,
                max_length=window if truncate else None,
                return_tensors="pt",
                # Too long texts are refused below; the library's own warning would only go to the log.
                verbose=False,
                **options,
            )
        tokens = encoded["input_ids"].shape[1]
        if tokens > window:
            raise InputTooLong(
                _(
                    "El texto tiene {tokens} tokens y {name} lee {window} como máximo. Acórtalo o divídelo en partes."
                ).format(
                    tokens=format_number(tokens), name=self.entry.name(get_language()), window=format_number(window)
                )
            )
        return encoded

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, whole and unpadded: to see how long it is, or where it would be cut."""
        with self.lock:
            ids: list[list[int]] = self.tokenizer(list(texts), padding=False, truncation=False, verbose=False)[
                "input_ids"
            ]
        return ids

    def with_attention(self, implementation: str = "eager") -> "ModelBundle":
        """A view of the same weights that computes attention weights; it takes no memory for them.

        Args:
            implementation: ``"eager"``, or the name of one that was registered with transformers.

        Under the default ``sdpa`` implementation ``output_attentions=True`` returns an empty tuple without an
        error, and switching a shared model to ``eager`` would change it under others that compute with it.
        """
        tensors = [*self.model.parameters(), *self.model.buffers()]
        # deepcopy takes what it finds in the memo for already copied, so both models hold the same tensors.
        twin = copy.deepcopy(self.model, {id(tensor): tensor for tensor in tensors})
        twin.set_attn_implementation(implementation)
        if twin.config._attn_implementation != implementation:
            raise RuntimeError(f"{self.entry.id} cannot compute attention weights")
        return replace(self, model=twin, eager=True, lock=self.lock)
