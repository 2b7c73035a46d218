"""H of USRNet: from the noise level and the scale, the two parameters of every iteration."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from pnp.interfaces import Estimator, Level, Levels, Number, as_level
from pnp.options import Count
from pnp.registry import estimator

FLOOR = 1e-6  # D divides by alpha
FIRST, LAST, SIGMA, STRENGTH = 49 / 255, 0.01, 0.02, 0.23  # initialisation, as in `hqs-schedule`


@estimator("hypanet")
class HyPaNet(Estimator):
    """HyPaNet, the H of USRNet: alpha and beta of all iterations from the noise level and the
    scale.

        alpha, beta = softplus(mlp(sigma, s)) + 1e-6

    The perceptron (sigma, s) -> width -> width -> 2n has ReLUs between its layers.  sigma is a
    standard deviation on [0, 1], a number or (B, 1, 1, 1).  alpha holds the weights of D, beta the
    levels of P; `alpha[i]` belongs to iteration i.  The initialisation is ours.  It is close to
    DPIR's schedule, so that P can start from a Gaussian denoiser: beta falls from 49/255 to 1 % by
    equal factors, alpha is 0.23 (2 % / beta)^2.

    It has 5,392 parameters with the defaults; USRNet-tiny has n 6, width 32.  The H of USRNet's
    checkpoints can be loaded.

    Args:
        n: Number of iterations for which it is built.
        width: Width of the hidden layers.

    Returns:
        alpha and beta, each (B, n, 1, 1).

    Raises:
        PnpError: The pipeline runs another number of iterations.

    Source:
        Zhang, Van Gool, Timofte (2020).
    """

    cite: ClassVar = ("zhang2020usrnet",)

    def __init__(self, n: Count = 8, width: Count = 64):
        super().__init__()
        self.n = n
        last = nn.Conv2d(width, 2 * n, 1)
        self.mlp = nn.Sequential(
            nn.Conv2d(2, width, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 1),
            nn.ReLU(inplace=True),
            last,
        )
        beta = np.geomspace(LAST, FIRST, n)[::-1]
        alpha = STRENGTH * (SIGMA / beta) ** 2
        bias = np.log(np.expm1(np.concatenate([alpha, beta])))  # inverse of softplus
        last.bias = nn.Parameter(torch.tensor(bias, dtype=last.weight.dtype))

    def forward(self, sigma: Level, s: Number, n: Number) -> tuple[Levels, Levels]:
        """alpha and beta of n iterations, each (B, n, 1, 1)."""
        if n != self.n:
            self.refuse(
                f"it is built for {self.n} iterations, but the pipeline runs {n}",
                f"write repeat: {self.n}, or set its option n: {n} and give weights trained for it",
            )
        level = as_level(sigma, like=next(self.parameters()))
        parameters = (
            F.softplus(self.mlp(torch.cat([level, torch.full_like(level, s)], dim=1))) + FLOOR
        )
        alpha, beta = parameters.chunk(2, dim=1)
        return alpha, beta
