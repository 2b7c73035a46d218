"""Images as users have them: paths, PIL images, NumPy arrays and tensors become an `ImageFile`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pnp.decoders import Decoded, from_pillow
from pnp.errors import PnpError
from pnp.images import ImageFile, as_image, read_image
from pnp.tensors import check_tensor


def as_image_file(image: Any) -> ImageFile:
    """An image from a path, a PIL image, an array or a tensor; see `restore` for their forms."""
    if isinstance(image, ImageFile):
        return image
    if isinstance(image, (str, Path)):
        return read_image(image)
    if isinstance(image, Tensor):
        check_tensor("restore", "the image", image)
        pixels = image if image.dim() == 4 else image[None] if image.dim() == 3 else None
        if pixels is None or len(pixels) != 1 or pixels.shape[1] not in (1, 3):
            raise PnpError(
                f"an image is a tensor (C, H, W) or (1, C, H, W) with one channel or three, not "
                f"{tuple(image.shape)}; a batch goes to pnp.load(...)(y=...)"
            )
        return ImageFile(pixels.detach().float().cpu())
    if not isinstance(image, np.ndarray):
        if not hasattr(image, "__array_interface__"):
            raise PnpError(
                "an image is a path, a PIL image, a NumPy array or a tensor, "
                f"not {type(image).__name__}"
            )
        where = f"the image of type {type(image).__name__}"
        return as_image(where, Decoded(from_pillow(image, where)))
    return ImageFile(_from_array(image))


def _from_array(array: np.ndarray) -> Tensor:
    """(H, W) or (H, W, C) of bytes, 16 bits or floats as (1, C, H, W) float32 on [0, 1]."""
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3):
        raise PnpError(
            f"an image is an array (H, W), (H, W, 1) or (H, W, 3), not {array.shape}; "
            "tensors are (C, H, W)"
        )
    tops = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}
    if array.dtype.kind != "f" and array.dtype not in tops:
        raise PnpError(f"an image holds bytes, 16 bits or floats on [0, 1], not {array.dtype}")
    scaled = array.astype(np.float32) / tops.get(array.dtype, 1.0)
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))[None]
