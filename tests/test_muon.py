"""Muon: its factor is orthogonal, it is Adam for what is no matrix, and it learns all directions at the same speed."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from pnp.training.muon import Muon, is_matrix, orthogonal


@pytest.mark.parametrize("shape", [(16, 16), (32, 288), (256, 64)])
def test_the_factor_is_near_that_of_the_singular_value_decomposition(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    found = u.mT @ orthogonal(1e-3 * matrix) @ v.mT  # the scale does not matter
    well = s > 0.1 * s.max()  # small singular values would take more iterations
    assert ((found.diag()[well] - 1).abs() < 0.35).all()
    assert (found - found.diag().diag()).abs().max() < 0.05
    assert orthogonal(torch.zeros(shape)).abs().max() == 0


def test_it_is_adam_for_what_is_no_matrix():
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Conv2d(3, 5, 3), nn.PReLU(), nn.Conv2d(5, 40, 1), nn.Conv2d(40, 2, 3))
    theirs = copy.deepcopy(ours)
    assert not any(is_matrix(p) for p in ours.parameters())
    settings: dict[str, Any] = {"lr": 1e-2, "betas": (0.9, 0.99)}
    optimisers = (
        Muon(ours.parameters(), **settings),
        torch.optim.Adam(theirs.parameters(), **settings),
    )
    for _ in range(5):
        x = torch.randn(2, 3, 9, 9)
        for network, optimiser in zip((ours, theirs), optimisers, strict=True):
            optimiser.zero_grad()
            network(x).square().mean().backward()
            optimiser.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_updates_are_as_large_as_those_of_adam():
    layer = nn.Conv2d(32, 64, 3, bias=False).to(memory_format=torch.channels_last)
    before = layer.weight.detach().clone()
    layer.weight.grad = torch.randn_like(before)
    Muon(layer.parameters(), lr=1e-3).step()
    assert 0.15e-3 < (layer.weight - before).square().mean().sqrt() < 0.25e-3


def test_it_goes_on_from_its_state():
    torch.manual_seed(0)
    layer = nn.Linear(20, 20)
    optimiser = Muon(layer.parameters(), lr=1e-2)

    def steps(layer, optimiser, seed):
        for i in range(3):
            for p in layer.parameters():
                p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(seed + i))
            optimiser.step()

    steps(layer, optimiser, 0)
    other = copy.deepcopy(layer)
    resumed = Muon(other.parameters(), lr=1e-2)
    resumed.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    steps(layer, optimiser, 9)
    steps(other, resumed, 9)
    assert torch.equal(layer.weight, other.weight) and torch.equal(layer.bias, other.bias)


def test_directions_of_small_curvature_are_learned_as_fast():
    """On |A W - B|^2 with curvatures from 1 to 1e-4 the error falls everywhere; gradient descent leaves the last ones."""
    torch.manual_seed(0)
    A = torch.logspace(0, -2, 16)[:, None]
    target = torch.randn(16, 16)
    weight = nn.Parameter(torch.zeros(16, 16))
    optimiser = Muon([weight], lr=0.5)
    for step in range(100):
        optimiser.param_groups[0]["lr"] = 0.5 * (1 - step / 100)
        weight.grad = A.square() * (weight.detach() - target)
        optimiser.step()
    left = (weight - target).detach().square().mean(1) / target.square().mean(1)
    assert left.max() < 0.3
