"""Kernels from words: `gaussian:1.6`, `gaussian:3,1,45`, `disc:4.5`, `motion:7`, `delta`.

Their support is 25 x 25, or wider if a disc or three standard deviations of a Gaussian to each side
need it, but never larger than the image.
"""

from __future__ import annotations

import math
import re

import torch
from torch import Tensor

from pnp.errors import PnpError
from pnp.kernels import cropped_kernel, delta_kernel, disc_kernels, gaussian_kernels
from pnp.options import LARGEST_SEED
from pnp.random_blur import motion_kernels

SIZE = 25
"""Side of the support, in pixels, where the image has room for it."""
LARGEST_RADIUS = 50
"""The radius of a disc, in pixels, is below this."""


def is_words(text: str) -> bool:
    """True for words that describe a kernel, right or wrong; False for the name of a file."""
    return text == "delta" or text.startswith(("gaussian:", "disc:", "motion:"))


def kernel_of_words(
    text: str, where: str = "the kernel", size: tuple[int, int] | None = None
) -> Tensor:
    """The kernel (1, 1, K, L) that words describe.

    A Gaussian has one standard deviation, or two and the angle of the first in degrees,
    counter-clockwise from the horizontal.  A disc, the blur of a lens out of focus, has a radius in
    pixels.  `motion` has a seed; the motion is smaller where the support is.

    Args:
        text: The words.
        where: What messages begin with.
        size: Height and width of the image x, or None for any.
    """
    word, _, rest = text.partition(":")
    if word == "gaussian":
        k = _gaussian_of(rest, f"{where} {text}")
    elif word == "disc":
        k = _disc_of(rest, f"{where} {text}")
    elif word == "motion":
        if not re.fullmatch("[0-9]{1,10}", rest) or int(rest) > LARGEST_SEED:
            raise PnpError(
                f"{where} {text}: write motion:SEED with a whole number from 0 to {LARGEST_SEED}, "
                "for example motion:1"
            )
        largest = SIZE if size is None else min(SIZE, _odd(min(size)))
        k = motion_kernels(1, largest, generator=torch.Generator().manual_seed(int(rest)))
    else:
        k = delta_kernel(SIZE)
    return k if size is None else cropped_kernel(k, *size)


def _gaussian_of(numbers: str, where: str) -> Tensor:
    parts = [part.strip() for part in numbers.split(",")]
    if (
        len(parts) not in (1, 3)
        or not all(re.fullmatch(r"-?(\d*\.)?\d+", part) for part in parts)
        or not all(0 < float(part) < SIZE for part in parts[:2])
    ):
        raise PnpError(
            f"{where}: write gaussian:WIDTH or gaussian:WIDTH,WIDTH,DEGREES; "
            f"widths are in pixels, above 0 and below {SIZE}"
        )
    wide, narrow, degrees = map(float, parts if len(parts) == 3 else (*parts * 2, "0"))
    std_u, std_v, angle = torch.tensor([[wide], [narrow], [math.radians(degrees)]])
    side = max(SIZE, 2 * math.ceil(3 * max(wide, narrow)) + 1)
    return gaussian_kernels(side, std_u, std_v, angle)


def _disc_of(number: str, where: str) -> Tensor:
    form = r"([0-9]*\.)?[0-9]+"
    if not re.fullmatch(form, number.strip()) or not 0 < float(number) < LARGEST_RADIUS:
        raise PnpError(
            f"{where}: write disc:RADIUS with a radius in pixels above 0 and below {LARGEST_RADIUS}"
        )
    side = max(SIZE, 2 * math.ceil(float(number)) + 1)
    return disc_kernels(side, torch.tensor([float(number)]))


def _odd(side: int) -> int:
    return side - 1 + side % 2
