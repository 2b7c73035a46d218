"""Complex images as grey images for priors: by magnitude, or by real and imaginary part."""

from __future__ import annotations

import torch
from torch import Tensor

from pnp.checks import check_alike, check_form
from pnp.gradients import root
from pnp.interfaces import Complex, Image, Level, Transform, as_level
from pnp.options import Count
from pnp.registry import transform


@transform("magnitude")
class Magnitude(Transform):
    """The magnitude of a complex image, a grey image for a prior; `with-phase` undoes it.

        m = |z|

    Args:
        channels: Equal channels of m; 3 for networks of colour images.

    Returns:
        m (B, channels, H, W).
    """

    def __init__(self, channels: Count = 1):
        super().__init__()
        self.copies = channels

    def forward(self, z: Complex) -> Image:
        """m (B, channels, H, W)."""
        check_form(self.registered, "z", z, "complex")
        return _copies(root(z.square().sum(1, keepdim=True)), self.copies)


@transform("with-phase")
class WithPhase(Transform):
    """A magnitude with the phase of a complex image.

        x = m z / |z|,   z / |z| = 1 where z is zero

    Where a prior made the magnitude negative, the sign stays.

    Returns:
        x (B, 2, H, W); of several channels of m the mean counts.

    Raises:
        PnpError: m and z differ in size.
    """

    def forward(self, m: Image, z: Complex) -> Complex:
        """x (B, 2, H, W)."""
        check_form(self.registered, "z", z, "complex")
        _check_size(self, "m", m, z)
        length = root(z.square().sum(1, keepdim=True))
        zero = length == 0
        phase = z / length.masked_fill(zero, 1)
        phase = phase + zero.to(z) * z.new_tensor([1.0, 0.0])[:, None, None]
        return m.mean(1, keepdim=True) * phase


@transform("complex-parts")
class ComplexParts(Transform):
    """The real and the imaginary part of a complex image, two grey images; `from-parts` undoes it.

        a = (1 + Re z) / 2,   b = (1 + Im z) / 2,   l = level / 2

    So parts on [-1, 1] become images on [0, 1], which networks were trained on; a network that
    gets negative values instead removes less of the noise.  The level is that of a and b.

    Args:
        channels: Equal channels of a and b; 3 for networks of colour images.

    Returns:
        a and b (B, channels, H, W), and l.
    """

    def __init__(self, channels: Count = 1):
        super().__init__()
        self.copies = channels

    def forward(self, z: Complex, level: Level) -> tuple[Image, Image, Level]:
        """a and b (B, channels, H, W), and l."""
        check_form(self.registered, "z", z, "complex")
        a, b = (_copies((1 + part) / 2, self.copies) for part in (z[:, :1], z[:, 1:]))
        return a, b, as_level(level, z) / 2


@transform("from-parts")
class FromParts(Transform):
    """The complex image of two grey images, as `complex-parts` makes them.

        z = (2 a - 1) + i (2 b - 1)

    Returns:
        z (B, 2, H, W); of several channels of a and b the mean counts.

    Raises:
        PnpError: a and b differ in size.
    """

    def forward(self, a: Image, b: Image) -> Complex:
        """z (B, 2, H, W)."""
        check_form(self.registered, "a", a)
        _check_size(self, "b", b, a)
        return 2 * torch.cat((a.mean(1, keepdim=True), b.mean(1, keepdim=True)), 1) - 1


def _copies(grey: Tensor, channels: int) -> Tensor:
    return grey.repeat(1, channels, 1, 1)


def _check_size(module: Transform, name: str, image: Tensor, other: Tensor) -> None:
    check_form(module.registered, name, image)
    check_alike(module.registered, name, image, other)
    if (image.shape[0], *image.shape[-2:]) != (other.shape[0], *other.shape[-2:]):
        sizes = f"{name} is {tuple(image.shape)}, the other image is {tuple(other.shape)}"
        module.refuse(sizes, "give images of one size")
