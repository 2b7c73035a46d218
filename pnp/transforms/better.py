"""The better of two kernels, by the total variation of the images restored with them."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from pnp.differences import gradient
from pnp.gradients import root
from pnp.interfaces import Image, Kernel, Level, Transform
from pnp.options import Range
from pnp.registry import transform


@transform("better")
class Better(Transform):
    """Of two kernels and the images restored with them, those with the smaller total variation.

        TV(x) = mean over pixels of |grad of the mean of x over its channels|
        margin = |TV(x) - TV(rival)| / (TV(x) + TV(rival))

    A wrong kernel leaves ringing and doubled edges, which have more total variation than the image.
    A step decides between two; further steps with the winner decide between any number (a
    tournament).  It suits candidates of the same width, such as a kernel and its mirror image: too
    narrow a kernel leaves the blur in the image, which lowers its total variation as well, so that
    of a narrow and a wide candidate the narrow one tends to win.  Every image of a batch decides
    for itself.  The scores of the last call are in the report.

    Args:
        handicap: Share by which the total variation of the rival must be smaller for it to win:
            TV(rival) < (1 - handicap) TV(x).  Above 0, the first stays unless it is clearly worse.
    Returns:
        The better kernel, its image, and the margin (B, 1, 1, 1): 0, no difference, to 1.
    """

    def __init__(self, handicap: Annotated[float, Range(at_least=0, below=1)] = 0.0) -> None:
        super().__init__()
        self.handicap = handicap
        self._report: dict[str, float] = {}

    def forward(
        self, k: Kernel, x: Image, other: Kernel, rival: Image
    ) -> tuple[Kernel, Image, Level]:
        """The winner, its image and the margin by which it won."""
        first, second = total_variation(x), total_variation(rival)
        self._report = {"total variation": first[0].item(), "of the other": second[0].item()}
        stays = (1 - self.handicap) * first <= second
        margin = (first - second).abs() / (first + second).clamp(min=1e-9)
        return torch.where(stays, k, other), torch.where(stays, x, rival), margin

    def report(self) -> dict[str, float]:
        """The two scores of the batch's first image in the last call."""
        return self._report


def total_variation(x: Tensor) -> Tensor:
    """Mean of the gradient's length over the pixels of the channels' mean: (B, 1, 1, 1)."""
    grey = x.mean(1, keepdim=True)
    down, right = gradient(grey)
    return root(down.square() + right.square()).mean((1, 2, 3), keepdim=True)
