"""U: bilinear and bicubic interpolation, aligned to the pixel that downsampling keeps.

`|s` keeps the upper-left pixel of every s x s block, so y[i, j] belongs at x[s i, s j].  Image
libraries align the centres of the blocks instead.  That shifts the result by (s - 1)/2 pixels and
costs 1 dB of PSNR at s = 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from pnp.checks import as_option
from pnp.interfaces import Image, Initializer, Number
from pnp.options import Count
from pnp.registry import initializer


def interpolate(y: Tensor, s: int, weight: Callable[[Tensor], Tensor], reach: int) -> Tensor:
    """Separable interpolation x[s i + p] = sum over j of weight(j - p / s) y[i + j], for p in
    0..s-1.

    `weight(distance)` is zero for distances of `reach` and more.  The border of y is replicated.
    """
    offset = torch.arange(1 - reach, reach + 1, dtype=y.dtype, device=y.device)  # j
    phase = torch.arange(s, dtype=y.dtype, device=y.device) / s  # p / s
    rows = weight((offset - phase[:, None]).abs())  # (s, 2 reach)
    filters = torch.einsum("pi,qj->pqij", rows, rows).flatten(0, 1)[:, None]  # (s^2, 1, ., .)
    padded = F.pad(y, (reach - 1, reach, reach - 1, reach), mode="replicate").flatten(0, 1)[:, None]
    return F.pixel_shuffle(F.conv2d(padded, filters), s).unflatten(0, y.shape[:2])[:, :, 0]


@initializer("bilinear")
class Bilinear(Initializer):
    """Bilinear interpolation with x[s i, s j] = y[i, j]; the border is replicated.

    Returns:
        The image (B, C, s H, s W).

    Raises:
        PnpError: s is not a whole number of at least 1.
    """

    def forward(self, y: Image, s: Number) -> Image:
        """The image (B, C, s H, s W)."""
        s = as_option(self.registered, "the scale", Count, s)
        return interpolate(y, s, lambda d: (1 - d).clamp(min=0), reach=1)


@initializer("bicubic")
class Bicubic(Initializer):
    """Bicubic interpolation with x[s i, s j] = y[i, j]; the border is replicated.

    Keys' cubic convolution with a = -1/2, as in MATLAB and Pillow (torch and OpenCV use -3/4).

    Returns:
        The image (B, C, s H, s W).

    Raises:
        PnpError: s is not a whole number of at least 1.

    Source:
        Keys (1981).
    """

    cite: ClassVar = ("keys1981cubic",)

    def forward(self, y: Image, s: Number) -> Image:
        """The image (B, C, s H, s W)."""
        s = as_option(self.registered, "the scale", Count, s)
        return interpolate(y, s, keys, reach=2)


def keys(d: Tensor) -> Tensor:
    """Weight of a sample at distance d >= 0 in cubic convolution, a = -1/2."""
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return torch.where(d < 1, near, torch.where(d < 2, far, 0))
