"""The discrete gradient of images and its adjoint, for total variation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def gradient(u: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of u (B, C, H, W) to the pixel below and to the right; zero at the border."""
    down = F.pad(u[..., 1:, :] - u[..., :-1, :], (0, 0, 0, 1))
    right = F.pad(u[..., :, 1:] - u[..., :, :-1], (0, 1))
    return down, right


def adjoint(down: Tensor, right: Tensor) -> Tensor:
    """The adjoint of `gradient` for fields that are zero where the gradient is."""
    rows = F.pad(down[..., :-1, :], (0, 0, 1, 0)) - down
    return rows + F.pad(right[..., :, :-1], (1, 0)) - right


def gradient_into(down: Tensor, right: Tensor, u: Tensor) -> None:
    """`gradient`, written into two tensors of u's shape."""
    torch.sub(u[..., 1:, :], u[..., :-1, :], out=down[..., :-1, :])
    torch.sub(u[..., :, 1:], u[..., :, :-1], out=right[..., :, :-1])
    down[..., -1, :] = right[..., :, -1] = 0


def adjoint_into(u: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """`adjoint`, written into u; returns u."""
    u[..., 0, :] = 0
    u[..., 1:, :] = down[..., :-1, :]
    u -= down
    u[..., :, 1:] += right[..., :, :-1]
    u -= right
    return u
