"""Welch's estimate of the power spectrum of images: what remains of a blur when the phase is
unknown.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pnp.interfaces import Module

LEAST = 8
"""The shortest side of an image that holds a window."""
SCALES = 4
"""The largest scale of the networks that read a spectrum."""


def standardised(
    module: Module, y: Tensor, dtype: torch.dtype, cure: str = "take a larger image"
) -> tuple[Tensor, Tensor]:
    """(y - mean(y)) / (std(y) + 0.001) in `dtype`, and std(y), both for each image of the batch.

    Mean and deviation are over pixels and colours: (B, C, H, W) -> (B, C, H, W), (B, 1, 1, 1).
    An image that is too small for a window is a PnpError of `module`, whose message ends in `cure`.
    """
    height, width = y.shape[-2:]
    if min(height, width) < LEAST:
        module.refuse(
            f"y is {height} x {width} pixels, but a spectrum needs {LEAST} x {LEAST} or more", cure
        )
    y = y.to(dtype)
    y = y - y.mean((-3, -2, -1), keepdim=True)
    deviation = y.std((-3, -2, -1), keepdim=True, unbiased=False)
    return y / (deviation + 1e-3), deviation


def check_scale(module: Module, s: int) -> None:
    """PnpError of `module` for a scale that its network does not know."""
    if not 1 <= s <= SCALES:
        module.refuse(f"the scale is {s}", f"it supports the scales 1 to {SCALES}")


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
