"""R of DPSR: SRResNet+, super-resolution for bicubic downsampling, with a noise level map."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from pnp.checks import check_channels
from pnp.interfaces import Image, Initializer, Level, Number, as_level
from pnp.options import Count
from pnp.registry import initializer


class _Block(nn.Module):
    """x + conv(ReLU(conv(x)))."""

    def __init__(self, features: int):
        super().__init__()
        self.res = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(features, features, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.res(x)


@initializer("srresnet")
class SRResNet(Initializer):
    """SRResNet+, super-resolution of bicubically downsampled images at one scale, given their noise
    level.

        (B, channels, h, w) and a level -> (B, channels, s h, s w)

    The level enters as an additional channel, a constant map, as in DPSR.  Residual blocks without
    batch normalisation follow, then pixel shuffles.  A pixel shuffle fixes the scale, so every
    scale needs its own weights.

    Args:
        scale: The scale s for which it is built.
        channels: Channels of the image.
        features: Features of the inner layers.
        blocks: Number of residual blocks.

    Returns:
        The super-resolved image.

    Raises:
        PnpError: s differs from `scale`, or the image has another number of channels.

    Source:
        Zhang, Zuo, Zhang (2019).
    """

    cite: ClassVar = ("zhang2019dpsr",)

    def __init__(
        self,
        scale: Literal[1, 2, 3, 4] = 4,
        channels: Count = 3,
        features: Count = 96,
        blocks: Count = 16,
    ):
        super().__init__()
        self.scale, self.channels = scale, channels
        self.head = nn.Conv2d(channels + 1, features, 3, padding=1)
        self.body = nn.Sequential(
            *(_Block(features) for _ in range(blocks)), nn.Conv2d(features, features, 3, padding=1)
        )
        steps = {1: (), 2: (2,), 3: (3,), 4: (2, 2)}[scale]
        grow = [
            layer
            for r in steps
            for layer in (
                nn.Conv2d(features, features * r * r, 3, padding=1),
                nn.PixelShuffle(r),
                nn.ReLU(inplace=True),
            )
        ]
        self.grow = nn.Sequential(
            *grow, nn.Conv2d(features, features, 3, padding=1), nn.ReLU(inplace=True)
        )
        self.tail = nn.Conv2d(features, channels, 3, padding=1)

    def forward(self, y: Image, s: Number, level: Level) -> Image:
        """The super-resolved image."""
        if s != self.scale:
            self.refuse(
                f"it was built for scale {self.scale}, but s is {s}", f"set its option scale: {s}"
            )
        check_channels(self.registered, "y", y, self.channels)
        known = as_level(level, y).expand(y.shape[0], 1, *y.shape[-2:])
        x = self.head(torch.cat((y, known), 1))
        return self.tail(self.grow(x + self.body(x)))
