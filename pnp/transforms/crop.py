"""Pk: the middle of a kernel that was solved for on a larger support (the crop of equation 10)."""

from __future__ import annotations

from pnp.interfaces import Kernel, Level, Transform
from pnp.kernels import resize_kernel
from pnp.options import Count
from pnp.registry import transform


@transform("crop")
class Crop(Transform):
    """The size x size taps around the centre of a larger kernel.

        w[i, j] = k[i + K // 2 - size // 2, j + K // 2 - size // 2]

    Taps outside are lost, and the others are not rescaled (`simplex` after it does that).

    Args:
        size: Side of the kernel that is kept, in pixels.

    Returns:
        The kernel (B, 1, size, size).

    Raises:
        PnpError: The kernel is smaller than that.
    """

    size: int

    def __init__(self, size: Count = 21):
        super().__init__()
        self.size = size

    def forward(self, k: Kernel, level: Level | None = None) -> Kernel:
        """The kernel (B, 1, size, size)."""
        rows, columns = k.shape[-2:]
        if min(rows, columns) < self.size:
            self.refuse(
                f"the kernel is {rows} x {columns}, smaller than size {self.size}",
                "write a size that fits in it",
            )
        return resize_kernel(k, self.size)
