"""Conjugate gradients on batches: each image stops by itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pnp.gradients import concealed


def conjugate_gradients(
    normal: Callable[[Tensor], Tensor],
    right: Tensor,
    target: Tensor,
    iterations: int,
    precondition: Callable[[Tensor], Tensor] = lambda r: r,
) -> tuple[Tensor, Tensor, int]:
    """Solve normal(d) = right from d = 0, each image of the batch until the norm of its residual r,
    sqrt <r, precondition(r)>, is at most its target (B, 1, 1, 1).

    An image also stops when rounding leaves no direction along which `normal` is positive.  Returns
    d, the norms, and the number of iterations.  This number is always `iterations` within vmap and
    in exported programs, where images that are finished stay as they are.
    """
    d, r = torch.zeros_like(right), right
    direction = precondition(r)
    square = _product(r, direction)
    active = torch.ones_like(square, dtype=torch.bool)
    for i in range(iterations):
        active = active & (square > target.square())
        if not concealed() and not bool(active.any()):
            return d, square.clamp(min=0).sqrt(), i
        image = normal(direction)
        curvature = _product(direction, image)
        active = active & (curvature > 0)
        # The ones keep 0 / 0 out of the derivatives of images that are finished.
        length = torch.where(active, square / torch.where(active, curvature, 1), 0)
        d = d + length * direction
        r = r - length * image
        z = precondition(r)
        last, square = square, torch.where(active, _product(r, z), square)
        turned = z + square / torch.where(active, last, 1) * direction
        direction = torch.where(active, turned, direction)
    return d, square.clamp(min=0).sqrt(), iterations


def _product(a: Tensor, b: Tensor) -> Tensor:
    """The inner product of each image, (B, 1, 1, 1)."""
    return (a * b).sum((1, 2, 3), keepdim=True)
