"""Edges of the blocks of 8 x 8 pixels that JPEG compression leaves."""

from __future__ import annotations

from torch import Tensor

BLOCK = 8
VISIBLE = 1.25
"""Smallest `block_edges` that is worth a word; below for photographs and for JPEG of quality 85."""
SAID = (
    "the image has edges every 8 pixels, as of JPEG, which may be sharpened; "
    "a less compressed file gives a better result"
)
LEAST = 64
"""Shortest side for which it is measured, in pixels."""


def block_edges(y: Tensor) -> float:
    """How much stronger edges are at one of eight columns, and of eight rows, than at the others.

        d_p = mean of |y[j + 1] - y[j]| over the columns j = p mod 8
        e   = max_p d_p / median_p d_p

    Args:
        y: Image (1, C, H, W).
    Returns:
        The geometric mean of e along both axes: about 1 without blocks; 1 for images that are too
        small, or flat.
    """
    grey = y[:1].float().mean(1)[0]
    if min(grey.shape) < LEAST:
        return 1.0
    return float((_excess(grey) * _excess(grey.T)) ** 0.5)


def _excess(grey: Tensor) -> float:
    columns = grey.diff(dim=1).abs().mean(0)
    whole = columns[: len(columns) // BLOCK * BLOCK].view(-1, BLOCK).mean(0)
    return float(whole.max() / whole.median()) if whole.median() > 0 else 1.0
