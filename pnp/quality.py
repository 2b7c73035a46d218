"""The quality of one result, as far as it can be measured: for the record of `pnp.restore`."""

from __future__ import annotations

from torch import Tensor

import pnp
from pnp.boundaries import Assumption
from pnp.metrics import psnr, psnr_lr, psnr_registered


def measure(
    x: Tensor,
    k: Tensor | None,
    y: Tensor,
    ground_truth: Tensor | None,
    s: int,
    boundary: Assumption = "periodic",
) -> tuple[dict[str, float], list[str]]:
    """PSNR by name, and notes on what was not measured or how.

    `psnr_lr`: the re-degraded result against y, without a border of s, and, if the boundary is
    unknown, without the pixels that depend on what lies beyond it.  With a ground truth,
    `psnr_before` (bicubic), `psnr_after` and `psnr_after_registered`, without a border of s * s.
    Grey and colour images are compared as grey.  An image that is too small for its border is not
    measured.

    Args:
        x: The result (1, C, sH, sW).
        k: The kernel, or None if y is not to be explained by one.
        y: The observation (1, C, H, W).
        ground_truth: (1, 1 or 3, sH, sW), or None.
        s: The scale.
        boundary: What lies beyond the border of y.
    """
    quality: dict[str, float] = {}
    notes: list[str] = []
    if k is not None:
        k = k[:1].float().cpu()
        border = s
        if boundary == "unknown":
            border = max(s, -(-max(k.shape[-2:]) // (2 * s)))
        if (
            2 * border >= min(y.shape[-2:])
            or k.shape[-2] > x.shape[-2]
            or k.shape[-1] > x.shape[-1]
        ):
            notes.append(f"psnr_lr is not measured: {_size(y)} is too small")
        else:
            quality["psnr_lr"] = float(psnr_lr(x, k, y, border).mean())
    if ground_truth is not None:
        border = s * s
        if 2 * border >= min(x.shape[-2:]):
            reason = f"a border of {border} leaves nothing of {_size(x)}"
            return quality, [*notes, f"the reference is not compared: {reason}"]
        before = pnp.initializers.build("bicubic")(y, s)
        if x.shape[1] != ground_truth.shape[1]:
            notes.append("the reference is compared as grey")
            before, x, ground_truth = (
                image.mean(1, keepdim=True) for image in (before, x, ground_truth)
            )
        quality["psnr_before"] = float(psnr(before, ground_truth, border=border).mean())
        quality["psnr_after"] = float(psnr(x, ground_truth, border=border).mean())
        registered = psnr_registered(x, ground_truth, border=border)
        quality["psnr_after_registered"] = float(registered.mean())
    return quality, notes


def _size(image: Tensor) -> str:
    return f"{image.shape[-2]} x {image.shape[-1]} pixels"
