"""D for inpainting without blur: closed form, pixel by pixel."""

from __future__ import annotations

from typing import ClassVar

from pnp.checks import check_alike, check_form, check_mask, check_result, check_weight, refuse
from pnp.interfaces import DataSolver, Image, Level
from pnp.registry import solver


@solver("mask-image")
class MaskImage(DataSolver):
    """Exact image step D for inpainting: pixels that are known or not, no blur.

        z = argmin_z |mask (y - z)|^2 + weight |z - x|^2
          = x + mask^2 / (mask^2 + weight) (y - x)

    y and x are (B, C, H, W); the mask is one where y is known and zero where it is not, its batch
    and channels may be 1; the weight is a number or (B or 1, 1, 1, 1).  All of them receive
    gradients.  `cg-image` does the same with blur and decimation.

    Returns:
        z, with the shape and dtype of x.

    Raises:
        PnpError: Inputs do not fit together, hold NaN, or the weight is not above zero.

    Source:
        Venkatakrishnan et al. 2013 (plug-and-play priors), whose F step it is for a mask.
    """

    cite: ClassVar = ("venkatakrishnan2013plug",)

    def forward(self, y: Image, x: Image, mask: Image, weight: Level) -> Image:
        """The minimiser z."""
        check_form(self.registered, "y", y)
        check_form(self.registered, "x", x)
        check_alike(self.registered, "x", x, y)
        check_mask(self.registered, mask, y)
        if x.shape != y.shape:
            sizes = f"x is {tuple(x.shape)} and y is {tuple(y.shape)}"
            refuse(self.registered, sizes, "without blur and scale both have one size")
        alpha = check_weight(self.registered, weight, x)
        check_result(self.registered, (y - x).mean((-2, -1)))
        seen = mask * mask
        return x + seen / (seen + alpha) * (y - x)
