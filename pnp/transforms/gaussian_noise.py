"""A step that draws noise, for methods that sample or restart from a noisy image."""

from __future__ import annotations

from pnp.checks import as_strength, check_form
from pnp.interfaces import Image, Level, Transform
from pnp.registry import transform
from pnp.runs import gaussian_noise


@transform("gaussian-noise")
class GaussianNoise(Transform):
    """White Gaussian noise of the size of an image, of a standard deviation.

        e = level n,   n ~ N(0, 1) in every pixel and channel

    n depends on the seed of the run (`--seed`, `pipeline(..., seed=0)`), on the iteration and on
    the position of the step in the pipeline: two steps draw different noise, and a run that is
    repeated, or continued from its trace, the same.  Every image of a batch gets what it would get
    alone.  Outside of a pipeline n is always the same.

    Returns:
        e (B, C, H, W), with the shape and dtype of x, whose values do not matter.

    Raises:
        PnpError: The level is negative or not finite.
    """

    def forward(self, x: Image, level: Level) -> Image:
        """The noise e, (B, C, H, W)."""
        check_form(self.registered, "x", x)
        return as_strength(self.registered, "level", level, x) * gaussian_noise(x)
