"""P: the median filter, against outliers."""

from __future__ import annotations

import torch.nn.functional as F

from pnp.errors import PnpError
from pnp.interfaces import Image, Level, Prior
from pnp.registry import prior


@prior("median")
class Median(Prior):
    """Median of the size x size neighbourhood, channel by channel; the border is repeated outwards.

    Blind: its strength is its `size` (odd), whatever the level.
    """

    def __init__(self, size: int = 3):
        super().__init__()
        if size < 1 or size % 2 == 0:
            raise PnpError(
                f"median: size is {size}, but the window needs a centre; write an odd number: 3, 5, 7"
            )
        self.window = size

    def forward(self, x: Image, level: Level | None = None) -> Image:
        """The filtered image (B, C, H, W)."""
        margin = self.window // 2
        padded = F.pad(x, (margin,) * 4, mode="replicate")
        windows = padded.unfold(2, self.window, 1).unfold(
            3, self.window, 1
        )  # (B, C, H, W, size, size)
        return windows.flatten(-2).median(dim=-1).values
