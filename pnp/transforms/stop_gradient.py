"""A step through which no gradients pass; used in training."""

from __future__ import annotations

from typing import ClassVar

from pnp.interfaces import Kernel, Transform
from pnp.registry import transform


@transform("stop-gradient")
class StopGradient(Transform):
    """The kernel itself, for backward a constant.

    In a recipe that trains only the kernel's part of a loop, this saves the backward pass through
    the image's part.

    Returns:
        The kernel (B, 1, K, K).
    """

    differentiable: ClassVar = False

    def forward(self, k: Kernel) -> Kernel:
        """k without its history."""
        return k.detach()
