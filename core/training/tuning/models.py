"""The model that a run trains: body, head, and which of their weights move."""

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.catalog import entry
from core.errors import ModelUnavailable
from core.i18n import get_language
from core.i18n import gettext as _
from core.runtime.loading import locate_model, why_absent
from core.settings import Settings
from core.training.data import TuningTask
from core.training.tuning.request import TuningRequest

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

HEADS: Final[dict[TuningTask, str]] = {
    "classification": "SequenceClassification",
    "entities": "TokenClassification",
    "questions": "QuestionAnswering",
}
RANK: Final = 16
# How much louder than its residual the averaging layer speaks.
_LOUD: Final = 1000.0
# Names of special tokens stand at the beginning of every vocabulary; a model may look for them by number.
_FIRST_IDS: Final = 10


def folder_of(base: str, settings: Settings) -> Path:
    """Where the encoder ``base`` is on this machine.

    Raises:
        ModelUnavailable: it isn't here.
    """
    place = locate_model(entry(base), settings)
    if place is None:
        raise ModelUnavailable(why_absent(entry(base), settings))
    return place.folder


def load_tokenizer(base: str, settings: Settings) -> "PreTrainedTokenizerBase":
    """A tokenizer of one's own; it needs no lock."""
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        str(folder_of(base, settings)), local_files_only=True, trust_remote_code=False
    )
    return tokenizer


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's report that the head is new: it is, and that it is the head alone is checked."""
    import transformers

    level = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers.utils.logging.set_verbosity(level)


def build(request: TuningRequest, labels: Sequence[str], settings: Settings, head: str | None = None) -> Any:
    """Body and a fresh head, in single precision on the CPU.

    Args:
        request: base, start and seed.
        labels: names of the classes or tags; empty for questions.
        settings: where models are looked for.
        head: suffix of the Auto class, where it isn't the task's own.

    Raises:
        ModelUnavailable: the base isn't here, or its files lack weights of the body.
    """
    import torch
    import transformers

    folder = folder_of(request.base, settings)
    weights = entry(request.base).weights
    assert weights is not None  # folder_of found them
    auto = getattr(transformers, f"AutoModelFor{head or HEADS[request.task]}")
    named: dict[str, Any] = {}
    if labels and head is None:
        named["id2label"] = dict(enumerate(labels))
        named["label2id"] = {label: index for index, label in enumerate(labels)}
    torch.manual_seed(request.seed)
    with _quiet():
        if request.start == "random":
            config = transformers.AutoConfig.from_pretrained(str(folder), local_files_only=True, **named)
            return auto.from_config(config, dtype=torch.float32)
        model, info = auto.from_pretrained(
            str(folder),
            dtype=torch.float32,
            use_safetensors=weights.format == "safetensors",
            weights_only=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            **named,
        )
    inner = model.base_model_prefix + "."
    absent = {key for key in info["missing_keys"] if key.startswith(inner) and ".pooler." not in key}
    if absent:
        raise ModelUnavailable(
            _("A los archivos de {name} les faltan {n} pesos: no se puede entrenar a partir de ellos.").format(
                name=entry(request.base).name(get_language()), n=len(absent)
            )
        )
    return model


def _averages(base: str, settings: Settings) -> bool:
    """Whether the mean of an encoder's token vectors sums a text up, and [CLS] doesn't.

    So it is for one that was trained to compare sentences by their means, and for one with BERT's two heads whose
    [CLS] did not learn the next sentence: on our Spanish intents mini-BETO's [CLS] tells 36 % apart, its mean 72 %.
    """
    item = entry(base)
    if item.weights is not None and item.weights.head == "PreTraining" and "next-sentence" not in item.tasks:
        return True
    file = folder_of(base, settings) / "1_Pooling/config.json"
    return file.is_file() and bool(json.loads(file.read_text(encoding="utf-8")).get("pooling_mode_mean_tokens"))


