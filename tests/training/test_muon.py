"""Muon in single precision: what it does to a matrix, and that it takes the very steps of torch's."""

import pytest
import torch

from core.training.recipes.muon import SinglePrecisionMuon, orthogonalized


@pytest.mark.parametrize("shape", [(8, 24), (24, 8), (16, 16)])
def test_orthogonalized_keeps_the_directions_and_evens_the_sizes(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    left, sizes, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    spread = left @ torch.diag(sizes * torch.linspace(0.5, 2.0, len(sizes))) @ right
    found = orthogonalized(spread)
    assert found.shape == shape
    along = torch.diagonal(left.T @ found @ right.T)
    assert (along > 0.5).all() and (along < 1.3).all()
    assert torch.allclose(left @ torch.diag(along) @ right, found, atol=1e-4)


def test_its_steps_are_those_of_torch() -> None:
    torch.manual_seed(0)
    first = torch.randn(12, 20)
    ours, theirs = (torch.nn.Parameter(first.clone()) for _ in range(2))
    options = {"lr": 0.02, "weight_decay": 0.1}
    mine = SinglePrecisionMuon([ours], **options)
    reference = torch.optim.Muon([theirs], adjust_lr_fn="match_rms_adamw", momentum=0.95, **options)
    for _ in range(6):
        gradient = torch.randn(12, 20)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step()
        reference.step()
    moved = (theirs - first).norm()
    # bf16 keeps three digits; its errors add up over the iterations.
    assert (ours - theirs).norm() < 0.03 * moved
