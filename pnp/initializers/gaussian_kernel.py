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
    """A Gaussian kernel with given standard deviations, in pixels of the restored image.

    `std` is along the axis at `angle` degrees from the horizontal, counter-clockwise as seen on the
    screen; `std2` is across it (by default the same: isotropic).  Sampled at the pixels, centre at
    size // 2, divided by its sum.  The same kernel as `--kernel gaussian:STD,STD2,ANGLE`.
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
