"""The values of one step: what it reads by name, and what its module gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pnp.errors import PnpError
from pnp.gradients import transformed
from pnp.language.spec import Step, Variable
from pnp.tensors import is_real, kind_of


def check_shape(given: Any, taken: Any) -> None:
    """PnpError if what a prior gave has another shape than what it took."""
    if isinstance(given, Tensor) and isinstance(taken, Tensor) and given.shape != taken.shape:
        raise PnpError(
            f"it gave the shape {tuple(given.shape)} for {tuple(taken.shape)}, but a prior keeps "
            "the shape; what changes it is a transform"
        )


def outputs_of(step: Step, values: Any) -> dict[str, Any]:
    """What a module gave, by the names of the step's outputs."""
    outputs = values if isinstance(values, tuple) else (values,)
    if len(outputs) != len(step.outputs) or not all(map(is_real, outputs)):
        gave = ", ".join(map(kind_of, outputs))
        raise PnpError(
            f"it gave ({gave}), but should give a value for each of {', '.join(step.outputs)}"
        )
    return dict(zip(step.outputs, outputs, strict=True))


def same(a: Any, b: Any) -> bool:
    """True if two values are seen to be equal; not where their gradients count or values hide."""
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        return bool(a == b)
    hidden = transformed(a, b) or a.requires_grad or b.requires_grad
    return not hidden and a.shape == b.shape and torch.equal(a, b)


def read(value: Variable | int | float, variables: dict[str, Any], loop: Mapping[str, int]) -> Any:
    """The value of an input: a number, a variable, or one level of a schedule."""
    if not isinstance(value, Variable):
        return value
    if value.name in loop:
        return loop[value.name]
    found = variables[value.name]
    if value.index is None:
        return found
    index = loop["i"] if value.index == "i" else int(value.index)
    if not -found.shape[1] <= index < found.shape[1]:
        raise PnpError(
            f"{value.name} has {found.shape[1]} levels, but {value} asks for number {index} "
            "(counted from 0)"
        )
    return found[:, index % found.shape[1]].unsqueeze(1)
