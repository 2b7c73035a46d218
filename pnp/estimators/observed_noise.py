"""What the estimators of the noise level in y share: smooth noise, and lossy compression."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from pnp.compression import compression_error
from pnp.gradients import root
from pnp.interfaces import Estimator, Image, Kernel, Level
from pnp.wavelet_levels import smooth_level


class ObservedNoise(Estimator):
    """Noise level from y alone, with smooth noise and lossy compression.

    sigma = (max(sigma_n, sigma_s)^2 + e^2)^(1/2)
    sigma_n: what `noise` finds,   e: the level that stands for JPEG and its like, or 0
    sigma_s: the level that stands for noise that is smooth, after demosaicking or resizing, or 0
    """

    _errors: Sequence[float] = (0.0,)

    @abstractmethod
    def noise(self, y: Tensor) -> Tensor:
        """sigma_n of each image, (B, 1, 1, 1)."""

    def forward(self, y: Image, x: Image | None = None, k: Kernel | None = None) -> Level:
        """sigma of each image, (B, 1, 1, 1); x and k are not used."""
        noise = self.noise(y)
        images = y.detach().cpu().float().numpy()
        smooth = noise.new_tensor([smooth_level(image) for image in images])
        noise = torch.maximum(noise, smooth.reshape(-1, 1, 1, 1))
        self._errors = [compression_error(image) for image in images]
        error = noise.new_tensor(self._errors).reshape(-1, 1, 1, 1)
        return root(noise.square() + error.square())

    def report(self) -> dict[str, float]:
        """e of the batch's first image, if it was compressed."""
        return {"compression": self._errors[0]} if self._errors[0] else {}
