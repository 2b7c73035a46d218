"""F: the noise level from the finest wavelet coefficients of the observation."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np
import pywt
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from pnp.errors import Notice
from pnp.registry import estimator

from .observed_noise import ObservedNoise

QUANTILES = {0.5: 0.6744898, 0.25: 0.3186394}
"""Quantiles of |d|, and those of |N(0, 1)|."""
STEP = 0.5 / 255
"""Windows in which y varies less are flat."""
LEAST = 100
"""Smallest number of coefficients that are enough for an estimate."""
SPREAD = 4.8
"""Largest ratio of the quartiles of |d| for noise; that of |N(0, 1)| is 3.6, of texture 6 to 11."""


@estimator("wavelet-noise")
class WaveletNoise(ObservedNoise):
    """Robust estimate of the noise level, from y alone, by PyWavelets.

        sigma = (sigma_d^2 + e^2)^(1/2)
        sigma_d = min(median |d| / 0.674, lower quartile |d| / 0.319), averaged over channels
        d: the finest diagonal wavelet coefficients (db2) of y, each from a window of 4 x 4 pixels
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
        found = [np.mean([_level(channel) for channel in image]) for image in images]
        return torch.from_numpy(np.array(found)).reshape(-1, 1, 1, 1).to(y)


def _level(y: np.ndarray) -> float:
    """The noise level of one channel (H, W)."""
    d = np.abs(pywt.dwtn(y, "db2")["dd"])
    telling = d[_telling(y, d.shape)]
    if telling.size < min(LEAST, d.size):
        if telling.size:
            few = "few pixels vary, so the estimated noise level is uncertain; --sigma gives it"
            warnings.warn(Notice(f"noise: {few}"), stacklevel=2)
        telling = d
    lower, upper = np.quantile(telling, (0.25, 0.75))
    found = np.quantile(telling if upper <= SPREAD * lower else d, list(QUANTILES))
    return float((found / list(QUANTILES.values())).min())


def _telling(y: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which coefficients come from windows that are neither flat nor clipped."""
    high, low, clipped = y, y, (np.abs(y) < 1e-6) | (np.abs(y - 1) < 1e-6)
    for axis, count in enumerate(shape):  # coefficient i sees the samples 2 i - 2 to 2 i + 1
        edges = [(0, 0)] * axis + [(2, 3)] + [(0, 0)] * (1 - axis)
        high, low, clipped = (
            sliding_window_view(np.pad(a, edges, mode="symmetric"), 4, axis)
            for a in (high, low, clipped)
        )
        part = (slice(None),) * axis + (slice(0, 2 * count, 2),)
        high, low = high[part].max(-1), low[part].min(-1)
        clipped = clipped[part].any(-1)
    return (high - low >= STEP) & ~clipped
