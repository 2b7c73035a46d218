"""Pk: projection of a kernel without isolated small taps."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from scipy import ndimage
from torch import Tensor

from pnp.interfaces import Kernel, Level, Prior
from pnp.kernels import projected
from pnp.options import Range
from pnp.registry import prior


@prior("sparse-simplex")
class SparseSimplex(Prior):
    """Removes taps that are weak or separate from the rest, then projects the others onto the
    simplex.

        Pk(w) = argmin_k |k - w|^2   subject to   k >= 0, sum k = 1, k zero where w was removed

    Taps below `threshold` times the peak are removed; with `connected`, only the connected piece
    with the largest sum is kept of the others (pieces touch along edges or corners).  The choice of
    taps has no gradients; their values have.

    Args:
        threshold: Fraction of the peak below which taps are removed.
        connected: Whether only the largest connected piece is kept.

    Returns:
        The projected kernel (B, 1, K, K).

    Source:
        The projection: Duchi et al. (2008).
    """

    cite: ClassVar = ("duchi2008simplex",)

    def __init__(
        self,
        threshold: Annotated[float, Range(at_least=0, below=1)] = 0.05,
        connected: bool = True,
    ):
        super().__init__()
        self.threshold, self.connected = threshold, connected

    def forward(self, k: Kernel, level: Level | None = None) -> Kernel:
        """The projected kernel (B, 1, K, K)."""
        peak = k.detach().amax((-2, -1), keepdim=True)
        keep = (k.detach() > self.threshold * peak) | (peak <= 0)
        if self.connected:
            keep = torch.stack(
                [largest_piece(image, mask) for image, mask in zip(k.detach(), keep, strict=True)]
            )
        return projected(
            torch.where(keep, k, peak - 2)
        )  # taps that are more than 1 below the peak project to zero


def largest_piece(k: Tensor, mask: Tensor) -> Tensor:
    """The connected part of mask (1, K, K) over which the kernel k has the largest sum."""
    pieces, count = ndimage.label(mask[0].cpu().numpy(), structure=[[1] * 3] * 3)
    sums = ndimage.sum_labels(k[0].cpu().numpy(), pieces, range(1, count + 1))
    return torch.from_numpy(pieces == 1 + sums.argmax())[None].to(mask.device)
