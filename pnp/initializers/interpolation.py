"""U: bilinear and bicubic interpolation, aligned to the pixel that downsampling keeps.

`|s` keeps the upper-left pixel of every s x s block, so y[i, j] belongs at x[s i, s j].  Image
libraries align the centres of the blocks instead.  That shifts the result by (s - 1)/2 pixels and
costs 1 dB of PSNR at s = 4.
"""

from __future__ import annotations

from typing import ClassVar

from pnp.checks import as_option
from pnp.interfaces import Image, Initializer, Number
from pnp.options import Count
from pnp.registry import initializer
from pnp.resampling import interpolate, keys


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
