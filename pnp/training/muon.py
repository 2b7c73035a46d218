"""Muon: momentum whose matrices are made orthogonal before they are applied; Adam for what is no
matrix.

For a layer's weight as a matrix (its first dimension x everything else), with the gradient G and
the momentum M:

    M <- mu M + (1 - mu) G,   U = orthogonal factor of (1 - mu) G + mu M,   W <- W - lr 0.2 sqrt(max(rows, columns)) U

The orthogonal factor is the U V' of the singular value decomposition, so that every direction of a
layer is learned at the same speed; five Newton-Schulz iterations come near enough to it.  Sources:
Jordan et al. (2024), Muon; Liu et al. (2025), Muon is scalable for LLM training, whose factor 0.2
sqrt(...) makes updates as large as those of Adam at the same learning rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (
    3.4445,
    -4.7750,
    2.0315,
)  # of the odd polynomial that drives singular values towards one
LEAST_SIDE = 16  # rows and columns; a smaller matrix (the last layer's three outputs) has few directions to balance


def orthogonal(matrix: Tensor) -> Tensor:
    """About U V' of matrix = U S V' (rows, columns), by five iterations in bf16.

    Singular values from a hundredth of the norm on come to lie between 0.7 and 1.2; smaller ones
    stay smaller.
    """
    a, b, c = COEFFICIENTS
    x = matrix.bfloat16()
    x = x.mT if (tall := x.shape[0] > x.shape[1]) else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Muon for weights that are matrices of at least 16 x 16 (convolutions flattened), Adam for all
    others.

    Arguments: `params`; `lr` of both; `betas` of Adam; `momentum` (mu) of Muon.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
        momentum: float = 0.95,
    ):
        super().__init__(params, {"lr": lr, "betas": betas, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    update = self._muon if is_matrix(p) else self._adam
                    update(p, p.grad, self.state[p], group)
        return loss

    @staticmethod
    def _muon(p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state["mean"] = torch.zeros_like(p)
        mu = group["momentum"]
        mean = state["mean"].lerp_(grad, 1 - mu)
        u = orthogonal(grad.lerp(mean, mu).flatten(1))
        p.add_(u.reshape(p.shape), alpha=-group["lr"] * 0.2 * max(u.shape) ** 0.5)

    @staticmethod
    def _adam(p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state |= {"mean": torch.zeros_like(p), "square": torch.zeros_like(p), "steps": 0}
        b1, b2 = group["betas"]
        mean, square = (
            state["mean"].lerp_(grad, 1 - b1),
            state["square"].lerp_(grad.square(), 1 - b2),
        )
        state["steps"] = steps = state["steps"] + 1
        scale = (square / (1 - b2**steps)).sqrt_().add_(1e-8)
        p.addcdiv_(mean, scale, value=-group["lr"] / (1 - b1**steps))


def is_matrix(p: Tensor) -> bool:
    """Whether Muon takes it: two dimensions or more, both sides of the flattened matrix at least 16."""
    return p.dim() >= 2 and min(p.shape[0], p[0].numel()) >= LEAST_SIDE
