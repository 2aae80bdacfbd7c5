"""Small heads on a shared encoder: LoRA adapters (Hu et al. 2021) of a few megabytes, trained and written.

A recipe gives rows of token ids and labels; this module makes batches of them, wraps the encoder, trains it
with ``loop.train`` and writes ``adapter_model.safetensors`` in the layout of the peft library, in half
precision, beside a ``config.json`` with the labels. ``core.runtime.loading`` merges it into the encoder.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.catalog import entry
from core.runtime.loading import locate_model
from core.settings import Settings
from core.training.recipes.loop import padded, shuffled

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

Row = Mapping[str, Any]

RANK: Final = 16
# How many batches are sorted by length together: little padding, and chance enough.
_WINDOW: Final = 32


def base_folder(base: str) -> Path:
    """Where the encoder ``base`` (a key of the catalogue) is on this machine.

    Raises:
        FileNotFoundError: it isn't here.
    """
    found = locate_model(entry(base), Settings())
    if found is None:
        raise FileNotFoundError(f"the encoder {base} is not on this machine")
    return found.folder


def load_tokenizer(base: str) -> "PreTrainedTokenizerBase":
    """The encoder's tokenizer."""
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(base_folder(base)))
    return tokenizer


def build(
    base: str,
    head: str | None,
    labels: Sequence[str] = (),
    *,
    rank: int = RANK,
    seed: int = 1,
    dropout: bool = True,
    first: int = 0,
    fresh: Sequence[str] = (),
) -> Any:
    """The encoder with a fresh head and a LoRA on every linear layer, ready to train.

    Args:
        base: key of the encoder in the catalogue.
        head: suffix of the Auto class, such as ``"SequenceClassification"``; ``None`` for the body alone.
        labels: names of the classes, for heads that have some.
        rank: of the LoRA matrices; twice as much is their scale.
        seed: of the head's first weights.
        dropout: without it a CPU is twice as fast, most of all at attention, which then needs no matrix of
            random numbers as large as its weights; for runs that see each row about once.
        first: the lowest layer that gets a LoRA; below it nothing is learnt, and nothing computed backwards.
        fresh: modules inside the encoder that its files lack, which are learnt and written whole, such as ``"pooler"``.
    """
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    options: dict[str, Any] = {"dtype": torch.float32}
    if not dropout:
        options |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    if labels:
        options["id2label"] = dict(enumerate(labels))
        options["label2id"] = {label: index for index, label in enumerate(labels)}
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # the head is new: it says so
    auto = getattr(transformers, f"AutoModelFor{head}" if head else "AutoModel")
    model = auto.from_pretrained(str(base_folder(base)), **options)
    outer = [name for name, _module in model.named_children() if head and name != model.base_model_prefix]
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.05 if dropout else 0.0,
        target_modules=["query", "key", "value", "dense"],
        layers_to_transform=list(range(first, model.config.num_hidden_layers)) if first else None,
        modules_to_save=[*fresh, *(name for name in outer if name != "dropout")],
    )
    return get_peft_model(model, config)


def begin_as(model: Any, start: str) -> None:
    """Puts the weights of an adapter that ships into one of the same rank, as far as they have a place there.

    Args:
        model: with a LoRA; changed in place.
        start: key of the adapter in the catalogue.
    """
    from safetensors.torch import load_file

    # peft writes weights without the names it gives adapters in memory.
    names = {
        name.replace(".modules_to_save.default", "").replace(".default", ""): name
        for name, _weight in model.named_parameters()
    }
    file = load_file(base_folder(start) / "adapter_model.safetensors")
    known = {names[name]: weight.float() for name, weight in file.items() if name in names}
    model.load_state_dict(known, strict=False)


class Shuffled:
    """Batches of rows, each row once an epoch in an order that depends on the seed and the epoch alone.

    Args:
        rows: each a mapping with ``ids`` and whatever else ``collate`` needs.
        batch: rows a batch.
        collate: makes arrays out of the rows of one batch.
        seed: of the order.
    """

    def __init__(self, rows: Sequence[Row], batch: int, collate: Any, seed: int = 1) -> None:
        self.rows = rows
        self.batch = batch
        self.collate = collate
        self.seed = seed
        self.per_epoch = max(1, len(rows) // batch)
        self._order: tuple[int, npt.NDArray[np.int64]] = (-1, np.zeros(0, dtype=np.int64))

    def _epoch(self, epoch: int) -> npt.NDArray[np.int64]:
        if self._order[0] != epoch:
            order = shuffled(len(self.rows), self.seed, epoch)
            lengths = np.array([len(self.rows[index]["ids"]) for index in order])
            size = self.batch * _WINDOW
            parts = [
                order[start : start + size][np.argsort(lengths[start : start + size], kind="stable")]
                for start in range(0, len(order), size)
            ]
            batches = np.concatenate(parts)[: self.per_epoch * self.batch].reshape(self.per_epoch, self.batch)
            self._order = (epoch, batches[shuffled(self.per_epoch, self.seed + 1, epoch)])
        return self._order[1]

    def __getitem__(self, index: int) -> dict[str, npt.NDArray[Any]]:
        epoch, place = divmod(index, self.per_epoch)
        found: dict[str, npt.NDArray[Any]] = self.collate([self.rows[row] for row in self._epoch(epoch)[place]])
        return found


def collate_text(rows: Sequence[Row]) -> dict[str, npt.NDArray[Any]]:
    """``ids``, ``segments`` and ``attention`` of shape ``(batch, tokens)`` and ``label`` of shape ``(batch,)``."""
    ids = padded([row["ids"] for row in rows], 0)
    return {
        "ids": ids,
        "segments": padded([row.get("segments", [0] * len(row["ids"])) for row in rows], 0),
        "attention": padded([[1] * len(row["ids"]) for row in rows], 0),
        "label": np.array([row["label"] for row in rows], dtype=np.int64),
    }


def scores(model: Any, batch: Mapping[str, "torch.Tensor"]) -> Any:
    """What the head says of a batch."""
    return model(input_ids=batch["ids"], token_type_ids=batch["segments"], attention_mask=batch["attention"])


def export(model: Any, base: str, folder: Path) -> None:
    """Writes the adapter and the head in half precision, in peft's layout, and a ``config.json``."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: weight.detach().to("cpu", torch.float16).contiguous()
        for name, weight in get_peft_model_state_dict(model).items()
    }
    # Single weights that were trained besides, such as the bias of an output layer that is tied to embeddings.
    state |= {
        name: weight.detach().to("cpu", torch.float16).contiguous()
        for name, weight in model.named_parameters()
        if weight.requires_grad and not any(part in name for part in ("lora_", "modules_to_save", "token_adapter"))
    }
    save_file(state, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    adapter = model.peft_config["default"]
    settings = {
        "peft_type": "LORA",
        "base_model_name_or_path": entry(base).id,
        "r": adapter.r,
        "lora_alpha": adapter.lora_alpha,
        "target_modules": adapter.target_modules
        if isinstance(adapter.target_modules, str)
        else sorted(adapter.target_modules),
        "modules_to_save": list(adapter.modules_to_save or ()),
        "bias": "none",
        "task_type": None,
    }
    if adapter.trainable_token_indices:
        settings["trainable_token_indices"] = adapter.trainable_token_indices
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    inner = model.get_base_model()
    inner.config.architectures = [type(inner).__name__]
    inner.config.save_pretrained(folder)
