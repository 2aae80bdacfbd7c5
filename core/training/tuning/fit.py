"""The loop of a run: batches of like length, a report at every few steps, checkpoints, exact resumption."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.training.recipes.loop import Schedule, autocast, save_checkpoint, tensors
from core.training.tuning.models import losses
from core.training.tuning.rows import Order, Row, collate

if TYPE_CHECKING:
    import torch

# How many lines a run's curve has, at most.
_REPORTS: Final = 120
CHECKPOINT_EVERY_S: Final = 30.0

Report = Callable[[dict[str, Any]], None]
Loss = Callable[[Any, "dict[str, torch.Tensor]"], "torch.Tensor"]


class Stopped(Exception):
    """The run was asked to stop; its last checkpoint holds all that it did."""


def _nothing(_value: Any) -> None:
    """Where nobody listens."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Hooks:
    """How a run speaks with whoever started it.

    Attributes:
        report: called with each line of progress.
        stop: asked after each step; once true, the run writes a checkpoint and raises ``Stopped``.
        reached: called with the name of each stage, just before what it names is done. Tests break off here.
        checkpoint_every_s: seconds between checkpoints.
    """

    report: Report = _nothing
    stop: Callable[[], bool] = _never
    reached: Callable[[str], None] = _nothing
    checkpoint_every_s: float = CHECKPOINT_EVERY_S


