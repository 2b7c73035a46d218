"""The unitary Fourier transform of complex images in real tensors, as MRI samples it.

The zero frequency is at H // 2, W // 2, as in files of scanners, and so is the image's centre.
"""

from __future__ import annotations

import torch
from torch import Tensor

DIMS = (-2, -1)


def as_complex(x: Tensor) -> Tensor:
    """(B, 2, H, W), real and imaginary part, as complex (B, 1, H, W)."""
    return torch.complex(x[:, :1], x[:, 1:])


def as_parts(x: Tensor) -> Tensor:
    """Complex (B, 1, H, W) as its real and imaginary part (B, 2, H, W)."""
    return torch.cat((x.real, x.imag), 1)


def to_kspace(x: Tensor) -> Tensor:
    """The centred unitary Fourier transform of a complex tensor (..., H, W)."""
    centred = torch.fft.ifftshift(x, dim=DIMS)
    return torch.fft.fftshift(torch.fft.fft2(centred, norm="ortho"), dim=DIMS)


def to_image(kspace: Tensor) -> Tensor:
    """The inverse of `to_kspace`."""
    centred = torch.fft.ifftshift(kspace, dim=DIMS)
    return torch.fft.fftshift(torch.fft.ifft2(centred, norm="ortho"), dim=DIMS)


def filtered(x: Tensor, gain: Tensor) -> Tensor:
    """A complex image (B, 2, H, W) whose frequencies are multiplied by a real gain (B or 1, 1, H,
    W), which is centred.

    The shifts of the image cancel: they only turn the phases of its frequencies.
    """
    spectrum = torch.fft.fft2(as_complex(x), norm="ortho")
    gain = torch.fft.ifftshift(gain, dim=DIMS)
    return as_parts(torch.fft.ifft2(gain * spectrum, norm="ortho"))
