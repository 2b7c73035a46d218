"""Noise levels from diagonal wavelet coefficients: of white noise, and of smooth noise."""

from __future__ import annotations

import warnings

import numpy as np
import pywt
from numpy.lib.stride_tricks import sliding_window_view

from pnp.errors import Notice

QUANTILES = {0.5: 0.6744898, 0.25: 0.3186394}
"""Quantiles of |d|, and those of |N(0, 1)|."""
STEP = 0.5 / 255
"""Windows in which y varies less are flat."""
LEAST = 100
"""Smallest number of coefficients that are enough for an estimate."""
SPREAD = 4.8
"""Largest ratio of the quartiles of |d| for noise; that of |N(0, 1)| is 3.6, of texture 6 to 11."""
SIDE = 32
"""Side of the blocks in which noise is compared."""
BLOCKS = 50
"""Smallest number of blocks that tell noise from detail."""
CLIPPED = 0.05
"""Share of the pixels of a block that may be 0 or 1."""
LARGEST = 1024
"""Of larger images the middle is enough to see smooth noise."""
GROWTH = 1.33
"""Least ratio of the levels of every second pixel and of all, for smooth noise: 1.4 (made smaller)
to 3 (made larger, or from a Bayer sensor); that of white noise is 0.94 to 1.06."""
ALIKE = 1.16
"""Largest ratio of the levels of the blocks that have the least, for noise; it is 1.03 to 1.15
where noise of 1 % or more hides the detail."""
FURTHER, MOST = 0.7, 3.0
"""Exponent of the further growth, and the largest growth that it takes (colours of which a sensor
measures every fourth pixel have hardly any finest coefficients): restorations of noise from a Bayer
sensor, enlarged or reduced noise, and film grain are best with 1.2 to 1.7 times its standard
deviation, which this gives."""


def level_of(y: np.ndarray) -> float:
    """The level of white noise in a plane (H, W); see `wavelet-noise`."""
    d, telling = _coefficients(y)
    if telling.sum() < min(LEAST, d.size):
        if telling.any():
            few = "few pixels vary, so the estimated noise level is uncertain; --sigma gives it"
            warnings.warn(Notice(f"noise: {few}"), stacklevel=2)
        telling[...] = True
    lower, upper = np.quantile(d[telling], (0.25, 0.75))
    return _level(d[telling] if upper <= SPREAD * lower else d)


def smooth_level(y: np.ndarray) -> float:
    """The level that stands for noise whose neighbouring pixels are alike, in an image (C, H, W); 0
    where no such noise is seen.

        sigma_s = b min(b / a, 3)^0.7,   a, b: the levels of all pixels and of every second one

    Noise is smooth after demosaicking, resizing or scanning.  For white noise a and b are the same;
    smooth noise has small finest coefficients, so that a is too small, and grows by b / a and
    further towards the low frequencies that deblurring amplifies.  Detail grows, too; but in the
    fifth of the blocks that have the least, noise is the same everywhere, and detail is not.
    """
    if (y.shape[1] // SIDE) * (y.shape[2] // SIDE) < BLOCKS:
        return 0.0
    top, left = (max(0, n - LARGEST) // 2 for n in y.shape[1:])
    middle = y[:, top : top + LARGEST, left : left + LARGEST]
    seen = []
    for every, second in map(_block_levels, middle):
        if len(second) >= BLOCKS:
            least = second.argsort()[: len(second) // 5]
            growth = np.median(second[least] / np.maximum(every[least], 1e-9))
            spread = second[least[-1]] / max(np.quantile(second, 0.02), 1e-9)
            seen.append((growth, spread, np.median(second[least])))
    if not seen:
        return 0.0
    growth, spread, level = np.median(seen, 0)
    if growth < GROWTH or spread > ALIKE:
        return 0.0
    return float(level * min(growth, MOST) ** FURTHER)


def _block_levels(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The levels of all pixels of a plane and of every second one, in each block that is neither
    flat nor overexposed."""
    y = y[tuple(slice(n // SIDE * SIDE) for n in y.shape)]
    blocks = y.reshape(y.shape[0] // SIDE, SIDE, y.shape[1] // SIDE, SIDE)
    varied = blocks.max((1, 3)) - blocks.min((1, 3)) >= STEP
    telling = varied & (((blocks < 1e-6) | (blocks > 1 - 1e-6)).mean((1, 3)) < CLIPPED)

    def levels(*planes: np.ndarray) -> np.ndarray:
        d = [pywt.dwtn(plane, "db2", mode="periodization")["dd"] for plane in planes]
        power = sum(each**2 for each in d) / len(d)
        side = len(power) // len(blocks)
        power = power.reshape(len(blocks), side, blocks.shape[2], side).mean((1, 3))
        return np.asarray(np.sqrt(power)[telling])

    return levels(y), levels(*(y[i::2, j::2] for i in (0, 1) for j in (0, 1)))


def _level(d: np.ndarray) -> float:
    """The standard deviation of noise with these coefficients."""
    found = np.quantile(d, list(QUANTILES))
    return float((found / list(QUANTILES.values())).min())


def _coefficients(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """|d| of a plane, and which come from windows that are neither flat nor clipped."""
    d = np.abs(pywt.dwtn(y, "db2")["dd"])
    high, low, clipped = y, y, (np.abs(y) < 1e-6) | (np.abs(y - 1) < 1e-6)
    for axis, count in enumerate(d.shape):  # coefficient i sees the samples 2 i - 2 to 2 i + 1
        edges = [(0, 0)] * axis + [(2, 3)] + [(0, 0)] * (1 - axis)
        high, low, clipped = (
            sliding_window_view(np.pad(a, edges, mode="symmetric"), 4, axis)
            for a in (high, low, clipped)
        )
        part = (slice(None),) * axis + (slice(0, 2 * count, 2),)
        high, low = high[part].max(-1), low[part].min(-1)
        clipped = clipped[part].any(-1)
    return d, (high - low >= STEP) & ~clipped
