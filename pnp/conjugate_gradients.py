"""Conjugate gradients on batches: each image stops by itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def conjugate_gradients(
    normal: Callable[[Tensor], Tensor], right: Tensor, target: Tensor, iterations: int
) -> tuple[Tensor, Tensor, int]:
    """Solve normal(d) = right from d = 0, each image of the batch until its residual is below its
    target (B, 1, 1, 1).

    Returns d, the norms of the residuals, and the number of iterations.
    """
    d, r = torch.zeros_like(right), right
    direction, square = r, r.square().sum((1, 2, 3), keepdim=True)
    for i in range(iterations):
        active = square > target.square()
        if not bool(active.any()):
            return d, square.sqrt(), i
        image = normal(direction)
        length = torch.where(active, square / (direction * image).sum((1, 2, 3), keepdim=True), 0)
        d = d + length * direction
        r = r - length * image
        last, square = square, torch.where(active, r.square().sum((1, 2, 3), keepdim=True), square)
        direction = torch.where(active, r + square / last * direction, direction)
    return d, square.sqrt(), iterations
