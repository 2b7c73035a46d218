"""The observation model of equation 1, y = (x * k)|s + n, in floats.

`*` is true convolution, each colour with the same kernel, the kernel's centre at index K // 2; `|s`
keeps the upper-left pixel of every s x s block; n is white Gaussian noise of standard deviation
sigma on the [0, 1] scale.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from pnp.errors import PnpError
from pnp.interfaces import as_level

BOUNDARIES = ("circular", "replicate", "reflect")


def blur(x: Tensor, k: Tensor, boundary: str = "circular") -> Tensor:
    """x * k, the size of x: images (B, C, H, W), kernels (B, 1, K, L) or one for all.

    Beyond its edges the image goes on from the opposite edge ("circular", what the closed forms of
    equations 8-11 assume), with its last pixel ("replicate"), or mirrored about it ("reflect").
    Differentiable in x and k.
    """
    if x.dim() != 4 or not x.is_floating_point():
        raise PnpError(
            f"blur: the image should be floats (B, C, H, W), but it is {x.dtype} {tuple(x.shape)}"
        )
    if k.dim() != 4 or k.shape[1] != 1 or k.shape[0] not in (1, x.shape[0]):
        raise PnpError(
            f"blur: {len(x)} images want kernels ({len(x)}, 1, K, K) or (1, 1, K, K), but got {tuple(k.shape)}"
        )
    if boundary not in BOUNDARIES:
        raise PnpError(
            f"blur: there is no boundary '{boundary}'; boundaries: {', '.join(BOUNDARIES)}"
        )
    rows, columns = k.shape[-2:]
    height, width = x.shape[-2:]
    if rows > height or columns > width:
        raise PnpError(
            f"blur: the kernel ({rows} x {columns}) is larger than the image ({height} x {width})"
        )
    if boundary != "circular":
        # The pixel (i, j) of the result needs those from i - (rows - 1 - rows // 2) to i + rows //
        # 2, and so on.
        margin = (columns - 1 - columns // 2, columns // 2, rows - 1 - rows // 2, rows // 2)
        x = F.pad(x, margin, mode=boundary)
    spectrum = torch.fft.rfft2(x) * _transfer(k.to(x), *x.shape[-2:])
    blurred = torch.fft.irfft2(spectrum, s=x.shape[-2:])
    if boundary != "circular":
        blurred = blurred[..., margin[2] : margin[2] + height, margin[0] : margin[0] + width]
    return blurred


def downsample(x: Tensor, s: int) -> Tensor:
    """x|s: the upper-left pixel of every s x s block; the size must be a multiple of s (see `crop_to_multiple`)."""
    if isinstance(s, bool) or int(s) != s or s < 1:
        raise PnpError(f"downsample: the scale should be 1, 2, 3 ..., but it is {s}")
    height, width = x.shape[-2:]
    if height % s or width % s:
        raise PnpError(
            f"downsample: {height} x {width} pixels cannot be divided by {s}; crop_to_multiple(x, {s}) cuts them"
        )
    return x[..., :: int(s), :: int(s)]


def observe(
    x: Tensor,
    k: Tensor,
    s: int = 1,
    sigma: Tensor | float = 0.0,
    generator: torch.Generator | None = None,
    boundary: str = "circular",
) -> Tensor:
    """y = (x * k)|s + n, not clipped and not rounded; sigma is one level or one for each image.

    x (B, C, H, W), k (B or 1, 1, K, K), s divides H and W, `boundary` is "circular", "replicate" or
    "reflect".
    """
    return add_noise(downsample(blur(x, k, boundary), s), sigma, generator)


def add_noise(y: Tensor, sigma: Tensor | float, generator: torch.Generator | None = None) -> Tensor:
    """y + n.  A generator on the CPU gives the same noise on every device."""
    level = as_level(sigma, y)
    if not bool(((level >= 0) & (level <= 1)).all()):
        raise PnpError(
            f"noise: sigma is a standard deviation on the [0, 1] scale (15/255, not 15), but it is {sigma}"
        )
    device = generator.device if generator is not None else y.device
    return y + level * torch.randn(y.shape, generator=generator, device=device, dtype=y.dtype).to(
        y.device
    )


def crop_to_multiple(x: Tensor, m: int) -> Tensor:
    """The upper-left part of x whose sides are multiples of m."""
    height, width = x.shape[-2] // m * m, x.shape[-1] // m * m
    if height == 0 or width == 0:
        raise PnpError(
            f"an image of {x.shape[-2]} x {x.shape[-1]} pixels cannot be cropped to multiples of {m}: it is too small"
        )
    return x[..., :height, :width]


def _transfer(k: Tensor, height: int, width: int) -> Tensor:
    """The half spectrum of kernels, their centre moved to the origin."""
    rows, columns = k.shape[-2:]
    padded = F.pad(k, (0, width - columns, 0, height - rows))
    return torch.fft.rfft2(torch.roll(padded, (-(rows // 2), -(columns // 2)), (-2, -1)))
