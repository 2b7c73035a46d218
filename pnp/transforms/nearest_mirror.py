"""A kernel or its mirror image, whichever is nearer to the true kernel; for training."""

from __future__ import annotations

import torch

from pnp.interfaces import Kernel, Transform
from pnp.kernels import mirror_kernel
from pnp.registry import transform


@transform("nearest-mirror")
class NearestMirror(Transform):
    """k or its mirror image, whichever has the smaller squared difference from the true kernel.

    Replaces `better` while networks learn to work with estimated kernels: the choice is always
    right.

    Returns:
        The kernel (B, 1, K, K).
    """

    def forward(self, k: Kernel, true: Kernel) -> Kernel:
        """The nearer of the two, for each image."""
        mirrored = mirror_kernel(k)
        errors = [(c - true).square().sum((1, 2, 3), keepdim=True) for c in (k, mirrored)]
        return torch.where(errors[0] <= errors[1], k, mirrored)
