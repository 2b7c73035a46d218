"""Separable interpolation on the grid of ↓s, the weights of cubic convolution, and shifts."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def interpolate(y: Tensor, s: int, weight: Callable[[Tensor], Tensor], reach: int) -> Tensor:
    """Separable interpolation x[s i + p] = sum over j of weight(j - p / s) y[i + j], for p in
    0..s-1.

    `weight(distance)` is zero for distances of `reach` and more.  The border of y is replicated.
    At scale 1 it is y, since weight(0) = 1 and weight(j) = 0 for the other whole numbers j.
    """
    if s == 1:
        return y.clone()
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


def moved(x: Tensor, shift: tuple[float, float]) -> Tensor:
    """x (B, C, H, W) moved down and to the right by (rows, columns) pixels.

    It is continued by its mirror image, the outermost pixel doubled, and moved in the Fourier
    domain, one channel after the other.
    """
    if shift == (0.0, 0.0):
        return x
    out = torch.empty_like(x)
    for channel in range(x.shape[1]):
        part = x[:, channel]
        for dim, distance in zip((-2, -1), shift, strict=True):
            part = _moved_along(part, dim, distance)
        out[:, channel] = part
    return out


def _moved_along(x: Tensor, dim: int, distance: float) -> Tensor:
    length = x.shape[dim]
    X = torch.fft.rfft(torch.cat((x, x.flip(dim)), dim), dim=dim)
    frequencies = torch.arange(length + 1, device=x.device, dtype=x.dtype) / (2 * length)
    phase = torch.exp(-2j * math.pi * distance * frequencies)
    X *= phase[:, None] if dim == -2 else phase
    return torch.fft.irfft(X, n=2 * length, dim=dim).narrow(dim, 0, length)
