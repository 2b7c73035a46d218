"""Is an estimated kernel to be trusted?  A verdict from the observation alone.

    verdict = judge(y, x, k, s, sigma)
    verdict.reliable, verdict.reasons, verdict.scores

No ground truth is used.  Each score has a threshold; the kernel is doubtful if one is exceeded.
The thresholds were chosen on 240 observations of held-out training images (`ikrnet-small`; x1, x2
and x4; noise 0 to 3 %; borders periodic and not; Gaussians, discs, motion, a fifth of it wider than
the estimated kernel): after registration, 64 results are more than 2 dB below those with the true
kernel, and 53 of them are called doubtful; of the 176 others, 39 are.
On 816 test observations (17 images of CBSD68, twelve kernels, x2 and x4, noise 0 and 2 %), 78
results are more than 2 dB below, and 69 of them are called doubtful; of the 738 others, 98 are.
On 84 crops of 256 x 256 pixels of held-out training images at x1, blurred beyond their border, 24
of them JPEG (`benchmarks/verdict_rate.py`), 30 are below, and 22 of them are called doubtful; of
the 54 others, 12 are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from pnp.checkpoints import load_weights
from pnp.interfaces import Module
from pnp.kernels import width_of
from pnp.operators import Blur
from pnp.overexposed import near, overexposed
from pnp.power_spectrum import LEAST, SCALES
from pnp.registry import estimator, initializer

MISSES = "the result, blurred again, misses the observation by"
RESIDUAL = 1.5
"""Largest residual, as a multiple of the noise level (of 0.2 % if that is smaller).  Above scale 1
the level is at least that of `wavelet-noise`, which counts the aliased detail that no restoration
explains."""
RESIDUAL_LOSSY = 3.0
"""The same for JPEG and the like, whose errors lie where the detail is, not in the noise level."""
BORDER = 0.005
"""Largest share of the taps' sum in the two outermost rows and columns."""
RINGING = 0.12
"""Largest excess of total variation over the cautious restoration."""
NOISE = 0.5
"""Largest noise level, as a share of the standard deviation of the observation."""
DETAIL = 2 / 255
"""Smallest standard deviation of the observation."""
SIDE = 32
"""Shortest side of an observation that shows enough of a blur, in pixels."""
SHARP = 0.5
"""At scale 1, a kernel with no larger standard deviation along both axes is no blur (pixels)."""
WIDTHS = 1.6
"""Largest ratio, either way, of the kernel's width to that of the kernel from the spectrum."""
PIXEL = 1.0
"""Narrower kernels count as of this width (pixels) in that ratio."""


