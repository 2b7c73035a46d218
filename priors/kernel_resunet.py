"""Pk: the residual U-net that cleans kernels (equation 5, section 3.3), and its final
projection.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pnp.interfaces import Kernel
from pnp.kernels import projected
from pnp.options import Count, Positive
from pnp.registry import prior

from .resunet import FourScales, UNet
from .unit_sum import onto_sum_one


@prior("kernel-resunet")
class KernelResUNet(UNet):
    """ResUNet for kernels of any size: one channel, no level, biases (but in the first layer), and
    a projection.

        Pk(w) = projected(net(gain w) / gain)

    The last step is a projection with gradients.  `sum`, the authors' one, adds the same amount to
    every tap so that they sum to one; taps may be negative.  `simplex` gives the nearest kernel
    that sums to one and has no negative tap.  `none` leaves the network's output, whose sum is
    close to one only after training.  The network has 16,863 parameters with the default
    `nc` and `nb`, as in the authors' code.

    Args:
        nc: Features of the four scales, finest first.
        nb: Residual blocks on each scale of either side, and at the bottom.
        constraint: The projection.
        gain: Factor that brings taps (of order 0.01) to the range that layers are initialised for;
            1 in the authors' code.

    Returns:
        A kernel of the size of w.

    Source:
        Ates et al. 2023, section 3.3.
    """

    cite: ClassVar = ("ates2023ikrnet", "zhang2020usrnet")

    def __init__(
        self,
        nc: FourScales = (2, 4, 8, 16),
        nb: Count = 2,
        constraint: Literal["none", "sum", "simplex"] = "sum",
        gain: Positive = 1.0,
    ):
        super().__init__(1, 1, nc, nb, bias=True)
        self.constraint, self.gain = constraint, gain

    def forward(self, w: Kernel) -> Kernel:
        """The cleaned kernel, as large as w."""
        return CONSTRAINTS[self.constraint](self.restore(w * self.gain) / self.gain)


CONSTRAINTS = {"none": lambda k: k, "sum": onto_sum_one, "simplex": projected}
