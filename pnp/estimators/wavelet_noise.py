"""F: the noise level from the finest wavelet coefficients of the observation."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pywt
import torch

from pnp.interfaces import Estimator, Image, Kernel, Level
from pnp.registry import estimator


@estimator("wavelet-noise")
class WaveletNoise(Estimator):
    """Robust median estimate of the noise level, from y alone, by PyWavelets.

        sigma = median |d| / 0.6745,   d: the finest diagonal wavelet coefficients (db2) of y

    averaged over channels, for each image of the batch.  Noise is in every coefficient of d, edges
    are in few, so edges hardly change the median.  The estimate is exact for white noise; fine
    texture in a sharp or strongly downsampled image is counted as noise.  It has no gradient.

    Returns:
        sigma (B, 1, 1, 1).

    Source:
        Donoho and Johnstone (1994).
    """

    cite: ClassVar = ("donoho1994ideal",)

    def forward(self, y: Image, x: Image | None = None, k: Kernel | None = None) -> Level:
        """sigma (B, 1, 1, 1)."""
        diagonal = pywt.dwtn(y.detach().cpu().numpy(), "db2", axes=(-2, -1))["dd"]
        sigma = np.median(np.abs(diagonal), axis=(-2, -1), keepdims=True) / 0.6745
        return torch.from_numpy(sigma.mean(axis=1, keepdims=True)).to(y)
