"""Checks that a module keeps its interface's contract: one line in a plugin's test.

    from pnp.testing import check_adjoint, check_prior, check_solver
    check_prior(MyPrior())
    check_solver(MySolver())
    check_adjoint(MyOperator(), (2, 3, 16, 12))

Each raises AssertionError with a sentence that says which law is broken and by how much.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pnp.errors import PnpError
from pnp.interfaces import DataSolver, Prior, signature_of
from pnp.kernels import resize_kernel
from pnp.operators import Operator


def observe_spatially(x: Tensor, k: Tensor, s: int = 1, boundary: str = "circular") -> Tensor:
    """(x * k)|s by spatial convolution: pad, slide the mirrored kernel, keep the upper-left pixel
    of every s x s block.

    x (B, C, H, W), k (B or 1, 1, K, K') with its centre at K // 2; boundary is circular, replicate
    or reflect.
    """
    b, c, kh, kw = *x.shape[:2], *k.shape[-2:]
    padded = functional.pad(
        x, (kw - 1 - kw // 2, kw // 2, kh - 1 - kh // 2, kh // 2), mode=boundary
    )
    mirrored = k.flip(-2, -1).expand(b, c, kh, kw).reshape(b * c, 1, kh, kw)
    blurred = functional.conv2d(
        padded.reshape(1, b * c, *padded.shape[-2:]), mirrored, groups=b * c
    )
    return blurred.reshape(b, c, *x.shape[-2:])[..., ::s, ::s]


def check_adjoint(
    A: Operator,
    shape: Sequence[int],
    seed: int = 0,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> None:
    """Hold an operator to its definition on random images of a shape (B, C, H, W).

    It is linear, <A x, u> = <x, A^T u> for its adjoint, and A^T A for its `gram`; the images are
    neither changed nor given another dtype or device.

    Raises:
        AssertionError: with the law that is broken, and by how much.
    """
    generator = torch.Generator().manual_seed(seed)

    def randn(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64).to(device, dtype)

    def require(holds: bool, otherwise: str) -> None:
        if not holds:
            raise AssertionError(f"{type(A).__name__} {otherwise} (images {tuple(shape)})")

    tolerance = math.sqrt(torch.finfo(dtype).eps)
    x, other = randn(*shape), randn(*shape)
    kept = x.clone()
    y = A(x)
    u = randn(*y.shape)
    back = A.adjoint(u)
    require(torch.equal(x, kept), "writes into its input")
    require(back.shape == x.shape, f"has an adjoint that gives {tuple(back.shape)}")
    for what, result in (("gives", y), ("has an adjoint that gives", back)):
        form = (result.dtype, result.device.type)
        require(form == (dtype, x.device.type), f"{what} {form} for {dtype}, {x.device.type}")
    size = float(y.norm() + A(other).norm())
    gap = float((A(x - 2 * other) - (y - 2 * A(other))).norm())
    require(
        gap <= tolerance * size, f"is not linear: A(a - 2 b) and A a - 2 A b differ by {gap:.1e}"
    )
    one, two = float((y * u).sum()), float((x * back).sum())
    size = float(y.norm() * u.norm())
    require(
        abs(one - two) <= tolerance * size,
        f"has an adjoint that is not its own: <A x, u> is {one:.6g}, <x, A^T u> is {two:.6g}",
    )
    gap = float((A.gram(x) - A.adjoint(y)).norm())
    require(gap <= tolerance * float(A.adjoint(y).norm()), f"has a gram that is off by {gap:.1e}")


def check_solver(solver: DataSolver, seed: int = 0, device: str = "cpu") -> None:
    """Hold a data solver to its objective by spatial convolution, on random problems;
    AssertionError if it fails.

    A solver of images (`-> Image`) must give, and one of kernels (`-> Kernel`) must give over the
    support it returns,

        z = argmin |mask (y - (z * k)|s)|^2 + weight |z - x|^2
        w = argmin |y - (x * w)|s|^2 + gamma H W |w - k|^2

    with shape, dtype and device kept, every image of a batch treated by itself, one kernel or
    weight serving a whole batch, and gradients that are the derivatives of the result.  Where it
    differs from the plain case, the solver declares it by the attributes of `DataSolver`.  A solver
    with a `tolerance` is held to it as it is, and to the laws as a copy that iterates to the end.
    A solver that gives the middle of its minimiser (`cropped`) is compared with a copy of `size`
    None, and that copy is held to the laws.
    """
    whole = copy.deepcopy(solver).to(device)
    if solver.cropped:
        whole.size = None
    exact = copy.deepcopy(whole).double()
    if solver.tolerance:
        exact.tolerance, exact.iterations = 1e-12, 10_000
    for s, channels, kernel in ((1, 1, (3, 4)), (2, 3, (4, 5)), (3, 2, (5, 3))):
        case = _Case(solver, s, channels, kernel, seed, device)
        if solver.cropped and solver.size is not None:
            case.is_the_middle_of(whole, solver)
        case.keeps_its_form(whole)
        case.treats_images_separately(exact)
        case.is_the_minimiser(exact)
        case.has_true_gradients(exact)


class _Case:
    """One random problem for a solver, in float64, and the laws that its result must keep."""

    def __init__(
        self,
        solver: DataSolver,
        s: int,
        channels: int,
        kernel: tuple[int, int],
        seed: int,
        device: str,
    ):
        signature = signature_of(type(solver))
        self.of_image = signature.outputs[0].name == "image"
        self.names = ["y", "x", "k", *(["weight"] if self.of_image else [])]
        self.names += ["mask"] if any(a.name == "mask" for a in signature.inputs) else []
        self.what = type(solver).__name__
        self.s = s
        h, w = (-(-max(*kernel, solver.size or 1) // s) + extra for extra in (1, 2))
        channels = max(channels, (solver.channel or 0) + 1)
        generator = torch.Generator().manual_seed(seed)

        def rand(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, dtype=torch.float64).to(device)

        k = rand(2, 1, *kernel)
        self.values = {
            "y": rand(2, channels, h, w),
            "x": rand(2, channels, s * h, s * w),
            "k": k / k.sum((-2, -1), keepdim=True),
            "weight": 0.1 + rand(2, 1, 1, 1),
            "mask": rand(2, 1, h, w),
        }

    def run(self, solver: DataSolver, **changed: Any) -> Tensor:
        return solver(*[changed.get(name, self.values[name]) for name in self.names])

    def objective(self, solver: DataSolver, result: Tensor) -> Tensor:
        """What the result should minimise, added over the batch."""
        y, x, k, weight, mask = self.values.values()
        if self.of_image:
            misfit = y - observe_spatially(result, k, self.s, solver.boundary)
            return (mask * misfit if "mask" in self.names else misfit).square().sum() + (
                weight * (result - x).square()
            ).sum()
        misfit = y - observe_spatially(x, result, self.s, solver.boundary)
        misfit = misfit if solver.channel is None else misfit[:, solver.channel]
        target = (
            torch.zeros_like(result)
            if solver.pull == "zero"
            else resize_kernel(k, *result.shape[-2:])
        )
        return (
            misfit.square().sum()
            + solver.gamma * x[0, 0].numel() * (result - target).square().sum()
        )

    def slope(self, solver: DataSolver, result: Tensor) -> float:
        """The norm of the objective's gradient at the result, as a share of that at zero."""
        norms = []
        for point in (result, torch.zeros_like(result)):
            point = point.detach().double().requires_grad_()
            norms.append(float(torch.autograd.grad(self.objective(solver, point), point)[0].norm()))
        return norms[0] / norms[1]

    def keeps_its_form(self, solver: DataSolver) -> None:
        values = {name: value.float() for name, value in self.values.items()}
        result = self.run(solver, **values)
        self.has_the_right_shape(result, None if self.of_image else solver.size)
        self.require(result.dtype == torch.float32, f"returns {result.dtype} for torch.float32")
        self.require(
            result.device == values["x"].device,
            f"returns a tensor on {result.device}, its inputs are on {values['x'].device}",
        )
        limit = 1e-3 + 10 * solver.tolerance
        slope = self.slope(solver, result)
        self.require(
            slope < limit,
            f"in float32 is far from the minimiser of its objective: {self.share(slope)}",
        )

    def has_the_right_shape(self, result: Tensor, size: int | None) -> None:
        """That of x for an image; for a kernel size x size, or without a size that of k or of x."""
        height, width = self.values["x"].shape[-2:]
        if self.of_image:
            expected: tuple[int, ...] = tuple(self.values["x"].shape)
        elif size is not None:
            expected = (2, 1, size, size)
        elif tuple(result.shape[-2:]) == (height, width):
            expected = (2, 1, height, width)
        else:
            expected = tuple(self.values["k"].shape)
        self.require(
            tuple(result.shape) == expected,
            f"returns the shape {tuple(result.shape)} instead of {expected}",
        )

    def is_the_middle_of(self, whole: DataSolver, solver: DataSolver) -> None:
        values = {name: value.float() for name, value in self.values.items()}
        result, minimiser = self.run(solver, **values), self.run(whole, **values)
        self.has_the_right_shape(result, solver.size)
        middle = resize_kernel(minimiser, *result.shape[-2:])
        self.require(
            _near(result, middle),
            "declares `cropped`, but with its `size` does not return the middle of what it returns "
            f"with `size` None: they differ by up to {_gap(result, middle):.1e}",
        )

    def is_the_minimiser(self, solver: DataSolver) -> None:
        result = self.run(solver)
        self.require(result.dtype == torch.float64, f"returns {result.dtype} for torch.float64")
        slope = self.slope(solver, result)
        self.require(
            slope < 1e-8, f"does not return the minimiser of its objective: {self.share(slope)}"
        )

    def treats_images_separately(self, solver: DataSolver) -> None:
        together = self.run(solver)
        alone = torch.cat(
            [self.run(solver, **{n: v[i : i + 1] for n, v in self.values.items()}) for i in (0, 1)]
        )
        self.require(
            _near(together, alone),
            f"lets the images of a batch change each other, by up to {_gap(together, alone):.1e}",
        )
        for name in self.names[2:4] if self.of_image else ["k"]:
            first = self.values[name][:1]
            one, two = (
                self.run(solver, **{name: first}),
                self.run(solver, **{name: first.repeat(2, 1, 1, 1)}),
            )
            self.require(
                _near(one, two),
                f"gives another result for one {name} than for the same {name} repeated",
            )
        if self.of_image:
            number, tensor = (
                self.run(solver, weight=0.5),
                self.run(solver, weight=torch.full_like(self.values["weight"], 0.5)),
            )
            self.require(
                _near(number, tensor),
                "gives another result for a weight that is a number than for one that is a tensor",
            )

    def has_true_gradients(self, solver: DataSolver) -> None:
        generator = torch.Generator().manual_seed(0)
        for name in self.names:
            value, step = self.values[name].clone().requires_grad_(), 1e-4
            result = self.run(solver, **{name: value})
            along = torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value)
            seen = torch.randn(result.shape, generator=generator, dtype=torch.float64).to(value)
            with torch.no_grad():
                ahead, behind = (
                    self.run(solver, **{name: value + sign * step * along}) for sign in (1, -1)
                )
            true = float((seen * (ahead - behind)).sum() / (2 * step))
            gradient = (
                torch.autograd.grad(result, value, seen, allow_unused=True)[0]
                if result.requires_grad
                else None
            )
            given = 0.0 if gradient is None else float((gradient * along).sum())
            self.require(
                abs(given - true) <= 1e-4 * abs(true) + 1e-6 * float(seen.norm()),
                f"has a wrong gradient to {name}: {given:.6g} along a direction where the result changes by {true:.6g}",
            )

    def require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise AssertionError(f"{self.what} {otherwise} (s = {self.s})")

    def share(self, slope: float) -> str:
        return f"the gradient there is {slope:.1e} of that at zero"


