"""H: weights and denoiser levels for half quadratic splitting, set by hand instead of learned."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from pnp.errors import PnpError
from pnp.interfaces import Estimator, Level, Levels, Noise, Number
from pnp.registry import estimator


@estimator("hqs-schedule")
class HqsSchedule(Estimator):
    """DPIR's schedule: denoise strongly at first, less and less, and weigh the data term
    accordingly.

        beta_i  = first^(1 - t) * end^t,   t = i / (n - 1),   end = max(sigma, last * s)
        alpha_i = strength * max(sigma, floor)^2 / beta_i^2

    beta_i is the level of P in iteration i, alpha_i the weight of D.  Defaults are DPIR's for
    super-resolution: first 49/255, last 1/255, strength 0.23 (its lambda), floor 0.255/255 (without
    noise the weight would be zero).  A sigma above `first` gives the constant level sigma; one
    iteration gives the end of the schedule.
    """

    cite: ClassVar = ("zhang2021dpir",)

    def __init__(
        self,
        first: Noise = 49 / 255,
        last: Noise = 1 / 255,
        floor: Noise = 0.001,
        strength: float = 0.23,
    ):
        super().__init__()
        if not 0 < last <= first <= 1:
            raise PnpError(
                f"hqs-schedule: first is {first} and last is {last}, but levels fall; write 0 < last <= first <= 1"
            )
        if not 0 < floor <= 1:
            raise PnpError(
                f"hqs-schedule: floor is {floor}, but the weight of D must not be zero; write for example 0.1%"
            )
        if not strength > 0:
            raise PnpError(f"hqs-schedule: strength is {strength}; write a number above 0")
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
