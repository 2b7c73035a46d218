"""The combined level of two independent errors."""

from __future__ import annotations

from torch import Tensor

from pnp.gradients import root
from pnp.interfaces import Estimator, Level
from pnp.registry import estimator


@estimator("quadrature")
class Quadrature(Estimator):
    """sqrt(a^2 + b^2): the standard deviation of the sum of independent errors of levels a and b.

    Returns:
        The level, of the shape of a or b.
    """

    def forward(self, a: Level, b: Level) -> Level:
        """The combined level, of the shape of a or b."""
        square = a * a + b * b
        return root(square) if isinstance(square, Tensor) else square**0.5
