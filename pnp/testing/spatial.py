"""The observation model by spatial convolution: independent of the Fourier solvers on purpose."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def observe_spatially(x: Tensor, k: Tensor, s: int = 1, boundary: str = "circular") -> Tensor:
    """(x * k)|s by spatial convolution: pad, slide the mirrored kernel, keep the upper-left pixel
    of every s x s block.

    x (B, C, H, W), k (B or 1, 1, K, K') with its centre at K // 2; boundary is circular, replicate
    or reflect.
    """
    b, c, kh, kw = *x.shape[:2], *k.shape[-2:]
    padded = functional.pad(
        x, (kw - 1 - kw // 2, kw // 2, kh - 1 - kh // 2, kh // 2), mode=boundary
    )
    mirrored = k.flip(-2, -1).expand(b, c, kh, kw).reshape(b * c, 1, kh, kw)
    blurred = functional.conv2d(
        padded.reshape(1, b * c, *padded.shape[-2:]), mirrored, groups=b * c
    )
    return blurred.reshape(b, c, *x.shape[-2:])[..., ::s, ::s]


def kspace_by_matrices(x: Tensor) -> Tensor:
    """The centred unitary Fourier transform of (B, 2, H, W), real and imaginary part, by explicit
    matrices, as complex (B, 1, H, W)."""
    rows, columns = (_fourier_matrix(n).to(x.device) for n in x.shape[-2:])
    return rows @ torch.complex(x[:, :1], x[:, 1:]).to(rows) @ columns.mT


def _fourier_matrix(n: int) -> Tensor:
    place = torch.arange(n, dtype=torch.float64) - n // 2
    return torch.exp(-2j * math.pi * place[:, None] * place / n) / math.sqrt(n)


def gap(a: Tensor, b: Tensor) -> float:
    """The largest difference; infinite for tensors of different shapes."""
    return float((a - b).detach().abs().max()) if a.shape == b.shape else math.inf


def near(a: Tensor, b: Tensor) -> bool:
    """Equal to 1e-8 of the largest value of a."""
    return gap(a, b) <= 1e-8 * float(a.detach().abs().max())
