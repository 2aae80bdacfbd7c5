"""One fine-tuning run from request to result: load, adapt, train, measure, write."""

import re
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.runtime.device import cores, pick_device
from core.settings import Settings
from core.training.data import DataSet, Labelled, Question, Tagged, example_text, spans
from core.training.recipes.loop import Schedule, autocast, save_checkpoint, tensors
from core.training.tuning import adapt, export, scores
from core.training.tuning.fit import Hooks, Learning
from core.training.tuning.forecast import Forecast
from core.training.tuning.models import (
    Finished,
    SmallVocabulary,
    add_averaging_layer,
    averaging_layer_apart,
    build,
    count,
    freeze_body,
    load_tokenizer,
    logits,
    with_lora,
)
from core.training.tuning.request import TuningRequest, check
from core.training.tuning.rows import Order, Row, collate, rows_of

if TYPE_CHECKING:
    import torch

MIB: Final = 2**20
# Test examples that are measured after each epoch; the final measure takes all.
_LIVE: Final = 400
_MAPPED: Final = 300
_BODY_BATCH: Final = 64
_WORDS: Final = re.compile(r"\w+|[^\w\s]")


def peak_memory_mib(device: str = "cpu") -> float:
    """The most memory that this process has taken so far, in MiB; on a card, what its tensors took."""
    if device.startswith("cuda"):
        import torch

        return float(torch.cuda.max_memory_allocated()) / MIB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MIB if sys.platform == "darwin" else peak / 1024


def words_of(text: str) -> tuple[str, ...]:
    """A sentence in words, punctuation apart, as entity sets have it."""
    return tuple(_WORDS.findall(text))


def sentence_examples(request: TuningRequest) -> tuple[Any, ...]:
    """The person's own texts, as examples without labels."""
    given = [text.strip() for text in request.sentences if text.strip()]
    if request.task == "classification":
        return tuple(Labelled(text, 0) for text in given)
    if request.task == "entities":
        return tuple(Tagged(words, ("O",) * len(words)) for text in given if (words := words_of(text)))
    return tuple(Question(text, request.context, ()) for text in given) if request.context.strip() else ()


class Clock:
    """Adds up the parts of a run, in seconds."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Counts its body as ``name``."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.parts[name] = self.parts.get(name, 0.0) + time.monotonic() - began


def body_vectors(
    model: Any,
    rows: Sequence[Row],
    device: str,
    *,
    first_only: bool,
    averages: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[npt.NDArray[np.float32]]:
    """The body's last vectors of each row, ``(tokens or 1, width)``; it runs once over each.

    Args:
        model: body and head.
        rows: what to read.
        device: where to compute.
        first_only: only of the first token, ``[CLS]``.
        averages: the model has the layer of ``add_averaging_layer``; with ``first_only``, it doesn't run.
        progress: called with how many are done and how many there are.
    """
    import torch

    found: list[npt.NDArray[np.float32]] = [np.zeros((0, 0), dtype=np.float32)] * len(rows)
    by_length = sorted(range(len(rows)), key=lambda index: len(rows[index]["ids"]))
    model.eval()
    apart = averaging_layer_apart(model) if averages and first_only else nullcontext()
    with torch.inference_mode(), autocast(device), apart as sum_up:
        for start in range(0, len(by_length), _BODY_BATCH):
            chosen = by_length[start : start + _BODY_BATCH]
            batch = tensors(collate([rows[index] for index in chosen]), device)
            states = logits_of_body(model, batch).last_hidden_state.float()  # (batch, tokens, width)
            if sum_up is not None:
                states = sum_up(states, batch["attention"])
            out = states.cpu().numpy()
            for place, index in enumerate(chosen):
                end = 1 if first_only else len(rows[index]["ids"])
                found[index] = out[place, :end].copy()
            if progress is not None:
                progress(start + len(chosen), len(rows))
    return found


def logits_of_body(model: Any, batch: "dict[str, torch.Tensor]") -> Any:
    """The body's output of a batch."""
    return logits(model.base_model, batch)


