"""Inputs of modules of any kind, and the laws that hold for all of them."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from pnp.errors import Notice
from pnp.interfaces import Module, pipeline_run, signature_of
from pnp.testing.gradients import wrong_gradient
from pnp.testing.spatial import gap, near

Values = dict[str, Any]
ITERATIONS, KERNEL, LEVEL = 3, 5, 0.05
"""Of random inputs: iterations n, the side of a kernel, the noise level of the first image."""


def scales_of(module: Module) -> tuple[int, ...]:
    """The scales s with which a module is tried."""
    names = {a.name for a in signature_of(type(module)).inputs}
    built_for = getattr(module, "scale", None)
    if "s" in names:
        return (built_for,) if isinstance(built_for, int) else (1, 2, 3)
    return (1, 2) if {"x", "y"} <= names else (1,)


def inputs_of(
    module: Module,
    s: int,
    side: tuple[int, int],
    channels: int,
    seed: int,
    grey: float | None = None,
) -> Values:
    """Inputs for a batch of two, by name, in float64.

    y and a mask are `side` pixels, other images s times as large.  What the module declares
    (`channels`, `size`, `n`) is respected.

    Args:
        module: The module.
        s: The scale.
        side: Height and width of y.
        channels: Channels of images, unless the module declares them.
        seed: Of the random numbers.
        grey: The value of constant images, beside noise levels of zero; None for random values.
    """
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    declared = getattr(module, "channels", None)
    channels = declared if isinstance(declared, int) else channels
    size, n = getattr(module, "size", None), getattr(module, "n", None)
    n = n if isinstance(n, int) else ITERATIONS
    numbers = {"s": s, "n": n, "i": 0}
    level = (LEVEL if grey is None else 0.0) * torch.tensor([1.0, 2.0], dtype=torch.float64)
    values: Values = {}
    for name, kind in ((a.name, a.kind.name) for a in signature_of(type(module)).inputs):
        if kind == "number":
            values[name] = numbers.get(name, 1)
        elif kind in ("level", "levels"):
            values[name] = level.reshape(2, 1, 1, 1).repeat(1, 1 if kind == "level" else n, 1, 1)
        elif kind == "complex":
            part = (rand(2, 2, s * side[0], s * side[1]) - 0.5) * math.sqrt(2)
            values[name] = part if grey is None else torch.full_like(part, grey)
        elif kind == "kernel":
            taps = size if isinstance(size, int) else min(KERNEL, s * min(side))
            k = rand(2, 1, taps, taps)
            values[name] = k / k.sum((-2, -1), keepdim=True)
        elif name == "mask":
            values[name] = (rand(2, 1, *side) > 0.3).double()
        else:
            r = 1 if name == "y" else s
            image = rand(2, channels, r * side[0], r * side[1])
            values[name] = image if grey is None else torch.full_like(image, grey)
    return values


def cast(values: Mapping[str, Any], device: str, dtype: torch.dtype) -> Values:
    """Copies of the inputs on a device, in a dtype."""
    return {
        n: v.to(device, dtype, copy=True) if isinstance(v, Tensor) else v for n, v in values.items()
    }


def call(module: Module, values: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """The outputs of a module, without its notes to users."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)
        result = module(*values.values())
    return result if isinstance(result, tuple) else (result,)


