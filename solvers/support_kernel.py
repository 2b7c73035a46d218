"""Dk on the kernel's own support: the exact minimiser, which equation 10 and a crop approximate."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from pnp.checks import (
    check_kernel,
    check_observation,
    check_result,
    check_shapes,
    check_support,
)
from pnp.fourier import blur_down, kernel_spectra, row_spectra
from pnp.interfaces import DataSolver, Image, Kernel
from pnp.kernels import resize_kernel
from pnp.normal_equations import Taps
from pnp.options import Count, Positive
from pnp.registry import solver
from pnp.tensors import as_float64


@solver("support-kernel")
class SupportKernel(DataSolver):
    """Exact kernel step Dk on a K x K support with all colour channels, by Cholesky.

        w = argmin_w |y - (x * w)|s|^2 + gamma H W |w - k|^2,   w zero outside K x K

    The K^2 x K^2 entries of the normal matrix are correlations between the s x s phases of x, found
    by FFT.  Computed in float64, on the CPU if the device has none.

    y is (B, C, h, w); x is (B, C, s h, s w); k is (B or 1, 1, K, K').

    Args:
        gamma: Weight of the pull for each pixel of x.
        size: Side K of the support, or null for that of k; k is cropped or padded to it.
        pull: Kernel that w is pulled to: the last one, k, or zero.

    Returns:
        w (B, 1, size, size), with the dtype of k.

    Raises:
        PnpError: Inputs do not fit together or hold NaN, or the normal matrix is singular, which a
            larger gamma avoids.

    Source:
        Our own; the objective is equation 10 with its support made finite.
    """

    cite: ClassVar = ("ates2023ikrnet",)

    def __init__(
        self,
        gamma: Positive = 7.6e-5,
        size: Count | None = None,
        pull: Literal["last", "zero"] = "last",
    ):
        super().__init__()
        self.gamma, self.size, self.pull = gamma, size, pull

    def forward(self, y: Image, x: Image, k: Kernel) -> Kernel:
        """The minimiser w on the support."""
        s = check_shapes(self.registered, y, x, k)
        check_kernel(self.registered, k)
        H, W = x.shape[-2:]
        check_support(self.registered, self.size, x)
        start = as_float64(k)
        start = start if self.size is None else resize_kernel(start, self.size)
        taps = Taps(start, s, *y.shape[-2:])
        R = kernel_spectra(start, s, *y.shape[-2:]) if self.pull == "last" else None
        check_observation(self.registered, y)
        N, b = torch.zeros(2, dtype=start.dtype, device=start.device)
        for of_y, of_x in zip(y.split(1, 1), x.split(1, 1), strict=True):  # to save memory
            E = torch.fft.rfft2(as_float64(of_y))
            X = torch.stack(list(row_spectra(as_float64(of_x), s)), 1)
            check_result(self.registered, X[..., 0, 0])
            if R is not None:
                E = E - blur_down(X.unbind(1), R)
            N, b = N + taps.normal_matrix(X), b + taps.correlate(E, X)
        w = self._solve(N, b, self.gamma * H * W).reshape(-1, 1, *start.shape[-2:])
        return (w + start if self.pull == "last" else w).to(k)

    def _solve(self, N: Tensor, b: Tensor, weight: float) -> Tensor:
        N, b = N.flatten(3, 4).flatten(1, 2), b.flatten(1)
        N = N + weight * torch.eye(N.shape[-1], dtype=N.dtype, device=N.device)
        factor, info = torch.linalg.cholesky_ex(N)
        if bool((info > 0).any()):
            self.refuse(
                f"the normal matrix of image {int(info.nonzero()[0])} of the batch is singular: "
                "x has too little detail for a kernel of this size",
                "take a larger gamma or a smaller size",
            )
        return torch.cholesky_solve(b[..., None], factor)
