"""P that does nothing: the result of the data term alone."""

from __future__ import annotations

from pnp.interfaces import Image, Level, Prior
from pnp.registry import prior


@prior("identity")
class Identity(Prior):
    """Returns its input: for pipelines without a prior, and to measure the effect of a prior.

        x = P(z, level) = z

    Returns:
        z itself.
    """

    def forward(self, x: Image, level: Level | None = None) -> Image:
        """x itself."""
        return x
