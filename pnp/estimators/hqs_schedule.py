"""H: weights and denoiser levels for half quadratic splitting, set by hand instead of learned."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from torch import Tensor

from pnp.interfaces import Estimator, Level, Levels, Number
from pnp.options import Noise, Positive, Range
from pnp.registry import estimator

PositiveNoise = Annotated[Noise, Range(above=0)]


@estimator("hqs-schedule")
class HqsSchedule(Estimator):
    """DPIR's schedule: denoising starts strong and decreases; the data weights follow.

        beta_i  = first^(1 - t) * end^t,   t = i / (n - 1),   end = max(sigma, last * s)
        alpha_i = strength * max(sigma, floor)^2 / beta_i^2

    beta_i is the level of P in iteration i, alpha_i the weight of D.  Defaults are DPIR's for
    super-resolution: 49/255, 1/255, its lambda 0.23, and 0.255/255.  A sigma above `first` gives
    the constant level sigma; one iteration gives the end of the schedule.

    Args:
        first: Level of the first iteration.
        last: Level of the last iteration for s = 1 without noise; at most `first`.
        floor: Lower bound of sigma in alpha; without it the weight would be zero when there is no
            noise.
        strength: Factor of the weight.

    Returns:
        alpha and beta, each (B, n, 1, 1).

    Raises:
        PnpError: `last` is above `first`.

    Source:
        Zhang et al. (2021).
    """

    cite: ClassVar = ("zhang2021dpir",)

    def __init__(
        self,
        first: PositiveNoise = 49 / 255,
        last: PositiveNoise = 1 / 255,
        floor: PositiveNoise = 0.001,
        strength: Positive = 0.23,
    ):
        super().__init__()
        if last > first:
            self.refuse(
                f"first is {first} and last is {last}, but the level must not rise",
                "write last <= first",
            )
        self.first, self.last, self.floor, self.strength = first, last, floor, strength

    def forward(self, sigma: Level, s: Number, n: Number) -> tuple[Levels, Levels]:
        """alpha and beta, each (B, n, 1, 1)."""
        sigma = (sigma if isinstance(sigma, Tensor) else torch.tensor(float(sigma))).reshape(
            -1, 1, 1, 1
        )
        end = sigma.clamp(min=min(self.last * s, 1.0))
        first = end.clamp(min=self.first)
        t = torch.linspace(0, 1, n).to(sigma) if n > 1 else sigma.new_ones(1)
        beta = first * (end / first) ** t[:, None, None]
        alpha = self.strength * sigma.clamp(min=self.floor) ** 2 / beta**2
        return alpha, beta
