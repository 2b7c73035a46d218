"""The discrete gradient of images and its adjoint, for total variation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def gradient(u: Tensor) -> Tensor:
    """Differences to the pixel below and to the right (2, B, C, H, W); zero at the border."""
    down = F.pad(u[..., 1:, :] - u[..., :-1, :], (0, 0, 0, 1))
    right = F.pad(u[..., :, 1:] - u[..., :, :-1], (0, 1))
    return torch.stack([down, right])


def adjoint(p: Tensor) -> Tensor:
    """The adjoint of `gradient` for fields p that are zero where the gradient is."""
    down, right = p
    return F.pad(down[..., :-1, :], (0, 0, 1, 0)) - down + F.pad(right[..., :, :-1], (1, 0)) - right
