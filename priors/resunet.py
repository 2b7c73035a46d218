"""The residual U-net of USRNet and IKR-Net (P, section 3.2), with a level map and blind.

Four scales; each holds `nb` residual blocks; the skips are added, not concatenated; no layer has a
bias, so the network commutes with scaling its input (image and level map together).  Parameters
carry the names of the public checkpoints of USRNet and DRUNet.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from pnp.interfaces import Image, Level
from pnp.options import Count
from pnp.registry import prior

from .network import NetworkPrior, in_autocast

FourScales = tuple[Count, Count, Count, Count]
"""Features of the four scales, finest first."""


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), 3 x 3."""

    def __init__(self, channels: int, bias: bool = False):
        super().__init__()
        self.res = nn.Sequential(
            conv3(channels, channels, bias), nn.ReLU(inplace=True), conv3(channels, channels, bias)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, of x's shape."""
        return self.res(x).add_(x)  # type: ignore[no-any-return]


class UNet(NetworkPrior):
    """The network of `resunet`, `resunet-blind`, `drunet` and `kernel-resunet`, which differ in
    inputs and defaults.

    Args:
        inputs: Channels of the input of `body`.
        channels: Channels of the image.
        nc: Features of the four scales, finest first.
        nb: Residual blocks on each scale of either side, and at the bottom.
        bias: Whether all layers but the first have a bias.
    """

    def __init__(self, inputs: int, channels: int, nc: FourScales, nb: int, bias: bool = False):
        super().__init__(channels, multiple=8)

        def blocks(features: int) -> list[nn.Module]:
            return [ResidualBlock(features, bias) for _ in range(nb)]

        def down(fine: int, coarse: int) -> nn.Sequential:
            return nn.Sequential(*blocks(fine), nn.Conv2d(fine, coarse, 2, stride=2, bias=bias))

        def up(coarse: int, fine: int) -> nn.Sequential:
            return nn.Sequential(
                nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=bias), *blocks(fine)
            )

        self.m_head = conv3(inputs, nc[0])
        self.m_down1 = down(nc[0], nc[1])
        self.m_down2 = down(nc[1], nc[2])
        self.m_down3 = down(nc[2], nc[3])
        self.m_body = nn.Sequential(*blocks(nc[3]))
        self.m_up3 = up(nc[3], nc[2])
        self.m_up2 = up(nc[2], nc[1])
        self.m_up1 = up(nc[1], nc[0])
        self.m_tail = conv3(nc[0], channels, bias)
        # Convolutions of 3 x 3: 2 + 4 nb on the finest scale, 4 nb on the second and third, whose
        # pixels are 2 and 4 wide, 2 nb on the fourth; and blocks of 8 x 8 pixels, seen as a whole.
        self.overlap = 2 + 4 * nb + 4 * nb * 2 + 4 * nb * 4 + 2 * nb * 8 + 7

    def body(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, channels, H, W); H and W are multiples of 8.

        The first and the last layer compute without autocast, because it would round the image
        itself.  All layers between them do so in one precision, which saves conversions.
        """
        with torch.autocast(x.device.type, enabled=False):
            x1 = self.m_head(x)  # (B, nc[0], H, W)
        x2 = self.m_down1(in_autocast(x1))  # (B, nc[1], H/2, W/2)
        x3 = self.m_down2(x2)  # (B, nc[2], H/4, W/4)
        x4 = self.m_down3(x3)  # (B, nc[3], H/8, W/8)
        x = self.m_body(x4)
        x = self.m_up3(x + x4)
        x = self.m_up2(x + x3)
        x = self.m_up1(x + x2)
        with torch.autocast(x.device.type, enabled=False):
            return self.m_tail(x.to(x1.dtype) + x1)


def conv3(inputs: int, outputs: int, bias: bool = False) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)


@prior("resunet")
class ResUNet(UNet):
    """ResUNet, the P of USRNet and IKR-Net: a residual U-net with the noise level as one more input
    channel.

        x = P(z, level)

    z is (B, channels, H, W) on [0, 1], of any size; the level is a standard deviation on [0, 1], a
    number or (B, 1, 1, 1), expanded to a constant map.  It has 17,010,624 parameters with the
    defaults; USRNet-tiny has nc [16, 32, 64, 64].  The P of USRNet's checkpoints loads.

    Args:
        channels: Channels of the image: 3, or 1 for greyscale.
        nc: Features of the four scales, finest first.
        nb: Residual blocks on each scale of either side, and at the bottom.

    Returns:
        An image of z's shape.

    Raises:
        PnpError: The image has another number of channels.

    Source:
        Zhang, Van Gool, Timofte (2020); Ates, Yildirim, Gunturk (2023), section 3.2.
    """

    cite: ClassVar = ("zhang2020usrnet",)

    def __init__(self, channels: Count = 3, nc: FourScales = (64, 128, 256, 512), nb: Count = 2):
        super().__init__(channels + 1, channels, nc, nb)

    def forward(self, x: Image, level: Level) -> Image:
        """The image without noise of standard deviation `level`."""
        return self.restore(x, level)


@prior("resunet-blind")
class BlindResUNet(UNet):
    """ResUNet without a level map: it removes what it was trained to remove.

        x = P(z)

    z is (B, channels, H, W) on [0, 1], of any size; a level that is given is ignored.  It has
    17,010,048 parameters with the defaults.

    Args:
        channels: Channels of the image: 3, or 1 for greyscale.
        nc: Features of the four scales, finest first.
        nb: Residual blocks on each scale of either side, and at the bottom.

    Returns:
        An image of z's shape.

    Raises:
        PnpError: The image has another number of channels.

    Source:
        The network of Zhang, Van Gool, Timofte (2020), without its level.
    """

    cite: ClassVar = ("zhang2020usrnet",)

    def __init__(self, channels: Count = 3, nc: FourScales = (64, 128, 256, 512), nb: Count = 2):
        super().__init__(channels, channels, nc, nb)

    def forward(self, x: Image, level: Level | None = None) -> Image:
        """The restored image."""
        return self.restore(x)
