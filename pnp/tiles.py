"""An image in overlapping tiles, for networks that see a limited part of it.

An output pixel of a network depends on the input within a number of pixels around it, the reach
(half of the receptive field).  With an overlap of at least the reach, each tile is exact in its
middle, and the middles together are the result on the whole image: nothing is blended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def tiled(
    run: Callable[[Tensor], Tensor], x: Tensor, side: int, overlap: int, multiple: int
) -> Tensor:
    """`run`, which keeps the shape, on tiles of x; the results are put together.

    Args:
        run: A network, called with tiles of x (views).
        x: Image (B, C, H, W).
        side: Height and width of a tile with its overlap, more than twice the overlap.
        overlap: Pixels that a tile sees beyond what is kept of it.
        multiple: Tiles begin at multiples of this, so that a network that combines blocks of pixels
            combines the same ones in all tiles.
    """
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    for rows, kept_rows in spans(x.shape[-2], side, overlap, multiple):
        for columns, kept_columns in spans(x.shape[-1], side, overlap, multiple):
            part = run(x[..., rows, columns])
            inside = (_shifted(kept_rows, rows), _shifted(kept_columns, columns))
            out[..., kept_rows, kept_columns] = part[..., inside[0], inside[1]]
    return out


def spans(length: int, side: int, overlap: int, multiple: int) -> Iterator[tuple[slice, slice]]:
    """The tiles along an axis: what a tile sees, and what is kept of it."""
    side = max(side // multiple, -(-(2 * overlap + 1) // multiple) + 1) * multiple
    padded = -(-length // multiple) * multiple
    step = (side - 2 * overlap) // multiple * multiple
    count = 1 if padded <= side else 1 + -(-(padded - side) // step)
    starts = [min(i * step, padded - side) if count > 1 else 0 for i in range(count)]
    for i, start in enumerate(starts):
        end = length if i == count - 1 else start + side
        first = start + overlap if i else 0
        last = length if i == count - 1 else starts[i + 1] + overlap
        yield slice(start, end), slice(first, last)


def _shifted(kept: slice, tile: slice) -> slice:
    return slice(kept.start - tile.start, kept.stop - tile.start)
