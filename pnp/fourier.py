"""Convolution followed by decimation, in small spectra: what the Fourier solvers share.

    (x * k)|s [i] = sum over n of r[n] x[s i + n],   r[n] = k[-n], k mirrored about its centre

Every pixel of x belongs to one of s x s phases x_pq[i, j] = x[s i + p, s j + q], each as small as
y, and so does every tap of r.  A phase of r meets only the same phase of x, so with R_pq and X_pq
the small spectra of the phases

    spectrum of (x * k)|s  =  sum over p, q of conj(R_pq) X_pq            `blur_down`
    phase p, q of its adjoint applied to u  =  F^-1( R_pq U )              `up_blur`
    spectrum of (k * k^T)|s  =  sum over p, q of |R_pq|^2                  `gram`

This is equation 8 exactly: the sum over phases is its block mean over the s x s aliases of the
large spectrum, the product with every phase is its tiling.  It needs no spectrum of the large size,
no zero-filled y, no folding of half spectra, and works through x row phase by row phase, so that
memory stays near one image (not within vmap, which has no operations in place).

All spectra are halves (`rfft2`); all functions are differentiable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

from pnp.gradients import concealed

LARGE = 2**22
"""Pixels from which the channels of an image are transformed one after the other: FFT libraries
copy what they transform, and 24 megapixels in three channels are 0.3 GB a copy."""


def large(image: Tensor) -> bool:
    """Whether an image has so many pixels that its channels are transformed one by one; never
    within vmap and in exported programs."""
    return image.shape[-2] * image.shape[-1] >= LARGE and not concealed()


def channel_groups(image: Tensor) -> list[slice]:
    """The channels that are transformed at once: all, or one of a large image (B, C, H, W)."""
    channels = image.shape[1]
    size = 1 if large(image) else max(channels, 1)
    return [slice(c, min(c + size, channels)) for c in range(0, max(channels, 1), size)]


def joined(parts: list[Tensor]) -> Tensor:
    """The channels in the order of `channel_groups`; a single part is not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def mirrored_taps(k: Tensor, s: int, h: int, w: int) -> tuple[Tensor, Tensor]:
    """Rows (K, 1) and columns (K') of the taps of k in r, which is as large as the image."""
    kh, kw = k.shape[-2:]
    rows = (kh // 2 - torch.arange(kh, device=k.device)) % (s * h)
    cols = (kw // 2 - torch.arange(kw, device=k.device)) % (s * w)
    return rows[:, None], cols


def kernel_spectra(k: Tensor, s: int, h: int, w: int) -> Tensor:
    """Spectra R of the phases of r, k (B, 1, K, K'), y (h, w): (B, s, s, 1, h, w // 2 + 1)."""
    kh, kw = k.shape[-2:]
    wide = pad(k.flip(-2, -1), (0, s * w - kw, 0, s * h - kh))
    r = wide.roll((kh // 2 + 1 - kh, kw // 2 + 1 - kw), (-2, -1)).reshape(-1, 1, h, s, w, s)
    return torch.fft.rfft2(r.permute(0, 3, 5, 1, 2, 4).contiguous())


def row_spectra(x: Tensor, s: int) -> Iterator[Tensor]:
    """Spectra of the phases of x (B, C, s h, s w), by row phase: s of (B, s, C, h, w // 2 + 1)."""
    for p in range(s):
        yield torch.fft.rfft2(phases(x, s, p))


def phases(x: Tensor, s: int, p: int) -> Tensor:
    """The s phases in row phase p of x (B, C, s h, s w): (B, s, C, h, w)."""
    b, c, h, w = x.shape[0], x.shape[1], x.shape[2] // s, x.shape[3] // s
    return x[:, :, p::s].reshape(b, c, h, w, s).permute(0, 4, 1, 2, 3).contiguous()


def rows_of(part: Tensor) -> Tensor:
    """The s phases of a row phase, (B, s, C, h, w), as rows (B, C, h, s w); undoes `phases`."""
    return part.permute(0, 2, 3, 4, 1).flatten(-2)


def gram(R: Tensor) -> Tensor:
    """Spectrum of (k * k^T)|s, which is real: (B, 1, h, w // 2 + 1)."""
    parts = torch.view_as_real(R)
    return (
        (parts * parts).flatten(1, 2).sum(1).sum(-1)
    )  # several times faster than one sum over three dimensions


def blur_down(x_spectra: Iterable[Tensor], R: Tensor) -> Tensor:
    """Spectrum of (x * k)|s, (B, C, h, w // 2 + 1), from the spectra of the row phases of x."""
    total: Tensor | None = None
    for X, Rp in zip(x_spectra, R.unbind(1), strict=True):
        for Xq, Rq in zip(X.unbind(1), Rp.conj().resolve_conj().unbind(1), strict=True):
            if total is None or concealed():
                total = Rq * Xq if total is None else total + Rq * Xq
            else:
                total.addcmul_(Rq, Xq)
    assert total is not None
    return total


def up_blur(U: Tensor, R: Tensor, w: int) -> Tensor:
    """The adjoint of `blur_down`: images (B, C, s h, s w) from spectra U (B, C, h, w // 2 + 1)."""
    s, h = R.shape[1], U.shape[-2]
    rows = (rows_of(torch.fft.irfft2(Rp * U[:, None], s=(h, w))) for Rp in R.unbind(1))
    if concealed():
        return torch.stack(list(rows), 3).flatten(2, 3)
    batch = max(U.shape[0], R.shape[0])
    x = torch.empty(batch, U.shape[1], s * h, s * w, dtype=U.real.dtype, device=U.device)
    for p, row in enumerate(rows):
        x[:, :, p::s] = row
    return x