class Laws:
    """The laws of all kinds for a module in eval mode and its inputs in float64."""

    def __init__(self, module: Module, values: Values, device: str):
        self.what, self.device = type(module).__name__, device
        self.kinds = [kind.name for kind in signature_of(type(module)).outputs]
        self.plain = copy.deepcopy(module).to(device).eval()
        self.fresh = copy.deepcopy(self.plain).double()  # never called
        self.exact = copy.deepcopy(self.fresh)
        self.values = cast(values, device, torch.float64)
        self.tensors = {n: v for n, v in self.values.items() if isinstance(v, Tensor)}
        shapes = ", ".join(f"{n} {tuple(v.shape)}" for n, v in self.tensors.items())
        numbers = ", ".join(f"{n} = {v}" for n, v in values.items() if isinstance(v, (int, float)))
        self.inputs = ", ".join(filter(None, (shapes, numbers)))

    def require(self, holds: bool, otherwise: str) -> None:
        """AssertionError 'module otherwise (inputs ...)' unless it holds."""
        if not holds:
            raise AssertionError(f"{self.what} {otherwise} (inputs: {self.inputs})")

    def check(self) -> None:
        """All of them."""
        self.has_the_right_form()
        self.repeats_itself()
        self.treats_images_separately()
        self.runs_without_gradients()
        self.is_saved_whole()
        self.has_right_gradients()

    def has_the_right_form(self) -> None:
        """One tensor for each output; dtype, device; finite; the inputs are as they were."""
        values = cast(self.values, self.device, torch.float32)
        outputs = call(self.plain, values)
        count = len(self.kinds)
        self.require(len(outputs) == count, f"gives {len(outputs)} values, declares {count}")
        for output in outputs:
            told = type(output).__name__
            self.require(isinstance(output, Tensor), f"gives a {told}, not a tensor")
            self.require(output.dtype == torch.float32, f"returns {output.dtype} for torch.float32")
            where = output.device.type
            asked = torch.device(self.device).type
            self.require(where == asked, f"returns a tensor on {where} for one on {asked}")
            self.require(bool(output.isfinite().all()), "returns values that are not finite")
        before = cast(self.values, self.device, torch.float32)
        for name in self.tensors:
            self.require(torch.equal(values[name], before[name]), f"writes into its input {name}")

    @cached_property
    def result(self) -> tuple[Tensor, ...]:
        """The outputs in float64."""
        return call(self.exact, self.values)

    def repeats_itself(self) -> None:
        """The same result again, whatever was called before, and in a run of a pipeline."""
        for output in self.result:
            self.require(output.dtype == torch.float64, f"returns {output.dtype} for torch.float64")
        self.is_the_same(call(self.exact, self.values), "the second time")
        other = {n: self.other(n) if n in self.tensors else v for n, v in self.values.items()}
        alone, after = call(copy.deepcopy(self.fresh), other), call(self.exact, other)
        self.is_the_same(after, "after a call with other inputs", alone)
        self.is_the_same(call(self.exact, self.values), "after a call with other inputs")
        with pipeline_run():
            self.is_the_same(call(self.exact, self.values), "in a run of a pipeline")

    def other(self, name: str) -> Tensor:
        """Another value for an input: the batch in reversed order; darker images, lower levels."""
        value: Tensor = self.tensors[name].flip(0)
        kinds = {a.name: a.kind.name for a in signature_of(type(self.exact)).inputs}
        return value if kinds[name] == "kernel" or name == "mask" else value * 0.5

    def treats_images_separately(self) -> None:
        """Every image of the batch as if alone."""
        batch = max((len(v) for v in self.tensors.values()), default=1)
        parts = [
            call(
                self.exact,
                {n: v[i : i + 1] if n in self.tensors else v for n, v in self.values.items()},
            )
            for i in range(batch)
        ]
        for number, output in enumerate(self.result):
            alone = torch.cat([part[number] for part in parts])
            self.require(
                near(output, alone),
                "gives another result for an image alone than in a batch: they differ by up to "
                f"{gap(output, alone):.1e}",
            )

    def runs_without_gradients(self) -> None:
        """In `torch.no_grad`, in which pipelines are run."""
        with torch.no_grad():
            self.is_the_same(call(self.exact, self.values), "under torch.no_grad()")

    def is_saved_whole(self) -> None:
        """`state_dict` holds what the result depends on, and loading it restores that."""
        for part, inner in self.exact.named_modules():
            for name, value in vars(inner).items():
                self.require(
                    not isinstance(value, Tensor),
                    f"holds the tensor '{f'{part}.{name}'.lstrip('.')}' as a plain attribute, "
                    "which is neither saved nor moved to a device; use register_buffer",
                )
        saved = {name: t.clone() for name, t in self.exact.state_dict().items()}
        unsaved = [name for name, _ in self.exact.named_parameters() if name not in saved]
        self.require(not unsaved, f"leaves {', '.join(unsaved)} out of its state_dict()")
        if not saved:
            return
        other = copy.deepcopy(self.fresh)
        with torch.no_grad():
            for t in nn.Module.state_dict(other).values():
                if t.is_floating_point():
                    t.mul_(0.5)
        call(other, self.values)
        other.load_state_dict(saved)
        self.is_the_same(call(other, self.values), "after its state_dict was loaded")

    def has_right_gradients(self) -> None:
        """The derivatives of the result by each input; none if `differentiable` is False."""
        if not self.exact.differentiable:
            needs = {n: v.clone().requires_grad_() for n, v in self.tensors.items()}
            for output in call(self.exact, self.values | needs):
                self.require(
                    not output.requires_grad,
                    "declares `differentiable = False`, but its result has gradients; detach it",
                )
            return
        generator = torch.Generator().manual_seed(1)
        for name, value in self.tensors.items():
            if name == "mask":
                continue
            for number in range(len(self.kinds)):

                def run(v: Tensor, name: str = name, number: int = number) -> Tensor:
                    return call(self.exact, self.values | {name: v})[number]

                step = 1e-6 * float(value.abs().max())
                wrong = wrong_gradient(
                    run, value, generator, step=step, relative=1e-3, absolute=1e-5
                )
                declare = "; `differentiable = False` declares a module without gradients"
                self.require(not wrong, f"has a wrong gradient to {name}: {wrong}{declare}")

    def has_finite_gradients(self) -> None:
        """In float32, to the inputs and the parameters; for inputs where a root or a quotient
        degenerates."""
        if not self.plain.differentiable:
            return
        values = cast(self.values, self.device, torch.float32)
        points = {f"its input {n}": values[n].requires_grad_() for n in self.tensors}
        points |= {n: p for n, p in self.plain.named_parameters() if p.requires_grad}
        outputs = [o for o in call(self.plain, values) if o.requires_grad]
        if not outputs:
            return
        total = torch.stack([o.sum() for o in outputs]).sum()
        gradients = torch.autograd.grad(total, [*points.values()], allow_unused=True)
        for name, gradient in zip(points, gradients, strict=True):
            finite = gradient is None or bool(gradient.isfinite().all())
            self.require(finite, f"has a gradient to {name} that is not finite")

    def is_the_same(
        self, again: tuple[Tensor, ...], when: str, first: tuple[Tensor, ...] | None = None
    ) -> None:
        """Two results are equal but for rounding; the first is `result` unless given."""
        for one, two in zip(self.result if first is None else first, again, strict=True):
            differ = gap(one, two)
            told = "another shape" if math.isinf(differ) else f"they differ by up to {differ:.1e}"
            self.require(near(one, two), f"gives another result {when}: {told}")
