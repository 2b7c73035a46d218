"""I: a Gaussian blur kernel, the same for every observation."""

from __future__ import annotations

import math

import torch

from pnp.interfaces import Image, Initializer, Kernel
from pnp.kernels import gaussian_kernels
from pnp.options import Count, Positive
from pnp.registry import initializer


@initializer("gaussian-kernel")
class GaussianKernel(Initializer):
    """A Gaussian kernel with given standard deviations, the same for every observation.

        k[i, j] = exp(-(u^2 / std^2 + v^2 / std2^2) / 2) / sum

    u and v are the offsets from the centre, size // 2, along the axis at `angle` and across it, in
    pixels of the restored image.  `--kernel gaussian:STD,STD2,ANGLE` gives the same kernel.

    Args:
        size: Side of the kernel in pixels.
        std: Standard deviation along the axis, in pixels of the restored image.
        std2: Standard deviation across the axis; null means the same as `std`.
        angle: Direction of the axis in degrees, counter-clockwise from the horizontal as seen on
            the screen.

    Returns:
        The kernel (B, 1, size, size), one for each image of y.
    """

    def __init__(
        self,
        size: Count = 21,
        std: Positive = 1.6,
        std2: Positive | None = None,
        angle: float = 0.0,
    ):
        super().__init__()
        self.size, self.std, self.std2, self.angle = size, std, std if std2 is None else std2, angle

    def forward(self, y: Image) -> Kernel:
        """The kernel (B, 1, size, size), one for each image of y."""
        std_u, std_v, angle = torch.tensor(
            [[self.std], [self.std2], [math.radians(self.angle)]], dtype=torch.float64
        )
        return gaussian_kernels(self.size, std_u, std_v, angle).to(y).repeat(len(y), 1, 1, 1)
