"""The width of a kernel; used in training."""

from __future__ import annotations

from pnp.interfaces import Estimator, Kernel, Level
from pnp.kernels import width_of
from pnp.options import Positive
from pnp.registry import estimator


@estimator("kernel-width")
class KernelWidth(Estimator):
    """Standard deviation of the kernel along its longer axis, in pixels, and at least `least`.

        width = max(least, largest eigenvalue of the covariance of k's taps ^ (1/2))

    Args:
        least: The width of a kernel that counts as no blur.

    Returns:
        The width (B, 1, 1, 1).
    """

    def __init__(self, least: Positive = 0.5) -> None:
        super().__init__()
        self.least = least

    def forward(self, k: Kernel) -> Level:
        """The width of each kernel."""
        return width_of(k).clamp(min=self.least)[:, None, None, None].to(k)
