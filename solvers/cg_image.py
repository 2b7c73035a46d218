"""D by conjugate gradients, for boundaries and masks that FFT cannot invert in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor
from torch.autograd import forward_ad
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
from pnp.conjugate_gradients import conjugate_gradients
from pnp.gradients import concealed, transformed
from pnp.interfaces import Boundary, DataSolver, Image, Kernel, Level
from pnp.operators import Blur
from pnp.options import Count, Range
from pnp.registry import solver


@solver("cg-image")
class CgImage(DataSolver):
    """Image step D for any boundary and with a mask (inpainting), by conjugate gradients from x.

        z = argmin_z |mask (y - (z * k)|s)|^2 + weight |z - x|^2

    Each image of a batch stops by itself, when the residual of its normal equations is below
    `tolerance` times their right-hand side, or after `iterations`.  `report()` gives the worst
    "residual" and the number of "iterations" of the last call.  Small weights need many iterations.

    y is (B, C, h, w); x is (B, C, s h, s w); k is (B or 1, 1, K, K'); the weight is a number or (B
    or 1, 1, 1, 1).  The mask has the height and width of y, one where y is known and zero where it
    is not; its batch and channels may be 1.  All inputs receive gradients by implicit
    differentiation: they are as exact as the solution and cost one more solve.

    Within `torch.vmap` and in programs of `torch.export`, where no step can depend on values, all
    `iterations` are computed, without a report, and gradients pass through them.

    Args:
        boundary: What lies beyond the border of z: z repeated (circular), its outermost pixel
            (replicate), or its mirror image, the outermost pixel not doubled (reflect).
        tolerance: Relative residual at which an image is finished.
        iterations: Largest number of iterations.

    Returns:
        z, with the shape and dtype of x.

    Raises:
        PnpError: Inputs do not fit together, hold NaN, or the weight is not above zero.

    Source:
        Hestenes and Stiefel 1952.
    """

    cite: ClassVar = ("hestenes1952methods",)

    def __init__(
        self,
        boundary: Boundary = "replicate",
        tolerance: Annotated[float, Range(above=0, below=1)] = 1e-5,
        iterations: Count = 100,
    ):
        super().__init__()
        self.boundary, self.tolerance, self.iterations = boundary, tolerance, iterations
        self._report: dict[str, float] = {}

    def forward(
        self, y: Image, x: Image, k: Kernel, weight: Level, mask: Image | None = None
    ) -> Image:
        """The minimiser z, up to the tolerance."""
        s = check_shapes(self.registered, y, x, k)
        self.cached(self._check_values, y, k)
        if mask is not None:
            check_mask(self.registered, mask, y)
        dtype = compute_dtype(x)
        y, k, start = y.to(dtype), k.to(dtype), x.to(dtype)
        alpha = check_weight(self.registered, weight, start)
        mask = None if mask is None else mask.to(dtype)
        A = Blur(k, x.shape[-2:], s, self.boundary, mask)
        seen = y if mask is None else mask * y

        def normal(z: Tensor) -> Tensor:
            return A.gram(z) + alpha * z

        if concealed():
            right = A.adjoint(seen) + alpha * start
            target = self.tolerance * _norm(right)
            step = conjugate_gradients(normal, right - normal(start), target, self.iterations)[0]
            return (start + step).to(x.dtype)
        with torch.no_grad():
            right = A.adjoint(seen) + alpha * start
            scale = _norm(right).clamp_min(torch.finfo(dtype).tiny)
            residual = right - normal(start)
            check_result(self.registered, residual.mean((-2, -1)))
            step, error, count = conjugate_gradients(
                normal, residual, self.tolerance * scale, self.iterations
            )
            self._report = {"residual": float((error / scale).max()), "iterations": count}
            z = forward_ad.unpack_dual(start + step).primal
        inputs = [t for t in (y, start, k, alpha, mask) if t is not None]
        needed = any(t.requires_grad for t in inputs) or transformed(*inputs)
        if torch.is_grad_enabled() and needed:

            @torch.no_grad()
            def solve(g: Tensor) -> Tensor:
                return conjugate_gradients(normal, g, self.tolerance * _norm(g), self.iterations)[0]

            # With N = A^T A + alpha, the minimiser solves N z = A^T seen + alpha x.  For this z,
            # held fixed, the difference of the two sides is zero; when the inputs change by a
            # little it changes, and the minimiser moves by N^-1 of that change.
            slack = A.adjoint(seen - A(z)) + alpha * (start - z)
            z = z + _Implicit.apply(slack, solve)
        return z.to(x.dtype)

    def report(self) -> dict[str, float]:
        """The worst relative residual over the batch and the iterations of the last call."""
        return dict(self._report)

    def _check_values(self, y: Tensor, k: Tensor) -> None:
        check_observation(self.registered, y)
        check_kernel(self.registered, k)


def _norm(u: Tensor) -> Tensor:
    return u.square().sum((1, 2, 3), keepdim=True).sqrt()


class _Implicit(torch.autograd.Function):
    """N^-1 slack, for a slack that is zero: its derivative by one solve, the same forward and
    backward, as N^T = N."""

    @staticmethod
    def forward(slack: Tensor, solve: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.zeros_like(slack)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.solve = inputs[1]

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        result: Tensor = ctx.solve(tangent)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return ctx.solve(g), None