def check_prior(
    prior: Prior,
    level: float = 0.05,
    sizes: Sequence[tuple[int, int]] = ((12, 16), (9, 7)),
    seed: int = 0,
    device: str = "cpu",
) -> None:
    """Hold a prior to its interface on small random inputs, in eval mode; AssertionError if it
    fails.

    Shape, dtype and device are kept, odd sizes included, and the input is left as it was; the same
    input gives the same result, an image in a batch the same as alone; a level may be a number or a
    tensor, and a blind prior ignores it; gradients are finite in float32 and the derivatives of the
    result in float64, or, where the prior declares `differentiable = False`, backward is a
    PnpError.  Priors of kernels are told by `-> Kernel`.  What a prior declares (`channels`, `size`)
    is respected; a kernel of another size than `size` must be kept in shape too, or refused with a
    PnpError.  Other errors of the prior itself are passed on.
    """
    plain = copy.deepcopy(prior).to(device).eval()
    exact = copy.deepcopy(plain).double()
    of_image = signature_of(type(prior)).outputs[0].name == "image"
    if not of_image and prior.size is not None:
        for size in sizes:
            _PriorCase(prior, 1, size, level, seed, device).keeps_its_form_or_refuses(plain)
        sizes = [(prior.size, prior.size)]
    for size, channels in zip(sizes, (3, 1), strict=False):
        case = _PriorCase(
            prior, (prior.channels or channels) if of_image else 1, size, level, seed, device
        )
        case.keeps_its_form(plain)
        case.repeats_itself(exact)
        case.treats_images_separately(exact)
        case.reads_levels(exact)
        if prior.differentiable:
            case.has_finite_gradients(plain)
            case.has_true_gradients(exact)
        else:
            case.refuses_gradients(plain)


