"""Overexposed pixels: the scene was at least as bright as the largest value of a file.

Blur spreads the light of a lamp or of the sky before a camera cuts it off, so y = (x * k)|s + n
does not hold where y is white: there, (x * k)|s is at least y.  A restoration that takes white for
the true value rings around every lamp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pnp.compression import jpeg_error
from pnp.interfaces import Module

WHITE, LOSSY_WHITE = 0.99, 0.95
"""Values from here on are overexposed, in files without losses and in JPEG and the like, which
change white near an edge."""
BRIGHTEST = 8.0
"""Largest value that an overexposed pixel may have."""
KNOWN = 1.2
"""Largest value that networks get, which were trained on values from 0 to 1."""
LAMPS = 0.05
"""Largest share of overexposed values that are lamps, whose light shows the kernel.  More are skies
or a long exposure, hardly brighter than white, and a brighter x explains them with any kernel."""


_white: ContextVar[float | None] = ContextVar("pnp_white", default=None)


@contextmanager
def photograph(white: float | None = WHITE) -> Iterator[None]:
    """The span in which the observation is a photograph, whose values from `white` on are the limit
    of its file; None if it is none."""
    token = _white.set(white)
    try:
        yield
    finally:
        _white.reset(token)


def white_of(y: Tensor, lossy: str, boundary: str) -> float | None:
    """For `photograph`: where white begins in y (1, C, h, w), from a file of the format `lossy` or
    "".  None if nothing is white, or what lies beyond the border is known, as in a simulation."""
    if boundary != "unknown" or y.is_complex() or not bool((y >= WHITE).any()):
        return None
    return LOSSY_WHITE if lossy or jpeg_error(y[0].cpu().numpy()) else WHITE


def overexposed(y: Tensor | None) -> Tensor | None:
    """The pixels of a photograph (B, C, h, w) of which only a least value is known, bool; None if
    there are none, and outside of `photograph`."""
    white = _white.get()
    if y is None or white is None or y.is_complex() or min(y.shape[-2:]) < 2:
        return None
    bright = _areas(y >= white)
    return bright if bool(bright.any()) else None


def _areas(white: Tensor) -> Tensor:
    """The white pixels in a white square of 2 x 2, or next to one; single ones are noise."""
    squares = 1 - F.max_pool2d(1 - white.float(), 2, 1)
    return white & (F.max_pool2d(F.pad(squares, (2, 2, 2, 2)), 4, 1) > 0)


def known_pixels(y: Tensor) -> Tensor | None:
    """One where no channel of a photograph y (B, C, h, w) is overexposed, zero elsewhere, (B, 1, h,
    w); None where y is no photograph, all is known, or one of the images is white."""
    bright = overexposed(y)
    if bright is None:
        return None
    known = ~bright.any(1, keepdim=True)
    return known.to(y.dtype) if bool(known.flatten(1).any(1).all()) else None


def at_least(y: Tensor, bright: Tensor, Ax: Tensor) -> Tensor:
    """y, but where it is overexposed the larger one of y and (x * k)|s: no misfit above white."""
    return torch.where(bright, torch.maximum(y, Ax.clamp(max=BRIGHTEST)), y)


def as_bright(x: Tensor, bright: Tensor) -> Tensor:
    """x as the step Dk should see it: with its lamps, or up to white, if more is overexposed."""
    return x if float(bright.double().mean()) <= LAMPS else x.clamp(max=1)


def near(bright: Tensor, k: Tensor, s: int) -> Tensor:
    """The pixels of y within the reach of the kernel of overexposed ones, in any channel: the light
    that made these bright is in them, too.  (B, 1, h, w), bool."""
    rows, columns = (-(-(taps // 2) // s) for taps in k.shape[-2:])
    any_channel = bright.any(1, keepdim=True).float()
    window = (2 * rows + 1, 2 * columns + 1)
    return F.max_pool2d(any_channel, window, 1, (rows, columns)) > 0


def past_networks(call: Callable[[Module, list[Any]], Any]) -> Callable[[Module, list[Any]], Any]:
    """Calls a network with values up to KNOWN, and adds what is above to its result."""

    def limited(module: Module, inputs: list[Any]) -> Any:
        z, *rest = inputs
        known = z.clamp(max=KNOWN)
        return call(module, [known, *rest]) + (z - known)

    return limited
