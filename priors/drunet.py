"""DRUNet: the residual U-net of `resunet.py`, twice as deep, trained as a Gaussian denoiser for all levels."""

from __future__ import annotations

from typing import ClassVar

from pnp.interfaces import Image, Level
from pnp.options import Count
from pnp.registry import prior

from .resunet import FourScales, UNet


@prior("drunet")
class DRUNet(UNet):
    """DRUNet, a Gaussian denoiser for any level: the residual U-net with four blocks per scale.

    x = P(z, level): shapes, units and options as `resunet`; level from 0 to about 50/255 in the
    public weights. Source: Zhang, Li, Zuo, Zhang, Van Gool, Timofte (2021), the prior of DPIR.
    32,640,960 parameters with the defaults.  Reads `drunet_color.pth` (channels: 3) and
    `drunet_gray.pth` (channels: 1) of KAIR.
    """

    cite: ClassVar = ("zhang2021dpir",)

    def __init__(self, channels: Count = 3, nc: FourScales = (64, 128, 256, 512), nb: Count = 4):
        super().__init__(channels + 1, channels, nc, nb)

    def forward(self, x: Image, level: Level) -> Image:
        """The image without noise of standard deviation `level`."""
        return self.restore(x, level)
