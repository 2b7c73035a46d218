"""I: the kernel that does nothing."""

from __future__ import annotations

from pnp.errors import PnpError
from pnp.interfaces import Image, Initializer, Kernel
from pnp.kernels import delta_kernel
from pnp.registry import initializer


@initializer("delta-kernel")
class DeltaKernel(Initializer):
    """No blur: one at the centre, index size // 2, and zero elsewhere."""

    def __init__(self, size: int = 1):
        super().__init__()
        if size < 1:
            raise PnpError(
                f"delta-kernel: size is {size}; write the side of the kernel in pixels, 1 or more"
            )
        self.size = size

    def forward(self, y: Image) -> Kernel:
        """The kernel (B, 1, size, size), one for each image of y."""
        return delta_kernel(self.size).to(y).repeat(len(y), 1, 1, 1)
