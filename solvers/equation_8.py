"""D by equation 8 as printed, with the rounding of USRNet's code, for published outputs."""

from __future__ import annotations

from typing import ClassVar

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import pad

from pnp.checks import check_kernel, check_observation, check_shapes, check_weight
from pnp.interfaces import DataSolver, Image, Kernel, Level
from pnp.registry import solver


@solver("equation-8")
class Equation8(DataSolver):
    """Image step D by equation 8 as printed: slow, but it rounds as USRNet's public code does.

        z = argmin_z |y - (z * k)|s|^2 + weight |z - x|^2

    Computed as F^-1( (d - conj(K) . ((K d)⇓s / (|K|²⇓s + weight))) / weight ) with d = conj(K)
    F(y↑s) + weight F(x), in full complex spectra.  The division by a weight that is small against
    |K|² loses digits in float32: for USRNet-tiny at x4 without noise (weights from 2e-6) 1e-3 of
    the range.  `fft-image` is the same minimiser without that loss, and several times faster; this
    one is for comparison with outputs that were made with it.  Inputs are those of `fft-image`.

    Returns:
        z, with the shape and dtype of x.

    Raises:
        PnpError: Inputs do not fit together, hold NaN, or the weight is not above zero.

    Source:
        Zhao et al. 2016, Zhang et al. 2020.
    """

    cite: ClassVar = ("zhao2016fast", "zhang2020usrnet")

    def forward(self, y: Image, x: Image, k: Kernel, weight: Level) -> Image:
        """The minimiser z."""
        s = check_shapes(self.registered, y, x, k)
        weight = check_weight(self.registered, weight, x)
        K, Kd = self.cached(self._known, y, k, s)
        d = Kd + torch.fft.fftn(weight * x, dim=(-2, -1))
        folded = _fold(K * d, s) / (_fold(K.abs() ** 2, s) + weight)
        spectrum = (d - K.conj() * folded.repeat(1, 1, s, s)) / weight
        return torch.fft.ifftn(spectrum, dim=(-2, -1)).real

    def _known(self, y: Tensor, k: Tensor, s: int) -> tuple[Tensor, Tensor]:
        """What depends on y and k alone: the kernel's spectrum K and conj(K) F(y↑s)."""
        check_observation(self.registered, y)
        check_kernel(self.registered, k)
        height, width = (side * s for side in y.shape[-2:])
        rows, columns = k.shape[-2:]
        centred = torch.roll(
            pad(k, (0, width - columns, 0, height - rows)),
            (-(rows // 2), -(columns // 2)),
            (-2, -1),
        )
        K = torch.fft.fftn(centred, dim=(-2, -1))
        filled = y.new_zeros(*y.shape[:2], height, width)
        filled[..., ::s, ::s] = y
        return K, K.conj() * torch.fft.fftn(filled, dim=(-2, -1))


def _fold(spectrum: Tensor, s: int) -> Tensor:
    """⇓s: the mean over the s x s distinct blocks."""
    return rearrange(spectrum, "b c (p h) (q w) -> b c h w (q p)", p=s, q=s).mean(-1)
