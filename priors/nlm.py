"""P: non-local means, which averages pixels whose neighbourhoods look alike."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from skimage.restoration import denoise_nl_means

from pnp.interfaces import Image, Level, Prior
from pnp.options import Count, Positive
from pnp.priors.one_by_one import one_by_one
from pnp.registry import prior


@prior("nlm")
class NonLocalMeans(Prior):
    """Non-local means with the noise level known, by scikit-image.

        x_i = sum_j a_ij z_j / sum_j a_ij,   a_ij = exp(-max(d_ij^2 - 2 level^2, 0) / h^2)

    over the pixels j within `distance` of i, where d_ij^2 is the mean squared difference of their
    `patch` x `patch` neighbourhoods over all channels and h = strength * level.  For white noise on
    photographs the best strength is 0.8 at level 2/255 and 0.5 at 50/255.  Level 0 returns z.
    There are no gradients.

    Args:
        strength: Factor of the level in h.
        patch: Side of the neighbourhoods that are compared, in pixels.
        distance: Largest distance of the pixels that are averaged.

    Returns:
        The denoised image (B, C, H, W).

    Raises:
        PnpError: Backward passes through it.

    Source:
        Buades, Coll, Morel (2011).
    """

    cite: ClassVar = ("buades2011nlm",)
    differentiable: ClassVar = False

    def __init__(self, strength: Positive = 0.7, patch: Count = 5, distance: Count = 6):
        super().__init__()
        self.strength, self.patch, self.distance = strength, patch, distance

    def forward(self, x: Image, level: Level) -> Image:
        """The denoised image (B, C, H, W)."""
        return one_by_one(self._denoise, x, level, self.registered)

    def _denoise(self, image: np.ndarray, level: float) -> np.ndarray:
        h = self.strength * level
        clean = denoise_nl_means(image, self.patch, self.distance, h, sigma=level, channel_axis=-1)
        return clean.reshape(image.shape)  # a single channel comes back without its axis
