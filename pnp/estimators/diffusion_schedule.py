"""Levels of a loop that goes from a noisy image to a clean one, as samplers of diffusion do."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from pnp.estimators.hqs_schedule import PositiveNoise
from pnp.interfaces import Estimator, Level, Levels, Number
from pnp.options import Fraction, Positive
from pnp.registry import estimator


@estimator("diffusion-schedule")
class DiffusionSchedule(Estimator):
    """Levels of DiffPIR: noise that falls from iteration to iteration, in part drawn anew.

        beta_i = first (last / first)^(i / (n - 1)),   beta_n = 0
        alpha_i = strength max(sigma, floor)^2 / beta_i^2
        keep_i = sqrt(1 - renewal) beta_{i+1} / beta_i,   rest_i = 1 - keep_i
        fresh_i = sqrt(renewal) beta_{i+1}

    With them an iteration takes x with noise of level beta_i to one of level beta_{i+1}: z is the
    estimate of the clean image, (x - z) / beta_i that of the noise, and

        x = z + beta_{i+1} (sqrt(1 - renewal) (x - z) / beta_i + sqrt(renewal) e)
          = rest_i z + keep_i x + fresh_i e,   e ~ N(0, 1)

    These are the paper's steps with x divided by sqrt(alpha-bar), which a Gaussian denoiser needs:
    there beta is sqrt(1 - alpha-bar) / sqrt(alpha-bar), renewal is zeta and strength lambda.  Its
    levels are those of the diffusion network; here they are as in `hqs-schedule`, `last` times s.

    Args:
        first: Level of the first iteration.
        last: Level of the last iteration for s = 1; at most `first`.
        floor: Lower bound of sigma in alpha.
        strength: Factor of the weight.
        renewal: Share of the noise's variance that is drawn anew in each iteration.

    Returns:
        alpha, beta, rest, keep, fresh, each (B, n, 1, 1).

    Raises:
        PnpError: `last` is above `first`.

    Source:
        Zhu et al. (2023).
    """

    cite: ClassVar = ("zhu2023diffpir",)

    def __init__(
        self,
        first: PositiveNoise = 49 / 255,
        last: PositiveNoise = 1 / 255,
        floor: PositiveNoise = 0.001,
        strength: Positive = 0.23,
        renewal: Fraction = 0.3,
    ):
        super().__init__()
        if last > first:
            self.refuse(
                f"first is {first} and last is {last}, but the level must not rise",
                "write last <= first",
            )
        self.first, self.last, self.floor = first, last, floor
        self.strength, self.renewal = strength, renewal

    def forward(
        self, sigma: Level, s: Number, n: Number
    ) -> tuple[Levels, Levels, Levels, Levels, Levels]:
        """alpha, beta, rest, keep, fresh, each (B, n, 1, 1)."""
        sigma = (sigma if isinstance(sigma, Tensor) else torch.tensor(float(sigma))).reshape(
            -1, 1, 1, 1
        )
        t = torch.linspace(0, 1, n).to(sigma) if n > 1 else sigma.new_ones(1)
        end = min(self.last * s, self.first)
        beta = self.first * (end / self.first) ** t[:, None, None] * torch.ones_like(sigma)
        alpha = self.strength * sigma.clamp(min=self.floor) ** 2 / beta**2
        after = torch.cat((beta[:, 1:], torch.zeros_like(beta[:, :1])), 1)
        keep = (1 - self.renewal) ** 0.5 * after / beta
        return alpha, beta, 1 - keep, keep, self.renewal**0.5 * after
