"""Dk within the range of a normalising flow of kernels: FKP (Liang et al., CVPR 2021)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from pnp.checks import check_observation, check_shapes
from pnp.fourier import row_spectra
from pnp.interfaces import Image, Kernel, Transform
from pnp.networks.kernel_flow import SHIFT_CURE, FlowSize, KernelFlow, from_fkp, recognise_fkp
from pnp.normal_equations import Taps
from pnp.options import Count, Positive, Seed
from pnp.registry import transform
from pnp.tensors import as_float64


@transform("flow-kernel")
class FlowKernelSearch(Transform):
    """The kernel of a flow's range that explains the observation best, for the current image
    (FKP).

        w = flow(u),   u = argmin over |u| = size of |y - (x * flow(u))|s|^2

    The latent u moves by Adam from a direction that `seed` fixes; within one run of a pipeline each
    call continues where the last one stopped.  The data term is quadratic in the kernel, so its
    normal matrix is computed once per call (as in `support-kernel`), and the cost of a step does
    not depend on the size of the image or on s.  There is no pull, and k is ignored.  Gradients, to
    y, x and the flow's weights, pass through all steps of a call, not through those of earlier
    calls.

    y is (B, C, h, w) and x is (B, C, s h, s w).  The public weights load, and bring their options:
    FKP_x2 has size 11, width 15 and shift 0.5; FKP_x3 15, 20 and 1; FKP_x4 19, 25 and 1.5.

    Args:
        size: Side of the kernels.
        width: Width of the flow's hidden layers.
        shift: Pixels by which kernels are moved down and right; (s - 1)/2 brings the centre of mass
            of FKP's kernels for scale s to size // 2.
        steps: Steps of one call.
        rate: Size of a step.
        seed: Seed of the first latent.

    Returns:
        w (B, 1, size, size), non-negative with sum one.

    Raises:
        PnpError: Inputs do not fit together, or the shift is not below half the size.

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
        seed: Seed = 0,
    ):
        super().__init__()
        if abs(shift) >= size / 2:
            self.refuse(f"shift is {shift}, but the kernel has {size} pixels", SHIFT_CURE)
        self.flow = KernelFlow(size, width, shift)
        self.size, self.steps, self.rate, self.seed = size, steps, rate, seed

    def forward(self, y: Image, x: Image, k: Kernel | None = None) -> Kernel:
        """The best kernel after so many steps."""
        s = check_shapes(self.registered, y, x, y.new_zeros(1, 1, self.size, self.size))
        spectrum = self.cached(self._spectrum_of, y)
        X = torch.stack(list(row_spectra(as_float64(x), s)), 1)
        taps = Taps(X.real.new_zeros(1, 1, self.size, self.size), s, *y.shape[-2:])
        N, b = (
            taps.normal_matrix(X).flatten(3, 4).flatten(1, 2),
            taps.correlate(spectrum, X).flatten(1),
        )
        state = self.run_state()
        if state.get("observation") is not y:
            state.update(observation=y, latent=self.flow.start(len(y), self.seed))
        found = self.flow.search(state["latent"], data_term, N, b, steps=self.steps, rate=self.rate)
        state["latent"] = found.detach()
        return self.flow(found).to(y.dtype)

    def _spectrum_of(self, y: Tensor) -> Tensor:
        check_observation(self.registered, y)
        return torch.fft.rfft2(as_float64(y))


def data_term(k: Tensor, N: Tensor, b: Tensor) -> Tensor:
    """|y - A k|^2 - |y|^2 over the batch, with N = A^T A and b = A^T y."""
    k = k.flatten(1)
    return ((N @ k[..., None]).squeeze(-1) * k - 2 * b * k).sum()
