"""What a tensor must be: the one place where images, kernels, levels and masks are examined.

Every function refuses what it does not accept with one sentence, "where: what is wrong; what to
do", in which `where` names the module or function that was called.  Shapes, dtypes and devices are
compared on every call.  Values are examined once: those of given variables when a pipeline takes
them, those of y and k once per run of a solver (`Module.cached`), and those of x only through
numbers that a solver computes anyway (`check_result`); none within torch.func and torch.export.
"""

from __future__ import annotations

import math
from typing import Any, NoReturn

import torch
from torch import Tensor

from pnp.errors import PnpError
from pnp.gradients import transformed
from pnp.interfaces import as_level
from pnp.kernels import unit_kernel
from pnp.options import Count, Noise, convert
from pnp.tensors import check_tensor, dtype_of

HALF = (torch.float16, torch.bfloat16)

# --- tolerances: images are on [0, 1] and kernels sum to one, up to these

LARGEST_VALUE = 8.0
"""Of an image in memory: estimates may overshoot; what is larger was not divided by 255."""
FILE_VALUES = (-1.0, 2.0)
"""Of an image file in floats: noise may leave [0, 1] a little."""
LARGEST_SUM = 2.0
"""Of a kernel in a pipeline: estimates need not be normalised; what is larger is grey levels."""
SUM_ERROR = 0.01
"""Of a kernel that observations are simulated with."""
FILE_NEGATIVE_TAPS = 0.05
"""Of a kernel file, as a share of its largest tap: estimates of kernels have such taps."""

SHAPES = {
    "image": "(B, C, H, W)",
    "complex": "(B, 2, H, W)",
    "kernel": "(B, 1, K, K)",
    "levels": "(B, n, 1, 1)",
}


def compute_dtype(t: Tensor) -> torch.dtype:
    """The dtype to compute in: half precision becomes float32, as most devices have no half FFT."""
    return torch.float32 if t.dtype in HALF else t.dtype


# --- one value in the form that modules pass to each other


def as_given(where: str, name: str, kind: str, value: Any, like: Tensor | None) -> Any:
    """A variable that is given to a pipeline, by its kind: checked, numbers made levels, kernels
    divided by their sum.

    Tensors must have the dtype and device of `like`, the observation; levels are brought to them.
    """
    if kind == "number":
        return as_option(where, name, Count, value)
    if kind == "level":
        if like is None:
            refuse(where, f"{name} is given without an image", "give y too")
        return (as_noise if name == "sigma" else as_strength)(where, name, value, like)
    if kind == "kernel":
        value = unit_kernel(as_kernel(where, name, value), where)
    elif kind == "levels":
        check_form(where, name, value, kind)
        check_finite(where, name, float(value.detach().abs().max()))
    else:
        check_form(where, name, value, kind)
        check_observation(where, value, name)
    if like is not None:
        check_alike(where, name, value, like, exactly=True)
    return value


def as_kernel(where: str, name: str, value: Any, error: float | None = None) -> Tensor:
    """A kernel (B, 1, K, K) or (K, K), finite, its sum at most 2, or within `error` of one."""
    check_tensor(where, name, value)
    if value.dim() == 2:
        value = value[None, None]
    check_form(where, name, value, "kernel")
    check_kernel(where, value, error)
    return value


def as_noise(where: str, name: str, value: Any, like: Tensor) -> Tensor:
    """A noise level as a tensor (B or 1, 1, 1, 1): a standard deviation on [0, 1]."""
    if not isinstance(value, Tensor):
        value = as_option(where, name, Noise, value)
    level = _level_of(where, name, value, like)
    wrong = _first_wrong(level, (level >= 0) & (level <= 1))
    if wrong is not None:
        problem = f"{name} is {wrong:g}, but should be a noise level on [0, 1]"
        refuse(where, problem, "divide levels on 0-255 by 255")
    return level


def as_strength(where: str, name: str, value: Any, like: Tensor) -> Tensor:
    """Any other level or weight as a tensor (B or 1, 1, 1, 1), finite and not negative."""
    if not isinstance(value, Tensor):
        value = as_option(where, name, float, value)
    level = _level_of(where, name, value, like)
    wrong = _first_wrong(level, (level >= 0) & (level < math.inf))
    if wrong is not None:
        refuse(where, f"{name} is {wrong:g}", "it must be a finite number, not negative")
    return level


