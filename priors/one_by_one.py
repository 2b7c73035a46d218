"""Image by image through a NumPy denoiser: how a prior from scikit-image becomes a prior on a batch
of tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pnp.errors import PnpError
from pnp.interfaces import as_level


def one_by_one(
    denoise: Callable[[np.ndarray, float], np.ndarray], x: Tensor, level: Tensor | float, name: str
) -> Tensor:
    """`denoise(image (H, W, C), level)` on every image of x (B, C, H, W); an image with level 0 is
    kept as it is.

    The result has the dtype and device of x.  There are no gradients: backward through it is a
    PnpError that names the prior.
    """
    result: Tensor = _OneByOne.apply(
        x, denoise, as_level(level, x).expand(x.shape[0], 1, 1, 1), name
    )
    return result


class _OneByOne(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, denoise: Callable[..., np.ndarray], levels: Tensor, name: str
    ) -> Tensor:
        ctx.name = name
        out = x.detach().clone()
        for image, level in zip(out, levels.flatten().tolist(), strict=True):
            if level > 0:
                clean = denoise(np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()), level)
                image.copy_(torch.from_numpy(np.ascontiguousarray(clean)).permute(2, 0, 1))
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raise PnpError(
            f"{ctx.name}: it has no gradients, so nothing before it can be trained through it; "
            "use a differentiable prior such as 'tv', or detach its output"
        )
