"""Masks for inpainting: where the observation is known, from any file or array that says so.

Programs write masks in several ways, of which only one is black and white: 0 and 1 in 8 or 16 bits,
labels with a palette, arrays of bool, a hole in the alpha channel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pnp.decoders import decode
from pnp.errors import PnpError
from pnp.image_forms import as_image_file
from pnp.images import as_image, existing_file
from pnp.tensors import check_tensor

FEW = 64
"""Up to this many levels or colours are labels, if whole numbers are small or colours are vivid."""


def read_mask(mask: Any, where: str = "mask") -> Tensor:
    """A mask (1, 1, H, W), float32, one where the observation is known and zero elsewhere.

    Two levels: the brighter one is known, whatever its value.  More levels: the upper half of the
    range is known.  If the alpha channel of an image varies, it is the mask.

    Args:
        mask: A path, a PIL image, an array (H, W), (H, W, 1 or 3) or a tensor (H, W), (C, H, W) or
            (1, C, H, W), of any numbers or bool.
        where: What messages begin with.

    Raises:
        PnpError: No pixel is known, or the mask can be understood in two ways.
    """
    if isinstance(mask, (str, Path)):
        decoded = decode(existing_file(mask))
        of_image = decoded.pixels.dtype in (np.uint8, np.uint16) and decoded.pixels.ndim < 4
        is_npy = Path(mask).suffix.lower() == ".npy"
        mask = as_image(str(mask), decoded) if of_image and not is_npy else decoded.pixels
    if isinstance(mask, Tensor):
        whole = not (mask.is_floating_point() or mask.is_complex() or mask.is_quantized)
        check_tensor(where, "the mask", mask.float() if whole else mask)
        mask = mask[0] if mask.dim() == 4 and len(mask) == 1 else mask
        mask = mask.detach().cpu().to(torch.float64).numpy()
        mask = np.moveaxis(mask, 0, -1) if mask.ndim == 3 else mask
    if isinstance(mask, np.ndarray):
        levels, top = _levels_of_array(mask, where)
    else:
        levels, top = _levels_of_image(mask, where), 1.0
    values = np.unique(levels)
    known = levels > (top / 2 if len(values) > 2 else values[0] if len(values) == 2 else 0)
    if not known.any():
        raise PnpError(
            f"{where}: there is no known pixel; a mask is white (1, 255 ...) where the "
            "observation is known, and black where it is not"
        )
    return torch.from_numpy(known.astype(np.float32))[None, None]


def _levels_of_array(array: np.ndarray, where: str) -> tuple[np.ndarray, float]:
    """The levels (H, W) of an array, and the top of their range."""
    array = array.mean(-1) if array.ndim == 3 and array.shape[2] in (1, 3) else array
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "buif":
        raise PnpError(
            f"{where}: a mask is an array (H, W) of numbers or bool, "
            f"but this one is {array.shape} of {array.dtype}"
        )
    if not np.isfinite(array).all():
        raise PnpError(f"{where}: the mask holds NaN or infinite values")
    top = float(array.max())
    count = len(np.unique(array))
    if array.dtype.kind in "ui" and count > 2 and top < FEW:
        raise _labels(count, where)
    return array, max(top, 1.0)


def _levels_of_image(mask: Any, where: str) -> np.ndarray:
    """The levels (H, W) of an image: its brightness, or its alpha if that varies."""
    image = as_image_file(mask)
    pixels = image.pixels[0].numpy()
    brightness = pixels.mean(0)
    if image.alpha is not None:
        alpha = image.alpha[0, 0].numpy()
        if alpha.min() < alpha.max():
            _refuse_two_masks(brightness[alpha > 0], where)
            return alpha
        brightness = brightness * alpha
    if np.ptp(pixels, 0).max() > 0.25:
        codes = np.rint(255 * pixels).astype(int) * np.array([[[65536]], [[256]], [[1]]])
        count = len(np.unique(codes.sum(0)))
        if 2 < count <= FEW:
            raise _labels(count, where)
    return brightness


def _labels(count: int, where: str) -> PnpError:
    return PnpError(
        f"{where}: the mask holds {count} labels, so it is unknown which of them mean known; "
        "save it black and white, white where the observation is known"
    )


def _refuse_two_masks(visible: np.ndarray, where: str) -> None:
    """Refuse a mask that is black and white, and transparent elsewhere."""
    black, white = (visible < 0.05).mean(), (visible > 0.95).mean()
    if min(black, white) > 0 and black + white > 0.9:
        raise PnpError(
            f"{where}: both the colours and the alpha channel look like a mask; save it with one "
            "of them, white or opaque where the observation is known"
        )