class _PriorCase:
    """One random input of a prior, in float64, and the laws that its result must keep."""

    def __init__(
        self,
        prior: Prior,
        channels: int,
        size: tuple[int, int],
        level: float,
        seed: int,
        device: str,
    ):
        inputs = signature_of(type(prior)).inputs
        self.what, self.blind, self.number = type(prior).__name__, prior.blind, level
        self.takes_level = len(inputs) > 1 and inputs[1].kind.name == "level"
        generator = torch.Generator().manual_seed(seed)
        x = torch.rand(2, channels, *size, generator=generator, dtype=torch.float64)
        if inputs[0].kind.name == "kernel":
            x = (x / x.sum((-2, -1), keepdim=True)) + 0.02 * (x.roll(1, -1) - x.flip(-1))
        self.x = x.to(device)
        self.level = level * torch.tensor([1.0, 2.0], dtype=torch.float64, device=device).reshape(
            2, 1, 1, 1
        )

    def run(self, prior: Prior, x: Tensor, level: Tensor | float) -> Tensor:
        result: Tensor = prior(x) if self.blind else prior(x, level)
        return result

    def keeps_its_form(self, prior: Prior) -> None:
        x, level = self.x.float(), self.level.float()
        result = self.run(prior, x, level)
        shape = tuple(result.shape)
        self.require(shape == tuple(x.shape), f"returns the shape {shape} for {tuple(x.shape)}")
        self.require(result.dtype == x.dtype, f"returns {result.dtype} for {x.dtype}")
        self.require(
            result.device == x.device, f"returns a tensor on {result.device} for one on {x.device}"
        )
        self.require(bool(result.isfinite().all()), "returns values that are not finite")
        self.require(torch.equal(x, self.x.float()), "writes into its input")
        self.require(torch.equal(level, self.level.float()), "writes into its level")

    def keeps_its_form_or_refuses(self, prior: Prior) -> None:
        with suppress(PnpError):
            self.keeps_its_form(prior)

    def repeats_itself(self, prior: Prior) -> None:
        once, again = (self.run(prior, self.x, self.level) for _ in range(2))
        self.require(once.dtype == torch.float64, f"returns {once.dtype} for torch.float64")
        self.require(
            _near(once, again),
            f"gives another result the second time, by up to {_gap(once, again):.1e}",
        )

    def treats_images_separately(self, prior: Prior) -> None:
        together = self.run(prior, self.x, self.level)
        alone = torch.cat(
            [self.run(prior, self.x[i : i + 1], self.level[i : i + 1]) for i in (0, 1)]
        )
        self.require(
            _near(together, alone),
            f"lets the images of a batch change each other, by up to {_gap(together, alone):.1e}",
        )

    def reads_levels(self, prior: Prior) -> None:
        if not self.takes_level:
            return
        number = prior(self.x, self.number)
        for shape in ((1, 1, 1, 1), (2, 1, 1, 1)):
            tensor = prior(
                self.x, torch.full(shape, self.number, dtype=torch.float64, device=self.x.device)
            )
            self.require(
                _near(number, tensor),
                f"gives another result for a level {shape} than for the same number",
            )
        if self.blind:
            self.require(
                _near(number, prior(self.x)),
                "is blind by its signature, but the level changes its result",
            )

    def has_finite_gradients(self, prior: Prior) -> None:
        x = self.x.float().requires_grad_()
        result = self.run(prior, x, self.level.float())
        self.require(
            result.requires_grad,
            "returns a result without gradients; `differentiable = False` declares that",
        )
        parameters = {name: p for name, p in prior.named_parameters() if p.requires_grad}
        gradients = torch.autograd.grad(
            result.square().sum(), [x, *parameters.values()], allow_unused=True
        )
        for name, gradient in zip(["its input", *parameters], gradients, strict=True):
            finite = gradient is None or bool(gradient.isfinite().all())
            self.require(finite, f"has a gradient to {name} that is not finite")

    def has_true_gradients(self, prior: Prior) -> None:
        generator = torch.Generator().manual_seed(1)
        values = (
            {"its input": self.x} if self.blind else {"its input": self.x, "the level": self.level}
        )
        for name, value in values.items():
            point = value.clone().requires_grad_()
            along = torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value)
            step = 1e-6 * float(value.abs().max())

            def run(v: Tensor, name: str = name) -> Tensor:
                return (
                    self.run(prior, v, self.level)
                    if name == "its input"
                    else self.run(prior, self.x, v)
                )

            result = run(point)
            seen = torch.randn(result.shape, generator=generator, dtype=torch.float64).to(value)
            with torch.no_grad():
                true = float(
                    (seen * (run(value + step * along) - run(value - step * along))).sum()
                    / (2 * step)
                )
            gradient = (
                torch.autograd.grad(result, point, seen, allow_unused=True)[0]
                if result.requires_grad
                else None
            )
            given = 0.0 if gradient is None else float((gradient * along).sum())
            self.require(
                abs(given - true) <= 1e-3 * abs(true) + 1e-5 * float(seen.norm()),
                f"has a wrong gradient to {name}: {given:.6g} along a direction where the result changes by {true:.6g}",
            )

    def refuses_gradients(self, prior: Prior) -> None:
        result = self.run(prior, self.x.float().requires_grad_(), self.level.float())
        self.require(
            result.requires_grad,
            "drops gradients in silence; a backward through it should be a PnpError",
        )
        try:
            result.sum().backward()
        except PnpError:
            return
        self.require(
            False,
            "declares `differentiable = False`, but backward through it runs; it should be a PnpError",
        )

    def require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise AssertionError(f"{self.what} {otherwise} (input {tuple(self.x.shape)})")


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().abs().max()) if a.shape == b.shape else math.inf


def _near(a: Tensor, b: Tensor) -> bool:
    return _gap(a, b) <= 1e-8 * float(a.detach().abs().max())
