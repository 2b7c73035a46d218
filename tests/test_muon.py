"""Muon: its factor is orthogonal, it is Adam for what is no matrix, and it learns all directions at the same speed."""

import copy
from functools import partial
from typing import Any

import pytest
import timm.optim.muon as timm_muon
import torch
from torch import Tensor, nn

from pnp.training.optimiser import is_matrix, muon


def written_out(w: Tensor, grads: list[Tensor], lr: float, mu: float = 0.95) -> Tensor:
    """The steps of Muon as the docstring of pnp/training/optimiser.py states them, in float32."""
    mean = torch.zeros_like(w)
    for grad in grads:
        mean = mu * mean + (1 - mu) * grad
        x = ((1 - mu) * grad + mu * mean).flatten(1)
        tall = x.shape[0] > x.shape[1]
        x = x.mT if tall else x
        x = x / x.norm()
        for _ in range(5):
            gram = x @ x.mT
            x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
        u = x.mT if tall else x
        w = w - lr * 0.2 * max(u.shape) ** 0.5 * u.reshape(w.shape)
    return w


@pytest.mark.parametrize("shape", [(16, 16), (64, 32, 3, 3), (16, 64, 2, 2), (256, 64)])
@pytest.mark.parametrize("dtype, relative", [(torch.float32, 1e-4), (torch.bfloat16, 0.05)])
def test_steps_are_those_of_the_formula_written_out(shape, dtype, relative, monkeypatch):
    """To 1e-4 of the weights' change; in bf16, as training computes the factor, to its rounding."""
    factor = partial(timm_muon.zeropower_via_newtonschulz, dtype=dtype)
    monkeypatch.setattr(timm_muon, "zeropower_via_newtonschulz", factor)
    generator = torch.Generator().manual_seed(0)
    grads = [torch.randn(shape, generator=generator) for _ in range(5)]
    weight = nn.Parameter(torch.zeros(shape))
    optimiser = muon([weight], lr=1e-3)
    for grad in grads:
        weight.grad = grad.clone()
        optimiser.step()
    expected = written_out(torch.zeros(shape), grads, 1e-3)
    assert (weight.detach() - expected).norm() < relative * expected.norm()


def orthogonal(matrix: Tensor) -> Tensor:
    """The factor of the first step, whose momentum is a multiple of the gradient."""
    weight = nn.Parameter(torch.zeros_like(matrix))
    weight.grad = matrix
    muon([weight], lr=1.0).step()
    return -weight.detach() / (0.2 * max(matrix.shape) ** 0.5)


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
        muon(ours.parameters(), **settings),
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
    muon(layer.parameters(), lr=1e-3).step()
    assert 0.15e-3 < (layer.weight - before).square().mean().sqrt() < 0.25e-3


def test_it_goes_on_from_its_state():
    torch.manual_seed(0)
    layer = nn.Linear(20, 20)
    optimiser = muon(layer.parameters(), lr=1e-2)

    def steps(layer, optimiser, seed):
        for i in range(3):
            for p in layer.parameters():
                p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(seed + i))
            optimiser.step()

    steps(layer, optimiser, 0)
    other = copy.deepcopy(layer)
    resumed = muon(other.parameters(), lr=1e-2)
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
    optimiser = muon([weight], lr=0.5)
    for step in range(100):
        optimiser.param_groups[0]["lr"] = 0.5 * (1 - step / 100)
        weight.grad = A.square() * (weight.detach() - target)
        optimiser.step()
    left = (weight - target).detach().square().mean(1) / target.square().mean(1)
    assert left.max() < 0.3
