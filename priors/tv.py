"""P: total variation, the edge-preserving prior that needs no training."""

from __future__ import annotations

from typing import ClassVar

import torch

from pnp.differences import adjoint, gradient
from pnp.interfaces import Image, Level, Prior, as_level
from pnp.options import Count, Positive
from pnp.registry import prior


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
        p = r = torch.zeros(2, 1, 1, 1, 1, dtype=x.dtype, device=x.device)
        t = 1.0
        for _ in range(self.iterations):
            q = r + step * gradient(x - weight * adjoint(r))
            q = (
                q / q.square().sum(0, keepdim=True).sum(2, keepdim=True).clamp(min=1).sqrt()
            )  # into the unit ball
            t, before = (1 + (1 + 4 * t * t) ** 0.5) / 2, t
            r = q + (before - 1) / t * (q - p)
            p = q
        return x - weight * adjoint(p)