@dataclass(frozen=True)
class Verdict:
    """Whether the kernel is to be trusted, and why not."""

    reliable: bool
    """False if there is at least one reason for doubt."""
    reasons: tuple[str, ...]
    """The reasons for doubt, in words."""
    blurred: bool
    """False if, at scale 1, the kernel is narrower than half a pixel."""
    scores: dict[str, float]
    """Numbers behind the verdict: border, whiteness, residual, width, and margin and ringing if
    known."""

    def __str__(self) -> str:
        doubt = f"doubtful, because {' and '.join(self.reasons)}"
        return (doubt if self.reasons else "reliable") + ("" if self.blurred else "; no blur found")

    def plain(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        scores = {name: float(f"{score:.4g}") for name, score in self.scores.items()}
        return {"verdict": str(self), "reliable": self.reliable, "scores": scores}


def judge(
    y: Tensor,
    x: Tensor,
    k: Tensor,
    s: int,
    sigma: float | None = None,
    *,
    margin: float | None = None,
    ringing: float | None = None,
    lossy: bool = False,
) -> Verdict:
    """The verdict on a kernel and the image restored with it.

        r = y - (x * k)|s over the pixels that neither the border nor the light of an overexposed
            pixel of a photograph can reach
        whiteness = root mean square of r's autocorrelation at lags of 1 and 2 pixels (white: 0)
        residual  = standard deviation of r / max(sigma, 0.2 %)
        border    = share of the taps' sum in the two outermost rows and columns of k
        width     = standard deviation of k along its longer axis, in pixels of x, over that of the
                    kernel which `spectral-kernel` finds in the power spectrum of y

    Args:
        y: Observation (1, C, h, w).
        x: Restored image (1, C, s h, s w).
        k: Estimated kernel (1, 1, K, K).
        s: Scale.
        sigma: Noise level, estimated or given; None or 0 (which is assumed of an observation that
            is denoised first) is that of `wavelet-noise`.
        margin: By how much the kernel won against its rival (`better`).
        ringing: Excess of the total variation of x over that of a cautious restoration (`better`).
        lossy: Whether y was compressed with losses.
    """
    k = k[:1]
    apparent = float(estimator.build("wavelet-noise")(y)) if s > 1 or not sigma else 0.0
    sigma = sigma or apparent
    scores = {"border": border_mass(k)}
    reasons = _weaknesses(y, sigma)
    valid = _valid_residual(y, x, k, s)
    if valid is not None:
        r, size = valid
        scores |= {"whiteness": whiteness(r), "residual": size / max(sigma, 0.002)}
        misfit = size / max(sigma, apparent, 0.002)
        if misfit > (RESIDUAL_LOSSY if lossy else RESIDUAL):
            reasons.append(f"{MISSES} {misfit:.1f} times the noise")
    if scores["border"] > BORDER:
        share = f"{100 * scores['border']:.1f} % of the kernel"
        reasons.append(f"{share} lies at its border, so the blur may be wider")
    width, expected = float(width_of(k)), width_from_spectrum(y, s)
    if expected is not None:
        scores["width"] = width / expected
        if not 1 / WIDTHS <= max(width, PIXEL) / max(expected, PIXEL) <= WIDTHS:
            reasons.append(
                f"the spectrum of the observation suggests a kernel {expected:.1f} pixels wide, "
                f"not {width:.1f}"
            )
    given = {"margin": margin, "ringing": ringing}
    scores |= {name: value for name, value in given.items() if value is not None}
    if ringing is not None and ringing > RINGING:
        reasons.append("the result rings with it")
    return Verdict(not reasons, tuple(reasons), s > 1 or width > SHARP, scores)


def _weaknesses(y: Tensor, sigma: float) -> list[str]:
    """The reasons to doubt any estimate from an observation."""
    reasons = []
    deviation = float(y.std(unbiased=False))
    if deviation < DETAIL:
        reasons.append("the image has hardly any detail")
    elif sigma > NOISE * deviation:
        reasons.append(f"noise ({100 * sigma:.1f} %) hides the detail")
    if min(y.shape[-2:]) < SIDE:
        reasons.append(f"an estimate needs {SIDE} x {SIDE} pixels or more")
    return reasons


def border_mass(k: Tensor) -> float:
    """Share of the sum of |k| in its two outermost rows and columns; 0 for 4 x 4 taps or less."""
    if min(k.shape[-2:]) <= 4:
        return 0.0
    return 1 - float(k[..., 2:-2, 2:-2].abs().sum() / k.abs().sum())


def whiteness(r: Tensor) -> float:
    """Root mean square of the normalised autocorrelation of r (B, C, H, W) at the 12 lags of at
    most 2 pixels (up to sign).

    0 for an ideal white image; about 1 / sqrt(H W) for white noise; 1 for a constant slope.
    """
    power = torch.zeros((), dtype=torch.float64)
    for colour in r.unbind(1):  # one after another: less memory
        F = torch.fft.rfft2((colour - colour.mean((-2, -1), keepdim=True)).double())
        power = power + F.real.square().add_(F.imag.square()).mean(0)
    a = torch.fft.irfft2(power, s=r.shape[-2:])
    lags = [(i, j) for i in range(-2, 3) for j in range(3) if j > 0 or i > 0]
    near = torch.stack([a[i, j] for i, j in lags])
    return float((near / a[0, 0].clamp(min=1e-30)).square().mean().sqrt())


def width_from_spectrum(y: Tensor, s: int) -> float | None:
    """The width of the kernel that `spectral-kernel` finds: its standard deviation along the longer
    axis, in pixels of x; None if y is too small or s too large."""
    if s > SCALES or min(y.shape[-2:]) < LEAST:
        return None
    with torch.inference_mode():
        return float(width_of(_spectral_kernel()(y.float(), s))[0])


@lru_cache(maxsize=1)
def _spectral_kernel() -> Module:
    module = initializer.get("spectral-kernel")()
    load_weights(module, "spectral-kernel")
    return module.eval()


def _valid_residual(y: Tensor, x: Tensor, k: Tensor, s: int) -> tuple[Tensor, float] | None:
    """r = y - (x * k)|s, zero at pixels that depend on overexposed ones, without those that depend
    on what lies beyond the border; and its standard deviation over the others.  None if fewer than
    8 x 8 are left."""
    if max(k.shape[-2:]) > min(x.shape[-2:]):
        return None
    r, bright = y - Blur(k, x.shape[-2:], s)(x), overexposed(y)
    rows, columns = (-(-side // (2 * s)) for side in k.shape[-2:])
    inside = (..., slice(rows, r.shape[-2] - rows), slice(columns, r.shape[-1] - columns))
    if bright is None:
        r = r[inside]
        return (r, float(r.std(unbiased=False))) if min(r.shape[-2:]) >= 8 else None
    known = ~near(bright, k, s)[inside].expand_as(r[inside])
    if int(known[:, :1].sum()) < 64:
        return None
    r = r[inside]
    return r.masked_fill(~known, 0), float(r[known].std(unbiased=False))
