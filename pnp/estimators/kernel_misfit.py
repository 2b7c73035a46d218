"""The error of an estimated kernel as a noise level, from the true kernel; used in training."""

from __future__ import annotations

import torch

from pnp.gradients import root
from pnp.interfaces import Estimator, Image, Kernel, Level, Number
from pnp.kernels import mirror_kernel
from pnp.operators import Blur
from pnp.registry import estimator


@estimator("kernel-misfit")
class KernelMisfit(Estimator):
    """Standard deviation of (x * (k - k_true))|s over all pixels and channels of each image.

    Args:
        mirror: True takes the smaller of the levels of k and of its mirror image, for estimates
            that cannot distinguish the two.

    Returns:
        The level (B, 1, 1, 1).
    """

    def __init__(self, mirror: bool = False) -> None:
        super().__init__()
        self.mirror = mirror

    def forward(self, x: Image, k: Kernel, true: Kernel, s: Number) -> Level:
        """The level from the image x, the estimate k and the true kernel, of one size."""
        level: Level = _level(x, k - true, s)
        if self.mirror:
            level = torch.minimum(torch.as_tensor(level), _level(x, mirror_kernel(k) - true, s))
        return level


def _level(x: Image, error: Kernel, s: int) -> torch.Tensor:
    return root(Blur(error, x.shape[-2:], s)(x).square().mean((1, 2, 3), keepdim=True))