def _level_of(where: str, name: str, value: Any, like: Tensor) -> Tensor:
    """A number, or a tensor that has one or one for each image, as (B or 1, 1, 1, 1)."""
    if isinstance(value, Tensor):
        whole = not (value.is_floating_point() or value.is_complex() or value.is_quantized)
        check_tensor(where, name, value.float() if whole else value)
        if value.numel() not in (1, *value.shape[:1]):
            problem = f"{name} has shape {tuple(value.shape)}"
            refuse(where, problem, "give a number, or one for each image, (B, 1, 1, 1)")
    return as_level(value, like)


def as_option(where: str, name: str, annotation: Any, value: Any) -> Any:
    """A number or a word of the type of an option, for example `Count` (see `pnp.options`)."""
    try:
        return convert(annotation, value)
    except PnpError as e:
        raise PnpError(f"{where}: {name} {e}") from None


# --- form: shape, dtype and device, independent of the values


def check_form(where: str, name: str, t: Any, kind: str = "image") -> None:
    """Refuse anything but a tensor of floating point numbers of the shape of its kind."""
    check_tensor(where, name, t)
    shape = tuple(t.shape)
    if t.dim() != 4:
        refuse(
            where,
            f"{name} has shape {shape}",
            f"it needs four dimensions, {SHAPES[kind]}; add them with [None]",
        )
    if kind == "image" and shape[3] in (1, 3, 4) and shape[1] > 4 and shape[2] > 4:
        refuse(
            where,
            f"{name} has shape {shape}, with the channels last",
            "use .permute(0, 3, 1, 2) to give (B, C, H, W)",
        )
    if kind == "complex" and shape[1] != 2:
        refuse(
            where,
            f"{name} has shape {shape}, but a complex image has two channels",
            "give the real and the imaginary part, (B, 2, H, W)",
        )
    if kind == "kernel" and shape[1] != 1:
        refuse(
            where,
            f"{name} has {_count(shape[1], 'channel')}",
            f"all channels share one kernel: give {name} the shape (B, 1, K, K)",
        )


def check_shapes(where: str, y: Tensor, x: Tensor, k: Tensor) -> int:
    """Refuse tensors that do not fit together; the scale s = size of x / size of y."""
    check_form(where, "y", y)
    check_form(where, "x", x)
    check_form(where, "k", k, "kernel")
    check_alike(where, "x", x, y)
    check_alike(where, "k", k, y)
    (b, c, h, w), (bx, cx, H, W) = y.shape, x.shape
    if cx != c:
        refuse(where, f"y has {_count(c, 'channel')} but x has {cx}", "give both the same channels")
    if bx != b:
        refuse(where, f"y is a batch of {b} but x is a batch of {bx}", "give one x for each y")
    check_count(where, "kernel", k, x)
    if H % h or W % w or H // h != W // w:
        refuse(
            where,
            f"x is {H} x {W} and y is {h} x {w}, which is not one whole scale s in both directions",
            "crop the images so that the size of x is s times the size of y",
        )
    check_kernel_fits(where, k, H, W)
    return H // h


def check_alike(where: str, name: str, t: Tensor, y: Tensor, exactly: bool = False) -> None:
    """Refuse a t of another dtype or device than y.

    Half precision counts as float32 (see `compute_dtype`), unless `exactly` is asked for.
    """
    if t.dtype != y.dtype and (exactly or compute_dtype(t) != compute_dtype(y)):
        refuse(
            where,
            f"y is {dtype_of(y)} but {name} is {dtype_of(t)}",
            f"convert one of them, for example {name}.to(y.dtype)",
        )
    if t.device != y.device:
        refuse(
            where,
            f"y is on {y.device} but {name} is on {t.device}",
            f"move one of them, for example {name}.to(y.device)",
        )


def check_channels(where: str, name: str, image: Tensor, channels: int | None) -> None:
    """Refuse an image with another number of channels than `channels`; None accepts any."""
    given = image.shape[1]
    if channels is not None and given != channels:
        refuse(
            where,
            f"{name} has {_count(given, 'channel')}, but the network was built for {channels}",
            f"set channels: {given} (with weights trained for it) or convert the image",
        )


def check_count(where: str, what: str, t: Tensor, x: Tensor) -> None:
    """Refuse a number of kernels or weights other than one or the number of images."""
    if t.shape[0] not in (1, x.shape[0]):
        refuse(
            where,
            f"there are {_count(t.shape[0], what)} for {_count(x.shape[0], 'image')}",
            f"give one {what}, or one for each image",
        )


