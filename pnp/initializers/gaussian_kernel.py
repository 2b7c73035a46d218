"""I: a Gaussian blur kernel, the same for every observation."""

from __future__ import annotations

import math

import torch

from pnp.errors import PnpError
from pnp.interfaces import Image, Initializer, Kernel
from pnp.registry import initializer


@initializer("gaussian-kernel")
class GaussianKernel(Initializer):
    """A Gaussian kernel with given standard deviations, in pixels of the restored image.

    `std` is along the axis at `angle` degrees from the horizontal, counter-clockwise; `std2` is
    across it (by default the same: isotropic).  Sampled at the pixels, centre at size // 2, divided
    by its sum.
    """

    def __init__(
        self, size: int = 21, std: float = 1.6, std2: float | None = None, angle: float = 0.0
    ):
        super().__init__()
        if size < 1:
            raise PnpError(
                f"gaussian-kernel: size is {size}; write the side of the kernel in pixels, for example 21"
            )
        for name, value in {"std": std, "std2": std if std2 is None else std2}.items():
            if not value > 0:
                raise PnpError(
                    f"gaussian-kernel: {name} is {value}, but widths are above 0; 'delta-kernel' has no blur"
                )
        self.size, self.std, self.std2, self.angle = size, std, std if std2 is None else std2, angle

    def forward(self, y: Image) -> Kernel:
        """The kernel (B, 1, size, size), one for each image of y."""
        offset = torch.arange(self.size, dtype=torch.float64) - self.size // 2
        up, right = -offset[:, None], offset[None, :]
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        along, across = right * cos + up * sin, up * cos - right * sin
        k = torch.exp(-0.5 * ((along / self.std) ** 2 + (across / self.std2) ** 2))
        return (k / k.sum()).to(y).repeat(y.shape[0], 1, 1, 1)
