"""F: the noise level from the power spectrum of the observation, by a small network."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from torch import nn

from pnp.interfaces import Estimator, Image, Kernel, Level
from pnp.options import Count, Range
from pnp.power_spectrum import LEAST, log_power_spectrum, standardised
from pnp.registry import estimator

from .wavelet_noise import WaveletNoise


@estimator("spectral-noise")
class SpectralNoise(Estimator):
    """Noise level from y alone; it needs neither the kernel nor the scale.

        sigma = std(y) exp(network(log S(y), log std(y)))

    S is the power spectrum of y as in `spectral-kernel`.  White noise has a flat spectrum; the
    network separates it from the spectrum of the blurred and downsampled image.

    Args:
        window: Side of the windows of the spectrum, in pixels of y.
        width: Width of the network's hidden layers.
        limited: Give no more than `wavelet-noise` finds: it is exact where y is hardly downsampled,
            and otherwise takes detail for noise, hence too much.

    Returns:
        The standard deviation of the noise on [0, 1], (B, 1, 1, 1).

    Raises:
        PnpError: y has a side below 8 pixels.

    Source:
        pnp's own.
    """

    cite: ClassVar = ("welch1967",)
    free: ClassVar = ("limited",)

    def __init__(
        self,
        window: Annotated[int, Range(at_least=LEAST)] = 32,
        width: Count = 256,
        limited: bool = False,
    ) -> None:
        super().__init__()
        self.window, self.limited = window, limited
        inputs = window * (window // 2 + 1)
        self.norm = nn.LayerNorm(inputs)
        self.spectrum = nn.Linear(inputs, width)
        self.contrast = nn.Linear(2, width)
        self.rest = nn.Sequential(
            nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1)
        )

    def least_side(self, s: int) -> int:
        """One window of the spectrum."""
        return max(LEAST, super().least_side(s))

    def forward(self, y: Image, x: Image | None = None, k: Kernel | None = None) -> Level:
        """The noise level of each observation, (B, 1, 1, 1); x and k are not used."""
        cure = "give the noise level (--sigma), or take a larger image"
        with torch.autocast(y.device.type, enabled=False):
            image, contrast = standardised(self, y, self.spectrum.weight.dtype, cure)
            power = log_power_spectrum(image, self.window, self.window // 2)
            power = power.flatten(1)
            scales = torch.cat([(contrast + 1e-3).log().flatten(1), power.amin(1, keepdim=True)], 1)
            hidden = self.spectrum(self.norm(power)) + self.contrast(scales)
            relative = (self.rest(hidden) - 3.0).clamp(max=0.0).exp()
        level = (contrast * relative[..., None, None]).to(y.dtype)
        if self.limited:
            level = torch.minimum(level, torch.as_tensor(WaveletNoise()(y)))
        return level
