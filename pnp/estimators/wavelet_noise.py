"""F: the noise level read off the finest wavelet coefficients of the observation."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from skimage.restoration import estimate_sigma

from pnp.interfaces import Estimator, Image, Kernel, Level
from pnp.registry import estimator


@estimator("wavelet-noise")
class WaveletNoise(Estimator):
    """Robust median estimate of the noise level, from y alone, by scikit-image.

        sigma = median |d| / 0.6745,   d: the finest diagonal wavelet coefficients (db2) of y

    averaged over channels, for each image of the batch.  Noise fills d, edges are few of them, so the median hardly
    sees them.  Exact on white noise; on a sharp image or a strongly downsampled one it takes fine texture for noise.
    No gradients.
    """

    cite: ClassVar = ("donoho1994ideal",)

    def forward(self, y: Image, x: Image | None = None, k: Kernel | None = None) -> Level:
        """sigma (B, 1, 1, 1)."""
        images = y.detach().permute(0, 2, 3, 1).cpu().numpy()
        with np.errstate(invalid="ignore"):
            sigmas = [np.nan_to_num(estimate_sigma(image, average_sigmas=True, channel_axis=-1)) for image in images]
        return y.new_tensor(sigmas).reshape(-1, 1, 1, 1)