def add_averaging_layer(model: "PreTrainedModel", request: TuningRequest, settings: Settings) -> bool:
    """Gives an encoder whose [CLS] says little one more layer, which brings the mean of all vectors to [CLS].

    It is an ordinary layer of BERT with chosen weights that never learn: queries of zero, so that each token
    attends to all alike; values and output maps of identity, so large that the residual beside them vanishes under
    the norm; a feed-forward part of zero. [CLS] then holds the layer-normalized mean, and the whole stays a
    ``BertForSequenceClassification`` that any program opens.

    Returns:
        Whether it was added: not to encoders of other kinds, which sum up in [CLS] by themselves.
    """
    import torch

    if request.task != "classification" or model.config.model_type != "bert":
        return False
    if not _averages(request.base, settings):
        return False
    body: Any = model.base_model
    layers: Any = body.encoder.layer
    layer: Any = copy.deepcopy(layers[-1])
    attention, output = layer.attention.self, layer.attention.output
    with torch.no_grad():
        for part in (attention.query, attention.key, layer.intermediate.dense, layer.output.dense):
            part.weight.zero_()
            part.bias.zero_()
        torch.nn.init.eye_(attention.value.weight)
        attention.value.bias.zero_()
        output.dense.weight.copy_(_LOUD * torch.eye(output.dense.weight.shape[0]))
        output.dense.bias.zero_()
        for norm in (output.LayerNorm, layer.output.LayerNorm):
            norm.weight.fill_(1.0)
            norm.bias.zero_()
    for weight in layer.parameters():
        weight.requires_grad = False
    if hasattr(attention, "layer_idx"):
        attention.layer_idx = len(layers)
    layers.append(layer)
    model.config.num_hidden_layers = len(layers)
    return True


SumUp = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]


@contextmanager
def averaging_layer_apart(model: "PreTrainedModel") -> Iterator[SumUp]:
    """Runs a body without the layer of ``add_averaging_layer``, whose result for [CLS] is a few sums.

    All its matrices are known, so going through them for every token is a seventh of the work for nothing.

    Args:
        model: with that layer as its last, which is left out while the ``with`` block lasts.

    Yields:
        What gives the vectors of [CLS], ``(batch, 1, width)``, from the body's last ones, ``(batch, tokens, width)``,
        and the attention mask, ``(batch, tokens)``.
    """
    encoder: Any = model.base_model.encoder
    layers = encoder.layer
    output, above = layers[-1].attention.output, layers[-1].output

    def sum_up(states: "torch.Tensor", attention: "torch.Tensor") -> "torch.Tensor":
        mask = attention[:, :, None].to(states.dtype)
        mean = (states * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)
        found: torch.Tensor = above.LayerNorm(output.LayerNorm(_LOUD * mean + states[:, :1]))
        return found

    encoder.layer = layers[:-1]
    try:
        yield sum_up
    finally:
        encoder.layer = layers


def head_modules(model: "PreTrainedModel") -> list[str]:
    """Names of the parts above the body, with BERT's pooler, which only a classifier of whole texts reads."""
    names = [name for name, _part in model.named_children() if name != model.base_model_prefix]
    if getattr(model.base_model, "pooler", None) is not None:
        names.append(f"{model.base_model_prefix}.pooler")
    return names


def freeze_body(model: "PreTrainedModel") -> None:
    """Leaves the head alone to learn."""
    own = tuple(f"{name}." for name in head_modules(model))
    for name, weight in model.named_parameters():
        weight.requires_grad = name.startswith(own)


def with_lora(model: "PreTrainedModel", rank: int = RANK) -> Any:
    """LoRA matrices (Hu et al. 2021) beside every linear layer of the body; the head learns whole."""
    from peft import LoraConfig, get_peft_model

    linear = {"query", "key", "value", "dense", "q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"}
    there = {name.rpartition(".")[2] for name, _part in model.base_model.named_modules()}
    heads = [name for name in head_modules(model) if name != "dropout"]
    pooler = f"{model.base_model_prefix}.pooler"
    # The pooler is a dense layer, too: it learns whole, as part of the head, so LoRA leaves it out.
    still = {name.rpartition(".")[0] for name, w in model.named_parameters() if not w.requires_grad}
    targets = [
        name
        for name, part in model.named_modules()
        if name.rpartition(".")[2] in linear & there
        and name.startswith(f"{model.base_model_prefix}.")
        and not name.startswith(pooler)
        and not any(name.startswith(fixed) for fixed in still)
        and hasattr(part, "weight")
    ]
    return get_peft_model(
        model,
        LoraConfig(
            r=rank, lora_alpha=2 * rank, lora_dropout=0.05, target_modules=targets, modules_to_save=heads or None
        ),
    )


def count(model: "torch.nn.Module") -> tuple[int, int]:
    """Parameters in all, and those that learn."""
    weights = list(model.parameters())
    return sum(w.numel() for w in weights), sum(w.numel() for w in weights if w.requires_grad)