def flat_map(vectors: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], float]:
    """Vectors ``(n, width)`` on their two main axes ``(n, 2)``, and the share of the variance that these hold."""
    centred = vectors - vectors.mean(0)
    _u, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    total = float((sizes**2).sum()) or 1.0
    return centred @ axes[:2].T, float((sizes[:2] ** 2).sum()) / total


class Run:
    """One run; ``forecast`` or ``finish`` is called once.

    Args:
        request: what to do.
        data: what to learn from and measure on.
        folder: where checkpoints, the model and the result go.
        settings: device, and where models are looked for.
        hooks: how it speaks with whoever started it.

    Raises:
        InputInvalid: the request can't be run.
        ModelUnavailable: the base isn't on this machine.
    """

    def __init__(
        self, request: TuningRequest, data: DataSet, folder: Path, settings: Settings, hooks: Hooks | None = None
    ) -> None:
        self.request = check(request)
        self.data = data
        self.folder = folder
        self.settings = settings
        self.hooks = hooks or Hooks()
        self.clock = Clock()
        self.device = pick_device(settings).name
        self.own = sentence_examples(request)
        self._finished: Finished | None = None

    # --- parts --------------------------------------------------------------------------------------------

    def _stage(self, name: str) -> None:
        self.hooks.report({"kind": "stage", "stage": name})
        self.hooks.reached(name)

    def _load(self) -> None:
        import torch

        torch.set_num_threads(cores())
        self._stage("load")
        with self.clock.part("load"):
            request, data = self.request, self.data
            self.tokenizer = load_tokenizer(request.base, self.settings)
            length = request.max_length
            self.train_rows = rows_of(data, data.train, self.tokenizer, length)
            self.test_rows = rows_of(data, data.test, self.tokenizer, length, every=True)
            self.own_rows = rows_of(data, self.own, self.tokenizer, length, every=True)
            labels = data.labels if data.task != "questions" else ()
            self.model = build(request, labels, self.settings).to(self.device)
            self.order = Order([len(row["ids"]) for row in self.train_rows], request.batch, request.seed)
            self.steps = request.epochs * self.order.per_epoch

    def _adapt(self) -> None:
        """Reads the raw text, unless that is done already; the body is then kept in a file of its own."""
        if self.request.start != "adapted":
            return
        self._stage("adapt")
        import torch

        done = self.folder / "adapted.pt"
        with self.clock.part("adapt"):
            if done.is_file():
                self.model.base_model.load_state_dict(torch.load(done, map_location=self.device, weights_only=True))
                return
            learning, tables = self._adapting()
            learning.run(self.hooks)
            tables.restore()
            save_checkpoint(done, self.model.base_model.state_dict())
            learning.file.unlink(missing_ok=True)

    def _adapting(self) -> tuple[Learning, SmallVocabulary]:
        request = self.request
        texts = adapt.passages(request.raw_text) or [
            example.context if isinstance(example, Question) else example_text(example) for example in self.data.train
        ]
        rows = adapt.masked_rows(dict.fromkeys(texts), self.tokenizer, request.max_length)
        mask: Any = self.tokenizer.mask_token_id
        tables = SmallVocabulary(self.model.base_model, {mask, *(piece for row in rows for piece in row["ids"])})
        for row in rows:
            row["ids"] = tables.places(row["ids"])
        order = Order([len(row["ids"]) for row in rows], 16, request.seed)
        width = self.model.base_model.get_input_embeddings().weight.shape[1]
        steps = request.adapt_epochs * order.per_epoch
        learning = Learning(
            "adapt",
            adapt.masked_model(self.model.base_model, tables, width).to(self.device),
            rows,
            Schedule(steps, 3e-4, warmup=0.1, seed=request.seed),
            order,
            self.device,
            self.folder / "adapt.pt",
            batch=adapt.Masking(request.seed, tables.places([mask])[0], len(tables.ids)),
            loss=adapt.masked_loss,
        )
        return learning, tables

    def _sum_up(self) -> None:
        self.averages = add_averaging_layer(self.model, self.request, self.settings)

    def _prepare(self, stack: ExitStack, train_vectors: bool = True) -> None:
        """Chooses which weights move, and does once what needs doing only once."""
        import torch

        torch.manual_seed(self.request.seed)
        self.tables: SmallVocabulary | None = None
        if self.request.method == "lora":
            self.model = with_lora(self.model).to(self.device)
        elif self.request.method == "full":
            every = (*self.train_rows, *self.test_rows, *self.own_rows)
            self.tables = SmallVocabulary(self.model, {piece for row in every for piece in row["ids"]})
            for row in every:
                row["ids"] = self.tables.places(row["ids"])
        else:
            freeze_body(self.model)
            if train_vectors:
                self._stage("features")
                self._keep_vectors()
            self._finished = stack.enter_context(Finished(self.model))

    @property
    def _first_only(self) -> bool:
        """Whether the head reads [CLS] alone."""
        return self.data.task == "classification"

    def _read(
        self, rows: Sequence[Row], progress: Callable[[int, int], None] | None = None
    ) -> list[npt.NDArray[np.float32]]:
        """What the head learns from, of a frozen body."""
        return body_vectors(
            self.model, rows, self.device, first_only=self._first_only, averages=self.averages, progress=progress
        )

    def _keep_vectors(self) -> None:
        learnt, measured = self.train_rows, [*self.test_rows, *self.own_rows]
        total = len(learnt) + len(measured)
        # What is only measured is read in time that counts as measuring, as it does for the other methods.
        for name, rows, before in (("features", learnt, 0), ("evaluate", measured, len(learnt))):

            def progress(done: int, _rows: int, before: int = before) -> None:
                self.hooks.report({"kind": "features", "stage": "features", "done": before + done, "total": total})

            with self.clock.part(name):
                vectors = self._read(rows, progress)
            for row, vector in zip(rows, vectors, strict=True):
                row["hidden"] = vector

    def _hand_over(self, batch: "dict[str, torch.Tensor]") -> None:
        if self._finished is not None:
            self._finished.hidden = batch["hidden"]

    def _learning(self) -> Learning:
        request = self.request
        return Learning(
            "train",
            self.model,
            self.train_rows,
            Schedule(self.steps, request.learning_rate, warmup=0.1, seed=request.seed),
            self.order,
            self.device,
            self.folder / "checkpoint.pt",
            before_step=self._hand_over,
            after_epoch=self._after_epoch,
        )

    # --- measuring ----------------------------------------------------------------------------------------

    def _score(self, most: int | None = None) -> dict[str, Any]:
        data, rows = self.data, self.test_rows
        if most is not None and len(data.test) > most:
            chance = np.random.default_rng(1)
            chosen = sorted(chance.choice(len(data.test), most, replace=False).tolist())
            place = {index: new for new, index in enumerate(chosen)}
            data = DataSet(**{**_parts(data), "test": tuple(data.test[index] for index in chosen)})
            if data.task == "questions":
                rows = [{**row, "question": place[row["question"]]} for row in rows if row["question"] in place]
            else:
                rows = [rows[index] for index in chosen]
        if data.task == "classification":
            return scores.class_scores(scores.class_chances(self.model, rows, self.device, self._hand_over), data)
        if data.task == "entities":
            return scores.tag_scores(scores.word_tags(self.model, rows, self.device, self._hand_over), data)
        contexts = [example.context for example in data.test if isinstance(example, Question)]
        none = any(isinstance(example, Question) and not example.answers for example in (*data.train, *data.test))
        found = scores.answers(self.model, rows, contexts, self.device, self._hand_over, may_be_none=none)
        return scores.answer_scores(found, data)

    def _answer_own(self) -> list[dict[str, Any]]:
        """What the model says now of the person's own texts."""
        if not self.own_rows:
            return []
        labels = self.data.labels
        if self.data.task == "classification":
            chances = scores.class_chances(self.model, self.own_rows, self.device, self._hand_over)
            return [{"answer": labels[int(row.argmax())], "sure": float(row.max())} for row in chances]
        if self.data.task == "entities":
            found = []
            for (tags, sure), example in zip(
                scores.word_tags(self.model, self.own_rows, self.device, self._hand_over), self.own, strict=True
            ):
                marks = spans([labels[tag] for tag in tags])
                text = " · ".join(f"{' '.join(example.words[start:end])} = {kind}" for kind, start, end in marks)
                found.append({"answer": text or "–", "sure": float(np.mean(sure)) if sure else 0.0})
            return found
        contexts = [example.context for example in self.own]
        answered = scores.answers(self.model, self.own_rows, contexts, self.device, self._hand_over, may_be_none=False)
        return [{"answer": text, "sure": sure} for text, sure in answered]

    def _after_epoch(self, epoch: int) -> dict[str, Any]:
        self.hooks.reached("train-evaluate")
        with self.clock.part("evaluate"):
            found = self._score(_LIVE)
            own = self._answer_own()
        return {
            "metric": found["metric"],
            "value": found["value"],
            "n": min(_LIVE, len(self.data.test)),
            "own": own,
        }

    def _mapped(self) -> tuple[list[int], list[str], list[str]]:
        """Which test rows stand on the map, their texts and their labels."""
        chance = np.random.default_rng(1)
        total = len(self.data.test)
        chosen = sorted(chance.choice(total, min(_MAPPED, total), replace=False).tolist())
        texts = [example_text(self.data.test[index]) for index in chosen]
        labels = [self.data.labels[self.data.test[index].label] for index in chosen]
        return chosen, texts, labels

    def _vectors(self) -> npt.NDArray[Any] | None:
        """The [CLS] vectors of the map, ``(n, width)``; only where whole texts have a class."""
        if self.data.task != "classification":
            return None
        rows = [self.test_rows[index] for index in self._mapped()[0]]
        if self._finished is not None:  # a frozen body's were computed already
            return np.stack([row["hidden"][0] for row in rows])
        vectors = body_vectors(self.model, rows, self.device, first_only=True)
        return np.stack([vector[0] for vector in vectors])

    # --- the two ways to use it ---------------------------------------------------------------------------

    def forecast(self) -> Forecast:
        """Three steps of the run, and what these say about the whole."""
        began = time.monotonic()
        self._load()
        with ExitStack() as stack:
            adapt_s = 0.0
            if self.request.start == "adapted":
                learning, tables = self._adapting()
                padded = sum(learning.order.tokens()) * self.request.adapt_epochs
                adapt_s = learning.rehearse() * padded
                tables.restore()
            self._sum_up()
            found = self._measured(stack, adapt_s, time.monotonic() - began)
        return found

    def _measured(self, stack: ExitStack, other_s: float, load_s: float) -> Forecast:
        """As ``forecast``, on a run that is loaded: prepares a sample of the vectors only."""
        request = self.request
        tests = sum(len(row["ids"]) for row in self.test_rows)
        live = tests * min(1.0, _LIVE / max(1, len(self.data.test)))
        evaluations = request.epochs + 1
        if request.method == "head":
            sample = sorted(self.train_rows, key=lambda row: len(row["ids"]))[:: max(1, len(self.train_rows) // 192)]
            self._read(sample[:8])
            began = time.perf_counter()
            self._read(sample)
            tokens = sum(len(row["ids"]) for row in sample)
            body_s = (time.perf_counter() - began) / max(1, tokens)
            own = sum(len(row["ids"]) for row in self.train_rows)
            other_s += body_s * (own + tests)
            # The head's steps are the same on any numbers of the right shape.
            width = self.model.config.hidden_size
            for row in (*self.train_rows, *self.test_rows, *self.own_rows):
                row["hidden"] = np.zeros((1 if self._first_only else len(row["ids"]), width), dtype=np.float32)
        self._prepare(stack, train_vectors=False)
        per_token = self._learning().rehearse()
        padded = sum(sum(self.order.tokens(epoch)) for epoch in range(min(3, request.epochs)))
        padded = round(padded * request.epochs / min(3, request.epochs))
        # A pass forward is a third of a step (Kaplan et al. 2020, section 2.1).
        evaluation_s = per_token / 3 * (live * evaluations + tests)
        export_s = 1.0
        seconds = load_s + other_s + per_token * padded + evaluation_s + export_s
        return Forecast(seconds, peak_memory_mib(self.device), self.steps, padded)

    def finish(self) -> dict[str, Any]:
        """The whole run.

        Returns:
            What ``result.json`` in the folder holds: measures, mistakes, map, times, parameters.

        Raises:
            Stopped: it was asked to stop.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._load()
        self._adapt()
        self._sum_up()
        # A frozen body's vectors are the same afterwards.
        before = None if self.request.method == "head" else self._vectors()
        with ExitStack() as stack:
            self._prepare(stack)
            total, learning = count(self.model)
            if self.tables is not None:
                # The whole table counts, though only the rows that occur are computed.
                total += self.tables.rows_left_out
                learning += self.tables.rows_left_out
            self._stage("train")
            trained_s = self._learning().run(self.hooks)
            self.clock.parts["train"] = trained_s
            self._stage("evaluate")
            with self.clock.part("evaluate"):
                self.model.eval()
                result = self._score()
                own = self._answer_own()
                if self.request.method == "lora":
                    self.model = self.model.merge_and_unload()
                after = self._vectors()
                before = after if before is None else before
        if self.tables is not None:
            self.tables.restore()
        self._stage("export")
        with self.clock.part("export"):
            result["parameters"] = total
            result["trained"] = learning
            result["own"] = own
            result["map"] = self._map(before, after)
            result["memory_mib"] = peak_memory_mib(self.device)
            result["device"] = self.device
            export.write_model(self.model, self.tokenizer, self.request, self.data, result, self.folder)
        result["times"] = {name: round(value, 3) for name, value in self.clock.parts.items()}
        result["seconds"] = sum(self.clock.parts.values())
        self.hooks.reached("result")
        export.write_json(self.folder / "result.json", result)
        (self.folder / "checkpoint.pt").unlink(missing_ok=True)
        (self.folder / "adapted.pt").unlink(missing_ok=True)
        return result

    def _map(self, before: npt.NDArray[Any] | None, after: npt.NDArray[Any] | None) -> dict[str, Any]:
        if before is None or after is None or len(before) < 3:
            return {}
        _chosen, texts, labels = self._mapped()
        found: dict[str, Any] = {"texts": texts, "labels": labels}
        for name, vectors in (("before", before), ("after", after)):
            places, share = flat_map(vectors)
            found[name] = [[round(float(x), 4), round(float(y), 4)] for x, y in places]
            found[f"{name}_share"] = share
        return found


def _parts(data: DataSet) -> dict[str, Any]:
    names = ("task", "name", "language", "source", "licence", "train", "test", "labels")
    return {name: getattr(data, name) for name in names}


def tune(
    request: TuningRequest,
    data: DataSet,
    folder: Path,
    settings: Settings | None = None,
    hooks: Hooks | None = None,
) -> dict[str, Any]:
    """A whole run in this process: trains, measures and writes ``folder/model``.

    Args:
        request: what to do.
        data: what to learn from and measure on.
        folder: a folder of the run's own; one that holds a checkpoint of the same run goes on from there.
        settings: by default those of the environment.
        hooks: how it speaks with whoever started it.

    Returns:
        What ``folder/result.json`` holds.

    Raises:
        TallerError: the request can't be run.
        Stopped: ``hooks.stop`` said so.
    """
    return Run(request, data, folder, settings or Settings(), hooks).finish()


def forecast(request: TuningRequest, data: DataSet, settings: Settings | None = None) -> Forecast:
    """What a run will take, from three steps of it; writes nothing.

    Raises:
        TallerError: the request can't be run.
    """
    return Run(request, data, Path(), settings or Settings()).forecast()
