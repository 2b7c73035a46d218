"""P: soft thresholding of wavelet coefficients."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import pywt

from pnp.interfaces import Image, Level, Prior
from pnp.options import Range, Rule
from pnp.priors.one_by_one import one_by_one
from pnp.registry import prior

WaveletName = Annotated[
    str,
    Rule(
        "that names a discrete wavelet, such as haar, db2, sym4 or coif1",
        lambda name: name in pywt.wavelist(kind="discrete"),
    ),
]


@prior("wavelet")
class Wavelet(Prior):
    """Wavelet thresholding (BayesShrink) averaged over shifts, by scikit-image.

        coefficient -> sign(coefficient) max(|coefficient| - level^2 / tau, 0)

    in each subband, whose clean coefficients have the deviation tau, estimated from the noisy ones
    as tau^2 = max(mean of squares - level^2, 0): the noise that is removed is exactly `level`, with
    no factor to tune.  Channels are denoised one by one.  Level 0 returns z.  There are no
    gradients.

    Args:
        wavelet: Name of an orthogonal wavelet in PyWavelets.
        shifts: Largest cyclic shift in each direction over which results are averaged, against
            blocking; (shifts + 1)^2 transforms.

    Returns:
        The denoised image (B, C, H, W).

    Raises:
        PnpError: Backward passes through it.

    Source:
        Chang, Yu, Vetterli (2000).
    """

    cite: ClassVar = ("chang2000bayesshrink",)
    differentiable: ClassVar = False

    def __init__(self, wavelet: WaveletName = "db2", shifts: Annotated[int, Range(at_least=0)] = 2):
        super().__init__()
        self.wavelet, self.shifts = wavelet, shifts

    def forward(self, x: Image, level: Level) -> Image:
        """The denoised image (B, C, H, W)."""
        return one_by_one(self._denoise, x, level, self.registered)

    def _denoise(self, image: np.ndarray, level: float) -> np.ndarray:
        from skimage.restoration import cycle_spin, denoise_wavelet  # takes a second

        options = dict(sigma=level, wavelet=self.wavelet, channel_axis=-1, rescale_sigma=True)
        return cycle_spin(
            image, denoise_wavelet, self.shifts, workers=1, func_kw=options, channel_axis=-1
        )
