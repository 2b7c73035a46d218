"""P: total variation, the edge-preserving prior that needs no training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from pnp.differences import adjoint, adjoint_into, gradient, gradient_into
from pnp.interfaces import Image, Level, Prior, as_level
from pnp.options import Count, Positive
from pnp.registry import prior
from pnp.tiles import tiled

LARGE = 2**20
"""Pixels from which an image is taken in tiles, which gives the same result in less time and
memory: there are six dual variables."""
TILE = 256
"""Pixels of a tile that are kept along each axis."""


@prior("tv")
class TotalVariation(Prior):
    """Total variation denoising with coupled colours, differentiable.

        P(z, level) = argmin_u 1/2 |u - z|^2 + strength * sqrt(C) * level * TV(u)

    TV(u) is the sum of |grad u| over pixels, the Euclidean norm over both directions and all
    channels; differences across the border are zero.  For white noise on photographs the best
    strength is 0.4 at level 2/255, 0.6 at 10/255 and 0.8 at 50/255.

    Solved by accelerated projected gradients on the dual problem, from zero.  Every image gets the
    same number of iterations, so a batch gives the same results as its images alone: at level
    10/255 the default ends 4e-4 from the minimiser, at 50/255 3e-3.  Level 0 returns z.

    Args:
        strength: Factor of the level in the weight of TV.
        iterations: Number of gradient steps.

    Returns:
        The denoised image (B, C, H, W).

    Source:
        Rudin, Osher, Fatemi (1992); Beck and Teboulle (2009).
    """

    cite: ClassVar = ("rudin1992tv", "beck2009tv")

    def __init__(self, strength: Positive = 0.6, iterations: Count = 30):
        super().__init__()
        self.strength, self.iterations = strength, iterations

    def forward(self, x: Image, level: Level) -> Image:
        """The denoised image (B, C, H, W)."""
        weight = self.strength * x.shape[1] ** 0.5 * as_level(level, x)
        step = 1 / (
            8 * weight.clamp(min=1e-6)
        )  # 8 bounds the squared norm of the gradient operator
        if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
            return self._differentiable(x, weight, step)
        if x.shape[-2] * x.shape[-1] < LARGE:
            return self._in_place(x, weight, step)
        reach = self.iterations + 1
        return tiled(lambda part: self._in_place(part, weight, step), x, TILE + 2 * reach, reach, 1)

    def _differentiable(self, x: Tensor, weight: Tensor, step: Tensor) -> Tensor:
        none = torch.zeros(1, 1, 1, 1, dtype=x.dtype, device=x.device)
        p = r = (none, none)
        for pace in self._paces():
            u = x - weight * adjoint(*r)
            down, right = (a + step * b for a, b in zip(r, gradient(u), strict=True))
            length = (down.square() + right.square()).sum(1, keepdim=True).clamp(min=1).sqrt()
            q = down / length, right / length  # into the unit ball
            r = q[0] + pace * (q[0] - p[0]), q[1] + pace * (q[1] - p[1])
            p = q
        return x - weight * adjoint(*p)

    def _in_place(self, x: Tensor, weight: Tensor, step: Tensor) -> Tensor:
        """The same in seven images, so that the C library has no freed memory to keep."""
        down, right, p_down, p_right, r_down, r_right = (
            torch.zeros_like(x, memory_format=torch.contiguous_format) for _ in range(6)
        )
        u = torch.empty_like(down)
        for pace in self._paces():
            torch.sub(x, adjoint_into(u, r_down, r_right).mul_(weight), out=u)
            gradient_into(down, right, u)
            down.mul_(step).add_(r_down)
            right.mul_(step).add_(r_right)
            torch.mul(down, down, out=u).add_(torch.mul(right, right, out=r_down))
            length = u.sum(1, keepdim=True).clamp_(min=1).sqrt_()
            down.div_(length)
            right.div_(length)
            torch.sub(down, p_down, out=r_down).mul_(pace).add_(down)
            torch.sub(right, p_right, out=r_right).mul_(pace).add_(right)
            p_down, p_right, down, right = down, right, p_down, p_right
        return torch.sub(x, adjoint_into(u, p_down, p_right).mul_(weight), out=u)

    def _paces(self) -> Iterator[float]:
        """The factors of the accelerated steps."""
        t = 1.0
        for _ in range(self.iterations):
            t, before = (1 + (1 + 4 * t * t) ** 0.5) / 2, t
            yield (before - 1) / t
