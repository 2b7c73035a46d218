"""Protocols of published results: how the observation is simulated, and the border that PSNR omits.

They differ in cropping, rounding and noise.  The differences change PSNR by 0.1 dB and more, so a
result means little without its protocol.  `exact` is the observation model itself, in floats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pnp.checks import (
    SUM_ERROR,
    as_kernel,
    as_noise,
    as_option,
    check_form,
    check_kernel_fits,
    refuse,
)
from pnp.errors import PnpError, hint
from pnp.observation import blur, crop_to_multiple, downsample
from pnp.options import Count


@dataclass(frozen=True)
class Protocol:
    """How an observation is simulated."""

    about: str
    multiple: int
    """The sides of the HR image are cropped to multiples of this and of s."""
    rounded: bool
    """The HR image has 8 bits; the blurred image is truncated (not rounded) to 8 bits before ↓s."""
    clamped: bool
    """The observation is clamped to [0, 1] after the noise."""
    border_power: int | None
    """PSNR omits a border of s to this power, in pixels; None: no border."""

    def border(self, s: int) -> int:
        """Width of the border that PSNR omits at scale s."""
        return 0 if self.border_power is None else s**self.border_power


PROTOCOLS = {
    "exact": Protocol(
        "y = (x * k)↓s + n in floats", 1, rounded=False, clamped=False, border_power=2
    ),
    "usrnet": Protocol(
        "Table 1 of Zhang et al. 2020", 8, rounded=True, clamped=False, border_power=2
    ),
    "ikrnet": Protocol(
        "Ates et al. 2023, kernels of 21 x 21", 1, rounded=True, clamped=True, border_power=2
    ),
    "denoising": Protocol(
        "denoising, Zhang et al. 2021", 1, rounded=False, clamped=False, border_power=None
    ),
}


def protocol(name: str) -> Protocol:
    """The protocol called `name`; PnpError with the nearest name if there is none."""
    if name not in PROTOCOLS:
        raise PnpError(f"there is no protocol '{name}'; {hint(name, PROTOCOLS, 'protocols')}")
    return PROTOCOLS[name]


def degrade(
    hr: Tensor, k: Tensor, s: int = 1, sigma: float = 0.0, name: str = "exact", seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Simulate the observation of an image: returns y (1, C, h, w) and the cropped HR image.

    hr is (1, C, H, W) on [0, 1], k is (1, 1, K, K).  Noise is drawn from NumPy's
    `RandomState(seed)` in the order rows, columns, colours, as in the published code, so that seed
    0 gives exactly the noise of the `usrnet` protocol.
    """
    rules = protocol(name)
    check_form("degrade", "the image", hr)
    k = as_kernel("degrade", "k", k, SUM_ERROR)
    if len(hr) != 1 or len(k) != 1:
        refuse(
            "degrade",
            f"the batches have the sizes {len(hr)} and {len(k)}",
            "give one image, one kernel",
        )
    sigma = float(as_noise("degrade", "sigma", sigma, hr))
    s = as_option("degrade", "the scale", Count, s)
    hr = crop_to_multiple(hr, math.lcm(s, rules.multiple))
    if rules.rounded:
        hr = (hr.clamp(0, 1) * 255).round() / 255
        blurred = _blur_in_8_bits(hr, k)
    else:
        blurred = blur(hr, k)
    y = downsample(blurred, s)
    _, channels, height, width = y.shape
    noise = np.random.RandomState(seed).normal(0, sigma, (height, width, channels))
    y = (y.double().cpu() + torch.from_numpy(noise).permute(2, 0, 1)).to(hr)
    return (y.clamp(0, 1) if rules.clamped else y), hr


def _blur_in_8_bits(hr: Tensor, k: Tensor) -> Tensor:
    """Circular convolution of 8-bit pixels, truncated to 8 bits, as the published code does it."""
    from scipy import ndimage

    check_kernel_fits("degrade", k, hr.shape[-2], hr.shape[-1])
    pixels = (hr[0] * 255).round().to(torch.uint8).cpu().numpy()
    taps = k[0, 0].double().cpu().numpy()
    cut = np.stack([ndimage.convolve(channel, taps, mode="wrap") for channel in pixels])
    return torch.from_numpy(cut).to(hr)[None] / 255
