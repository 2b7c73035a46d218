"""Pk: the middle of a kernel that was solved for on a larger support (the crop of equation 10)."""

from __future__ import annotations

from pnp.errors import PnpError
from pnp.interfaces import Kernel, Level, Transform
from pnp.kernels import resize_kernel
from pnp.registry import transform


@transform("crop")
class Crop(Transform):
    """The size x size taps around the centre of a larger kernel; the centre goes from K // 2 to
    size // 2.

    Nothing else: what lay outside is lost, and the rest is not rescaled (`simplex` after it does
    that).
    """

    size: int

    def __init__(self, size: int = 21):
        super().__init__()
        if size < 1:
            raise PnpError(
                f"crop: size is {size}; write the side of the kernel to keep, for example 21"
            )
        self.size = size

    def forward(self, k: Kernel, level: Level | None = None) -> Kernel:
        """The kernel (B, 1, size, size)."""
        rows, columns = k.shape[-2:]
        if min(rows, columns) < self.size:
            raise PnpError(
                f"crop: the kernel is {rows} x {columns}, smaller than size {self.size}; write a size that fits in it"
            )
        return resize_kernel(k, self.size)
