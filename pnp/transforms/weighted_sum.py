"""Arithmetic of steps: a linear combination of two or three images."""

from __future__ import annotations

from pnp.checks import check_alike, check_form
from pnp.interfaces import Image, Level, Transform, as_level
from pnp.registry import transform


@transform("weighted-sum")
class WeightedSum(Transform):
    """A linear combination of images of one size.

        p a + q b + r c

    A weight is a level of a schedule or a number, for example `x = S(z, 0.9, x, 0.1)`.

    Returns:
        The sum (B, C, H, W).

    Raises:
        PnpError: The images differ in size.
    """

    def forward(
        self,
        a: Image,
        p: Level,
        b: Image,
        q: Level,
        c: Image | None = None,
        r: Level = 1.0,
    ) -> Image:
        """The sum (B, C, H, W)."""
        for name, other in (("b", b), ("c", c)):
            if other is None:
                continue
            check_form(self.registered, name, other)
            check_alike(self.registered, name, other, a)
            if other.shape[1:] != a.shape[1:]:
                sizes = f"a is {tuple(a.shape)}, {name} is {tuple(other.shape)}"
                self.refuse(sizes, "add images of one size")
        total = as_level(p, a) * a + as_level(q, a) * b
        return total if c is None else total + as_level(r, a) * c
