"""An observation with a frame of unknown pixels around it, for solvers that need a periodic image.

What lies beyond the border of a photograph is unknown.  The image step with the known pixels only,

    z = argmin_z |M (y - A z)|^2 + weight |z - x|^2,   A z = (z * k)|s,   M: y is known

is a closed form for an observation y_e that equals y where y is known, and that makes the misfit
smallest in the frame around it:

    y_e = argmin over the frame of <r, Q r>,   r = y_e - A x,   Q = weight / (A A^T + weight)

since for fixed y_e the minimum over z of |y_e - A z|^2 + weight |z - x|^2 is <r, Q r>.  Q is a
convolution at the size of y, and so is its inverse, which is the preconditioner: an iteration of
conjugate gradients over the pixels of the frame costs two FFTs and their inverses.  The search
starts from y_e = A x in the frame, whatever the kernel was before; on a large image, from searches
in strips along its borders, which are a tenth of its pixels and mostly leave nothing to do.

Where it stops, with the gradient g over the frame, <r, Q r> is at most <g, Q^-1 g> above its
minimum, and what is minimised above grows by weight |z - z*|^2 or more around its minimiser z*:

    |z - z*|^2 <= <g, Q^-1 g> / weight
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional as F

from pnp.checks import LARGEST_VALUE, compute_dtype
from pnp.conjugate_gradients import conjugate_gradients
from pnp.fourier import (
    blur_down,
    channel_groups,
    gram,
    joined,
    kernel_spectra,
    large,
    row_spectra,
)
from pnp.overexposed import at_least

SPARE = 4
"""Pixels of y by which a frame is wider than the kernel reaches."""
NETWORKS = 16
"""Least width of a frame in pixels of x for networks: so far they see the zeros that they pad with.
"""
TOLERANCE = 2 / 255
"""Largest error of z that an unfinished search leaves, its root mean square over all pixels."""
ITERATIONS = 20
"""Largest number of iterations of one search."""
STRIP = 96
"""Pixels of a large y beside its border in which the search begins."""
STRIP_ITERATIONS = 80
"""Largest number of iterations there."""


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


@torch.no_grad()
def completed(
    y: Tensor, x: Tensor, k: Tensor, weight: Tensor, frame: Frame, bright: Tensor | None = None
) -> Tensor:
    """The observation y_e with which the closed form of D is the minimiser over the known pixels.

    Overexposed pixels count as unknown, too, and then as at least what y says.

    Args:
        y: Observation (B, C, h, w).
        x: Image that D is pulled to, s times as large as y with its frame.
        k: Kernel (B or 1, 1, K, L).
        weight: Weight of the pull (B or 1, 1, 1, 1).
        frame: The frame, in pixels of y.
        bright: The overexposed pixels (B, C, h, w), bool.
    """
    size, dtype = frame.size_around(y), compute_dtype(x)
    s, k = x.shape[-2] // size[0], k.to(dtype)
    R = kernel_spectra(k, s, *size)
    Q = weight / (gram(R) + weight)
    unknown = frame.padded(torch.zeros_like(y[0, 0]), 1.0)
    parts = []
    for c in channel_groups(x):
        Ax = torch.fft.irfft2(blur_down(row_spectra(x[:, c].to(dtype), s), R), s=size)
        r = frame.padded(y[:, c].to(dtype) - frame.inside(Ax))
        if bright is not None:
            of_c = unknown + frame.padded(bright[:, c].to(unknown))
            r = r.masked_fill(of_c > 0, 0)
        target = TOLERANCE * (weight * x[:1, c].numel()).sqrt()
        if large(r):
            start = _on_strips(r, k, s, weight, frame, target)
            r += start
            Ax += start
        if bright is None:
            Ax += _search(r, Q, unknown, target, ITERATIONS)
        else:
            Ax += _searches(r, Q, of_c, target)
        known = y[:, c]
        if bright is not None:
            known = at_least(known, bright[:, c], frame.inside(Ax).to(y.dtype))
        parts.append(frame.around(known, Ax.to(y.dtype)))
    return joined(parts)


def _search(r: Tensor, Q: Tensor, unknown: Tensor, target: Tensor, iterations: int) -> Tensor:
    """What to add to the unknown pixels of r (B, C, h, w) to make <r, Q r> smallest; zero at all
    others.  `unknown` is (h, w)."""
    place, size = unknown.flatten().nonzero()[:, 0], r.shape[-2:]

    def spread(u: Tensor) -> Tensor:
        wide = u.new_zeros(*u.shape[:2], size.numel())
        return wide.index_copy_(-1, place, u[:, :, 0]).unflatten(-1, size)

    def filtered(wide: Tensor, inverse: bool = False) -> Tensor:
        """The unknown pixels (B, C, 1, pixels) of Q, or of its inverse, applied to an image."""
        spectrum = torch.fft.rfft2(wide)
        spectrum = spectrum.div_(Q) if inverse else spectrum.mul_(Q)
        wide = torch.fft.irfft2(spectrum, s=size)
        return wide.flatten(-2).index_select(-1, place)[:, :, None]

    step, _, _ = conjugate_gradients(
        lambda u: filtered(spread(u)),
        -filtered(r),
        target,
        iterations,
        lambda u: filtered(spread(u), inverse=True),
    )
    return spread(step)


def _searches(r: Tensor, Q: Tensor, unknown: Tensor, target: Tensor) -> Tensor:
    """What `_search` finds where the unknown pixels (B, C, h, w) of each plane are others."""
    found, target = torch.zeros_like(r), target / math.sqrt(r.shape[1])
    for b, c in itertools.product(range(len(r)), range(r.shape[1])):
        Q_b, target_b = Q[b % len(Q), None], target[b % len(target), None]
        found[b, c] = _search(r[b, None, c, None], Q_b, unknown[b, c], target_b, ITERATIONS)
    return found


def _on_strips(
    r: Tensor, k: Tensor, s: int, weight: Tensor, frame: Frame, target: Tensor
) -> Tensor:
    """A start for the search on a large image: searches on two strips alone, each of which joins
    two opposite borders across the frame.  The whole image costs ten times as much."""
    unknown = frame.padded(torch.zeros_like(frame.inside(r)[:1, :1]), 1.0)
    start = torch.zeros_like(r)
    for dim, before, after in ((-1, frame.left, frame.right), (-2, frame.top, frame.bottom)):
        length = r.shape[dim]
        width = min(next_fast_len(before + after + 2 * STRIP, real=True), length)
        tail = after + min(STRIP, (length - before - after) // 2)
        part = _ends(r, dim, tail, width - tail)
        Q = weight / (gram(kernel_spectra(k, s, *part.shape[-2:])) + weight)
        within = math.sqrt(part[0, 0].numel() / r[0, 0].numel()) * target
        place = _ends(unknown, dim, tail, width - tail)
        found = _search(part, Q, place, within, STRIP_ITERATIONS)
        start.narrow(dim, length - after, after).copy_(found.narrow(dim, tail - after, after))
        start.narrow(dim, 0, before).copy_(found.narrow(dim, tail, before))
    return start


def _ends(image: Tensor, dim: int, tail: int, head: int) -> Tensor:
    """The last `tail` pixels along an axis, then the first `head` ones."""
    return torch.cat((image.narrow(dim, -tail, tail), image.narrow(dim, 0, head)), dim)
