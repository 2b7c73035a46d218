"""D of equations 8 and 9: the image step in closed form for circular blur and decimation."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pnp.checks import (
    check_kernel,
    check_observation,
    check_result,
    check_shapes,
    check_weight,
    compute_dtype,
)
from pnp.fourier import (
    blur_down,
    channel_groups,
    gram,
    joined,
    kernel_spectra,
    mirrored_taps,
    row_spectra,
    rows_of,
    up_blur,
)
from pnp.gradients import transformed
from pnp.interfaces import DataSolver, Image, Kernel, Level
from pnp.registry import solver


@solver("fft-image")
class FftImage(DataSolver):
    """Exact image step D for circular blur and decimation, by FFT.

        z = argmin_z |y - (z * k)|s|^2 + weight |z - x|^2

    Computed in the residual form, which equals equation 8 but never divides by a small weight: with
    A the blur and decimation, z = x + A^T (A A^T + weight)^-1 (y - A x), where A A^T is a
    convolution at the size of y.  Half precision is computed in float32.

    y is (B, C, h, w); x is (B, C, s h, s w) for any whole s >= 1; k is (B or 1, 1, K, K') with its
    centre at K // 2; the weight is a number or (B or 1, 1, 1, 1).  All four receive gradients.
    These are analytic; backward stores one image-sized tensor, independent of s.

    Args:
        kernel_gradients: Whether k receives gradients; false in IKR-Net's public code.

    Returns:
        z, with the shape and dtype of x.

    Raises:
        PnpError: Inputs do not fit together, hold NaN, or the weight is not above zero.

    Source:
        Zhao et al. 2016 (the closed form), Zhang et al. 2020 (as a module of a network).
    """

    cite: ClassVar = ("zhao2016fast", "zhang2020usrnet")

    def __init__(self, kernel_gradients: bool = True):
        super().__init__()
        self.kernel_gradients = kernel_gradients

    def forward(self, y: Image, x: Image, k: Kernel, weight: Level) -> Image:
        """The minimiser z."""
        s = check_shapes(self.registered, y, x, k)
        dtype = compute_dtype(x)
        k = k if self.kernel_gradients else k.detach()
        if transformed(y, x, k, *([weight] if isinstance(weight, Tensor) else [])):
            return self._plain(y.to(dtype), x.to(dtype), k.to(dtype), weight, s).to(x.dtype)
        known = self.cached(self._spectra_of, y, k, s)
        z = _Solve.apply(
            y.to(dtype),
            x.to(dtype),
            k.to(dtype),
            check_weight(self.registered, weight, x.to(dtype)),
            known,
            self.registered,
        )
        return z.to(x.dtype)

    def _plain(self, y: Tensor, x: Tensor, k: Tensor, weight: Tensor | float, s: int) -> Tensor:
        """The formula in operations that torch.func and torch.export transform."""
        R = kernel_spectra(k, s, *y.shape[-2:])
        U = torch.fft.rfft2(y) - blur_down(row_spectra(x, s), R)
        U = U / (gram(R) + check_weight(self.registered, weight, x))
        return x + up_blur(U, R, y.shape[-1])

    @torch.no_grad()
    def _spectra_of(self, y: Tensor, k: Tensor, s: int) -> tuple[Tensor, Tensor, Tensor]:
        """What depends on y and k alone: spectra of y, of the phases of k, and of A A^T."""
        check_observation(self.registered, y)
        check_kernel(self.registered, k)
        R = kernel_spectra(k.to(compute_dtype(k)), s, *y.shape[-2:])
        return torch.fft.rfft2(y.to(compute_dtype(y))), R, gram(R)


class _Solve(torch.autograd.Function):
    """The formula and its derivative.

    With u = (A A^T + weight)^-1 (y - A x) and z = x + A^T u, a gradient g that arrives at z gives,
    by the same solve, v = (A A^T + weight)^-1 A g:  y receives v, x receives e = g - A^T v, the
    weight -<v, u>, and the kernel <dA e, u> - <dA z, v>, a correlation of phases.
    """

    @staticmethod
    def forward(
        ctx: Any,
        y: Tensor,
        x: Tensor,
        k: Tensor,
        weight: Tensor,
        known: tuple[Tensor, Tensor, Tensor],
        name: str,
    ) -> Tensor:
        Y, R, AAt = known
        s, size = R.shape[1], y.shape[-2:]
        inverse = 1 / (AAt + weight)
        z = torch.empty_like(x, memory_format=torch.contiguous_format)
        parts = []
        for c in channel_groups(x):
            U = Y[:, c] - blur_down(row_spectra(x[:, c], s), R)
            check_result(name, U[..., 0, 0])
            U *= inverse
            for p in range(s):
                step = torch.fft.irfft2(R[:, p] * U[:, None], s=size)
                z[:, c, p::s] = x[:, c, p::s] + rows_of(step)
            parts.append(U)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(z, k, weight, joined(parts), R, inverse)
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        z, k, weight, U, R, inverse = ctx.saved_tensors
        s = R.shape[1]
        size = (z.shape[-2] // s, z.shape[-1] // s)
        for_y, for_x, for_k, for_weight, *_ = ctx.needs_input_grad
        G = list(row_spectra(g, s))
        V = blur_down(G, R) * inverse
        v = torch.fft.irfft2(V, s=size) if for_y or for_weight else None
        u = torch.fft.irfft2(U, s=size) if for_weight else None
        e = torch.empty_like(z) if for_x else None
        r = k.new_empty(k.shape[0], s, s, 1, *size) if for_k else None
        U_conj, V_conj = U.conj().resolve_conj()[:, None], V.conj().resolve_conj()[:, None]
        Z = row_spectra(z, s)
        for p in range(s):
            back = R[:, p] * V[:, None]
            if r is not None:
                E = G[p].sub_(back)
                per_channel = E.mul_(U_conj).addcmul_(next(Z), V_conj, value=-1)
                taps = per_channel.sum(2, keepdim=True).sum_to_size(k.shape[0], s, 1, *U.shape[-2:])
                r[:, p] = torch.fft.irfft2(taps, s=size)
            if e is not None:
                e[:, :, p::s] = g[:, :, p::s] - rows_of(torch.fft.irfft2(back, s=size))
        grad_k = None
        if r is not None:
            rows, cols = mirrored_taps(k, s, *size)
            grad_k = r[:, rows % s, cols % s, :, rows // s, cols // s].permute(2, 3, 0, 1)
        grad_weight = (
            None
            if u is None or v is None
            else -(u * v).sum((1, 2, 3), keepdim=True).sum_to_size(weight.shape)
        )
        return v if for_y else None, e, grad_k, grad_weight, None, None
