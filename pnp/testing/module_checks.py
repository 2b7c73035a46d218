"""`check_initializer`, `check_estimator`, `check_transform`: the laws of these kinds."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from pnp.errors import PnpError
from pnp.interfaces import Estimator, Initializer, Module, Transform, signature_of
from pnp.testing.cases import KERNEL, Laws, Values, call, cast, inputs_of, scales_of
from pnp.testing.option_checks import check_options

EXTRA = ((4, 7), (5, 2))
"""Pixels of the two images of y beyond the least side."""


def check_initializer(initializer: Initializer, seed: int = 0, device: str = "cpu") -> None:
    """Check that an initializer gives a first estimate; AssertionError if not.

    An image is s times as large as y, with its channels; a kernel is (B, 1, K, K), K the attribute
    `size` if there is one, non-negative with sum one.  Beside it, the laws of all kinds: dtype and
    device are kept, the inputs left as they were; results are finite, also for constant images and
    for the smallest (`least_side`); the same inputs give the same result, whatever was called
    before; an image in a batch gives the same as alone; gradients are the derivatives of the
    result, or absent where `differentiable = False` declares that; the `state_dict` restores the
    module; options out of range are a PnpError.  Scales that the module refuses with a PnpError are
    left out, if it accepts one.
    """
    _check(_FirstEstimate, initializer, seed, device)


def check_estimator(estimator: Estimator, seed: int = 0, device: str = "cpu") -> None:
    """Check that an estimator gives levels; AssertionError if not.

    `Level` is (B, 1, 1, 1) and `Levels` (B, n, 1, 1), finite and not negative; a level that is
    given as a number has the same effect as the same level in a tensor; inputs with a default can
    be left out.  Beside it, the laws of all kinds, as in `check_initializer`.
    """
    _check(_LevelsOf, estimator, seed, device)


def check_transform(transform: Transform, *inputs: Any, seed: int = 0, device: str = "cpu") -> None:
    """Check the laws of all kinds (see `check_initializer`) for a transform; AssertionError if one
    is broken.

    Args:
        transform: The transform.
        inputs: The inputs of `forward` for a batch of two images, if not every random image,
            kernel and level will do.
        seed: Of the random inputs.
        device: The device.
    """
    names = [a.name for a in signature_of(type(transform)).inputs]
    _check(Laws, transform, seed, device, dict(zip(names, inputs, strict=False)))


def _check(
    laws: type[Laws], module: Module, seed: int, device: str, given: Values | None = None
) -> None:
    first, *others = scales_of(module)
    accepted: list[int] = []
    refusal = None
    for s, turned in ((first, False), (first, True), *((other, True) for other in others)):
        try:
            _check_scale(laws, module, s, turned, seed, device, given)
            accepted.append(s)
        except PnpError as e:
            refusal = e
    if refusal is not None and not accepted:
        raise refusal
    s = accepted[0]
    small = given or inputs_of(module, s, _sides(module, s)[0], 3, seed)

    def works(other: Module) -> None:
        with suppress(PnpError):
            laws(other, small, device).has_the_right_form()

    check_options(module, works)


def _check_scale(
    laws: type[Laws],
    module: Module,
    s: int,
    turned: bool,
    seed: int,
    device: str,
    given: Values | None,
) -> None:
    if given:
        laws(module, given, device).check()
        return
    large, tiny = _sides(module, s)
    side, channels = (large[::-1], 1) if turned else (large, 3)
    laws(module, inputs_of(module, s, side, channels, seed), device).check()
    for grey in (0.0, 0.5, 1.0):
        constant = laws(module, inputs_of(module, s, side, channels, seed, grey), device)
        constant.has_the_right_form()
        constant.has_finite_gradients()
    least = laws(module, inputs_of(module, s, tiny, 3, seed), device)
    try:
        least.has_the_right_form()
    except PnpError as e:
        least.require(False, f"declares a `least_side` of {tiny[0]}, but refuses it: {e}")
    except (RuntimeError, ValueError, IndexError) as e:
        told = f"has a `least_side` of {tiny[0]}, but fails with {type(e).__name__}: {e}"
        least.require(False, told)


def _sides(module: Module, s: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """A height and width of y, and the least ones."""
    least = module.least_side(s)
    takes_kernel = any(a.kind.name == "kernel" for a in signature_of(type(module)).inputs)
    size = getattr(module, "size", None)
    taps = (size if isinstance(size, int) else KERNEL) if takes_kernel else 1
    large = max(least, -(-taps // s))
    declared = takes_kernel and isinstance(size, int)
    tiny = max(least, -(-taps // s)) if declared else least
    return (large + EXTRA[0][0], large + EXTRA[0][1]), (tiny, tiny)


class _FirstEstimate(Laws):
    """The laws of initializers."""

    def has_the_right_form(self) -> None:
        super().has_the_right_form()
        y, s = self.values["y"], self.values.get("s", 1)
        (result,) = call(self.plain, cast(self.values, self.device, torch.float32))
        shape = tuple(result.shape)
        if self.kinds != ["kernel"]:
            right: tuple[int, ...] = (*y.shape[:2], s * y.shape[-2], s * y.shape[-1])
        else:
            size = getattr(self.plain, "size", None)
            side = size if isinstance(size, int) else result.shape[-1]
            right = (len(y), 1, side, side)
        self.require(shape == right, f"returns the shape {shape} instead of {right}")
        if self.kinds == ["kernel"]:
            least = float(result.detach().min())
            self.require(least >= 0, f"returns a kernel with the value {least:.3g}")
            total = result.detach().sum((1, 2, 3))
            worst = float(total[(total - 1).abs().argmax()])
            self.require(
                abs(worst - 1) < 1e-4, f"returns a kernel whose sum is {worst:.6g}, not one"
            )


class _LevelsOf(Laws):
    """The laws of estimators."""

    def has_the_right_form(self) -> None:
        super().has_the_right_form()
        values = cast(self.values, self.device, torch.float32)
        results = call(self.plain, values)
        self.are_levels(results)
        required = [a.name for a in signature_of(type(self.plain)).inputs if a.required]
        if len(required) < len(values):
            self.are_levels(call(self.plain, {n: values[n] for n in required}))

    def are_levels(self, results: tuple[Tensor, ...]) -> None:
        batch = max((len(v) for v in self.tensors.values()), default=1)
        n = self.values.get("n")
        for kind, result in zip(self.kinds, results, strict=True):
            shape = tuple(result.shape)
            count = 1 if kind == "level" else n or (shape[1] if len(shape) > 1 else 1)
            right = (batch, count, 1, 1)
            self.require(shape == right, f"returns the shape {shape} instead of {right}")
            self.require(bool(result.isfinite().all()), "returns levels that are not finite")
            least = float(result.detach().min())
            self.require(least >= 0, f"returns the level {least:.3g}, below zero")

    def check(self) -> None:
        super().check()
        inputs = signature_of(type(self.exact)).inputs
        names = [a.name for a in inputs if a.kind.name == "level"]
        same = {n: torch.full_like(self.values[n], 0.05) for n in names}
        for name in names:
            with torch.no_grad():
                tensors = call(self.exact, self.values | same)
                numbers = call(self.exact, self.values | same | {name: 0.05})
            for one, two in zip(tensors, numbers, strict=True):
                number = torch.as_tensor(two, dtype=one.dtype, device=one.device)
                limit = 1e-6 * float(one.abs().max())  # a number may be computed in float32
                gap = float((one - number).abs().max())
                self.require(
                    gap <= limit,
                    f"gives another result for {name} as a number than as a tensor",
                )
