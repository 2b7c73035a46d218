"""Pk: projection onto the kernels that are non-negative and sum to one."""

from __future__ import annotations

from typing import ClassVar

from pnp.interfaces import Kernel, Level, Prior
from pnp.kernels import projected
from pnp.registry import prior


@prior("simplex")
class Simplex(Prior):
    """The nearest kernel that is non-negative and sums to one, exact and differentiable.

        Pk(w) = argmin_k |k - w|^2   subject to   k >= 0, sum k = 1

    The minimiser is max(w - c, 0) with the one number c for which the sum is one, found by sorting.

    Returns:
        The projected kernel (B, 1, K, K).

    Source:
        Held, Wolfe and Crowder (1974); Duchi et al. (2008).
    """

    cite: ClassVar = ("duchi2008simplex",)

    def forward(self, k: Kernel, level: Level | None = None) -> Kernel:
        """The projected kernel (B, 1, K, K)."""
        return projected(k)
