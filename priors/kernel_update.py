"""Pk: a U-net that corrects the last kernel with what the kernel solver found."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from pnp.checks import check_channels, check_form
from pnp.interfaces import Kernel
from pnp.kernels import gaussian_of, mirror_kernel, resize_kernel
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
    A k that is right already stays: one that would change by less than `least`, and one that is
    nearly a Gaussian.  A Gaussian has no phase, so the power spectrum, from which the first k is,
    determines it.

    Args:
        nc: Features of the four scales, finest first.
        nb: Residual blocks on each scale of either side, and at the bottom.
        least: Least change of a kernel, as the sum of |Pk(w, k) - k| over its taps.
        gaussian: Least distance of k from the Gaussian with its mean and covariance, as such a sum.

    Returns:
        A kernel of the size of w.

    Source:
        pnp's own; the U-net is that of Zhang, Van Gool, Timofte (2020).
    """

    free: ClassVar = ("least", "gaussian")

    def __init__(
        self,
        nc: FourScales = (16, 32, 48, 64),
        nb: Count = 1,
        least: Fraction = 0.0,
        gaussian: Fraction = 0.0,
    ):
        super().__init__(4, 1, nc, nb, bias=True)
        self.least, self.gaussian = least, gaussian
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
        last = _onto_sum_one(w if k is None else resize_kernel(k.to(dtype), rows, columns))
        log = last.log()
        maps = torch.cat([GAIN * last, GAIN * mirror_kernel(last), GAIN * w, log - log.mean()], 1)
        with torch.autocast(w.device.type, enabled=False):
            change = self.body(pad(maps, (0, -columns % 8, 0, -rows % 8)))[..., :rows, :columns]
            taps = (log + change).flatten(1).softmax(1).reshape_as(w)
        if k is not None and k.shape == w.shape:
            last = k.to(dtype)  # without the smallest taps raised
        stays = _distance(taps, last) < self.least
        if self.gaussian:
            stays = stays | (_distance(last, gaussian_of(last)) < self.gaussian)
        return torch.where(stays, last, taps)


def _distance(k: Tensor, other: Tensor) -> Tensor:
    """The sum of the absolute differences of the taps, (B, 1, 1, 1)."""
    return (k - other).abs().sum((1, 2, 3), keepdim=True)


def _onto_sum_one(k: Tensor) -> Tensor:
    """With positive taps, and with sum one."""
    k = k.clamp(min=LEAST)
    return k / k.sum((-2, -1), keepdim=True)
