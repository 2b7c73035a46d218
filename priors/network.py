"""The common part of image networks: number of channels, level map, sizes, precision, tiles.

A network of this package is a leaf with a `body` that reads top to bottom.  The base class handles
odd sizes, the dtype of the input, and images that are too large for the memory (`pnp/tiles.py`).
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

from pnp.checks import check_channels, check_form
from pnp.interfaces import Prior, as_level
from pnp.tiles import tiled


class NetworkPrior(Prior):
    """An image network: `restore` pads, adds the level map, calls `body`, and crops.

    The input is padded by repeating its last row and column (below and on the right, so that pixel
    (0, 0) stays where it is).  The body computes in the dtype of its weights, or of autocast;
    the output has the dtype of the input.

    Args:
        channels: Channels of the image.
        multiple: `body` receives heights and widths that are multiples of this.

    With `tile` set (a number of pixels), larger images are run in tiles of this side, overlaps
    included, which the result does not show; `pnp run` sets it by the memory (`pnp/memory.py`).
    """

    overlap: int | None = None
    """Pixels by which tiles overlap: the reach of the network, or fewer if that changes the result
    by less than 1/255; None for a network that is never tiled."""

    def __init__(self, channels: int, multiple: int = 1):
        super().__init__()
        self.channels, self.multiple = channels, multiple
        self.tile: int | None = None

    @abstractmethod
    def body(self, x: Tensor) -> Tensor:
        """The network: (B, channels [+ 1 for the level map], H, W) -> (B, channels, H, W)."""

    def restore(self, x: Tensor, level: Tensor | float | None = None) -> Tensor:
        """Run the body on x, with the level map as one more channel if there is a level."""
        check_form(self.registered, "x", x)
        check_channels(self.registered, "x", x, self.channels)
        if self.tile is None or self.overlap is None or max(x.shape[-2:]) <= self.tile:
            return self._restored(x, level)

        def restored(part: Tensor) -> Tensor:
            return self._restored(part.contiguous(memory_format=torch.channels_last), level)

        return tiled(restored, x, self.tile, self.overlap, self.multiple)

    def _restored(self, x: Tensor, level: Tensor | float | None) -> Tensor:
        """The body on an image or a tile of any size."""
        height, width = x.shape[-2:]
        image = x.to(next(self.parameters()).dtype)
        if level is not None:
            image = torch.cat(
                [image, as_level(level, image).expand(len(x), 1, height, width)], dim=1
            )
        padding = (0, -width % self.multiple, 0, -height % self.multiple)
        if any(padding):
            image = F.pad(image, padding, mode="replicate")
        return self.body(image)[..., :height, :width].to(x.dtype)


def in_autocast(x: Tensor) -> Tensor:
    """x in the precision of autocast, if it is on; else x."""
    on = torch.is_autocast_enabled(x.device.type)
    return x.to(torch.get_autocast_dtype(x.device.type)) if on else x
