"""Pk: the nearest kernel in the range of the normalising flow FKP (Liang et al., CVPR 2021)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from pnp.interfaces import Kernel, Prior
from pnp.networks.kernel_flow import SHIFT_CURE, FlowSize, KernelFlow, from_fkp, recognise_fkp
from pnp.options import Count, Positive
from pnp.registry import prior


@prior("flow-kernel")
class FlowKernel(Prior):
    """Kernel prior by a normalising flow (FKP): the nearest of the Gaussian-like kernels that the
    flow generates.

        Pk(w) = flow(u),   u = argmin over |u| = size of |flow(u) - w|^2

    The minimiser is sought by Adam from a direction that `seed` fixes, so the result is the same
    every time.  Liang et al. move the latent against the observation instead, which is the
    transform `flow-kernel`.  Gradients, to w and to the flow's weights, pass through all steps of
    the search.

    The public weights load, and bring their options: FKP_x2 has size 11, width 15 and shift 0.5;
    FKP_x3 15, 20 and 1; FKP_x4 19, 25 and 1.5.

    Args:
        size: Side of the kernels.
        width: Width of the flow's hidden layers.
        shift: Pixels by which kernels are moved down and right; (s - 1)/2 brings the centre of mass
            of FKP's kernels for scale s to size // 2.
        steps: Steps of the search.
        rate: Size of a step.
        seed: Seed of the first latent.

    Returns:
        The kernel (B, 1, size, size), non-negative with sum one.

    Raises:
        PnpError: w is not size x size, or the shift is not below half the size.

    Source:
        Liang et al. (2021).
    """

    cite: ClassVar = ("liang2021fkp",)
    free: ClassVar = ("shift", "steps", "rate", "seed")
    translate = staticmethod(from_fkp)
    recognise = staticmethod(recognise_fkp)

    def __init__(
        self,
        size: FlowSize = 19,
        width: Count = 25,
        shift: float = 0.0,
        steps: Count = 100,
        rate: Positive = 0.3,
        seed: int = 0,
    ):
        super().__init__()
        if abs(shift) >= size / 2:
            self.refuse(f"shift is {shift}, but the kernel has {size} pixels", SHIFT_CURE)
        self.flow = KernelFlow(size, width, shift)
        self.size, self.steps, self.rate, self.seed = size, steps, rate, seed

    def forward(self, w: Kernel) -> Kernel:
        """The nearest kernel of the flow's range."""
        if w.shape[-2:] != (self.size, self.size):
            self.refuse(
                f"w is {w.shape[-2]} x {w.shape[-1]}, but the flow gives {self.size} x {self.size}",
                f"let Dk give that size (size: {self.size})",
            )
        start = self.flow.start(len(w), self.seed)
        return self.flow(
            self.flow.search(start, squared_distance, w, steps=self.steps, rate=self.rate)
        ).to(w.dtype)


def squared_distance(k: Tensor, w: Tensor) -> Tensor:
    """|k - w|^2 over the batch."""
    return (k - w).square().sum()
