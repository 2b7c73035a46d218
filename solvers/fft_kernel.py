"""Dk of equations 10 and 11: the kernel step in closed form, for a kernel as large as the image."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from pnp.checks import (
    check_kernel,
    check_observation,
    check_result,
    check_shapes,
    check_support,
)
from pnp.fourier import blur_down, row_spectra, rows_of
from pnp.interfaces import DataSolver, Image, Kernel
from pnp.kernels import resize_kernel
from pnp.options import Count, Positive, Range
from pnp.registry import solver
from pnp.tensors import as_float64


@solver("fft-kernel")
class FftKernel(DataSolver):
    """Exact kernel step Dk over kernels as large as the image, by FFT in float64.

        w = argmin_w |y - (x * w)|s|^2 + gamma H W |w - k|^2

    The minimiser is as large as the image, H x W, its centre at (H // 2, W // 2), and much of its
    mass can lie far from the centre.  `size` crops it afterwards, as the paper does; the cropped
    kernel is no longer a minimiser: `support-kernel` gives that.  Float32 would lose small gammas,
    so all computation is in float64, on
    the CPU if the device has none.

    y is (B, C, h, w); x is (B, C, s h, s w); k is (B or 1, 1, K, K').  With `channel: null` w is
    the exact minimiser over all channels, a C x C system for each frequency.

    Args:
        gamma: Weight of the pull for each pixel of x; the authors use 5 on 256 x 256, 7.6e-5 here.
        size: Side of the cropped kernel, or null for the whole one.
        channel: Colour channel to use, from 0 (the authors use 0), or null for all.
        pull: Kernel that w is pulled to: the last one, k (the paper), or zero (the authors' code).

    Returns:
        w (B, 1, size, size), with the dtype of k.

    Raises:
        PnpError: Inputs do not fit together or hold NaN, or the image has no such channel.

    Source:
        Equations 10 and 11 of Ates et al. 2023; the system over all channels is our own.
    """

    cite: ClassVar = ("ates2023ikrnet",)
    cropped: ClassVar = True

    def __init__(
        self,
        gamma: Positive = 7.6e-5,
        size: Count | None = None,
        channel: Annotated[int, Range(at_least=0)] | None = None,
        pull: Literal["last", "zero"] = "last",
    ):
        super().__init__()
        self.gamma, self.size, self.channel, self.pull = gamma, size, channel, pull

    def forward(self, y: Image, x: Image, k: Kernel) -> Kernel:
        """The minimiser w, cropped if a size is set."""
        s = check_shapes(self.registered, y, x, k)
        check_kernel(self.registered, k)
        H, W = x.shape[-2:]
        check_support(self.registered, self.size, x)
        Y = self.cached(self._spectrum_of, y)
        if self.channel is not None:
            if self.channel >= x.shape[1]:
                self.refuse(
                    f"channel is {self.channel}, but the image has channels 0 to {x.shape[1] - 1}",
                    "choose one of them",
                )
            x, Y = x[:, self.channel : self.channel + 1], Y[:, self.channel : self.channel + 1]
        w = self._minimiser(
            Y,
            as_float64(x),
            as_float64(k) if self.pull == "last" else None,
            self.gamma * H * W,
            s,
            y.shape[-1],
        )
        return (w if self.size is None else resize_kernel(w, self.size)).to(k)

    def _spectrum_of(self, y: Tensor) -> Tensor:
        check_observation(self.registered, y)
        return torch.fft.rfft2(as_float64(y))

    def _minimiser(
        self, Y: Tensor, x: Tensor, k: Tensor | None, weight: float, s: int, width: int
    ) -> Tensor:
        """The minimising kernel as large as x; width is that of y.

        x takes the part that the kernel has in D, mirrored, and the kernel that of the image: A,
        blur and decimation by x, is for each frequency a matrix from the s x s phases of the
        kernel to the C channels of y.
        """
        H, W = x.shape[-2:]
        R = torch.stack(list(row_spectra(x.flip(-2, -1).roll((1, 1), (-2, -1)), s)), 1)
        start = None if k is None else resize_kernel(k, H, W).roll((-(H // 2), -(W // 2)), (-2, -1))
        E = Y if start is None else Y - blur_down(row_spectra(start, s), R)
        check_result(self.registered, R[..., 0, 0])
        A = R.flatten(1, 2).permute(0, 3, 4, 2, 1).conj()  # (B, h, w // 2 + 1, C, s s)
        step = _ridge(A, E.permute(0, 2, 3, 1)[..., None], weight)[..., 0]
        part = step.permute(0, 3, 1, 2).unflatten(1, (s, s))[
            :, :, :, None
        ]  # (B, s, s, 1, h, w // 2 + 1)
        part = torch.fft.irfft2(part, s=(Y.shape[-2], width))
        w = torch.stack([rows_of(rows) for rows in part.unbind(1)], 3).flatten(2, 3)
        return (w if start is None else w + start).roll((H // 2, W // 2), (-2, -1))


def _ridge(A: Tensor, e: Tensor, weight: float) -> Tensor:
    """argmin_d |A d - e|^2 + weight |d|^2 for small matrices, by the smaller of its two systems."""
    rows, columns = A.shape[-2:]
    eye = torch.eye(min(rows, columns), dtype=A.dtype, device=A.device)
    if rows <= columns:
        return A.mH @ _divide(e, A @ A.mH + weight * eye)
    return _divide(A.mH @ e, A.mH @ A + weight * eye)


def _divide(e: Tensor, M: Tensor) -> Tensor:
    return e / M if M.shape[-1] == 1 else torch.linalg.solve(M, e)
