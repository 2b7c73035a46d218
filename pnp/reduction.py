"""Photographs whose blur is wider than the kernel that a pipeline estimates: they are restored at a
smaller size, and enlarged again.

The width of a blur, in pixels of the photograph, is r w(r), where w(r) is that of the kernel which
`spectral-kernel` finds in the photograph reduced by r.  Where the blur is wider than 25 x 25 pixels
at r, w(r) is too small, and r w(r) grows with r; where it fits, it stays nearly the same.  In a
photograph without detail, as of a shallow focus, it grows, too, but without end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from pnp.errors import PnpError
from pnp.verdict import width_from_spectrum

FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
"""By how much a photograph is reduced."""
SAME = 1.15
"""A width is believed if it is less than this many times as large in the next two smaller copies.
"""
LEAST = 4.5
"""A blur is too wide if its width is at least this in copies of a half, a third and a fourth."""
WIDER = 2.0
"""And if it is at least this many times as large in one of the first two as in the photograph."""
WIDEST = 5.0
"""Standard deviation of a kernel for which 25 x 25 pixels are enough."""
SIDE = 64
"""Shortest side of a reduced photograph whose width of blur is believed."""
LARGEST = 16
"""Largest factor that can be asked for."""
SEEN = 2048
"""Side of the part in the middle of a large photograph in which the width is measured."""


def reduction_for(y: Tensor) -> float:
    """The factor r >= 1 by which a photograph (1, C, H, W) should be reduced for its blur to fit
    into a kernel of 25 x 25 pixels; 1 if it fits as it is, or if no width is believed."""
    rows, columns = (_middle(side) for side in y.shape[-2:])
    y = y[..., rows, columns]
    possible = [r for r in FACTORS if min(y.shape[-2:]) / r >= SIDE]
    width = cache(lambda r: r * (width_from_spectrum(Reduction(r).down(y), 1) or 0.0))
    return _smallest(possible, width)


def _middle(side: int) -> slice:
    start = max(0, (side - SEEN) // 2)
    return slice(start, start + min(side, SEEN))


def _smallest(possible: list[float], width: Callable[[float], float]) -> float:
    """The smallest factor at which the blur fits."""
    if 4.0 not in possible or any(width(r) < LEAST for r in (4.0, 3.0, 2.0)):
        return 1.0
    if max(width(2.0), width(3.0)) < WIDER * width(1.0):
        return 1.0
    for r, *further in zip(possible[1:], possible[2:], possible[3:], strict=False):
        if width(r) <= WIDEST * r and max(map(width, further)) < SAME * width(r):
            return r
    return 1.0


@dataclass(frozen=True)
class Reduction:
    """A photograph reduced by `factor`, and its result enlarged again; nothing at all for 1.

    By cubic interpolation, centre on centre, with a filter that is as wide as the new pixels.
    """

    factor: float = 1.0

    def down(self, y: Tensor) -> Tensor:
        """y (B, C, H, W), reduced; its values stay on [0, 1]."""
        if self.factor == 1:
            return y
        size = [max(1, round(side / self.factor)) for side in y.shape[-2:]]
        return F.interpolate(y, size, mode="bicubic", antialias=True).clamp(0, 1)

    def up(self, x: Tensor, y: Tensor) -> Tensor:
        """The restored x, enlarged to the size of the photograph y."""
        return x if self.factor == 1 else F.interpolate(x, y.shape[-2:], mode="bicubic")

    def kernel(self, k: Tensor) -> Tensor:
        """The kernel (B, 1, K, K) in pixels of the photograph: on an odd support, not negative, of
        sum one."""
        if self.factor == 1:
            return k
        half = math.ceil(self.factor * k.shape[-1] / 2)
        place = torch.arange(-half, half + 1) / (self.factor * k.shape[-1] / 2)
        grid = torch.stack(torch.meshgrid(place, place, indexing="xy"), -1)
        grid = grid.expand(len(k), -1, -1, -1)
        wide = F.grid_sample(k.float(), grid, "bicubic", align_corners=False).clamp_min(0)
        return wide / wide.sum((-2, -1), keepdim=True)

    def level(self, sigma: float) -> float:
        """The standard deviation of white noise of level sigma, once it is reduced."""
        if self.factor == 1:
            return sigma
        side = 24 * max(1, round(self.factor))
        reduced = F.interpolate(
            torch.eye(side)[None, None],
            (side, round(side / self.factor)),
            mode="bicubic",
            antialias=True,
        )
        return sigma * float(reduced[..., reduced.shape[-1] // 2].square().sum())

    def told(self) -> list[str]:
        """What is said of it."""
        if self.factor == 1:
            return []
        return [
            f"restored at {100 / self.factor:.0f} % of its size and enlarged again, for a blur "
            "wider than 25 x 25 pixels"
        ]


WHOLE = Reduction()
"""Not reduced."""


def as_reduction(value: float | str, name: str, possible: bool) -> float | Literal["auto"]:
    """ "auto", or a factor of 1 or more, which is `possible` if it is 1.

    Raises:
        PnpError: It is neither, or larger than 1 and not possible; the message starts with `name`.
    """
    if value == "auto":
        return "auto"
    try:
        factor = float(value)
    except (TypeError, ValueError):
        factor = 0.0
    if not 1 <= factor <= LARGEST:
        raise PnpError(f"{name} {value}: give auto, or a factor from 1 to {LARGEST}, such as 2")
    if factor > 1 and not possible:
        raise PnpError(
            f"{name} {value}: only photographs whose kernel is estimated are reduced, at scale 1; "
            f"leave {name} out, or give scale 1 and a pipeline such as ikrnet-small"
        )
    return factor
