"""Welch's estimate of the power spectrum of images: what remains of a blur when the phase is
unknown.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from pnp.interfaces import Module
from pnp.overexposed import known_pixels

LEAST = 8
"""The shortest side of an image that holds a window."""
SCALES = 4
"""The largest scale of the networks that read a spectrum."""
SPOILT = 0.002
"""Largest share of overexposed pixels in a window, weighted by its Hann window squared: their edges
are no detail of the scene, and sharp where lamps are blurred."""
ENOUGH = 4
"""Windows without them that are enough."""


def standardised(
    module: Module, y: Tensor, dtype: torch.dtype, cure: str = "take a larger image"
) -> tuple[Tensor, Tensor]:
    """(y - mean(y)) / (std(y) + 0.001) in `dtype`, and std(y), both for each image of the batch.

    Mean and deviation are over pixels and colours: (B, C, H, W) -> (B, C, H, W), (B, 1, 1, 1); of
    photographs, over the pixels that are not overexposed (`known_pixels`).
    An image that is too small for a window is a PnpError of `module`, whose message ends in `cure`.
    """
    height, width = y.shape[-2:]
    if min(height, width) < LEAST:
        module.refuse(
            f"y is {height} x {width} pixels, but a spectrum needs {LEAST} x {LEAST} or more", cure
        )
    known = known_pixels(y)
    y = y.to(dtype)
    if known is not None:
        count = y.shape[1] * known.sum((-3, -2, -1), keepdim=True)
        y = y - (y * known).sum((-3, -2, -1), keepdim=True) / count
        deviation = ((y * known).square().sum((-3, -2, -1), keepdim=True) / count).sqrt()
        return y / (deviation + 1e-3), deviation
    y = y - y.mean((-3, -2, -1), keepdim=True)
    deviation = y.std((-3, -2, -1), keepdim=True, unbiased=False)
    return y / (deviation + 1e-3), deviation


def check_scale(module: Module, s: int) -> None:
    """PnpError of `module` for a scale that its network does not know."""
    if not 1 <= s <= SCALES:
        module.refuse(f"the scale is {s}", f"it supports the scales 1 to {SCALES}")


def log_power_spectrum(y: Tensor, window: int, hop: int, known: Tensor | None = None) -> Tensor:
    """Logarithm of Welch's estimate of the power spectrum: (B, C, H, W) -> (B, m, m // 2 + 1).

    The mean over colours and over Hann windows of m = `window` pixels, `hop` apart (shorter ones,
    padded with zeros, along a side shorter than m).  It is computed row of windows by row, so that
    its memory is a few times `window` rows of y.  With `known`, (B, 1, H, W), one where no colour
    is overexposed and zero elsewhere, the windows are half as far apart, and only those without
    such pixels count, if there are a few.
    """
    total: Tensor | None = None
    rows = 0
    for power, shares in _windows(y, window, hop, known):
        power = power.mean((1, 2)) if shares is None else _weighted(power.mean(1), shares)
        total = power if total is None else total + power
        rows += 1
    assert total is not None
    return ((total / rows if known is None else total) + 1e-7).log()


def log_power_means(y: Tensor, window: int, hop: int, known: Tensor | None = None) -> Tensor:
    """Logarithms of three means over the windows of `log_power_spectrum`: (B, C, H, W) ->
    (B, 3, m, m // 2 + 1).

    (mean of P^p)^(1/p) with p = 1 and 4, and for p = 0 exp(mean of log P); P is the power of a
    window, its mean over colours.
    """
    total: Tensor | None = None
    rows = 0
    for power, shares in _windows(y, window, hop, known):
        power = power.mean(1) + 1e-7
        powers = torch.stack((power.log(), power, power**4), 1)
        powers = powers.mean(2) if shares is None else _weighted(powers, shares[:, None])
        total = powers if total is None else total + powers
        rows += 1
    assert total is not None
    geometric, mean, fourth = (total / rows if known is None else total).unbind(1)
    return torch.stack((geometric, mean.log(), fourth.log() / 4), 1)


def _windows(
    y: Tensor, window: int, hop: int, known: Tensor | None
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The power of the windows, row by row, (B, C, columns, m, m // 2 + 1), and with `known` their
    shares in a mean, (B, columns)."""
    height, width = (min(window, side) for side in y.shape[-2:])
    hann = torch.outer(_hann(height, y), _hann(width, y))
    hann = hann / hann.square().sum().sqrt()
    weights, shares = hann / hann.sum(), None
    if known is not None:
        hop = max(1, hop // 2)
        shares = _shares(known.to(y), hann.square(), hop)
    for i, row in enumerate(range(0, y.shape[-2] - height + 1, hop)):
        patches = y[..., row : row + height, :].unfold(-1, width, hop).movedim(-2, 2)
        patches = patches - (patches * weights).sum((-2, -1), keepdim=True)
        spectrum = torch.fft.rfft2(patches * hann, s=(window, window))
        power = spectrum.real.square() + spectrum.imag.square()
        yield power, None if shares is None else shares[:, i]


def _weighted(power: Tensor, shares: Tensor) -> Tensor:
    """The sum over windows (the third last axis), each times its share."""
    return (power * shares[..., None, None]).sum(-3)


def _shares(known: Tensor, weights: Tensor, hop: int) -> Tensor:
    """The share of each window in the mean, (B, rows, columns): equal for those without overexposed
    pixels, or for all, if there are too few of these."""
    spoilt = conv2d(1 - known, weights[None, None], stride=hop)[:, 0]
    used = (spoilt <= SPOILT).to(known)
    count = used.sum((1, 2), keepdim=True)
    used = torch.where(count < ENOUGH, 1.0, used)
    return used / used.sum((1, 2), keepdim=True)


def _hann(n: int, like: Tensor) -> Tensor:
    """Hann window of n samples without the zeros at its ends."""
    return torch.hann_window(n + 2, periodic=False, dtype=like.dtype, device=like.device)[1:-1]
