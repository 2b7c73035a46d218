"""F: the noise level from the finest wavelet coefficients of the observation."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from pnp.registry import estimator
from pnp.wavelet_levels import level_of

from .observed_noise import ObservedNoise


@estimator("wavelet-noise")
class WaveletNoise(ObservedNoise):
    """Robust estimate of the noise level, from y alone, by PyWavelets.

        sigma = (max(sigma_d, sigma_s)^2 + e^2)^(1/2)
        sigma_d = min(median |d| / 0.674, lower quartile |d| / 0.319), averaged over channels
        d: the finest diagonal wavelet coefficients (db2) of y, each from a window of 4 x 4 pixels
        sigma_s: the level that stands for smooth noise (`pnp.wavelet_levels`), or 0
        e: the level that stands for JPEG or other lossy compression (`pnp.compression`), or 0

    for each image of the batch.  JPEG rounds d to zero, where its errors do not show.  Noise is in
    every coefficient of d, edges are in few, so edges hardly change these quantiles; texture
    changes the lower one less.  Windows that are flat (bars above and below a film, areas of one
    colour) or hold a value of exactly 0 or 1 (overexposed) hide the noise.  They are left out if
    the others look like noise, which has similar quartiles of |d|: upper <= 4.8 lower.  Otherwise,
    as in a drawing, flat areas show that there is none, and all windows count.  The estimate is
    exact for white noise; fine texture in a sharp or strongly downsampled image is counted as
    noise.  It has no gradient.

    Returns:
        sigma (B, 1, 1, 1).

    Source:
        Donoho and Johnstone (1994), for the median over all windows.
    """

    cite: ClassVar = ("donoho1994ideal",)
    differentiable: ClassVar = False

    def noise(self, y: Tensor) -> Tensor:
        """sigma_d of each image, (B, 1, 1, 1)."""
        images = y.detach().cpu().numpy()
        found = [np.mean([level_of(channel) for channel in image]) for image in images]
        return torch.from_numpy(np.array(found)).reshape(-1, 1, 1, 1).to(y)
