"""Noise whose neighbouring pixels are alike, as a Bayer sensor, resizing and film make it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from pnp.kernels import gaussian_kernels
from pnp.observation import blur

SIDE = 9
"""Taps of the Gaussian that makes noise smooth, whose standard deviation is at most 1 pixel."""
LEFT = (0.5625, 0.625, 0.5625)
"""What interpolation leaves of the variance in red, green and blue: (1, 1/2, 1/2, 1/4) and
(1, 1, 1/4, 1/4) on average over the four places of a Bayer pattern."""


def demosaicked(samples: Tensor) -> Tensor:
    """White noise of a sensor with a Bayer pattern (RGGB), interpolated bilinearly.

    (B, 3, H, W) to the same; pixel (i, j) of the sensor has the sample of its own colour.  The mean
    square of white noise of level 1 becomes LEFT.  Periodic, so H and W should be even.
    """
    measured = torch.zeros_like(samples)
    for colour, i, j in ((0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 1, 1)):
        measured[:, colour, i::2, j::2] = samples[:, colour, i::2, j::2]
    corners = samples.new_tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    cross = samples.new_tensor([[0.0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    weights = torch.stack([corners, cross, corners])[:, None]
    around = torch.nn.functional.pad(measured, (1, 1, 1, 1), mode="circular")
    return conv2d(around, weights, groups=3)


def smoothed(noise: Tensor, std: Tensor) -> Tensor:
    """White noise (B, C, H, W) blurred by Gaussians of std (B,) in pixels, its level kept."""
    k = gaussian_kernels(SIDE, std, std)
    return blur(noise, k / k.square().sum((-2, -1), keepdim=True).sqrt())


def smooth_noise(noise: Tensor, sensor: Tensor, std: Tensor) -> Tensor:
    """Noise of level 1 of a Bayer sensor, where `sensor` (B,) is true, otherwise smoothed by `std`.

    noise: white (B, C, H, W); only colour can come from a sensor.
    """
    result = smoothed(noise, std)
    if noise.shape[1] != 3:
        return result
    level = sum(LEFT) / 3
    return torch.where(sensor[:, None, None, None], demosaicked(noise) / level**0.5, result)
