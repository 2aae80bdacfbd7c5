"""The shared training loop: exact resumption, schedule, refusals, and what each optimizer gets."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.training.recipes import loop
from core.training.recipes.loop import Schedule, padded, save_checkpoint, shuffled, train


class Numbers:
    """Batch ``i``: points of a plane, from the index alone."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        x = np.random.default_rng(index).normal(size=(8, 4)).astype(np.float32)
        return {"x": x, "y": x @ np.array([[1.0], [-2.0], [0.5], [3.0]], dtype=np.float32)}


def losses(model: torch.nn.Module, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"loss": (model(batch["x"]).float() - batch["y"]).pow(2).mean()}


def make() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Dropout(0.1), torch.nn.Linear(16, 1))


def run(out: Path, *, stop: int | None = None, rate: float = 0.0, **options: Any) -> torch.nn.Module:
    model = make()
    schedule = Schedule(steps=40, learning_rate=1e-2, matrix_rate=rate)
    train(model, Numbers(), losses, schedule, out, device="cpu", report_every=10, stop_after=stop, **options)
    return model


@pytest.mark.parametrize("rate", [0.0, 1e-2])
def test_a_run_that_was_cut_ends_where_a_whole_one_does(tmp_path: Path, rate: float) -> None:
    whole = run(tmp_path / "whole", rate=rate)
    run(tmp_path / "cut", stop=17, rate=rate)
    assert torch.load(tmp_path / "cut/checkpoint.pt", weights_only=True)["step"] == 17
    resumed = run(tmp_path / "cut", rate=rate)
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_it_learns(tmp_path: Path) -> None:
    run(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert [line["step"] for line in lines] == [10, 20, 30, 40]


def test_more_steps_may_be_asked_for_but_nothing_else_changed(tmp_path: Path) -> None:
    run(tmp_path, stop=5, options={"batch": 8})
    longer = Schedule(steps=80, learning_rate=1e-2)
    assert train(make(), Numbers(), losses, longer, tmp_path, device="cpu", options={"batch": 8}, stop_after=6) == 6
    with pytest.raises(ValueError, match="other options"):
        run(tmp_path, options={"batch": 9})


def test_frozen_weights_are_neither_trained_nor_kept(tmp_path: Path) -> None:
    model = make()
    model[0].requires_grad_(False)  # type: ignore[index]
    before = model[0].weight.clone()  # type: ignore[index, union-attr, operator]
    train(model, Numbers(), losses, Schedule(steps=3, learning_rate=0.1), tmp_path, device="cpu")
    assert torch.equal(before, model[0].weight)  # type: ignore[index, arg-type]
    assert set(torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]) == {"2.weight", "2.bias"}


def test_scores_are_logged_at_checkpoints_in_evaluation_mode(tmp_path: Path) -> None:
    modes: list[bool] = []

    def check(model: torch.nn.Module) -> dict[str, Any]:
        modes.append(model.training)
        return {"score": 1.0}

    run(tmp_path, check=check, checkpoint_every_s=0.0)
    assert modes and not any(modes)
    assert '"score": 1.0' in (tmp_path / "log.jsonl").read_text()


def test_the_schedule_rises_and_falls() -> None:
    schedule = Schedule(steps=1000, learning_rate=1.0, warmup=0.1)
    assert schedule.factor(0) == pytest.approx(0.01)
    assert schedule.factor(99) == pytest.approx(1.0)
    assert schedule.factor(999) == pytest.approx(0.1, abs=0.01)
    assert Schedule(steps=1000, learning_rate=1.0, last=0.0).factor(999) == pytest.approx(0.0, abs=0.01)


def test_tables_are_not_given_to_muon() -> None:
    model = torch.nn.ModuleDict({"wte": torch.nn.Embedding(5, 4), "body": torch.nn.Linear(4, 4)})
    adam, muon = loop._optimizers(model, Schedule(steps=1, learning_rate=0.1, matrix_rate=0.2), "cpu")
    (inner,) = muon.param_groups[0]["params"]
    assert inner is model["body"].weight
    assert sum(len(group["params"]) for group in adam.param_groups) == 2


def test_a_checkpoint_is_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.pt"
    save_checkpoint(file, {"step": 1})
    with pytest.raises(AttributeError):
        save_checkpoint(file, {"step": lambda: 2})  # can't be written
    assert torch.load(file, weights_only=True) == {"step": 1}


def test_orders_and_padding() -> None:
    assert sorted(shuffled(9, 1, 0)) == list(range(9))
    assert list(shuffled(9, 1, 0)) == list(shuffled(9, 1, 0)) != list(shuffled(9, 1, 1))
    assert padded([[1, 2, 3], [4]], 0).tolist() == [[1, 2, 3], [4, 0, 0]]


def test_every_recipe_is_told_its_options_and_its_folder_is_made(tmp_path: Path) -> None:
    from core.training.recipes import next_sentence

    told = ["--data", "d", "--out", str(tmp_path / "a/b"), "--device", "cpu", "--learning-rate", "0.5", "--steps", "7"]
    given, options = loop.command_line(
        "next_sentence", next_sentence.Options, [*told, "--tone", "low"], lambda p: p.add_argument("--tone")
    )
    assert options == next_sentence.Options(steps=7, learning_rate=0.5)
    assert (given.data, given.out, given.device, given.tone) == (Path("d"), tmp_path / "a/b", "cpu", "low")
    assert given.out.is_dir()