def check_kernel_fits(where: str, k: Tensor, height: int, width: int) -> None:
    """Refuse a kernel that is larger than the image."""
    rows, columns = k.shape[-2:]
    if rows > height or columns > width:
        size = f"{height} x {width}"
        refuse(
            where,
            f"the kernel is {rows} x {columns}, larger than the image x, which is {size}",
            "crop the kernel or take a larger image",
        )


def check_divisible(where: str, height: int, width: int, s: int) -> None:
    """Refuse an image whose size is not a multiple of the scale."""
    if height % s or width % s:
        refuse(
            where,
            f"{height} x {width} pixels cannot be divided by {s}",
            f"crop_to_multiple(x, {s}) cuts them",
        )


def check_support(where: str, size: int | None, x: Tensor) -> None:
    """A kernel of this side fits into the image."""
    H, W = x.shape[-2:]
    if size is not None and size > min(H, W):
        refuse(
            where,
            f"size is {size}, larger than the image x, which is {H} x {W}",
            "take a smaller size",
        )


def check_mask(where: str, mask: Tensor, y: Tensor) -> None:
    """Refuse a mask without the height and width of y, or with NaN."""
    check_form(where, "mask", mask)
    if (
        mask.shape[-2:] != y.shape[-2:]
        or mask.shape[0] not in (1, y.shape[0])
        or mask.shape[1] not in (1, y.shape[1])
    ):
        refuse(
            where,
            f"the mask has shape {tuple(mask.shape)} but y has {tuple(y.shape)}",
            "give it the height and width of y; its batch and channels may be 1",
        )
    check_alike(where, "mask", mask, y)
    if not transformed():
        check_finite(where, "mask", float(mask.detach().abs().max()))


# --- values


def check_observation(where: str, y: Tensor, name: str = "y") -> None:
    """Refuse an image that holds NaN or is on 0-255."""
    if transformed():
        return
    peak = float(y.detach().abs().max())
    check_finite(where, name, peak)
    if peak > LARGEST_VALUE:
        refuse(
            where,
            f"{name} has values up to {peak:.4g}, but images are on [0, 1]",
            "divide an 8-bit image by 255",
        )


def check_kernel(where: str, k: Tensor, error: float | None = None) -> None:
    """Refuse a kernel that holds NaN or was not normalised.

    Its sum is 2 at most, or within `error` of one.
    """
    if transformed():
        return
    sums = k.detach().sum((-2, -1)).flatten()
    total = float(sums.abs().max() if error is None else sums[(sums - 1).abs().argmax()])
    check_finite(where, "k", total)
    if total > LARGEST_SUM or (error is not None and abs(total - 1) > error):
        refuse(
            where,
            f"the kernel sums to {total:.4g}, but a blur kernel sums to one",
            "divide it by its sum",
        )


def check_weight(where: str, weight: Tensor | float, x: Tensor) -> Tensor:
    """The weight of the pull as a tensor (B or 1, 1, 1, 1), finite and above zero."""
    alpha = _level_of(where, "weight", weight, x)
    check_count(where, "weight", alpha, x)
    wrong = _first_wrong(alpha, (alpha > 0) & (alpha < math.inf))
    if wrong is not None:
        refuse(where, f"the weight is {wrong:.4g}", "it must be a finite number above zero")
    return alpha


def check_result(where: str, probe: Tensor) -> None:
    """Refuse an x with NaN or infinite values, seen in numbers that depend on every pixel of x."""
    if not transformed() and not bool(torch.isfinite(probe.detach()).all()):
        refuse(where, "x holds NaN or infinite values", "look at the step that made x")


def check_finite(where: str, name: str, summary: float) -> None:
    """Refuse NaN and infinite values, seen in a maximum or a sum over all of them."""
    if not math.isfinite(summary):
        refuse(
            where, f"{name} holds NaN or infinite values", "look at where it was read or computed"
        )


def refuse(where: str, problem: str, cure: str) -> NoReturn:
    """Raise the PnpError "where: problem; cure"."""
    raise PnpError(f"{where}: {problem}; {cure}")


def _first_wrong(values: Tensor, right: Tensor) -> float | None:
    """The first of the values that is not right, or None."""
    return None if transformed() or bool(right.all()) else float(values[~right][0])


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")
