"""F: the noise level from small neighbourhoods of the observation, by a small network."""

from __future__ import annotations

from typing import ClassVar

import torch
from einops import einsum, reduce
from torch import Tensor, nn
from torch.nn import functional as F

from pnp.options import Count
from pnp.registry import estimator

from .observed_noise import ObservedNoise

UNIT = 0.003
"""Differences of y below this enter the network in proportion, larger ones by their logarithm."""
SIDE = 64
"""Side of the patches of y that enter the network one after the other, in pixels."""
PATCHES = 12
"""Largest number of patches along an axis."""
BOUND = 60.0
"""Largest absolute value of log w."""
SILENT = -80.0
"""log w of pixels that do not count."""


@estimator("local-noise")
class LocalNoise(ObservedNoise):
    """Noise level from y alone; it needs neither the kernel nor the scale.

        sigma = (max(sigma_n, sigma_s)^2 + e^2)^(1/2)
        log sigma_n = perceptron(sum over pixels p of w v / sum of w),   log w, v = convs(y)
        sigma_s: the level that stands for smooth noise (`pnp.wavelet_levels`), or 0
        e: the level that stands for JPEG or other lossy compression (`pnp.compression`), or 0

    A few convolutions see the differences of y from its mean over 3 x 3 pixels, and y itself.  They
    give the features v of each neighbourhood, and by w, how much it tells about the noise: flat
    areas more than detail, whatever the scale.  There are several such means, one for each head.
    Areas of one value (black bars) and those at 0 or 1 (overexposed) do not count.  Of images with
    more than 768 pixels along a side, 12 patches of 64 pixels at equal distances are used there.

    Args:
        width: Number of features.
        depth: Number of convolutions of 3 x 3 pixels.
        heads: Number of weighted means.

    Returns:
        The standard deviation of the noise on [0, 1], (B, 1, 1, 1).

    Raises:
        PnpError: y has neither one channel nor three.

    Source:
        pnp's own; the weighted means are those of Ilse, Tomczak and Welling (2018).
    """

    cite: ClassVar = ("ilse2018attention",)

    def __init__(self, width: Count = 32, depth: Count = 5, heads: Count = 4) -> None:
        super().__init__()
        self.head = nn.Conv2d(6, width, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth - 1))
        self.weight = nn.Conv2d(width, heads, 1)
        self.level = nn.Sequential(
            nn.Linear(heads * width, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1)
        )

    def noise(self, y: Tensor) -> Tensor:
        """sigma_n of each image, (B, 1, 1, 1)."""
        if y.shape[1] not in (1, 3):
            self.refuse(f"y has {y.shape[1]} channels", "it works on images with 1 or 3")
        image = y.to(self.head.weight.dtype).expand(-1, 3, -1, -1)
        total = weight = image.new_zeros(1)
        for rows in _spans(y.shape[-2]):
            for columns in _spans(y.shape[-1]):
                w, v = self._features(image[..., rows, columns])
                with torch.autocast(y.device.type, enabled=False):
                    total = total + einsum(w, v, "b m h w, b f h w -> b m f")
                    weight = weight + reduce(w, "b m h w -> b m 1", "sum")
        with torch.autocast(y.device.type, enabled=False):
            level = 0.01 * self.level((total / weight).flatten(1)).clamp(-8, 5).exp()
        return level[..., None, None].to(y.dtype)

    def _features(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The weights and the features of each pixel: (B, heads, H, W), (B, width, H, W)."""
        difference = y - _mean(y)
        v = self.head(torch.cat([(difference / UNIT).asinh(), y], 1))
        for conv in self.body:
            v = v + conv(F.silu(v))
        clipped = (y.abs() < 1e-6) | ((y - 1).abs() < 1e-6)
        flat = _mean(difference.abs()) < UNIT / 30
        mute = flat.all(1, keepdim=True) | clipped.any(1, keepdim=True)
        silent = _mean(mute.to(y.dtype), 2 * len(self.body) + 3) > 0.1  # of what a pixel depends on
        logarithm = self.weight(F.silu(v)).to(y.dtype).clamp(-BOUND, BOUND)
        return logarithm.masked_fill(silent, SILENT).exp(), v.to(y.dtype)


def _mean(y: Tensor, side: int = 3) -> Tensor:
    """The mean over `side` x `side` pixels."""
    return F.avg_pool2d(F.pad(y, (side // 2,) * 4, mode="replicate"), side, stride=1)


def _spans(side: int) -> list[slice]:
    """Patches along a side: as many as cover it, or fewer at equal distances."""
    count = min(-(-side // SIDE), PATCHES)
    starts = torch.linspace(0, max(side - SIDE, 0), count).tolist()
    return [slice(int(start), int(start) + SIDE) for start in starts]
