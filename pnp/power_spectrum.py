"""Welch's estimate of the power spectrum of images: what remains of a blur when the phase is
unknown.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 8
"""The shortest side of an image that holds a window."""


def log_power_spectrum(y: Tensor, window: int, hop: int) -> Tensor:
    """Logarithm of Welch's estimate of the power spectrum: (B, C, H, W) -> (B, m, m // 2 + 1).

    The mean over colours and over Hann windows of m = `window` pixels, `hop` apart (shorter ones,
    padded with zeros, along a side shorter than m).  It is computed row of windows by row, so that
    its memory is a few times `window` rows of y.
    """
    height, width = (min(window, side) for side in y.shape[-2:])
    hann = torch.outer(_hann(height, y), _hann(width, y))
    hann = hann / hann.square().sum().sqrt()
    weights = hann / hann.sum()
    total: Tensor | None = None
    rows = range(0, y.shape[-2] - height + 1, hop)
    for row in rows:
        patches = y[..., row : row + height, :].unfold(-1, width, hop).movedim(-2, 2)
        patches = patches - (patches * weights).sum((-2, -1), keepdim=True)
        spectrum = torch.fft.rfft2(patches * hann, s=(window, window))
        power = (spectrum.real.square() + spectrum.imag.square()).mean((1, 2))
        total = power if total is None else total + power
    assert total is not None
    return (total / len(rows) + 1e-7).log()


def _hann(n: int, like: Tensor) -> Tensor:
    """Hann window of n samples without the zeros at its ends."""
    return torch.hann_window(n + 2, periodic=False, dtype=like.dtype, device=like.device)[1:-1]
