"""Photographs whose blur is wider than the kernel that a pipeline estimates: they are restored at a
smaller size, and enlarged again.

The estimator `blur-width` measures how wide the blur is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from pnp.checkpoints import load_weights
from pnp.errors import PnpError
from pnp.interfaces import Module
from pnp.kernels import resize_kernel
from pnp.registry import estimator

FACTORS = (2.0, 3.0, 4.0, 6.0, 8.0)
"""By how much a photograph may be reduced."""
TOO_WIDE = 3.5
"""A blur is too wide if the tenth percentile of what its width may be is at least this many
pixels."""
FITS = 3.75
"""Then the geometric mean of that percentile and the median is at most this many pixels in the
reduced copy."""
SIDE = 256
"""Shortest side of a photograph in which the width is measured."""
SMALLEST = 64
"""Shortest side of a reduced copy."""
LARGEST = 16
"""Largest factor that can be asked for."""
SEEN = 2048
"""Side of the part in the middle of a large photograph in which the width is measured."""


def reduction_for(y: Tensor) -> float:
    """The factor r >= 1 by which a photograph (1, C, H, W) should be reduced for its blur to fit
    into a kernel of 25 x 25 pixels; 1 if it fits as it is, or perhaps does."""
    rows, columns = (_middle(side) for side in y.shape[-2:])
    y = y[..., rows, columns]
    if min(y.shape[-2:]) < SIDE:
        return 1.0
    least, width = blur_width(y)
    if not least >= TOO_WIDE:
        return 1.0
    possible = [r for r in FACTORS if min(y.shape[-2:]) / r >= SMALLEST]
    return next((r for r in possible if math.sqrt(least * width) <= FITS * r), possible[-1])


def _middle(side: int) -> slice:
    start = max(0, (side - SEEN) // 2)
    return slice(start, start + min(side, SEEN))


def blur_width(y: Tensor) -> tuple[float, float]:
    """Standard deviation of the blur of y (1, C, H, W) along its longer axis, in pixels: the tenth
    percentile and the median of what it may be."""
    with torch.inference_mode():
        least, width = _estimator()(y.float())
    return float(least), float(width)


@lru_cache(maxsize=1)
def _estimator() -> Module:
    module = estimator.get("blur-width")()
    load_weights(module, "blur-width")
    return module.eval()


@dataclass(frozen=True)
class Reduction:
    """A photograph reduced by `factor`, and its result enlarged again; nothing at all for 1.

    By cubic interpolation, centre on centre, with a filter that is as wide as the new pixels.
    """

    factor: float = 1.0
    measured: bool = False
    """True if the factor was chosen because of the width of the blur."""

    def _size(self, y: Tensor) -> list[int]:
        return [max(1, round(side / self.factor)) for side in y.shape[-2:]]

    def down(self, y: Tensor) -> Tensor:
        """y (B, C, H, W), reduced; its values stay on [0, 1]."""
        if self.factor == 1:
            return y
        return F.interpolate(y, self._size(y), mode="bicubic", antialias=True).clamp(0, 1)

    def up(self, x: Tensor, y: Tensor) -> Tensor:
        """The restored x, enlarged to the size of the photograph y, or by `factor` if x is not as
        large as the copy of y; limited to [0, 1] before, lest lamps have dark rings."""
        if self.factor == 1:
            return x
        same = list(x.shape[-2:]) == self._size(y)
        size = y.shape[-2:] if same else [round(self.factor * side) for side in x.shape[-2:]]
        return F.interpolate(x.clamp(0, 1), list(size), mode="bicubic")

    def kernel(self, k: Tensor) -> Tensor:
        """The kernel (B, 1, K, L) in pixels of the photograph: on an odd, square support, not
        negative, of sum one."""
        if self.factor == 1:
            return k
        k = resize_kernel(k.float(), max(k.shape[-2:]) | 1)
        reach = self.factor * k.shape[-1] / 2
        place = torch.arange(-math.ceil(reach), math.ceil(reach) + 1) / reach
        grid = torch.stack(torch.meshgrid(place, place, indexing="xy"), -1)
        grid = grid.expand(len(k), -1, -1, -1)
        wide = F.grid_sample(k, grid, "bicubic", align_corners=False).clamp_min(0)
        return wide / wide.sum((-2, -1), keepdim=True)

    def level(self, sigma: float) -> float:
        """The standard deviation of white noise of level sigma, once it is reduced."""
        if self.factor == 1:
            return sigma
        side = 24 * max(1, round(self.factor))
        size = (side, round(side / self.factor))
        reduced = F.interpolate(torch.eye(side)[None, None], size, mode="bicubic", antialias=True)
        return sigma * float(reduced[..., reduced.shape[-1] // 2].square().sum())

    def told(self) -> list[str]:
        """What is said of it."""
        if self.factor == 1:
            return []
        why = ", because its blur is too wide for 25 x 25 pixels" if self.measured else ""
        size = f"restored at {100 / self.factor:.0f} % of its size and enlarged again{why}"
        return [f"{size}; noise and verdict are those of the smaller copy"]


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
            f"{name} {value}: only photographs whose kernel is estimated are reduced, at scale 1, "
            f"with an unknown boundary and without a mask; leave {name} out, or give scale 1 and a "
            "pipeline such as ikrnet-small"
        )
    return factor
