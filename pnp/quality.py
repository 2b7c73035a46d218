"""The quality of one result, as far as it can be measured: for the record of `pnp.restore`."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

import pnp
from pnp.boundaries import Assumption
from pnp.kernels import is_delta
from pnp.metrics import psnr, psnr_lr, psnr_registered
from pnp.operators import Blur
from pnp.overexposed import near, overexposed
from pnp.resampling import moved

Alignment = Literal["corner", "centre"]
"""Where a result lies: its first pixel on that of y, or centre on centre."""
LEAST = 0.01
"""Smallest share of the pixels of y that is compared with the result."""


def measure(
    x: Tensor,
    k: Tensor | None,
    y: Tensor,
    ground_truth: Tensor | None,
    s: int,
    boundary: Assumption = "periodic",
    align: Alignment = "corner",
) -> tuple[dict[str, float], list[str]]:
    """PSNR by name, and notes on what was not measured or how.

    `psnr_lr`: the re-degraded result against y, without a border of s, and, if the boundary is
    unknown, without the pixels that depend on what lies beyond it or that the light of overexposed
    ones reaches.  With a ground truth,
    `psnr_before` (bicubic), `psnr_after` and `psnr_after_registered`, without a border of r * r,
    where the result is r times as large as y.
    Grey and colour images are compared as grey.  An image that is too small for its border is not
    measured.

    Args:
        x: The result (1, C, sH, sW), or of another size, if the pipeline gives one.
        k: The kernel, or None if y is not to be explained by one.
        y: The observation (1, C, H, W).
        ground_truth: (1, 1 or 3, ...) of the size of x, or None.
        s: The scale.
        boundary: What lies beyond the border of y.
        align: Where the ground truth lies; x is as in the equations, and moved to compare the two.
    """
    quality: dict[str, float] = {}
    notes: list[str] = []
    larger = scale_of(x, y)
    if k is not None and larger != s:
        notes.append(
            f"psnr_lr is not measured: the kernel is of scale {s}, the result has {_size(x)}"
        )
    elif k is not None:
        k = k[:1].float().cpu()
        border = s
        if boundary == "unknown" and not is_delta(k):
            border = max(s, -(-max(k.shape[-2:]) // (2 * s)))
        least = [max(2 * border + 1, -(-taps // s)) for taps in k.shape[-2:]]
        if any(side < needed for side, needed in zip(y.shape[-2:], least, strict=True)):
            notes.append(
                f"psnr_lr is not measured: {_size(y)} are fewer than {least[0]} x {least[1]}"
            )
        else:
            told, more = _explained(x, k, y, border, s)
            quality |= told
            notes += more
    if ground_truth is not None and ground_truth.shape[-2:] != x.shape[-2:]:
        reason = f"it has {_size(ground_truth)}, the result {_size(x)}"
        notes.append(f"the reference is not compared: {reason}")
    elif ground_truth is not None:
        told, more = _compared(x, y, ground_truth, (larger or s) ** 2, align)
        return {**quality, **told}, [*notes, *more]
    return quality, notes


def _explained(
    x: Tensor, k: Tensor, y: Tensor, border: int, s: int
) -> tuple[dict[str, float], list[str]]:
    """PSNR of the re-degraded result where y is not overexposed; and notes."""
    bright = overexposed(y)
    if bright is None:
        return {"psnr_lr": float(psnr_lr(x, k, y, border).mean())}, []
    reached = near(bright, k, s)
    inside = (..., slice(border, -border), slice(border, -border))
    share = 1 - float(reached[inside].double().mean())
    if share < LEAST:
        return {}, ["psnr_lr is not measured: the light of overexposed pixels is everywhere"]
    again = torch.where(reached, y, Blur(k, x.shape[-2:], s)(x))
    return {"psnr_lr": float(psnr(again, y, border).mean()) + 10 * math.log10(share)}, []


def _compared(
    x: Tensor, y: Tensor, ground_truth: Tensor, border: int, align: Alignment
) -> tuple[dict[str, float], list[str]]:
    """PSNR of the result and of bicubic interpolation, without a border; and notes."""
    if 2 * border >= min(x.shape[-2:]):
        reason = f"a border of {border} leaves nothing of {_size(x)}"
        return {}, [f"the reference is not compared: {reason}"]
    notes, before, x = [], enlarged(y, x, align), aligned(x, y, align)
    if x.shape[1] != ground_truth.shape[1]:
        notes.append("the reference is compared as grey")
        before, x, ground_truth = (
            image.mean(1, keepdim=True) for image in (before, x, ground_truth)
        )
    quality = {
        "psnr_before": psnr(before, ground_truth, border=border),
        "psnr_after": psnr(x, ground_truth, border=border),
        "psnr_after_registered": psnr_registered(x, ground_truth, border=border),
    }
    return {name: float(value.mean()) for name, value in quality.items()}, notes


def scale_of(x: Tensor, y: Tensor) -> int | None:
    """How many times larger x is than y; None if that is no whole number, equal for both sides."""
    scale = x.shape[-2] // y.shape[-2]
    same = tuple(x.shape[-2:]) == (scale * y.shape[-2], scale * y.shape[-1])
    return scale if scale and same else None


def aligned(x: Tensor, y: Tensor, align: Alignment) -> Tensor:
    """The result, moved from "corner", where the first pixels of x and y lie on each other, to
    "centre", where the centres of the images do; see `pnp.restore`."""
    scale = scale_of(x, y) if align == "centre" else None
    return x if scale is None else moved(x, ((scale - 1) / 2,) * 2)


def enlarged(y: Tensor, x: Tensor, align: Alignment = "corner") -> Tensor:
    """The observation by bicubic interpolation at the size of the result."""
    scale = scale_of(x, y)
    if scale is None:
        return F.interpolate(y, x.shape[-2:], mode="bicubic", antialias=True)
    return aligned(pnp.initializers.build("bicubic")(y, scale), y, align)


def _size(image: Tensor) -> str:
    return f"{image.shape[-2]} x {image.shape[-1]} pixels"
