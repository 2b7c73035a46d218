"""The observation model of equation 1, y = (x * k)|s + n, in floats.

`*` is true convolution, each colour with the same kernel, the kernel's centre at index K // 2; `|s`
keeps the upper-left pixel of every s x s block; n is white Gaussian noise of standard deviation
sigma on the [0, 1] scale.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pnp.checks import as_noise, as_option, check_divisible, check_form
from pnp.errors import PnpError
from pnp.interfaces import Boundary
from pnp.operators import Blur
from pnp.options import Count


def blur(x: Tensor, k: Tensor, boundary: Boundary = "circular") -> Tensor:
    """x * k, in the size of x: images (B, C, H, W), kernels (B, 1, K, L) or one for all.

    Beyond its edges the image is continued from the opposite edge ("circular", as the closed forms
    of equations 8-11 assume), by its outermost pixel ("replicate"), or as its mirror image
    ("reflect").  Differentiable in x and k.
    """
    return _operator(x, k, 1, boundary)(x)


def downsample(x: Tensor, s: int) -> Tensor:
    """x|s: the upper-left pixel of every s x s block.

    Height and width must be multiples of s (see `crop_to_multiple`).
    """
    s = as_option("downsample", "the scale", Count, s)
    check_divisible("downsample", x.shape[-2], x.shape[-1], s)
    return x[..., ::s, ::s]


def observe(
    x: Tensor,
    k: Tensor,
    s: int = 1,
    sigma: Tensor | float = 0.0,
    generator: torch.Generator | None = None,
    boundary: Boundary = "circular",
) -> Tensor:
    """y = (x * k)|s + n, not clipped and not rounded; sigma is one level or one for each image.

    x (B, C, H, W), k (B or 1, 1, K, K), s divides H and W, `boundary` is "circular", "replicate" or
    "reflect".
    """
    return add_noise(_operator(x, k, s, boundary)(x), sigma, generator)


def add_noise(y: Tensor, sigma: Tensor | float, generator: torch.Generator | None = None) -> Tensor:
    """y + n.  A generator on the CPU gives the same noise on every device."""
    level = as_noise("noise", "sigma", sigma, y)
    device = generator.device if generator is not None else y.device
    return y + level * torch.randn(y.shape, generator=generator, device=device, dtype=y.dtype).to(
        y.device
    )


def crop_to_multiple(x: Tensor, m: int) -> Tensor:
    """The upper-left part of x whose sides are multiples of m."""
    height, width = x.shape[-2] // m * m, x.shape[-1] // m * m
    if height == 0 or width == 0:
        raise PnpError(
            f"an image of {x.shape[-2]} x {x.shape[-1]} pixels cannot be cropped "
            f"to multiples of {m}: it is too small"
        )
    return x[..., :height, :width]


def mirrored_to(x: Tensor, height: int, width: int) -> Tensor:
    """x (B, C, H, W) continued to the right and below by its mirror image, again and again."""
    for dim, length in ((-2, height), (-1, width)):
        side = x.shape[dim]
        position = torch.arange(length, device=x.device) % (2 * side)
        x = x.index_select(dim, torch.minimum(position, 2 * side - 1 - position))
    return x


def _operator(x: Tensor, k: Tensor, s: int, boundary: Boundary) -> Blur:
    check_form("blur", "x", x)
    return Blur(k.to(x), x.shape[-2:], s, boundary)
