"""Tensors that pnp can compute with: dense floating point numbers of 16 bits or more."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pnp.errors import PnpError

LUMA = (0.299, 0.587, 0.114)
"""The shares of red, green and blue in the grey version of an image (ITU-R BT.601)."""
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_tensor(where: str, name: str, t: Any) -> None:
    """Refuse what is not a tensor, or one that is empty or holds no plain numbers.

    Raises:
        PnpError: "where: name ...; what to do".
    """
    if not isinstance(t, Tensor):
        problem = f"is of type {type(t).__name__}"
        cure = "give a tensor, for example torch.from_numpy(...)"
    elif t.is_nested or t.layout != torch.strided:
        problem = f"is a {'nested' if t.is_nested else 'sparse'} tensor"
        cure = "give a dense one" if t.is_nested else "give a dense one (.to_dense())"
    elif t.numel() == 0:
        problem = f"is empty, its shape is {tuple(t.shape)}"
        cure = "look at where it was read or cropped"
    elif t.is_meta:
        problem, cure = "is a meta tensor, which has no values", "give one on cpu or cuda"
    elif t.is_quantized:
        problem, cure = f"is {dtype_of(t)}", "give floating point numbers (.dequantize())"
    elif t.is_complex():
        problem, cure = f"is {dtype_of(t)}", "give real numbers"
    elif not t.is_floating_point():
        problem = f"is {dtype_of(t)}"
        cure = "give floating point numbers; divide an 8-bit image by 255"
    elif t.dtype not in FLOATS:
        problem, cure = f"is {dtype_of(t)}", "give at least 16 bits (.float())"
    else:
        return
    raise PnpError(f"{where}: {name} {problem}; {cure}")


def dtype_of(t: Tensor) -> str:
    """The dtype in a message, 'float32'."""
    return str(t.dtype).removeprefix("torch.")


def is_real(value: Any) -> bool:
    """True for a real number, or a tensor of them."""
    if isinstance(value, Tensor):
        return not value.is_complex()
    return isinstance(value, (int, float))


def kind_of(value: Any) -> str:
    """What a value is, in a message: its type, or the dtype of a tensor."""
    if isinstance(value, Tensor):
        return dtype_of(value)
    return "None" if value is None else type(value).__name__


def has_float64(device: torch.device) -> bool:
    """Whether a device computes in float64; MPS and some XPUs do not."""
    if device.type == "xpu":
        return bool(torch.xpu.get_device_properties(device).has_fp64)
    return device.type != "mps"


def as_float64(t: Tensor) -> Tensor:
    """t in float64, on the CPU if its device has no float64; `.to(t)` leads back."""
    return t.double() if has_float64(t.device) else t.cpu().double()
