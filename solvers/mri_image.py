"""D for single-coil MRI on a Cartesian grid: closed form by FFT."""

from __future__ import annotations

from typing import ClassVar

from pnp.checks import check_alike, check_form, check_mask, check_result, check_weight, refuse
from pnp.fourier_planes import filtered
from pnp.interfaces import Complex, DataSolver, Image, Level
from pnp.registry import solver


@solver("mri-image")
class MriImage(DataSolver):
    """Exact image step D for single-coil MRI with a Cartesian mask, by FFT.

        z = argmin_z |mask F (y - z)|^2 + weight |z - x|^2
          = x + F^-1( mask^2 / (mask^2 + weight) F (y - x) )

    F is the unitary Fourier transform.  y is the measured k-space as an image, F^-1 of the k-space
    (zero-filled, `pnp.kspace`); only its frequencies under the mask count.  The mask is one where
    k-space was measured and zero elsewhere, the zero frequency at H // 2, W // 2.

    y and x are complex images (B, 2, H, W), the mask is (B or 1, 1, H, W), the weight a number or
    (B or 1, 1, 1, 1).  All of them receive gradients.

    Returns:
        z, with the shape and dtype of x.

    Raises:
        PnpError: Inputs do not fit together, hold NaN, or the weight is not above zero.

    Source:
        The closed form of alternating methods for compressed sensing MRI, e.g. Yang et al. 2016.
    """

    cite: ClassVar = ("yang2016admmnet",)

    def forward(self, y: Complex, x: Complex, mask: Image, weight: Level) -> Complex:
        """The minimiser z."""
        check_form(self.registered, "y", y, "complex")
        check_form(self.registered, "x", x, "complex")
        check_alike(self.registered, "x", x, y)
        check_mask(self.registered, mask, y)
        if mask.shape[1] != 1:
            refuse(self.registered, "the mask has two channels", "both parts share one mask")
        if x.shape != y.shape:
            sizes = f"x is {tuple(x.shape)} and y is {tuple(y.shape)}"
            refuse(self.registered, sizes, "both have the size of k-space")
        alpha = check_weight(self.registered, weight, x)
        check_result(self.registered, (y - x).mean((-2, -1)))
        seen = mask * mask
        return x + filtered(y - x, seen / (seen + alpha))
