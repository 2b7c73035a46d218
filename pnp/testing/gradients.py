"""Gradients by autograd beside central differences, and results that have none."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pnp.errors import PnpError


def wrong_gradient(
    run: Callable[[Tensor], Tensor],
    value: Tensor,
    generator: torch.Generator,
    *,
    step: float,
    relative: float,
    absolute: float,
) -> str:
    """What is wrong with the gradient of `run` at `value` along a random direction; '' if nothing.

    The derivative of <u, run(value)>, u random, may differ from that by central differences over
    `step` by the share `relative` of the latter and by `absolute` times |u|.
    """

    def randn_like(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(value)

    point = value.clone().requires_grad_()
    along = randn_like(value)
    result = run(point)
    u = randn_like(result)
    with torch.no_grad():
        difference = run(value + step * along) - run(value - step * along)
        true = float((u * difference).sum() / (2 * step))
    gradient = None
    if result.requires_grad:
        gradient = torch.autograd.grad(result, point, u, allow_unused=True)[0]
    given = 0.0 if gradient is None else float((gradient * along).sum())
    if abs(given - true) <= relative * abs(true) + absolute * float(u.norm()):
        return ""
    return f"{given:.6g} along a direction where the result changes by {true:.6g}"


def kept_gradient(result: Tensor) -> str:
    """What is wrong with the result of a module without gradients, for inputs that need them; ''
    if backward through it is a PnpError.
    """
    if not result.requires_grad:
        return "drops gradients silently; a backward through it should be a PnpError"
    try:
        result.sum().backward()
    except PnpError:
        return ""
    return (
        "declares `differentiable = False`, but backward through it runs; it should be a PnpError"
    )
