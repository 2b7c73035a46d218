"""P: the median filter, against outliers."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F

from pnp.interfaces import Image, Level, Prior
from pnp.options import Count, Rule
from pnp.registry import prior


@prior("median")
class Median(Prior):
    """Median of the size x size neighbourhood, channel by channel; the border is repeated outwards.

        x[i, j] = median of z over the window centred at (i, j)

    Its size is its strength; the level is ignored.

    Args:
        size: Side of the window in pixels.

    Returns:
        The filtered image (B, C, H, W).
    """

    def __init__(self, size: Annotated[Count, Rule("that is odd", lambda n: n % 2 == 1)] = 3):
        super().__init__()
        self.window = size

    def forward(self, x: Image, level: Level | None = None) -> Image:
        """The filtered image (B, C, H, W)."""
        margin = self.window // 2
        padded = F.pad(x, (margin,) * 4, mode="replicate")
        windows = padded.unfold(2, self.window, 1).unfold(
            3, self.window, 1
        )  # (B, C, H, W, size, size)
        return windows.flatten(-2).median(dim=-1).values
