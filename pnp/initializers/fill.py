"""U for inpainting: unknown pixels are filled with averages of the known pixels around them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pnp.checks import check_mask
from pnp.interfaces import Image, Initializer
from pnp.registry import initializer


@initializer("fill")
class Fill(Initializer):
    """Fills the pixels where the mask is 0, from coarse to fine, and keeps the others.

        x = mask y + (1 - mask) up(fill(down(y, mask)))

    The known pixels of every 2 x 2 block are averaged (down), which gives an image of half the size
    with fewer unknown pixels.  That image is filled in the same way and interpolated back (up).  An
    image without any known pixel becomes 1/2.

    Returns:
        The filled image (B, C, H, W).

    Raises:
        PnpError: The mask does not have the height and width of y.
    """

    def forward(self, y: Image, mask: Image) -> Image:
        """The filled image (B, C, H, W)."""
        mask = mask.to(y)
        check_mask(self.registered, mask, y)
        return fill(y, mask.expand_as(y))


def fill(y: Tensor, mask: Tensor) -> Tensor:
    """y where mask is 1; values from the coarser levels where it is 0."""
    height, width = y.shape[-2:]
    if height == width == 1:
        return mask * y + (1 - mask) / 2
    known = F.avg_pool2d(mask, 2, ceil_mode=True)
    mean = F.avg_pool2d(mask * y, 2, ceil_mode=True) / known.clamp(min=torch.finfo(y.dtype).tiny)
    coarse = fill(mean, (known > 0).to(y))
    fine = F.interpolate(coarse, scale_factor=2, mode="bilinear")  # aligns the centres of blocks
    return mask * y + (1 - mask) * fine[..., :height, :width]
