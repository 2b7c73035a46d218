"""Pk: a U-net that corrects the last kernel with what the kernel solver found."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from pnp.checks import check_channels, check_form
from pnp.interfaces import Kernel
from pnp.kernels import mirror_kernel, resize_kernel
from pnp.options import Count, Fraction
from pnp.registry import prior

from .resunet import FourScales, UNet

LEAST = 1e-6
"""Smaller taps are raised to this before their logarithm."""
GAIN = 40.0
"""Factor that brings taps (of order 0.01) to the range that layers are initialised for."""


@prior("kernel-update")
class KernelUpdate(UNet):
    """The last kernel k, corrected by a network that also sees the solution w of Dk.

        Pk(w, k) = softmax(log k + net(k, k turned by 180 degrees, w, log k))

    The softmax makes the taps non-negative and their sum one.  The mirror image lets the network
    weigh the two kernels of one power spectrum against each other.  Before training the network
    gives 0, so that Pk(w, k) = k.  A k of another size than w is cropped or padded to that of w.
    A k that would change by less than `least` is right already, and stays.

    Args:
        nc: Features of the four scales, finest first.
        nb: Residual blocks on each scale of either side, and at the bottom.
        least: Least change of a kernel, as the sum of |Pk(w, k) - k| over its taps.

    Returns:
        A kernel of the size of w.

    Source:
        pnp's own; the U-net is that of Zhang, Van Gool, Timofte (2020).
    """

    free: ClassVar = ("least",)

    def __init__(self, nc: FourScales = (16, 32, 48, 64), nb: Count = 1, least: Fraction = 0.0):
        super().__init__(4, 1, nc, nb, bias=True)
        self.least = least
        nn.init.zeros_(self.m_tail.weight)
        if self.m_tail.bias is not None:
            nn.init.zeros_(self.m_tail.bias)

    def forward(self, w: Kernel, k: Kernel | None = None) -> Kernel:
        """The corrected kernel; without k, w without negative taps is in its place."""
        check_form(self.registered, "w", w)
        check_channels(self.registered, "w", w, 1)
        dtype = self.m_tail.weight.dtype
        w = w.to(dtype)
        rows, columns = w.shape[-2:]
        k = _onto_sum_one(w if k is None else resize_kernel(k.to(dtype), rows, columns))
        log = k.log()
        maps = torch.cat([GAIN * k, GAIN * mirror_kernel(k), GAIN * w, log - log.mean()], 1)
        with torch.autocast(w.device.type, enabled=False):
            change = self.body(pad(maps, (0, -columns % 8, 0, -rows % 8)))[..., :rows, :columns]
            taps = (log + change).flatten(1).softmax(1).reshape_as(w)
        changed = (taps - k).abs().sum((1, 2, 3), keepdim=True)
        return torch.where(changed < self.least, k, taps)


def _onto_sum_one(k: Tensor) -> Tensor:
    """With positive taps, and with sum one."""
    k = k.clamp(min=LEAST)
    return k / k.sum((-2, -1), keepdim=True)
