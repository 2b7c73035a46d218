"""The one of a kernel and its mirror image that is nearer to the true kernel: for training."""

from __future__ import annotations

import torch

from pnp.interfaces import Kernel, Transform
from pnp.kernels import mirror_kernel
from pnp.registry import transform


@transform("nearest-mirror")
class NearestMirror(Transform):
    """Of k and its mirror image the nearer to the true kernel, by the sum of squared differences.

    Stands for `better` while networks learn to work with estimated kernels: the choice is always
    right.

    Returns:
        The kernel (B, 1, K, K).
    """

    def forward(self, k: Kernel, true: Kernel) -> Kernel:
        """The nearer of the two, for each image."""
        mirrored = mirror_kernel(k)
        errors = [(c - true).square().sum((1, 2, 3), keepdim=True) for c in (k, mirrored)]
        return torch.where(errors[0] <= errors[1], k, mirrored)
