"""The optimiser of a recipe and its learning rate.

Muon replaces the momentum M of a weight matrix by its orthogonal factor, so that all directions
of a layer are learned at the same rate; with the gradient G,

    M <- mu M + (1 - mu) G,   U = orthogonal factor of (1 - mu) G + mu M,
    W <- W - lr 0.2 (max(rows, columns))^(1/2) U

The orthogonal factor, U V' of the singular value decomposition, is approximated by five
Newton-Schulz iterations in bf16.  Everything else is trained by Adam.
Source: Jordan et al. (2024), Muon; Liu et al. (2025), Muon is scalable for LLM training, whose
factor 0.2 (...)^(1/2) makes updates as large as those of Adam at the same learning rate.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from pnp.training.recipe import Optimiser, Recipe

LEAST_SIDE = 16
"""Rows and columns of the smallest matrix that Muon updates.  Smaller ones, such as the last layer
with its three outputs, have few directions to balance."""


def make_optimiser(parameters: Iterable[Tensor], settings: Optimiser) -> torch.optim.Optimizer:
    """The optimiser of a recipe."""
    if settings.method == "muon":
        return muon(parameters, settings.lr, settings.betas)
    return torch.optim.Adam(parameters, settings.lr, settings.betas)


def muon(
    parameters: Iterable[Tensor],
    lr: float,
    betas: tuple[float, float] = (0.9, 0.99),
    momentum: float = 0.95,
) -> torch.optim.Optimizer:
    """Muon for matrices of at least 16 x 16 (kernels of convolutions flattened), Adam for the rest.

    Args:
        parameters: The trained parameters.
        lr: Learning rate of both.
        betas: Of Adam.
        momentum: mu of Muon.
    """
    from timm.optim import Muon

    parameters = list(parameters)
    matrices = [p for p in parameters if is_matrix(p)]
    others = [p for p in parameters if not is_matrix(p)]
    groups = [
        {"params": matrices, "use_muon": True, "nesterov": True},
        {"params": others, "use_fallback": True, "nesterov": False, "eps": 1e-8},
    ]
    optimiser: torch.optim.Optimizer = Muon(
        groups, lr=lr, betas=betas, momentum=momentum, ns_coefficients="original"
    )
    return optimiser


def is_matrix(p: Tensor) -> bool:
    """True if Muon updates it: both sides of the flattened matrix are at least 16."""
    return p.dim() >= 2 and min(p.shape[0], p[0].numel()) >= LEAST_SIDE


class LearningRate:
    """The learning rate by step: a linear rise, halvings, the decay at the end of a final run."""

    def __init__(self, recipe: Recipe):
        self.top, self.schedule = recipe.optimiser.lr, recipe.schedule
        self.by_time = recipe.minutes is not None
        self.warm_from = 0
        """The step from which it rises: the first step of the optimiser."""
        self.decay = self.decay_before = 1.0
        """Factor of the decay, now and at the step that the run was resumed from."""

    def __call__(self, step: int) -> float:
        warmup, halve = self.schedule.warmup, self.schedule.halve
        rise = min(1.0, (step - self.warm_from + 1) / warmup) if warmup else 1.0
        halvings = step // halve if halve else 0
        return self.top * rise * 0.5**halvings * self.decay

    def decay_at(self, progress: float) -> float:
        """The factor of the decay when the share `progress` of the run is completed."""
        if not self.schedule.final:
            return self.decay
        factor = min(1.0, max(0.0, 1 - progress) / self.schedule.decay)
        return factor * self.decay_before if self.by_time else factor
