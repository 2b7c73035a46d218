"""Borders of real photographs: made periodic before the FFT solvers, and cut off after them.

A photograph does not continue at its right border as it begins at its left one; solvers with
circular convolution take the jump for image and ring.  `extend` widens the observation by a margin
that leads smoothly from each border to the opposite one, `trim` takes the margin off the result:

    before: [y = E(y)]      E: {transform: extend, margin: 16}
    after: ["x = T(x, s)"]  T: {transform: trim, margin: 16}
"""

from __future__ import annotations

import torch
from torch import Tensor

from pnp.interfaces import Image, Number, Transform
from pnp.options import Count
from pnp.registry import transform


@transform("extend")
class Extend(Transform):
    """The observation with a margin all around that makes it periodic.

        (B, C, h, w) -> (B, C, h + 2 margin, w + 2 margin)

    In the gap of 2 `margin` pixels between a border and the next period, both borders are continued
    by reflection and mixed with weights that change linearly from one to the other; columns first,
    then rows.

    Args:
        margin: Width of the margin in pixels of y; half the kernel is wide enough.

    Returns:
        The periodic image.

    Raises:
        PnpError: A side of y is not above 2 `margin` pixels.
    """

    def __init__(self, margin: Count = 16):
        super().__init__()
        self.margin = margin

    def least_side(self, s: int) -> int:
        """Enough to be reflected into the margin."""
        return 2 * self.margin + 1

    def forward(self, y: Image) -> Image:
        """The periodic image."""
        if min(y.shape[-2:]) <= 2 * self.margin:
            self.refuse(
                f"y is {y.shape[-2]} x {y.shape[-1]}, but a margin of {self.margin} needs more "
                f"than {2 * self.margin} pixels a side",
                "write a smaller margin",
            )
        return self.columns(self.columns(y).mT).mT

    def columns(self, y: Tensor) -> Tensor:
        """y with the margin left and right."""
        gap = 2 * self.margin
        after = y[..., -gap - 1 : -1].flip(-1)  # what follows the right border, reflected
        before = y[..., 1 : gap + 1].flip(-1)  # what precedes the left border of the next period
        weight = torch.arange(1, gap + 1, dtype=y.dtype, device=y.device) / (gap + 1)
        bridge = after + weight * (before - after)
        return torch.cat((bridge[..., self.margin :], y, bridge[..., : self.margin]), -1)


@transform("trim")
class Trim(Transform):
    """Removes the margin that `extend` added to the observation, s times as wide in the restored
    image.

        (B, C, H, W) -> (B, C, H - 2 s margin, W - 2 s margin)

    Args:
        margin: Width of the margin in pixels of y, as given to `extend`.

    Returns:
        The inner part of the image.

    Raises:
        PnpError: The image is too small.
    """

    def __init__(self, margin: Count = 16):
        super().__init__()
        self.margin = margin

    def least_side(self, s: int) -> int:
        """One pixel between the margins."""
        return 2 * self.margin + 1

    def forward(self, x: Image, s: Number) -> Image:
        """The inner part (B, C, H - 2 s margin, W - 2 s margin)."""
        width = s * self.margin
        if min(x.shape[-2:]) <= 2 * width:
            self.refuse(
                f"x is {x.shape[-2]} x {x.shape[-1]}, too small to remove {width} pixels from "
                "every side",
                "write the margin of `extend`",
            )
        return x[..., width : x.shape[-2] - width, width : x.shape[-1] - width]
