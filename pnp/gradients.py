"""Modules without gradients, modules that use gradients inside, a root without NaN, whether a
function is transformed (torch.func, torch.export) or differentiated forward, and whether its values
can be looked at."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from pnp.decoders import first_line
from pnp.errors import PnpError

CURE = (
    "a module that uses gradients itself opens "
    "`with torch.inference_mode(False), torch.enable_grad():` and works on clones of its inputs"
)
_WORDS = ("does not require grad", "Inference tensors", "inference tensor")
"""Parts of what torch says of gradients where they are off."""


def without_gradient(name: str, result: Tensor, *inputs: Any) -> Tensor:
    """`result`, through which backward is a PnpError of the module `name`.

    Args:
        name: The registered name of the module.
        result: What the module computed, of any history.
        inputs: Its inputs; if none of them needs a gradient, neither does the result.
    """
    refusing: Tensor = _Refusing.apply(name, result.detach(), *inputs)
    return refusing


def transformed(*tensors: Tensor) -> bool:
    """True where a step must be plain operations of torch, whose values are not looked at: while a
    program is exported or compiled, within torch.func (jvp, vmap, grad ...), and in forward mode.
    """
    return (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or any(forward_ad.unpack_dual(t).tangent is not None for t in tensors)
    )


def concealed() -> bool:
    """True where no step may depend on values, because there are none yet or many at a time: while
    a program is exported or compiled, and within vmap."""
    vmap = torch._C._functorch.TransformType.Vmap
    levels = torch._C._functorch.get_interpreter_stack() or ()
    return torch.compiler.is_compiling() or any(level.key() == vmap for level in levels)


def root(t: Tensor) -> Tensor:
    """The square root of t >= 0, with derivative 0 instead of infinity at t = 0."""
    return t.clamp(min=torch.finfo(t.dtype).tiny).sqrt() * (t > 0)


class _Refusing(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, name: str, result: Tensor, *inputs: Any) -> Tensor:
        ctx.name = name
        return result.view_as(result)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raise PnpError(
            f"{ctx.name}: it has no gradients, so nothing before it can be trained through it; "
            "use a module that has them, or detach its output"
        )


def reason(error: Exception) -> str:
    """What is said of an error in a module, with the cure if gradients were off."""
    if isinstance(error, PnpError):
        return str(error)
    text = f"{type(error).__name__}: {first_line(error)}"
    off = not torch.is_grad_enabled() and isinstance(error, RuntimeError)
    return f"{text}; {CURE}" if off and any(word in str(error) for word in _WORDS) else text
