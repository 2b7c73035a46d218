"""An observation with a frame of unknown pixels around it, for solvers that need a periodic image.

What lies beyond the border of a photograph is unknown.  The image step with the known pixels only,

    z = argmin_z |M (y - A z)|^2 + weight |z - x|^2,   A z = (z * k)|s,   M: y is known

is a closed form for an observation y_e that equals y where y is known, and that makes the misfit
smallest in the frame around it:

    y_e = argmin over the frame of <r, Q r>,   r = y_e - A x,   Q = weight / (A A^T + weight)

since for fixed y_e the minimum over z of |y_e - A z|^2 + weight |z - x|^2 is <r, Q r>.  Q is a
convolution at the size of y, and so is its inverse, which is the preconditioner: an iteration of
conjugate gradients over the pixels of the frame costs two FFTs and their inverses.  The search
starts from y_e = A x in the frame, whatever the kernel was before.

Where it stops, with the gradient g over the frame, <r, Q r> is at most <g, Q^-1 g> above its
minimum, and what is minimised above grows by weight |z - z*|^2 or more around its minimiser z*:

    |z - z*|^2 <= <g, Q^-1 g> / weight
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional as F

from pnp.checks import LARGEST_VALUE, compute_dtype
from pnp.conjugate_gradients import conjugate_gradients
from pnp.fourier import blur_down, channel_groups, gram, joined, kernel_spectra, row_spectra

SPARE = 4
"""Pixels of y by which a frame is wider than the kernel reaches."""
NETWORKS = 16
"""Least width of a frame in pixels of x for networks: so far they see the zeros that they pad with.
"""
TOLERANCE = 2 / 255
"""Largest error of z that an unfinished search leaves, its root mean square over all pixels."""
ITERATIONS = 20
"""Largest number of iterations of one search."""


@dataclass(frozen=True)
class Frame:
    """Pixels added above, below, left and right of an image."""

    top: int
    bottom: int
    left: int
    right: int

    def times(self, ratio: float) -> Frame:
        """The frame of an image that is `ratio` times as large."""
        return Frame(*(round(ratio * n) for n in (self.top, self.bottom, self.left, self.right)))

    def size_around(self, image: Tensor) -> tuple[int, int]:
        """Height and width of an image with the frame."""
        height, width = image.shape[-2:]
        return self.top + height + self.bottom, self.left + width + self.right

    def inside(self, wide: Tensor) -> Tensor:
        """The image without the frame, a view."""
        height, width = wide.shape[-2:]
        return wide[..., self.top : height - self.bottom, self.left : width - self.right]

    def around(self, image: Tensor, wide: Tensor) -> Tensor:
        """The image with the frame of `wide`, whose values are limited to those of images."""
        wide = wide.clamp(-LARGEST_VALUE, LARGEST_VALUE)
        self.inside(wide).copy_(image)
        return wide

    def padded(self, image: Tensor, value: float = 0.0) -> Tensor:
        """The image with a frame of one value."""
        return F.pad(image, (self.left, self.right, self.top, self.bottom), value=value)

    def bridged(self, image: Tensor) -> Tensor:
        """The image with a frame that leads linearly from each border to the opposite one."""
        for dim, before, after in ((-2, self.top, self.bottom), (-1, self.left, self.right)):
            first, last = image.narrow(dim, 0, 1), image.narrow(dim, image.shape[dim] - 1, 1)
            share = torch.arange(1, before + after + 1).to(image) / (before + after + 1)
            bridge = last + (share[:, None] if dim == -2 else share) * (first - last)
            parts = (bridge.narrow(dim, after, before), image, bridge.narrow(dim, 0, after))
            image = torch.cat(parts, dim)
        return image


def frame_of(y: Tensor, k: Tensor, s: int, least: int = 0) -> Frame:
    """The frame of an observation, in pixels of y: wider than the kernel reaches, at least `least`
    pixels of x, and up to a size with a fast FFT."""
    sides = []
    for length, taps in zip(y.shape[-2:], k.shape[-2:], strict=True):
        before = max(math.ceil((taps // 2) / s) + SPARE, math.ceil(least / s))
        sides += [before, next_fast_len(length + 2 * before, real=True) - length - before]
    return Frame(*sides)


def completed(y: Tensor, x: Tensor, k: Tensor, weight: Tensor, frame: Frame) -> Tensor:
    """The observation y_e with which the closed form of D is the minimiser over the known pixels.

    Args:
        y: Observation (B, C, h, w).
        x: Image that D is pulled to, s times as large as y with its frame.
        k: Kernel (B or 1, 1, K, L).
        weight: Weight of the pull (B or 1, 1, 1, 1).
        frame: The frame, in pixels of y.
    """
    return joined([_completed(y[:, c], x[:, c], k, weight, frame) for c in channel_groups(x)])


@torch.no_grad()
def _completed(y: Tensor, x: Tensor, k: Tensor, weight: Tensor, frame: Frame) -> Tensor:
    dtype = compute_dtype(x)
    size = frame.size_around(y)
    s = x.shape[-2] // size[0]
    R = kernel_spectra(k.to(dtype), s, *size)
    Q = weight / (gram(R) + weight)
    Ax = torch.fft.irfft2(blur_down(row_spectra(x.to(dtype), s), R), s=size)
    place = frame.padded(torch.zeros_like(y[0, 0]), 1.0).flatten().nonzero()[:, 0]

    def spread(u: Tensor) -> Tensor:
        wide = u.new_zeros(*u.shape[:2], size[0] * size[1])
        return wide.index_copy_(-1, place, u[:, :, 0]).unflatten(-1, size)

    def filtered(wide: Tensor, inverse: bool = False) -> Tensor:
        """The frame of Q, or of its inverse, applied to an image."""
        spectrum = torch.fft.rfft2(wide)
        spectrum = spectrum.div_(Q) if inverse else spectrum.mul_(Q)
        wide = torch.fft.irfft2(spectrum, s=size)
        return wide.flatten(-2).index_select(-1, place)[:, :, None]

    right = -filtered(frame.padded(y.to(dtype) - frame.inside(Ax)))  # of frames, (B, C, 1, pixels)
    target = TOLERANCE * (weight * x[:1].numel()).sqrt()
    step, _, _ = conjugate_gradients(
        lambda u: filtered(spread(u)),
        right,
        target,
        ITERATIONS,
        lambda u: filtered(spread(u), inverse=True),
    )
    return frame.around(y, Ax.add_(spread(step)).to(y.dtype))
