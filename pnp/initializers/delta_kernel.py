"""I: the delta kernel, no blur."""

from __future__ import annotations

from pnp.interfaces import Image, Initializer, Kernel
from pnp.kernels import delta_kernel
from pnp.options import Count
from pnp.registry import initializer


@initializer("delta-kernel")
class DeltaKernel(Initializer):
    """The delta kernel, no blur: one at its centre, index size // 2, and zero elsewhere.

    Args:
        size: Side of the kernel in pixels.

    Returns:
        The kernel (B, 1, size, size), one for each image of y.
    """

    def __init__(self, size: Count = 1):
        super().__init__()
        self.size = size

    def forward(self, y: Image) -> Kernel:
        """The kernel (B, 1, size, size), one for each image of y."""
        return delta_kernel(self.size).to(y).repeat(len(y), 1, 1, 1)
