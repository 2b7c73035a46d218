"""Dk within the range of a normalising flow of kernels: FKP (Liang et al., CVPR 2021)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from pnp.checks import check_observation, check_shapes
from pnp.fourier import row_spectra
from pnp.interfaces import Image, Kernel, Transform
from pnp.priors.flow_kernel import KernelFlow, check_search, from_fkp
from pnp.registry import transform
from pnp.solvers.support_kernel import Taps

NAME = "flow-kernel"


@transform(NAME)
class FlowKernelSearch(Transform):
    """The kernel of a flow's range that explains the observation best, with the image as it is
    (FKP).

        w = flow(u),   u = argmin over |u| = size of |y - (x * flow(u))|s|^2

    The latent u moves by Adam, `steps` of size `rate`, from the direction drawn from `seed`; within
    one run of a pipeline each call for the same y continues where the last one stopped.  The data term is quadratic
    in the kernel, so its normal matrix is assembled once per call (as in `support-kernel`) and a
    step costs the same for any image and any s.  There is no pull and k is ignored.  `size`, `width` and `shift` are those of `KernelFlow`, whose public
    weights load.  Gradients, to y, x and the flow's weights, go through all steps of a call, not
    through those of earlier calls.

    Arguments: y (B, C, h, w), x (B, C, s h, s w).  Returns w (B, 1, size, size), non-negative with
    sum one.
    """

    cite: ClassVar = ("liang2021fkp",)
    translate = staticmethod(from_fkp)

    def __init__(
        self,
        size: int = 19,
        width: int = 25,
        shift: float = 0.0,
        steps: int = 100,
        rate: float = 0.3,
        seed: int = 0,
    ):
        super().__init__()
        check_search(steps, rate)
        self.flow = KernelFlow(size, width, shift)
        self.size, self.steps, self.rate, self.seed = size, steps, rate, seed

    def forward(self, y: Image, x: Image, k: Kernel | None = None) -> Kernel:
        s = check_shapes(NAME, y, x, y.new_zeros(1, 1, self.size, self.size))
        spectrum = self.cached(_spectrum_of, y)
        X = torch.stack(list(row_spectra(x.double(), s)), 1)
        taps = Taps(y.new_zeros(1, 1, self.size, self.size), s, *y.shape[-2:])
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


def _spectrum_of(y: Tensor) -> Tensor:
    check_observation(NAME, y)
    return torch.fft.rfft2(y.double())


def data_term(k: Tensor, N: Tensor, b: Tensor) -> Tensor:
    """|y - A k|^2 - |y|^2 over the batch, with N = A^T A and b = A^T y."""
    k = k.flatten(1)
    return ((N @ k[..., None]).squeeze(-1) * k - 2 * b * k).sum()
