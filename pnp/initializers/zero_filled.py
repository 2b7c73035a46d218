"""U for MRI: the image of the measured k-space, zero elsewhere."""

from __future__ import annotations

from pnp.checks import check_form, check_mask
from pnp.fourier_planes import filtered
from pnp.interfaces import Complex, Image, Initializer
from pnp.registry import initializer


@initializer("zero-filled")
class ZeroFilled(Initializer):
    """The image whose k-space is the measured one, and zero where nothing was measured.

        x = F^-1 mask F y

    F is the unitary Fourier transform; the mask has the zero frequency at H // 2, W // 2.

    Returns:
        The complex image (B, 2, H, W).

    Raises:
        PnpError: The mask does not have the height and width of y.
    """

    def forward(self, y: Complex, mask: Image) -> Complex:
        """The complex image (B, 2, H, W)."""
        check_form(self.registered, "y", y, "complex")
        check_mask(self.registered, mask.to(y), y)
        return filtered(y, mask.to(y))
