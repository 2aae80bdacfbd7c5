"""Domain adaptation: the body reads unlabelled text and guesses masked pieces, before it meets the labels.

The second of ULMFiT's three steps (Howard & Ruder 2018), with BERT's own task (Devlin et al. 2019).
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.training.tuning.models import SmallVocabulary
from core.training.tuning.rows import Row, collate

if TYPE_CHECKING:
    import torch

# Shares of Devlin et al. 2019, section 3.1: chosen pieces, and of those masked, swapped, left as they are.
_CHOSEN: Final = 0.15
_MASKED: Final = 0.8
_SWAPPED: Final = 0.1
_SENTENCES: Final = re.compile(r"(?<=[.!?…])\s+|\n+")


def passages(text: str) -> list[str]:
    """The sentences and lines of a text, long enough to guess in."""
    return [piece.strip() for piece in _SENTENCES.split(text) if len(piece.split()) >= 4]


def masked_rows(texts: Iterable[str], tokenizer: Any, max_length: int) -> list[Row]:
    """``ids`` and ``free``, the places that may be masked, of each text."""
    listed = list(texts)
    if not listed:
        return []
    ids = tokenizer(listed, truncation=True, max_length=max_length, padding=False)["input_ids"]
    special = set(tokenizer.all_special_ids)
    rows = [{"ids": row, "free": [place for place, piece in enumerate(row) if piece not in special]} for row in ids]
    return [row for row in rows if len(row["free"]) > 2]


class Masking:
    """Makes batches whose masks depend on the seed and the step alone.

    Args:
        seed: of the draws.
        mask: where ``[MASK]`` stands in the small vocabulary.
        vocabulary: pieces in it.
    """

    def __init__(self, seed: int, mask: int, vocabulary: int) -> None:
        self._seed = seed
        self._mask = mask
        self._vocabulary = vocabulary

    def __call__(self, rows: Sequence[Row], step: int) -> dict[str, Any]:
        """``ids``, ``segments``, ``attention`` and ``labels``, which are −100 where nothing is to guess."""
        chance = np.random.default_rng((self._seed, step))
        spoiled = []
        for row in rows:
            ids, labels = list(row["ids"]), [-100] * len(row["ids"])
            free = row["free"]
            for place in chance.permutation(free)[: max(1, round(_CHOSEN * len(free)))].tolist():
                labels[place] = ids[place]
                draw = chance.random()
                if draw < _MASKED:
                    ids[place] = self._mask
                elif draw < _MASKED + _SWAPPED:
                    ids[place] = int(chance.integers(self._vocabulary))
            spoiled.append({"ids": ids, "labels": labels})
        return collate(spoiled)


def masked_model(body: Any, tables: SmallVocabulary, width: int) -> Any:
    """The body under a small masked-word head tied to its embeddings; only pieces of the text can be guessed.

    Args:
        body: an encoder whose embedding table is the small one.
        tables: that table's keeper.
        width: of its vectors.
    """
    import torch

    class Masked(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = body
            self.config = body.config
            self.dense = torch.nn.Linear(width, width)
            self.norm = torch.nn.LayerNorm(width)
            self.bias = torch.nn.Parameter(torch.zeros(len(tables.ids)))

        def forward(self, batch: "dict[str, torch.Tensor]") -> "torch.Tensor":
            options = {"token_type_ids": batch["segments"]} if getattr(self.config, "type_vocab_size", 0) > 1 else {}
            states = self.body(
                input_ids=batch["ids"], attention_mask=batch["attention"], **options
            ).last_hidden_state  # (batch, tokens, width)
            chosen = states[batch["labels"] != -100]  # (masked, width)
            guess = self.norm(torch.nn.functional.gelu(self.dense(chosen)))
            scores: torch.Tensor = guess @ self.body.get_input_embeddings().weight.T + self.bias
            return scores  # (masked, pieces)

    return Masked()


def masked_loss(model: Any, batch: "dict[str, torch.Tensor]") -> "torch.Tensor":
    """Mean cross-entropy of the masked pieces, in nats."""
    import torch.nn.functional as F

    wanted = batch["labels"][batch["labels"] != -100]
    return F.cross_entropy(model(batch).float(), wanted)
