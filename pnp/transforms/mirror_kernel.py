"""The mirror image of a kernel, which has the same power spectrum."""

from __future__ import annotations

from pnp.interfaces import Kernel, Transform
from pnp.kernels import mirror_kernel
from pnp.registry import transform


@transform("mirror-kernel")
class MirrorKernel(Transform):
    """The kernel turned by 180 degrees about its centre, the second candidate if a kernel was
    estimated from a power spectrum (`spectral-kernel`).

    Returns:
        The kernel (B, 1, K, K).
    """

    def forward(self, k: Kernel) -> Kernel:
        """The mirror image of each kernel."""
        return mirror_kernel(k)
