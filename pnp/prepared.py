"""What a pipeline gets of a photograph: no bars, and a smaller copy if its blur is wide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from torch import Tensor

from pnp.bars import NONE, bars_of, told, with_bars
from pnp.block_edges import SAID, VISIBLE, block_edges
from pnp.frames import Frame
from pnp.image_forms import ImageFile
from pnp.kspace import KSpace
from pnp.overexposed import photograph, white_of
from pnp.quality import Alignment, aligned
from pnp.reduction import WHOLE, Reduction, reduction_for


@dataclass(frozen=True)
class Prepared:
    """An observation for a pipeline, and the way back from its result."""

    whole: Tensor
    """The image as it was read, (1, C, H, W)."""
    bars: Frame = NONE
    white: float | None = None
    """From which value on pixels may be overexposed; None if none are."""
    lossy: str = ""
    """The lossy format of its pixels, such as WEBP, or ""."""
    reduction: Reduction = WHOLE

    @cached_property
    def y(self) -> Tensor:
        """The photograph without its bars."""
        return self.bars.inside(self.whole)

    @cached_property
    def small(self) -> Tensor:
        """The observation for the pipeline, reduced."""
        return self.reduction.down(self.y)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of `small`."""
        return self.small.shape[-2], self.small.shape[-1]

    def finished(self, x: Tensor, align: Alignment) -> Tensor:
        """The result x for y, aligned, with the bars."""
        return with_bars(aligned(x, self.y, align), self.y, self.whole, self.bars)

    def notes(self) -> list[str]:
        """What is said of it."""
        return told(self.bars) + self.reduction.told()

    def warnings(self) -> list[str]:
        """What may spoil the result."""
        return [SAID] if block_edges(self.y) > VISIBLE else []


def prepared(
    file: ImageFile | KSpace, boundary: str, masked: bool, reduce: float | Literal["auto"]
) -> Prepared:
    """What a pipeline gets of a file.

    Args:
        file: The observation.
        boundary: "unknown" for a photograph; all else is left as it is.
        masked: The pipeline gets a mask of the size of the image, so bars stay.
        reduce: The factor, or "auto".
    """
    whole = file.visible()
    if boundary != "unknown" or isinstance(file, KSpace):
        return Prepared(whole, lossy=file.lossy)
    bars = NONE if masked else bars_of(whole)
    y = bars.inside(whole)
    white = white_of(y, file.lossy, boundary)
    with photograph(white):
        factor = reduction_for(y) if reduce == "auto" else reduce
    reduction = Reduction(factor, measured=reduce == "auto")
    return Prepared(whole, bars, white, file.lossy if factor == 1 else "", reduction)
