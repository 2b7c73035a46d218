"""What every data solver refuses, each with one sentence that names the cause and the cure.

Shapes, dtypes and devices are compared on every call; values of y and k are looked at once per run
(`Module.once`), and x only through numbers that the solver computes anyway (`check_result`), so
that checking costs no pass over x.
"""

from __future__ import annotations

import math
from typing import Any, NoReturn

import torch
from torch import Tensor

from pnp.errors import PnpError
from pnp.interfaces import as_level

HALF = (torch.float16, torch.bfloat16)


def compute_dtype(t: Tensor) -> torch.dtype:
    """The dtype to compute in: there is no FFT of half-precision numbers on most devices, so they become float32."""
    return torch.float32 if t.dtype in HALF else t.dtype


def check_shapes(name: str, y: Tensor, x: Tensor, k: Tensor) -> int:
    """Refuse tensors that do not fit together; the scale s = size of x / size of y."""
    for what, t in (("y", y), ("x", x), ("k", k)):
        _check_tensor(name, what, t)
    for what, t in (("x", x), ("k", k)):
        if compute_dtype(t) != compute_dtype(y):
            _refuse(
                name,
                f"y is {_dtype(y)} but {what} is {_dtype(t)}",
                f"convert one of them, for example {what}.to(y.dtype)",
            )
        if t.device != y.device:
            _refuse(
                name,
                f"y is on {y.device} but {what} is on {t.device}",
                f"move one of them, for example {what}.to(y.device)",
            )
    (b, c, h, w), (bx, cx, H, W), (bk, ck, kh, kw) = y.shape, x.shape, k.shape
    if cx != c:
        _refuse(name, f"y has {_count(c, 'channel')} but x has {cx}", "give both the same channels")
    if bx != b:
        _refuse(name, f"y is a batch of {b} but x is a batch of {bx}", "give one x for each y")
    if bk not in (1, b):
        _refuse(
            name,
            f"there are {_count(bk, 'kernel')} for {_count(b, 'image')}",
            "give one kernel, or one for each image",
        )
    if ck != 1:
        _refuse(
            name,
            f"k has {_count(ck, 'channel')}",
            "all channels share one kernel: give k the shape (B, 1, K, K)",
        )
    if H % h or W % w or H // h != W // w:
        _refuse(
            name,
            f"x is {H} x {W} and y is {h} x {w}, which is not one whole scale s in both directions",
            "crop the images so that the size of x is s times the size of y",
        )
    if kh > H or kw > W:
        _refuse(
            name,
            f"the kernel is {kh} x {kw}, larger than the image x, which is {H} x {W}",
            "crop the kernel or take a larger image",
        )
    return H // h


def check_observation(name: str, y: Tensor) -> None:
    """Refuse a y that holds NaN or is on 0-255."""
    peak = float(y.detach().abs().max())
    _check_finite(name, "y", peak)
    if peak > 8:
        _refuse(
            name,
            f"y has values up to {peak:.4g}, but images are on [0, 1]",
            "divide an 8-bit image by 255",
        )


def check_kernel(name: str, k: Tensor) -> None:
    """Refuse a kernel that holds NaN or was not normalised."""
    total = float(k.detach().sum((-2, -1)).abs().max())
    _check_finite(name, "k", total)
    if total > 2:
        _refuse(
            name,
            f"the kernel sums to {total:.4g}, but a blur kernel sums to one",
            "divide it by its sum",
        )


def check_weight(name: str, weight: Tensor | float, x: Tensor) -> Tensor:
    """The weight of the pull as a tensor (B or 1, 1, 1, 1); refuse zero, negative and not finite ones."""
    alpha = as_level(weight, x)
    if alpha.shape[0] not in (1, x.shape[0]):
        _refuse(
            name,
            f"there are {_count(alpha.shape[0], 'weight')} for {_count(x.shape[0], 'image')}",
            "give one weight, or one for each image",
        )
    if not bool(((alpha > 0) & (alpha < math.inf)).all()):
        _refuse(
            name, f"the weight is {_extreme(alpha):.4g}", "it must be a finite number above zero"
        )
    return alpha


def check_mask(name: str, mask: Tensor, y: Tensor) -> None:
    """Refuse a mask that does not lie on y."""
    _check_tensor(name, "mask", mask)
    if (
        mask.shape[-2:] != y.shape[-2:]
        or mask.shape[0] not in (1, y.shape[0])
        or mask.shape[1] not in (1, y.shape[1])
    ):
        _refuse(
            name,
            f"the mask has shape {_shape(mask)} but y has {_shape(y)}",
            "the mask lies on y: the same height and width, its batch and channels may be 1",
        )
    if compute_dtype(mask) != compute_dtype(y):
        _refuse(
            name,
            f"y is {_dtype(y)} but the mask is {_dtype(mask)}",
            "convert it, for example mask.to(y.dtype)",
        )
    if mask.device != y.device:
        _refuse(
            name,
            f"y is on {y.device} but the mask is on {mask.device}",
            "move it, for example mask.to(y.device)",
        )
    _check_finite(name, "mask", float(mask.detach().abs().max()))


def check_result(name: str, probe: Tensor) -> None:
    """Refuse an x with NaN or infinite values, seen in a few numbers (`probe`) that every pixel of x went into."""
    if not bool(torch.isfinite(probe.detach()).all()):
        _refuse(name, "x holds NaN or infinite values", "look at the step that made x")


def check_support(name: str, size: int | None, x: Tensor) -> None:
    """A kernel of this side fits into the image."""
    H, W = x.shape[-2:]
    if size is not None and size > min(H, W):
        _refuse(
            name,
            f"size is {size}, larger than the image x, which is {H} x {W}",
            "take a smaller size",
        )


def _check_tensor(name: str, what: str, t: Any) -> None:
    if not isinstance(t, Tensor):
        _refuse(
            name,
            f"{what} is a {type(t).__name__}",
            "give a tensor, for example torch.from_numpy(...)",
        )
    if t.dim() != 4:
        shape = "(B, 1, K, K)" if what == "k" else "(B, C, H, W)"
        _refuse(
            name,
            f"{what} has shape {_shape(t)}",
            f"it needs four dimensions, {shape}; add them with [None]",
        )
    if what != "k" and t.shape[-1] in (1, 3, 4) and t.shape[1] > 4 and t.shape[2] > 4:
        _refuse(
            name,
            f"{what} has shape {_shape(t)}, with the channels last",
            "use .permute(0, 3, 1, 2) to give (B, C, H, W)",
        )
    if not t.is_floating_point():
        _refuse(
            name,
            f"{what} is {_dtype(t)}",
            "give floating point numbers; divide an 8-bit image by 255",
        )
    if 0 in t.shape:
        _refuse(
            name,
            f"{what} is empty, its shape is {_shape(t)}",
            "look at where it was read or cropped",
        )


def _check_finite(name: str, what: str, summary: float) -> None:
    """A maximum or a sum is finite only if all that it was made of is."""
    if not math.isfinite(summary):
        _refuse(
            name, f"{what} holds NaN or infinite values", "look at where it was read or computed"
        )


def _extreme(alpha: Tensor) -> float:
    wrong = alpha[~((alpha > 0) & (alpha < math.inf))]
    return float(wrong.flatten()[0])


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def _shape(t: Tensor) -> str:
    return str(tuple(t.shape))


def _dtype(t: Tensor) -> str:
    return str(t.dtype).removeprefix("torch.")


def _refuse(name: str, problem: str, cure: str) -> NoReturn:
    raise PnpError(f"{name}: {problem}; {cure}")
