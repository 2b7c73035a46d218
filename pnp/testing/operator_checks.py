"""`check_adjoint`: is `A.adjoint` the adjoint of the forward operator A?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pnp.operators import Operator


def check_adjoint(
    A: Operator,
    shape: Sequence[int],
    seed: int = 0,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> None:
    """Check the definition of an operator on random images of a shape (B, C, H, W).

    It is linear, <A x, u> = <x, A^T u> for its adjoint, and A^T A for its `gram`; the images are
    neither changed nor given another dtype or device.

    Raises:
        AssertionError: with the law that is broken, and by how much.
    """
    generator = torch.Generator().manual_seed(seed)

    def randn(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64).to(device, dtype)

    def require(holds: bool, otherwise: str) -> None:
        if not holds:
            raise AssertionError(f"{type(A).__name__} {otherwise} (images {tuple(shape)})")

    tolerance = math.sqrt(torch.finfo(dtype).eps)
    x, other = randn(*shape), randn(*shape)
    kept = x.clone()
    y = A(x)
    u = randn(*y.shape)
    back = A.adjoint(u)
    require(torch.equal(x, kept), "writes into its input")
    require(back.shape == x.shape, f"has an adjoint that gives {tuple(back.shape)}")
    for what, result in (("gives", y), ("has an adjoint that gives", back)):
        form = (result.dtype, result.device.type)
        require(form == (dtype, x.device.type), f"{what} {form} for {dtype}, {x.device.type}")
    size = float(y.norm() + A(other).norm())
    gap = float((A(x - 2 * other) - (y - 2 * A(other))).norm())
    require(
        gap <= tolerance * size, f"is not linear: A(a - 2 b) and A a - 2 A b differ by {gap:.1e}"
    )
    one, two = float((y * u).sum()), float((x * back).sum())
    size = float(y.norm() * u.norm())
    require(
        abs(one - two) <= tolerance * size,
        f"has a wrong adjoint: <A x, u> is {one:.6g}, <x, A^T u> is {two:.6g}",
    )
    gap = float((A.gram(x) - A.adjoint(y)).norm())
    require(gap <= tolerance * float(A.adjoint(y).norm()), f"has a gram that is off by {gap:.1e}")
