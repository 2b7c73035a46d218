"""Pk: kernels moved to sum one by the same amount in every tap, the constraint of IKR-Net's public
code.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from pnp.interfaces import Kernel, Level, Prior
from pnp.registry import prior


@prior("unit-sum")
class UnitSum(Prior):
    """The nearest kernel that sums to one, negative taps allowed: Pk(w) = w - (sum w - 1) / K^2.

    Returns:
        The projected kernel (B, 1, K, K).

    Source:
        The public code of Ates et al. (2023).
    """

    cite: ClassVar = ("ates2023ikrnet",)

    def forward(self, k: Kernel, level: Level | None = None) -> Kernel:
        """The projected kernel (B, 1, K, K)."""
        return onto_sum_one(k)


def onto_sum_one(k: Tensor) -> Tensor:
    """The nearest taps that sum to one: all moved by the same amount."""
    return k - (k.sum((-2, -1), keepdim=True) - 1) / (k.shape[-2] * k.shape[-1])
