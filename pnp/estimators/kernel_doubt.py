"""The uncertainty of an estimated kernel, expressed as a noise level."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from torch import nn

from pnp.interfaces import Estimator, Image, Kernel, Level, Number
from pnp.kernels import resize_kernel
from pnp.options import Count, Range
from pnp.overexposed import known_pixels
from pnp.power_spectrum import LEAST, SCALES, check_scale, log_power_spectrum, standardised
from pnp.registry import estimator


@estimator("kernel-doubt")
class KernelDoubt(Estimator):
    """Standard deviation of (x * (k - k_true))|s, predicted by a network from y and the estimate k.

        doubt = std(y) exp(network(log S(y), k, s)),   S: power spectrum, as in `spectral-kernel`

    For D, an error of the kernel acts like noise of that level.  With sqrt(sigma^2 + doubt^2)
    (`quadrature`) in place of sigma, the weight of D and the level of P suit an inexact kernel.

    Args:
        size: Side to which k is cropped or padded for the network.
        window: Side of the windows of the spectrum, in pixels of y.
        width: Width of the network's hidden layers.

    Returns:
        The level (B, 1, 1, 1).

    Raises:
        PnpError: y has a side below 8 pixels, or s is above 4.

    Source:
        pnp's own.
    """

    cite: ClassVar = ("welch1967",)

    def __init__(
        self,
        size: Count = 25,
        window: Annotated[int, Range(at_least=LEAST)] = 32,
        width: Count = 256,
    ) -> None:
        super().__init__()
        self.size, self.window = size, window
        inputs = window * (window // 2 + 1)
        self.norm = nn.LayerNorm(inputs)
        self.spectrum = nn.Linear(inputs, width)
        self.kernel = nn.Linear(size**2, width)
        self.scale = nn.Embedding(SCALES, width)
        self.rest = nn.Sequential(
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, 1),
        )
        nn.init.zeros_(self.scale.weight)

    def least_side(self, s: int) -> int:
        """One window of the spectrum."""
        return max(LEAST, super().least_side(s))

    def forward(self, y: Image, k: Kernel, s: Number) -> Level:
        """The noise level in y that corresponds to the error of k, (B, 1, 1, 1)."""
        check_scale(self, s)
        with torch.autocast(y.device.type, enabled=False):
            image, contrast = standardised(self, y, self.spectrum.weight.dtype)
            power = log_power_spectrum(image, self.window, self.window // 2, known_pixels(y))
            taps = resize_kernel(k, self.size).to(image.dtype).flatten(1)
            hidden = self.spectrum(self.norm(power.flatten(1)))
            hidden = hidden + self.kernel(self.size * taps)
            hidden = hidden + self.scale(torch.full((1,), s - 1, device=y.device))
            relative = (self.rest(hidden) - 3.0).clamp(max=0.0).exp()
        level: Level = (contrast * relative[..., None, None]).to(y.dtype)
        return level