class SmallVocabulary:
    """The embeddings of those pieces alone that a run can meet, put in the place of the whole table.

    The gradient of an embedding table is as large as the table, and an optimizer goes through all of it at
    each step, though a batch touches a few hundred rows. Rows that no batch touches have no gradient and, without
    weight decay, never move: leaving them out changes no weight and no logit.

    Args:
        model: its table is replaced.
        used: ids that occur in the rows, of training and test alike.
    """

    def __init__(self, model: "PreTrainedModel", used: Iterable[int]) -> None:
        import torch

        self._model = model
        whole: Any = model.get_input_embeddings()
        self._whole = whole
        vocabulary = whole.weight.shape[0]
        self.ids = np.array(sorted({*used, *range(min(_FIRST_IDS, vocabulary))}), dtype=np.int64)
        self._place = np.zeros(vocabulary, dtype=np.int64)
        self._place[self.ids] = np.arange(len(self.ids))
        padding = whole.padding_idx
        small = torch.nn.Embedding(
            len(self.ids),
            whole.weight.shape[1],
            padding_idx=None if padding is None or padding >= _FIRST_IDS else padding,
            dtype=whole.weight.dtype,
        )
        with torch.no_grad():
            small.weight.copy_(whole.weight[torch.from_numpy(self.ids)])
        model.set_input_embeddings(small.to(whole.weight.device))

    @property
    def rows_left_out(self) -> int:
        """Numbers of the whole table that the small one doesn't hold."""
        return int((self._whole.weight.shape[0] - len(self.ids)) * self._whole.weight.shape[1])

    def places(self, ids: Sequence[int]) -> list[int]:
        """Rows of the small table for ids of the vocabulary."""
        found: list[int] = self._place[np.asarray(ids, dtype=np.int64)].tolist()
        return found

    def restore(self) -> None:
        """Puts the whole table back, with the rows that learnt."""
        import torch

        small: Any = self._model.get_input_embeddings()
        with torch.no_grad():
            self._whole.weight[torch.from_numpy(self.ids).to(self._whole.weight.device)] = small.weight.to(
                self._whole.weight.device
            )
        self._model.set_input_embeddings(self._whole)


class Finished:
    """Lets a model's head read vectors that its body computed before: the body itself doesn't run.

    What the head does with them is the model's own code, so the logits are those of the whole model.

    Args:
        model: its body's ``forward`` is replaced while the ``with`` block lasts.
    """

    def __init__(self, model: "PreTrainedModel") -> None:
        self._model = model
        self.hidden: torch.Tensor | None = None

    def __enter__(self) -> "Finished":
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        body: Any = self._model.base_model
        pooler = getattr(body, "pooler", None)

        def forward(*_given: Any, **_named: Any) -> Any:
            assert self.hidden is not None
            pooled = pooler(self.hidden) if pooler is not None else None
            return BaseModelOutputWithPooling(last_hidden_state=self.hidden, pooler_output=pooled)

        body.forward = forward
        return self

    def __exit__(self, *_error: object) -> None:
        del self._model.base_model.forward


def logits(model: Any, batch: "dict[str, torch.Tensor]") -> Any:
    """The model's output of a batch as ``rows.collate`` makes it."""
    options: dict[str, Any] = {}
    if getattr(model.config, "type_vocab_size", 0) and model.config.type_vocab_size > 1:
        options["token_type_ids"] = batch["segments"]
    return model(input_ids=batch["ids"], attention_mask=batch["attention"], **options)


def losses(model: Any, batch: "dict[str, torch.Tensor]") -> "torch.Tensor":
    """Mean cross-entropy of a batch: of the class, of each word's tag, or of the answer's first and last token."""
    import torch.nn.functional as F

    out = logits(model, batch)
    if "label" in batch:
        return F.cross_entropy(out.logits.float(), batch["label"])
    if "labels" in batch:
        return F.cross_entropy(out.logits.float().flatten(0, 1), batch["labels"].flatten(), ignore_index=-100)
    outside = batch["outside"].bool()
    first = out.start_logits.float().masked_fill(outside, -1e4)
    last = out.end_logits.float().masked_fill(outside, -1e4)
    return (F.cross_entropy(first, batch["first"]) + F.cross_entropy(last, batch["last"])) / 2
