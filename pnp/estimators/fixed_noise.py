"""F: a known or assumed noise level."""

from __future__ import annotations

from pnp.interfaces import Estimator, Image, Kernel, Level
from pnp.options import Noise
from pnp.registry import estimator


@estimator("fixed-noise")
class FixedNoise(Estimator):
    """The same noise level for every image, known or assumed.

    Args:
        sigma: The level, written as 0.02, 2% or 5/255.

    Returns:
        sigma (B, 1, 1, 1).
    """

    def __init__(self, sigma: Noise):
        super().__init__()
        self.sigma = sigma

    def forward(self, y: Image, x: Image | None = None, k: Kernel | None = None) -> Level:
        """sigma (B, 1, 1, 1)."""
        return y.new_full((y.shape[0], 1, 1, 1), self.sigma)
