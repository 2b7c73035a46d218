"""Image by image through a NumPy denoiser: how a prior from scikit-image becomes a prior on a batch
of tensors.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pnp.gradients import without_gradient
from pnp.interfaces import as_level


def one_by_one(
    denoise: Callable[[np.ndarray, float], np.ndarray], x: Tensor, level: Tensor | float, name: str
) -> Tensor:
    """`denoise(image (H, W, C), level)` on every image of x (B, C, H, W); an image with level 0 is
    kept as it is.

    The result has the dtype and device of x.  There are no gradients: backward through it is a
    PnpError that names the prior.
    """
    out = x.detach().clone()
    levels = as_level(level, x).expand(x.shape[0], 1, 1, 1)
    for image, strength in zip(out, levels.flatten().tolist(), strict=True):
        if strength > 0:
            clean = denoise(np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()), strength)
            image.copy_(torch.from_numpy(np.ascontiguousarray(clean)).permute(2, 0, 1))
    return without_gradient(name, out, x, level)
