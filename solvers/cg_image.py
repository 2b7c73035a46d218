"""D by conjugate gradients: what FFT cannot invert in closed form, other boundaries and a mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pnp.checks import (
    check_kernel,
    check_mask,
    check_observation,
    check_result,
    check_shapes,
    check_weight,
    compute_dtype,
)
from pnp.interfaces import DataSolver, Image, Kernel, Level
from pnp.options import Count, Range
from pnp.registry import solver

from .fourier import blur_down, kernel_spectra, row_spectra, up_blur


@solver("cg-image")
class CgImage(DataSolver):
    """Image step D for any boundary and with a mask (inpainting), by conjugate gradients from x.

        z = argmin_z |mask (y - (z * k)|s)|^2 + weight |z - x|^2

    What lies beyond the border of z is z repeated ("circular"), its outermost pixel ("replicate")
    or its mirror image ("reflect", the outermost pixel not doubled).  Each image of a batch stops
    by itself when the residual of its normal equations is below `tolerance` times their right-hand
    side, or after `iterations`; `report()` gives the worst "residual" and the number of
    "iterations" of the last call.  Small weights need many iterations.

    Options: boundary, tolerance, iterations. Arguments: y (B, C, h, w), x (B, C, s h, s w), k (B or
    1, 1, K, K'), weight above zero, and mask, which lies on y: one where y is known, zero where it
    is not; its batch and channels may be 1. Returns z with the shape and dtype of x.  Gradients to
    all inputs, by implicit differentiation: they are as exact as the solution and cost one more
    solve. Source: Hestenes and Stiefel 1952.
    """

    cite: ClassVar = ("hestenes1952methods",)

    def __init__(
        self,
        boundary: Literal["circular", "replicate", "reflect"] = "replicate",
        tolerance: Annotated[float, Range(above=0, below=1)] = 1e-5,
        iterations: Count = 100,
    ):
        super().__init__()
        self.boundary, self.tolerance, self.iterations = boundary, tolerance, iterations
        self._report: dict[str, float] = {}

    def forward(
        self, y: Image, x: Image, k: Kernel, weight: Level, mask: Image | None = None
    ) -> Image:
        s = check_shapes(self.registered, y, x, k)
        self.cached(self._check_values, y, k)
        if mask is not None:
            check_mask(self.registered, mask, y)
            mask = mask.to(compute_dtype(mask))
        dtype = compute_dtype(x)
        y, k, x_kept, alpha = (
            y.to(dtype),
            k.to(dtype),
            x.to(dtype),
            check_weight(self.registered, weight, x.to(dtype)),
        )
        A = Blur(k, s, (y.shape[-2], y.shape[-1]), self.boundary)

        def normal(z: Tensor) -> Tensor:
            return A.adjoint(_masked(A(z), mask)) + alpha * z

        with torch.no_grad():
            right = A.adjoint(_masked(y, mask)) + alpha * x_kept
            scale = _norm(right).clamp_min(torch.finfo(dtype).tiny)
            residual = right - normal(x_kept)
            check_result(self.registered, residual.mean((-2, -1)))
            step, error, count = conjugate_gradients(
                normal, residual, self.tolerance * scale, self.iterations
            )
            self._report = {"residual": float((error / scale).max()), "iterations": count}
            z = x_kept + step
        if torch.is_grad_enabled() and any(
            t is not None and t.requires_grad for t in (y, x_kept, k, alpha, mask)
        ):

            @torch.no_grad()
            def solve(g: Tensor) -> Tensor:
                return conjugate_gradients(normal, g, self.tolerance * _norm(g), self.iterations)[0]

            slack = A.adjoint(_masked(y - A(z), mask)) + alpha * (
                x_kept - z
            )  # zero, but for its derivatives
            z = z + _Implicit.apply(slack, solve)
        return z.to(x.dtype)

    def report(self) -> dict[str, float]:
        """The worst relative residual over the batch and the iterations of the last call."""
        return dict(self._report)

    def _check_values(self, y: Tensor, k: Tensor) -> None:
        check_observation(self.registered, y)
        check_kernel(self.registered, k)


def _masked(u: Tensor, mask: Tensor | None) -> Tensor:
    return u if mask is None else u * mask * mask


def _norm(u: Tensor) -> Tensor:
    return u.square().sum((1, 2, 3), keepdim=True).sqrt()


class Blur:
    """A: z -> (z * k)|s with a boundary, and its exact adjoint A^T.

    The image is extended so far that the circular convolution of the extended one is right wherever
    y lies.
    """

    def __init__(self, k: Tensor, s: int, size: tuple[int, int], boundary: str):
        (kh, kw), (h, w) = k.shape[-2:], size
        self.s, self.size = s, size
        self.rows, self.top, height = _extension(h, kh, s, boundary, k.device)
        self.cols, self.left, self.width = _extension(w, kw, s, boundary, k.device)
        self.R = kernel_spectra(k, s, height, self.width)

    def __call__(self, z: Tensor) -> Tensor:
        """(z * k)|s, of the size of y."""
        extended = z[..., self.rows[:, None], self.cols]
        low = torch.fft.irfft2(
            blur_down(row_spectra(extended, self.s), self.R),
            s=(len(self.rows) // self.s, self.width),
        )
        return low[..., self.top : self.top + self.size[0], self.left : self.left + self.size[1]]

    def adjoint(self, u: Tensor) -> Tensor:
        """A^T u, of the size of x."""
        (h, w), (height, width) = self.size, (len(self.rows) // self.s, self.width)
        placed = torch.nn.functional.pad(
            u, (self.left, width - w - self.left, self.top, height - h - self.top)
        )
        extended = up_blur(torch.fft.rfft2(placed), self.R, width)
        folded = extended.new_zeros(*extended.shape[:2], self.s * h, len(self.cols)).index_add(
            2, self.rows, extended
        )
        return extended.new_zeros(*extended.shape[:2], self.s * h, self.s * w).index_add(
            3, self.cols, folded
        )


def _extension(
    n: int, taps: int, s: int, boundary: str, device: torch.device
) -> tuple[Tensor, int, int]:
    """Along one axis: the pixel at each place of the extended image, where y begins in it, its length over s."""
    if boundary == "circular":
        return torch.arange(s * n, device=device), 0, n
    before, after = -(-(taps - 1 - taps // 2) // s), -(-(taps // 2) // s)
    place = torch.arange(-s * before, s * (n + after), device=device)
    last = s * n - 1
    if boundary == "reflect" and last > 0:
        place = place.remainder(2 * last)
        place = torch.minimum(place, 2 * last - place)
    return place.clamp(0, last), before, before + n + after


def conjugate_gradients(
    normal: Callable[[Tensor], Tensor], right: Tensor, target: Tensor, iterations: int
) -> tuple[Tensor, Tensor, int]:
    """Solve normal(d) = right from d = 0, each image of the batch until its residual is below its
    target (B, 1, 1, 1).

    Returns d, the norms of the residuals, and the number of iterations.
    """
    d, r = torch.zeros_like(right), right
    direction, square = r, r.square().sum((1, 2, 3), keepdim=True)
    for i in range(iterations):
        active = square > target.square()
        if not bool(active.any()):
            return d, square.sqrt(), i
        image = normal(direction)
        length = torch.where(active, square / (direction * image).sum((1, 2, 3), keepdim=True), 0)
        d = d + length * direction
        r = r - length * image
        last, square = square, torch.where(active, r.square().sum((1, 2, 3), keepdim=True), square)
        direction = torch.where(active, r + square / last * direction, direction)
    return d, square.sqrt(), iterations


class _Implicit(torch.autograd.Function):
    """N^-1 slack, for a slack that is zero: nothing forward, one solve backward (N is its own adjoint)."""

    @staticmethod
    def forward(ctx: Any, slack: Tensor, solve: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.solve = solve
        return torch.zeros_like(slack)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return ctx.solve(g), None
