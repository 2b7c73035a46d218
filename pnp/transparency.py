"""Alpha channels: colour under transparent pixels, premultiplied colour, enlargement.

The colour of a transparent pixel is arbitrary: nobody sees it, and programs store anything there.
A restoration moves colour between neighbouring pixels, so `extend_colours` replaces it first.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional as F

SURE = 8 / 255
"""From this alpha on a pixel's colour is used as it is.  Below, 8 bits of a premultiplied colour
leave less than 3 bits of the colour itself."""


def extend_colours(pixels: Tensor, alpha: Tensor) -> Tensor:
    """pixels (1, C, H, W) in which the colour of transparent pixels comes from the visible part.

        c' = w c + (1 - w) m,    w = min(alpha / SURE, 1)

    m is the visible part, mirrored outwards at its edge, repeatedly where the way is long.  A
    mirror image continues texture and noise, so that estimates of the noise level stay right.
    Colours under alpha = 0 have no influence.  Composited over any background, a pixel changes by
    at most SURE / 4, two grey levels.  An image that is transparent everywhere becomes grey.

    Args:
        pixels: (1, C, H, W).
        alpha: (1, 1, H, W) on [0, 1].
    """
    if bool((alpha >= SURE).all()):
        return pixels
    sure = min(SURE, float(alpha.max()))
    if sure == 0:
        return torch.full_like(pixels, 0.5)
    row, column = map(torch.from_numpy, _mirrored((alpha[0, 0] >= sure).numpy()))
    weight = (alpha / sure).clamp(max=1)
    seen = torch.where(alpha > 0, pixels, 0)  # NaN times zero would be NaN
    return torch.where(weight < 1, weight * seen + (1 - weight) * pixels[..., row, column], pixels)


def _mirrored(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel the row and column of the known pixel that stands for it; itself, if known."""
    distance, nearest = distance_transform_edt(~known, return_indices=True)
    # So far inside a mirrored pixel may lie: a triangular wave turns back at this depth.
    depth = max(1.0, 1.5 * float(distance_transform_edt(np.pad(known, 1)).max()))
    inside = depth - abs(distance % (2 * depth) - depth)
    here = np.indices(known.shape)
    inwards = (nearest - here) / np.maximum(distance, 1)
    mirrored = np.rint(nearest + inside * inwards).astype(int)
    limits = np.array(known.shape)[:, None, None]
    within = ((mirrored >= 0) & (mirrored < limits)).all(0)
    row, column = np.where(within, mirrored, nearest)
    return tuple(np.where(known[row, column], (row, column), nearest))  # type: ignore[return-value]


def unpremultiplied(pixels: np.ndarray) -> np.ndarray:
    """Pixels (H, W, C) whose last channel is alpha: their colours, divided by it.

    The dtype stays: whole numbers are rounded and limited to their range, floats are exact.
    """
    top = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    colours, alpha = pixels[..., :-1].astype(np.float64), pixels[..., -1:].astype(np.float64)
    straight = np.divide(colours * top, alpha, out=np.zeros_like(colours), where=alpha > 0)
    if pixels.dtype.kind == "u":
        straight = np.rint(straight.clip(0, top))
    return np.concatenate((straight.astype(pixels.dtype), pixels[..., -1:]), -1)


def with_colour_key(pixels: np.ndarray, key: tuple[int, ...]) -> np.ndarray:
    """Whole numbers (H, W, C) with an alpha channel: transparent where all channels are the key."""
    top = np.iinfo(pixels.dtype).max
    alpha = np.where((pixels == key).all(-1, keepdims=True), 0, top)
    return np.concatenate((pixels, alpha.astype(pixels.dtype)), -1)


def enlarge(alpha: Tensor, height: int, width: int) -> Tensor:
    """Linear interpolation that puts pixel (i, j) at (s i, s j), as the observation model does."""
    h, w = alpha.shape[-2:]
    if (h, w) == (height, width):
        return alpha
    rows = 2 * torch.arange(height) * h / height / max(h - 1, 1) - 1
    columns = 2 * torch.arange(width) * w / width / max(w - 1, 1) - 1
    down, across = torch.meshgrid(rows, columns, indexing="ij")
    grid = torch.stack((across, down), -1)[None]
    return F.grid_sample(alpha, grid, mode="bilinear", padding_mode="border", align_corners=True)
