"""Separable interpolation on the grid of ↓s, and the weights of cubic convolution."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def interpolate(y: Tensor, s: int, weight: Callable[[Tensor], Tensor], reach: int) -> Tensor:
    """Separable interpolation x[s i + p] = sum over j of weight(j - p / s) y[i + j], for p in
    0..s-1.

    `weight(distance)` is zero for distances of `reach` and more.  The border of y is replicated.
    """
    offset = torch.arange(1 - reach, reach + 1, dtype=y.dtype, device=y.device)  # j
    phase = torch.arange(s, dtype=y.dtype, device=y.device) / s  # p / s
    rows = weight((offset - phase[:, None]).abs())  # (s, 2 reach)
    filters = torch.einsum("pi,qj->pqij", rows, rows).flatten(0, 1)[:, None]  # (s^2, 1, ., .)
    padded = F.pad(y, (reach - 1, reach, reach - 1, reach), mode="replicate").flatten(0, 1)[:, None]
    return F.pixel_shuffle(F.conv2d(padded, filters), s).unflatten(0, y.shape[:2])[:, :, 0]


def keys(d: Tensor) -> Tensor:
    """Weight of a sample at distance d >= 0 in cubic convolution, a = -1/2."""
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return torch.where(d < 1, near, torch.where(d < 2, far, 0))
