"""Bicubic downsampling on the grid of ↓s: the degradation of super-resolvers that assume no
other blur (DPSR).
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from einops import rearrange

from pnp.checks import as_option, check_divisible
from pnp.interfaces import Image, Number, Transform
from pnp.options import Count
from pnp.registry import transform
from pnp.resampling import keys


@transform("bicubic-down")
class BicubicDown(Transform):
    """Bicubic downsampling with anti-aliasing, y[i, j] centred at x[s i, s j]; s = 1 copies.

        z = (y * b)↓s,   b the kernel of cubic convolution (a = -1/2), widened by s, normalised

    b is symmetric; the border is repeated outwards.  The result is aligned to the upper-left pixel,
    as every image here is: public super-resolvers that were trained on centre-aligned images see a
    shift of (s - 1)/2 pixels.

    Returns:
        The image (B, C, H / s, W / s).

    Raises:
        PnpError: s does not divide the height and width.

    Source:
        Keys (1981).
    """

    cite: ClassVar = ("keys1981cubic",)

    def forward(self, y: Image, s: Number) -> Image:
        """The image (B, C, H / s, W / s)."""
        s = as_option(self.registered, "the scale", Count, s)
        height, width = y.shape[-2:]
        check_divisible(self.registered, height, width, s)
        reach = 2 * s - 1
        taps = keys(torch.arange(-reach, reach + 1, dtype=y.dtype, device=y.device).abs() / s)
        taps = taps / taps.sum()
        padded = F.pad(y, (reach, reach, reach, reach), mode="replicate")
        single = rearrange(padded, "b c h w -> (b c) 1 h w")
        single = F.conv2d(
            F.conv2d(single, taps.reshape(1, 1, -1, 1), stride=(s, 1)),
            taps.reshape(1, 1, 1, -1),
            stride=(1, s),
        )
        return rearrange(single, "(b c) 1 h w -> b c h w", b=y.shape[0])
