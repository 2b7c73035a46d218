"""DRUNet: the residual U-net of `resunet.py`, twice as deep, trained as a Gaussian denoiser for all
levels.
"""

from __future__ import annotations

from typing import ClassVar

from pnp.interfaces import Image, Level
from pnp.options import Count
from pnp.registry import prior

from .resunet import FourScales, UNet


@prior("drunet")
class DRUNet(UNet):
    """DRUNet, a Gaussian denoiser for any level: the residual U-net with four blocks per scale.

        x = P(z, level)

    z is (B, channels, H, W) on [0, 1], of any size; the level is a standard deviation on [0, 1],
    from 0 to about 50/255 in the public weights.  It has 32,640,960 parameters with the defaults.
    KAIR's `drunet_color.pth` (channels: 3) and `drunet_gray.pth` (channels: 1) load.

    Args:
        channels: Channels of the image: 3, or 1 for greyscale.
        nc: Features of the four scales, finest first.
        nb: Residual blocks on each scale of either side, and at the bottom.

    Returns:
        An image of z's shape.

    Raises:
        PnpError: The image has another number of channels.

    Source:
        Zhang, Li, Zuo, Zhang, Van Gool, Timofte (2021), the prior of DPIR.
    """

    cite: ClassVar = ("zhang2021dpir",)

    def __init__(self, channels: Count = 3, nc: FourScales = (64, 128, 256, 512), nb: Count = 4):
        super().__init__(channels + 1, channels, nc, nb)

    def forward(self, x: Image, level: Level) -> Image:
        """The image without noise of standard deviation `level`."""
        return self.restore(x, level)
