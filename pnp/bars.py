"""Bars beside a photograph: of a letterbox, a slide, a scan or a screen; they are not blurred."""

from __future__ import annotations

from torch import Tensor

from pnp.frames import Frame
from pnp.quality import scale_of

NONE = Frame(0, 0, 0, 0)
"""No bars."""
CONSTANT = 2 / 255
"""Largest difference within the outermost row of a bar."""
NEAR = 6 / 255
"""Largest mean difference of its other rows from that one; JPEG changes those beside the image."""
JUMP = 12 / 255
"""Smallest mean difference of the first row of the photograph from the bar."""
MIXED = 0.75
"""A row that differs less than this share of the next one is a mixture of bar and photograph, and
less than this share of the second next one is the edge of a blurred scene."""
BETWEEN = 2
"""Largest number of such rows, which resizing and the colours of JPEG make."""
LEAST = 48
"""Smallest side of what is left."""


def bars_of(y: Tensor) -> Frame:
    """The rows above and below, and the columns beside the photograph in an image (1, C, H, W): of
    one colour that ends at once, where a blurred scene would change over several pixels."""
    top, bottom = _bar(y[0]), _bar(y[0].flip(-2))
    if y.shape[-2] - top - bottom < LEAST:
        top = bottom = 0
    columns = y[0, :, top : y.shape[-2] - bottom].mT
    left, right = _bar(columns), _bar(columns.flip(-2))
    if y.shape[-1] - left - right < LEAST:
        left = right = 0
    return Frame(top, bottom, left, right)


def _bar(image: Tensor) -> int:
    """The number of rows at the top of an image (C, H, W) that are a bar."""
    colour = image[:, :1].median(-1, keepdim=True).values
    if float((image[:, :1] - colour).abs().max()) > CONSTANT:
        return 0
    difference = (image - colour).abs().mean((0, 2)).tolist()
    rows = next((i for i, each in enumerate(difference) if each > NEAR), 0)
    later = [*difference[rows:], *difference[-1:] * 4]
    mixed = 0
    while rows and mixed < BETWEEN and later[mixed] < MIXED * later[mixed + 1]:
        mixed += 1
    ends = later[mixed] > max(JUMP, MIXED * later[mixed + 2])
    return rows + mixed if rows and ends else 0


def with_bars(x: Tensor, y: Tensor, whole: Tensor, bars: Frame) -> Tensor:
    """The result x for y, which is the image `whole` without its bars, with the bars enlarged; x as
    it is of a pipeline that gives another size."""
    scale = scale_of(x, y)
    if bars == NONE or scale is None:
        return x
    wide = whole.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
    return bars.times(scale).around(x, wide)


def told(bars: Frame) -> list[str]:
    """What is said of bars."""
    sides = {"above": bars.top, "below": bars.bottom, "left": bars.left, "right": bars.right}
    found = [f"{n} pixels {side}" for side, n in sides.items() if n]
    return [f"no part of the photograph, but bars: {', '.join(found)}"] if found else []
