"""`check_solver`: is the result the minimiser of the stated objective?"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from pnp.interfaces import DataSolver, signature_of
from pnp.kernels import resize_kernel
from pnp.testing.gradients import kept_gradient, wrong_gradient
from pnp.testing.spatial import gap, kspace_by_matrices, near, observe_spatially


def check_solver(solver: DataSolver, seed: int = 0, device: str = "cpu") -> None:
    """Check, by spatial convolution on random problems, that a data solver minimises its objective;
    AssertionError if not.

    A solver of images (`-> Image`) must give, and one of kernels (`-> Kernel`) must give over the
    support it returns,

        z = argmin |mask (y - (z * k)|s)|^2 + weight |z - x|^2
        w = argmin |y - (x * w)|s|^2 + gamma H W |w - k|^2

    or, without a kernel, for images and for complex images (T their centred unitary Fourier
    transform, by explicit matrices)

        z = argmin |mask (y - z)|^2 + weight |z - x|^2
        z = argmin |mask T (y - z)|^2 + weight |z - x|^2

    with shape, dtype and device kept, every image of a batch treated by itself, one kernel or
    weight serving a whole batch, the same result under `torch.no_grad`, and gradients that are the
    derivatives of the result; where it declares `differentiable = False`, backward is a PnpError
    (`pnp.gradients.without_gradient`).  Where it differs from the plain case, the solver declares
    it by the attributes of `DataSolver`.  A solver with a `tolerance` is checked as a copy that
    iterates until it has converged.
    A solver that gives the middle of its minimiser (`cropped`) is compared with a copy of `size`
    None, and the other laws are checked for that copy.
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
        case.keeps_shape_and_dtype(whole)
        case.treats_images_separately(exact)
        case.is_the_minimiser(exact)
        case.runs_without_gradients(exact)
        if solver.differentiable:
            case.has_true_gradients(exact)
        else:
            case.refuses_gradients(exact)


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
        output = signature.outputs[0].name
        self.of_image, self.complex = output != "kernel", output == "complex"
        self.blurs = signature.inputs[2].kind.name == "kernel"
        self.names = ["y", "x", *(["k"] if self.blurs else ["mask"])]
        self.names += ["weight"] if self.of_image else []
        if self.blurs and any(a.name == "mask" for a in signature.inputs):
            self.names.append("mask")
        self.what = type(solver).__name__
        self.s = s = s if self.blurs else 1
        h, w = (-(-max(*kernel, solver.size or 1) // s) + extra for extra in (1, 2))
        channels = 2 if self.complex else max(channels, (solver.channel or 0) + 1)
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
        if not self.blurs:
            seen = mask * (kspace_by_matrices(y - result) if self.complex else y - result)
            return seen.abs().square().sum() + (weight * (result - x).square()).sum()
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

    def keeps_shape_and_dtype(self, solver: DataSolver) -> None:
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
            near(result, middle),
            "declares `cropped`, but with its `size` does not return the middle of what it returns "
            f"with `size` None: they differ by up to {gap(result, middle):.1e}",
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
            near(together, alone),
            f"lets the images of a batch change each other, by up to {gap(together, alone):.1e}",
        )
        for name in [n for n in ("k", "weight") if n in self.names]:
            first = self.values[name][:1]
            one, two = (
                self.run(solver, **{name: first}),
                self.run(solver, **{name: first.repeat(2, 1, 1, 1)}),
            )
            self.require(
                near(one, two),
                f"gives another result for one {name} than for the same {name} repeated",
            )
        if self.of_image:
            number, tensor = (
                self.run(solver, weight=0.5),
                self.run(solver, weight=torch.full_like(self.values["weight"], 0.5)),
            )
            self.require(
                near(number, tensor),
                "gives another result for a weight that is a number than for one that is a tensor",
            )

    def runs_without_gradients(self, solver: DataSolver) -> None:
        first = self.run(solver)
        with torch.no_grad():
            again = self.run(solver)
        self.require(
            near(first, again),
            f"gives another result under torch.no_grad(), by up to {gap(first, again):.1e}",
        )

    def refuses_gradients(self, solver: DataSolver) -> None:
        x = self.values["x"].clone().requires_grad_()
        wrong = kept_gradient(self.run(solver, x=x))
        self.require(not wrong, wrong)

    def has_true_gradients(self, solver: DataSolver) -> None:
        generator = torch.Generator().manual_seed(0)
        for name in self.names:

            def run(value: Tensor, name: str = name) -> Tensor:
                return self.run(solver, **{name: value})

            wrong = wrong_gradient(
                run, self.values[name], generator, step=1e-4, relative=1e-4, absolute=1e-6
            )
            self.require(not wrong, f"has a wrong gradient to {name}: {wrong}")

    def require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise AssertionError(f"{self.what} {otherwise} (s = {self.s})")

    def share(self, slope: float) -> str:
        return f"the gradient there is {slope:.1e} of that at zero"