@dataclass
class Learning:
    """One stretch of training: the model, what it learns from, and how fast.

    Attributes:
        stage: ``"adapt"`` or ``"train"``, for reports.
        model: in place; only weights that require gradients are in the checkpoint.
        rows: what it learns from.
        schedule: steps and learning rates.
        order: which rows stand together.
        device: where to compute.
        file: the checkpoint.
        batch: rows → arrays; with the epoch and step for those that draw at random.
        loss: of a batch.
        before_step: called with each batch, such as to hand the head its vectors.
        after_epoch: called with the number of finished epochs, in evaluation mode; returns what to report.
    """

    stage: str
    model: Any
    rows: Sequence[Row]
    schedule: Schedule
    order: Order
    device: str
    file: Path
    batch: Callable[[Sequence[Row], int], Any] = field(default=lambda rows, _step: collate(rows))
    loss: Loss = losses
    before_step: Callable[["dict[str, torch.Tensor]"], None] = _nothing
    after_epoch: Callable[[int], dict[str, Any]] = field(default=lambda _epoch: {})

    @cached_property
    def weights(self) -> list[tuple[str, "torch.nn.Parameter"]]:
        """Those that learn, with their names: collected once, since going through a model at each step takes time."""
        return [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]

    def optimizer(self) -> "torch.optim.Optimizer":
        """AdamW (Loshchilov & Hutter 2019). Neither embeddings, biases nor norms decay."""
        import torch

        def decays(name: str, weight: "torch.Tensor") -> bool:
            return weight.ndim > 1 and "embedding" not in name

        return torch.optim.AdamW(
            [
                {
                    "params": [w for n, w in self.weights if decays(n, w)],
                    "weight_decay": self.schedule.weight_decay,
                },
                {"params": [w for n, w in self.weights if not decays(n, w)], "weight_decay": 0.0},
            ],
            lr=self.schedule.learning_rate,
            fused=True,
        )

    def step(self, number: int, optimizer: "torch.optim.Optimizer") -> tuple[float, int]:
        """One update; returns the loss and the tokens that were computed, padding left out."""
        import torch

        for group in optimizer.param_groups:
            group["lr"] = self.schedule.learning_rate * self.schedule.factor(number)
        # Dropout depends on the seed and the step alone, on whatever device: a run that was cut goes on exactly.
        # (On a machine whose card isn't in use, torch.manual_seed keeps a stack trace for it at each call.)
        seed = torch.default_generator.manual_seed if self.device == "cpu" else torch.manual_seed
        seed(self.schedule.seed * 1_000_003 + number)
        rows = [self.rows[row] for row in self.order[number]]
        batch = tensors(self.batch(rows, number), self.device)
        self.before_step(batch)
        with autocast(self.device):
            loss = self.loss(self.model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([w for _name, w in self.weights], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach()), sum(len(row["ids"]) for row in rows)

    def rehearse(self, steps: int = 3) -> float:
        """Seconds a padded token takes, from a few steps after which the model is as before.

        The batches are a short, a middling and a long one, so that the mean holds for all.
        """
        import torch

        kept = {name: w.detach().clone() for name, w in self.weights}
        self.model.train()
        optimizer = self.optimizer()
        sizes = self.order.tokens()
        ranked = sorted(range(len(sizes)), key=sizes.__getitem__)
        chosen = [ranked[round(share * (len(ranked) - 1))] for share in (0.5, 0.2, 0.5, 0.8)][: steps + 1]
        # The first step of a process also makes room for gradients and moments: it isn't counted.
        self.step(chosen[0], optimizer)
        began = time.perf_counter()
        for number in chosen[1:]:
            self.step(number, optimizer)
        took = time.perf_counter() - began
        with torch.no_grad():
            for name, weight in self.weights:
                weight.copy_(kept[name])
        return took / max(1, sum(sizes[number] for number in chosen[1:]))

    def run(self, hooks: Hooks) -> float:
        """Trains from the last checkpoint, if there is one, to the end.

        Returns:
            Seconds that training took, over all the processes that had a part in it; evaluation left out.

        Raises:
            Stopped: it was asked to stop, and wrote a checkpoint.
        """
        import torch

        steps, per_epoch = self.schedule.steps, self.order.per_epoch
        every = max(1, steps // _REPORTS)
        optimizer = self.optimizer()
        step, before_s = 0, 0.0
        total, count = 0.0, 0
        if self.file.is_file():
            kept = torch.load(self.file, map_location=self.device, weights_only=True)
            self.model.load_state_dict(kept["model"], strict=False)
            optimizer.load_state_dict(kept["optimizer"])
            step, before_s, total, count = kept["step"], kept["seconds"], kept["total"], kept["count"]
            hooks.report({"kind": "resumed", "stage": self.stage, "step": step, "steps": steps})
        learning = {name for name, _weight in self.weights}
        began = saved = time.monotonic()

        def elapsed() -> float:
            return before_s + time.monotonic() - began

        def keep() -> None:
            hooks.reached(f"{self.stage}-checkpoint")
            state = {
                "model": {name: w for name, w in self.model.state_dict().items() if name in learning},
                "optimizer": optimizer.state_dict(),
                "step": step,
                "seconds": elapsed(),
                "total": total,
                "count": count,
            }
            save_checkpoint(self.file, state)
            hooks.reached(f"{self.stage}-checkpointed")

        def evaluate(epoch: int) -> None:
            nonlocal began
            paused = time.monotonic()
            self.model.eval()
            found = self.after_epoch(epoch)
            self.model.train()
            began += time.monotonic() - paused
            if found:
                hooks.report(
                    {"kind": "epoch", "stage": self.stage, "epoch": epoch, "step": step, "seconds": elapsed(), **found}
                )

        if step == 0:
            evaluate(0)
        self.model.train()
        seen, marked = 0, time.monotonic()
        while step < steps:
            hooks.reached(f"{self.stage}-step")
            loss, tokens = self.step(step, optimizer)
            step += 1
            total, count, seen = total + loss, count + 1, seen + tokens
            if step % every == 0 or step == steps:
                now = time.monotonic()
                hooks.report(
                    {
                        "kind": "step",
                        "stage": self.stage,
                        "step": step,
                        "steps": steps,
                        "epoch": step / per_epoch,
                        "loss": total / count,
                        "tokens_per_second": seen / max(1e-6, now - marked),
                        "seconds": elapsed(),
                        "left_s": elapsed() / step * (steps - step),
                    }
                )
                total, count, seen, marked = 0.0, 0, 0, now
            stopping = hooks.stop()
            if step % per_epoch == 0 or step == steps:
                evaluate(-(-step // per_epoch))
                marked = time.monotonic()
            if stopping or time.monotonic() - saved >= hooks.checkpoint_every_s:
                paused = time.monotonic()
                keep()
                saved = time.monotonic()
                marked += saved - paused
                began += saved - paused
            if stopping:
                raise Stopped
        self.model.eval()
        keep()
        return elapsed()
