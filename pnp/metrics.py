"""Metrics: comparison of a result with the ground truth.  Each returns one value per image of the
batch, a tensor (B,), float64.

PSNR is computed over all colours together, on pixels clamped to [0, 1] and rounded to 8 bits unless
`rounded=False`, without a `border` of pixels (see `protocols`).  SSIM is scikit-image's.

A blind method cannot know where a kernel's centre lies: a shifted kernel, with the image shifted
the opposite way, explains y equally well.  PSNR and kernel error therefore also have registered
forms, after the best sub-pixel shift.  These are never worse than the plain forms.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pnp.checks import check_finite, check_form
from pnp.errors import PnpError
from pnp.kernels import resize_kernel
from pnp.operators import Blur
from pnp.tensors import as_float64

REACH = 8
"""In pixels; larger shifts are treated as no match."""
_SUBPIXEL = 50  # the best shift is searched in steps of 1 / 50 pixel


def psnr(x: Tensor, ref: Tensor, border: int = 0, rounded: bool = True) -> Tensor:
    """Peak signal-to-noise ratio in dB, infinite for equal images."""
    _check(x, ref, border)
    colours = zip(x.split(1, dim=1), ref.split(1, dim=1), strict=True)  # in float64: one by one
    errors = [_error(_levels(a, rounded), _levels(b, rounded), border) for a, b in colours]
    return _decibels(torch.stack(errors).mean(0))


def psnr_y(x: Tensor, ref: Tensor, border: int = 0, rounded: bool = True) -> Tensor:
    """PSNR of the luma Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255, colours on 0-255.

    Y itself is not rounded.  Grey images are treated as R = G = B.
    """
    _check(x, ref, border)
    if x.shape[1] not in (1, 3):
        raise PnpError(f"psnr_y: images should have 1 or 3 channels, but these have {x.shape[1]}")
    levels = [_levels(image, rounded) for image in (x, ref)]
    weights = levels[0].new_tensor([65.481, 128.553, 24.966])[:, None, None] / 255
    luma = [(weights * level).sum(1, keepdim=True) for level in levels]
    return _decibels(_error(luma[0], luma[1], border))


def psnr_registered(x: Tensor, ref: Tensor, border: int = 0, rounded: bool = True) -> Tensor:
    """PSNR after the best shift of x, one for all its colours; never below `psnr`.

    The shift is the peak of the upsampled cross-correlation (1/50 pixel).  x is shifted in the
    Fourier domain, mirrored at its edges.  The border grows by the shift, because pixels beyond the
    edge are unknown.
    """
    scores = []
    for one, other, plain in zip(
        as_float64(x), as_float64(ref), psnr(x, ref, border, rounded), strict=True
    ):
        shift = best_shift(one.mean(0), other.mean(0))
        wide = border + math.ceil(max(abs(v) for v in shift))
        score = plain
        if 2 * wide < min(one.shape[-2:]):
            score = torch.maximum(
                plain, psnr(_move(one, shift)[None], other[None], wide, rounded)[0]
            )
        scores.append(score)
    return torch.stack(scores)


def psnr_lr(x: Tensor, k: Tensor, y: Tensor, border: int = 0, rounded: bool = True) -> Tensor:
    """PSNR of the re-degraded result, (x * k)|s, against y: how well x and k explain y."""
    s = x.shape[-2] // max(y.shape[-2], 1)
    if s < 1 or tuple(x.shape[-2:]) != (s * y.shape[-2], s * y.shape[-1]):
        raise PnpError(
            f"psnr_lr: x should be s times as large as y, "
            f"but they are {tuple(x.shape)} and {tuple(y.shape)}"
        )
    return psnr(Blur(k.to(x), x.shape[-2:], s)(x), y, border, rounded)


def ssim(x: Tensor, ref: Tensor, border: int = 0, rounded: bool = True) -> Tensor:
    """Structural similarity (Wang et al. 2004): Gaussian window, std 1.5, mean over colours."""
    from skimage.metrics import structural_similarity

    _check(x, ref, border)
    x, ref = (_inside(_levels(image, rounded), border) for image in (x, ref))
    if min(x.shape[-2:]) < 11:
        raise PnpError(
            f"ssim: its window has 11 pixels, "
            f"but inside the border the image has {x.shape[-2]} x {x.shape[-1]}"
        )
    options = {
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
        "data_range": 255,
        "channel_axis": 0,
    }
    pairs = zip(x.cpu().numpy(), ref.cpu().numpy(), strict=True)
    return torch.tensor(
        [structural_similarity(a, b, **options) for a, b in pairs], dtype=torch.float64
    )


def kernel_error(k: Tensor, ref: Tensor) -> Tensor:
    """Mean over the taps of the squared difference (the paper's Table 5 prints it times 1e5).

    If the sizes differ, the smaller kernel is padded to the larger one, with the centres aligned.
    """
    k, ref = _kernel_pair(k, ref)
    return ((k - ref) ** 2).mean((1, 2, 3))


def kernel_error_registered(k: Tensor, ref: Tensor) -> Tensor:
    """Kernel error after the best shift of k, divided by the same number of taps as `kernel_error`.

    It is never above `kernel_error`.
    """
    k, ref = _kernel_pair(k, ref)
    rows, columns = k.shape[-2:]
    room = (rows + 2 * REACH, columns + 2 * REACH)
    errors = []
    for one, other, error in zip(
        resize_kernel(k, *room), resize_kernel(ref, *room), kernel_error(k, ref), strict=True
    ):
        shift = best_shift(one[0], other[0], windowed=False)
        moved = _fourier_shift(one, shift)
        errors.append(torch.minimum(error, ((moved - other) ** 2).sum() / (rows * columns)))
    return torch.stack(errors)


def best_shift(a: Tensor, b: Tensor, windowed: bool = True) -> tuple[float, float]:
    """Rows and columns to shift `a` (H, W) by to match `b` best; (0, 0) if beyond `REACH`."""
    from skimage.registration import phase_cross_correlation

    window = torch.ones_like(b)
    if windowed:  # pixels of one image that lie beyond the other's edge should not count
        rows, columns = (
            torch.hann_window(n, periodic=False, dtype=b.dtype, device=b.device) for n in b.shape
        )
        window = rows[:, None] * columns[None, :]
    target = (window * (b - b.mean())).cpu().numpy() if windowed else b.cpu().numpy()
    total = (0.0, 0.0)
    for _ in range(2 if windowed else 1):  # the window does not move: a second pass corrects that
        moved = _move(a[None], total)[0]
        seen = (window * (moved - moved.mean())).cpu().numpy() if windowed else moved.cpu().numpy()
        if not seen.any() or not target.any():
            return (0.0, 0.0)
        step, *_ = phase_cross_correlation(
            target, seen, upsample_factor=_SUBPIXEL, normalization=None
        )
        total = (total[0] + float(step[0]), total[1] + float(step[1]))
        if max(abs(v) for v in total) > REACH:
            return (0.0, 0.0)
    return total


def _move(image: Tensor, shift: tuple[float, float]) -> Tensor:
    """The image (C, H, W) shifted in the Fourier domain, mirrored at its edges to avoid ringing."""
    if shift == (0.0, 0.0):
        return image
    height, width = image.shape[-2:]
    mirrored = torch.cat((image, image.flip(-1)), -1)
    mirrored = torch.cat((mirrored, mirrored.flip(-2)), -2)
    return _fourier_shift(mirrored, shift)[..., :height, :width]


def _fourier_shift(image: Tensor, shift: tuple[float, float]) -> Tensor:
    height, width = image.shape[-2:]
    rows = torch.fft.fftfreq(height, dtype=image.dtype, device=image.device)[:, None] * shift[0]
    columns = torch.fft.rfftfreq(width, dtype=image.dtype, device=image.device)[None, :] * shift[1]
    phase = torch.exp(-2j * math.pi * (rows + columns))
    return torch.fft.irfft2(torch.fft.rfft2(image) * phase, s=(height, width))


def _check(x: Tensor, ref: Tensor, border: int) -> None:
    """Raise PnpError unless both images have the same form and finite values."""
    for name, image in (("x", x), ("ref", ref)):
        check_form("metrics", name, image)
        check_finite("metrics", name, float(image.detach().abs().max()))
    if x.shape != ref.shape:
        raise PnpError(
            f"metrics: the images have different shapes, {tuple(x.shape)} and {tuple(ref.shape)}"
        )
    if border < 0 or 2 * border >= min(x.shape[-2:]):
        raise PnpError(
            f"metrics: a border of {border} leaves nothing of {x.shape[-2]} x {x.shape[-1]} pixels"
        )


def _levels(image: Tensor, rounded: bool) -> Tensor:
    """The image in float64 on 0-255, clamped and rounded as in an 8-bit file if `rounded`."""
    exact = as_float64(image)
    return (exact.clamp(0, 1) * 255).round() if rounded else exact * 255


def _inside(image: Tensor, border: int) -> Tensor:
    return image[..., border : image.shape[-2] - border, border : image.shape[-1] - border]


def _error(x: Tensor, ref: Tensor, border: int) -> Tensor:
    return _inside(x - ref, border).square().mean((1, 2, 3))


def _decibels(error: Tensor) -> Tensor:
    return 10 * torch.log10(255**2 / error)


def _kernel_pair(k: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
    """Both kernels in float64, on a support that holds either."""
    for name, kernel in (("k", k), ("ref", ref)):
        check_form("metrics", name, kernel, "kernel")
        check_finite("metrics", name, float(kernel.detach().abs().max()))
    if len(k) != len(ref) and 1 not in (len(k), len(ref)):
        raise PnpError(f"metrics: {len(k)} kernels cannot be compared with {len(ref)}")
    rows, columns = max(k.shape[-2], ref.shape[-2]), max(k.shape[-1], ref.shape[-1])
    count = max(len(k), len(ref))
    k, ref = (
        resize_kernel(as_float64(kernel), rows, columns).expand(count, -1, -1, -1)
        for kernel in (k, ref)
    )
    return k, ref.to(k.device)
