"""U: nearest-neighbour interpolation, every pixel repeated over its block."""

from __future__ import annotations

from pnp.checks import as_option
from pnp.interfaces import Image, Initializer, Number
from pnp.options import Count
from pnp.registry import initializer


@initializer("nearest")
class Nearest(Initializer):
    """Repeats every pixel s x s times: x[s i + p, s j + q] = y[i, j].

    Returns:
        The image (B, C, s H, s W).

    Raises:
        PnpError: s is not a whole number of at least 1.
    """

    def forward(self, y: Image, s: Number) -> Image:
        """The image (B, C, s H, s W)."""
        s = as_option(self.registered, "the scale", Count, s)
        return y.repeat_interleave(s, dim=-2).repeat_interleave(s, dim=-1)
