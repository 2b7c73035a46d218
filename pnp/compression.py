"""JPEG of images, and the errors of lossy compression as a noise level."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from scipy.fft import dctn
from torch import Tensor

from pnp.tensors import LUMA

BLOCK = 8
TABLE = np.array(
    [
        *([16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55]),
        *([14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62]),
        *([18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92]),
        *([49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99]),
    ]
).ravel()
"""Steps of the luminance at quality 50, in units of 1/255 (Annex K.1 of ISO/IEC 10918-1)."""
STEPS = np.arange(2, 101)
"""Steps that are looked for.  Those below are hidden by the rounding of the pixels."""
BINS_PER_UNIT = 4
SEEN = [f for f in range(1, BLOCK**2) if not {*divmod(f, BLOCK)} <= {0, 4}]
"""Frequencies that are looked at: the mean and three others are multiples of the grey level."""
USED = 30
"""Coefficients of a frequency, not rounded to zero, that are enough to see its step."""
CLEAR = 0.5
"""Least mean of cos(2 pi c / q) over them: about 0 without steps, 1 for exact multiples of q."""
FOUND = 3
"""Frequencies that must show their steps."""
COARSE = 26
"""Larger steps lose no more, because the coefficients that have them are hardly larger."""
LEVELS = 32
"""Fewer grey levels are a drawing, whose coefficients are few numbers without JPEG, too."""
SIDE = 1024
"""Of larger images the middle is enough."""
UNSEEN = 0.015
"""The level for other formats; best for deblurring WebP of quality 80 to 95 are 1 to 2 %."""

_format: ContextVar[str] = ContextVar("pnp_lossy_format", default="")


@contextmanager
def stored_as(form: str) -> Iterator[None]:
    """The span in which the image is one from a file of this lossy format, such as WEBP, or ""."""
    token = _format.set(form)
    try:
        yield
    finally:
        _format.reset(token)


def as_jpeg(y: Tensor, qualities: Sequence[int]) -> Tensor:
    """Each image of y (B, C, H, W), C 1 or 3, after it was stored as JPEG of its quality."""
    from PIL import Image

    found = []
    for image, quality in zip(y, qualities, strict=True):
        pixels = (image.clamp(0, 1) * 255).round().byte().movedim(0, -1).cpu().numpy()
        file = io.BytesIO()
        Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(
            file, "JPEG", quality=quality
        )
        stored = torch.from_numpy(np.array(Image.open(file)))
        found.append(stored.reshape(pixels.shape).movedim(-1, 0).to(y) / 255)
    return torch.stack(found) if found else y


def compression_error(y: np.ndarray) -> float:
    """Standard deviation of the white noise that stands for compression; 0 where there is none.

    JPEG is seen in the pixels (`jpeg_error`), whatever the file is now.  Other lossy formats are
    not, but a file of such a format counts as 1.5 % (`stored_as`).

    Args:
        y: Image (C, H, W) on [0, 1].
    """
    return jpeg_error(y) or (UNSEEN if _format.get() not in ("", "JPEG", "MPO") else 0.0)


def jpeg_error(y: np.ndarray) -> float:
    """Standard deviation of the white noise that stands for JPEG's rounding, from the pixels.

        c = DCT of the blocks of 8 x 8 pixels of the luminance, multiples of q[u, v] after JPEG
        e = sqrt(mean over u, v of min(q[u, v], 26)^2 / 12) / 255

    A step q is seen if the coefficients that were not rounded to zero (above q / 4, and above 1,
    which the rounding of pixels hides) are at least 30 and have a mean of cos(2 pi c / q) above
    0.5.  Steps below 2 are hidden.  All others follow from the standard table, scaled to those that
    are seen.  Where the coefficients of a frequency are all zero, nothing but its step tells how
    large they were, so it counts, too: the error of y itself is smaller than e, but deblurring
    amplifies these frequencies most.

    Args:
        y: Image (C, H, W) on [0, 1].  The blocks may begin anywhere.
    Returns:
        e; 0 if values of y are not multiples of 1/255, which is the usual case of a simulated
        observation, or if fewer than three frequencies show their steps.
    """
    y = _middle(y, SIDE)
    if not np.abs(255 * y - (255 * y).round()).max(initial=0) < 0.01:
        return 0.0
    luma = 255 * (np.tensordot(LUMA, y, 1) if len(y) == len(LUMA) else y.mean(0))
    if min(luma.shape) < 2 * BLOCK or np.unique(luma.round()).size < LEVELS:
        return 0.0
    q = _steps(_coefficients(luma, *_first_block(luma)))
    seen = q > 0
    if seen.sum() < FOUND:
        return 0.0
    steps = np.minimum(np.median(q[seen] / TABLE[seen]) * TABLE[1:], COARSE)
    return float(np.sqrt((steps**2).mean() / 12)) / 255


def _middle(y: np.ndarray, side: int) -> np.ndarray:
    """At most `side` x `side` pixels of an image (..., H, W); what is cut off are whole blocks."""
    starts = [max(0, (n - side) // 2) // BLOCK * BLOCK for n in y.shape[-2:]]
    return y[..., starts[0] : starts[0] + side, starts[1] : starts[1] + side]


def _coefficients(luma: np.ndarray, top: int = 0, left: int = 0) -> np.ndarray:
    """The DCT of all whole blocks from (top, left) on, (blocks, 64)."""
    luma = luma[top:, left:]
    rows, columns = (n // BLOCK for n in luma.shape)
    blocks = luma[: BLOCK * rows, : BLOCK * columns].reshape(rows, BLOCK, columns, BLOCK)
    return dctn(blocks, axes=(1, 3), norm="ortho").transpose(0, 2, 1, 3).reshape(-1, BLOCK**2)


def _first_block(luma: np.ndarray) -> tuple[int, int]:
    """Where the blocks begin: with most coefficients that were rounded to zero."""
    part = _middle(luma, 32 * BLOCK)
    starts = [(top, left) for top in range(BLOCK) for left in range(BLOCK)]
    zeros = [(np.abs(_coefficients(part, *start)) < 0.5).mean() for start in starts]
    return starts[int(np.argmax(zeros))]


def _steps(c: np.ndarray) -> np.ndarray:
    """The step of each frequency, (64), or 0; from the coefficients (blocks, 64)."""
    bins = (BINS_PER_UNIT * np.minimum(np.abs(c), 1024)).round().astype(int)
    values = np.arange(bins.max() + 1)[:, None] / BINS_PER_UNIT
    counted = (values > np.maximum(STEPS / 4, 1)).astype(float)
    cosines = counted * np.cos(2 * np.pi * values / STEPS)
    signs = np.sign(c.round())
    both = np.abs(signs.sum(0)) < 0.9 * np.abs(signs).sum(0)  # not so in an even gradient
    found = np.zeros(BLOCK**2)
    for f in (f for f in SEEN if both[f]):
        histogram = np.bincount(bins[:, f], minlength=len(values)).astype(float)
        used = histogram @ counted
        clear = (used >= USED) & (histogram @ cosines >= CLEAR * used)
        found[f] = STEPS[clear].max(initial=0)
    return found
