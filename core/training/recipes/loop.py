"""The loop that all recipes share: bf16 autocast where it is fast, warm-up and cosine, checkpoints, exact resumption.

``OUT/checkpoint.pt`` is written every ten minutes and at the end; ``OUT/log.jsonl`` has a line for each
report. Batch ``i`` depends on the seed and on ``i`` alone, so a run that was cut goes on exactly where its
last checkpoint stood.
"""

import argparse
import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Options = TypeVar("Options")

CHECKPOINT_EVERY_S: Final = 600.0
# Embeddings are tables, not maps: Muon's update makes no sense for them.
_TABLES: Final = ("embed", "shared", "wte", "wpe", "lm_head")

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a run learns.

    Attributes:
        steps: batches in all.
        learning_rate: of AdamW, at its highest.
        warmup: share of the steps in which it rises.
        weight_decay: on matrices.
        matrix_rate: learning rate of Muon (Jordan, 2024) for the matrices inside the layers, which then
            leave AdamW; 0 for AdamW alone. On these small models it saves a third of the steps.
        seed: of dropout and batches.
        last: share of the highest learning rate that is left at the end.
    """

    steps: int
    learning_rate: float
    warmup: float = 0.03
    weight_decay: float = 0.01
    matrix_rate: float = 0.0
    seed: int = 1
    last: float = 0.1

    def factor(self, step: int) -> float:
        """Share of the highest learning rate at ``step``: linear warm-up, then a cosine down to ``last``."""
        rising = max(1, round(self.warmup * self.steps))
        if step < rising:
            return (step + 1) / rising
        done = (step - rising) / max(1, self.steps - rising)
        return self.last + (1 - self.last) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


class Batches(Protocol):
    """A map-style set of batches, each a mapping of names to arrays."""

    def __getitem__(self, index: int) -> Arrays: ...


Losses = Callable[["torch.nn.Module", Mapping[str, "torch.Tensor"]], Mapping[str, "torch.Tensor"]]


def command_line(
    recipe: str,
    options: type[Options],
    arguments: Sequence[str] | None,
    more: Callable[[argparse.ArgumentParser], object] | None = None,
) -> tuple[argparse.Namespace, Options]:
    """What every recipe is told: ``--data``, ``--out``, ``--device``, and each field of its options.

    Args:
        recipe: the module's name.
        options: a dataclass whose fields all have defaults.
        arguments: of the command; ``None`` for those that the process was started with.
        more: adds what this recipe alone asks for.

    Returns:
        All that was given, with the folder ``out`` made, and the options.
    """
    import torch

    parser = argparse.ArgumentParser(prog=f"python -m core.training.recipes.{recipe}", description=f"Train {recipe}.")
    parser.add_argument("--data", type=Path, required=True, help="the folder with the data sets")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; a run that is there goes on")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    if more is not None:
        more(parser)
    own: Any = options
    for field in fields(own):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    return given, options(**{field.name: getattr(given, field.name) for field in fields(own)})


def multiplies_bf16(device: str) -> bool:
    """Whether ``device`` computes in bf16 by itself.

    A processor that does trains 2.5 times as fast in it as in single precision; one that does not, as those
    that only have AVX2, emulates it more than ten times as slowly.
    """
    import torch

    if not device.startswith("cpu"):
        return True
    able: Mapping[str, Any] = torch.cpu.get_capabilities()
    return any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def autocast(device: str) -> "contextlib.AbstractContextManager[Any]":
    """bf16 where ``device`` computes in it, single precision elsewhere."""
    import torch

    return torch.autocast(device.split(":")[0], dtype=torch.bfloat16, enabled=multiplies_bf16(device))


def plain_attention(model: Any, device: str) -> None:
    """Lets a transformers model on a processor compute its attention step by step.

    Backwards, torch's fused attention takes so long there that a whole step of mini-BETO (128 tokens) is a
    fifth to a third slower with it. What is computed is the same.
    """
    if device.startswith("cpu"):
        model.set_attn_implementation("eager")


def tensors(arrays: Arrays, device: str) -> dict[str, "torch.Tensor"]:
    """A batch on ``device``."""
    import torch

    return {name: torch.from_numpy(np.asarray(array)).to(device, non_blocking=True) for name, array in arrays.items()}


def log(out: Path, line: Mapping[str, Any]) -> None:
    """Prints a line and adds it to ``OUT/log.jsonl``."""
    text = json.dumps(line)
    print(text, flush=True)
    with (out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(text + "\n")


def save_checkpoint(file: Path, state: Mapping[str, Any]) -> None:
    """Writes a checkpoint whole or not at all: a run that is killed meanwhile keeps the one before."""
    import torch

    partial = file.with_suffix(".partial")
    with partial.open("wb") as out:
        torch.save(dict(state), out)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(file)


def _optimizers(model: "torch.nn.Module", schedule: Schedule, device: str) -> list["torch.optim.Optimizer"]:
    import torch

    from core.training.recipes.muon import SinglePrecisionMuon

    learning = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]

    def by_muon(name: str, weight: "torch.Tensor") -> bool:
        return bool(schedule.matrix_rate) and weight.ndim == 2 and not any(part in name for part in _TABLES)

    inner = [weight for name, weight in learning if by_muon(name, weight)]
    rest = [weight for name, weight in learning if not by_muon(name, weight)]
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": schedule.weight_decay},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
    ]
    found: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=(0.9, 0.98), fused=True)
    ]
    if inner:
        # Scaled so that its updates are as large as AdamW's, whatever a matrix's shape.
        found.append(
            torch.optim.Muon(
                inner, lr=schedule.matrix_rate, weight_decay=schedule.weight_decay, adjust_lr_fn="match_rms_adamw"
            )
            if multiplies_bf16(device)
            else SinglePrecisionMuon(inner, schedule.matrix_rate, schedule.weight_decay)
        )
    for optimizer in found:
        for group in optimizer.param_groups:
            group["highest"] = group["lr"]
    return found


def train(
    model: "torch.nn.Module",
    batches: Batches,
    losses: Losses,
    schedule: Schedule,
    out: Path,
    *,
    device: str,
    options: Mapping[str, Any] | None = None,
    check: Callable[["torch.nn.Module"], Mapping[str, Any]] | None = None,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    report_every: int = 100,
    stop_after: int | None = None,
) -> int:
    """Trains from the last checkpoint in ``out``, if there is one.

    Args:
        model: its weights are replaced by the checkpoint's; only those that require gradients are kept there.
        batches: what to learn from.
        losses: named mean losses of a batch; their sum is minimized.
        schedule: steps and learning rates.
        out: the run's folder.
        device: ``"cpu"`` or ``"cuda"``.
        options: what else decides the batches; a checkpoint made with others is refused.
        check: scores of the model in evaluation mode, logged at each checkpoint.
        checkpoint_every_s: seconds between checkpoints.
        report_every: steps between lines of the log.
        stop_after: stop, with a checkpoint, at this step (a test's stand-in for a cut).

    Returns:
        The step reached.

    Raises:
        ValueError: ``out`` holds a run with other options.
    """
    import torch
    from torch.utils.data import DataLoader

    out.mkdir(parents=True, exist_ok=True)
    # Steps and the rate at the end only bend the learning rate's curve; anything else would make another run.
    own = {**asdict(schedule), **(options or {}), "steps": 0}
    del own["last"]
    torch.manual_seed(schedule.seed)
    model.to(device).train()
    optimizers = _optimizers(model, schedule, device)
    file = out / "checkpoint.pt"
    step = 0
    if file.is_file():
        kept = torch.load(file, map_location=device, weights_only=True)
        if kept["options"] != own:
            raise ValueError(f"{out} holds a run with other options: {kept['options']}")
        model.load_state_dict(kept["model"], strict=False)
        for optimizer, state in zip(optimizers, kept["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        torch.set_rng_state(kept["rng"].cpu())
        step = kept["step"]
    learning = {name for name, weight in model.named_parameters() if weight.requires_grad}

    def keep() -> None:
        save_checkpoint(
            file,
            {
                "model": {name: w for name, w in model.state_dict().items() if name in learning},
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "rng": torch.get_rng_state(),
                "step": step,
                "options": own,
            },
        )

    end = min(schedule.steps, stop_after if stop_after is not None else schedule.steps)
    workers = min(8, (os.cpu_count() or 2) // 2) if device != "cpu" else 0
    loader: Iterable[Arrays] = DataLoader(
        batches,  # type: ignore[arg-type]  # it has __getitem__, which is all that is asked of it
        batch_size=None,
        sampler=range(step, end),
        num_workers=workers,
        collate_fn=_same,
        # Its own, or its first draw would take one from the stream that dropout uses, once more a resumption.
        generator=torch.Generator(),
    )
    saved = began = time.monotonic()
    sums: dict[str, float] = {}
    seen = 0
    for arrays in loader:
        factor = schedule.factor(step)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["highest"] * factor
        batch = tensors(arrays, device)
        with autocast(device):
            found = losses(model, batch)
        sum(found.values()).backward()  # type: ignore[union-attr]
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        seen += int(next(iter(batch.values())).numel())
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        if step % report_every == 0:
            now = time.monotonic()
            means = {name: round(value / report_every, 4) for name, value in sums.items()}
            log(out, {"step": step, **means, "tokens_per_second": round(seen / (now - began))})
            sums, seen, began = {}, 0, now
        if time.monotonic() - saved > checkpoint_every_s:
            paused = time.monotonic()
            keep()
            if check is not None:
                log(out, {"step": step, **_checked(model, check)})
            saved = time.monotonic()
            began += saved - paused
    keep()
    return step


def _checked(model: "torch.nn.Module", check: Callable[["torch.nn.Module"], Mapping[str, Any]]) -> Mapping[str, Any]:
    import torch

    model.eval()
    with torch.inference_mode():
        found = check(model)
    model.train()
    return found


def _same(batch: Any) -> Any:
    # The batches are made whole already; torch's own collation isn't needed.
    return batch


def shuffled(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """A permutation of ``range(count)`` that depends on the seed and the epoch alone."""
    return np.random.default_rng((seed, epoch)).permutation(count)


def padded(rows: Sequence[Sequence[int]], fill: int) -> npt.NDArray[np.int64]:
    """Rows of different length as one array ``(rows, longest)``, filled up at the right."""
    longest = max(map(len, rows))
    array = np.full((len(rows), longest), fill, dtype=np.int64)
    for index, row in enumerate(rows):
        array[index, : len(row)] = row
    return array
