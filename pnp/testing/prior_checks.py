"""`check_prior`: does a prior keep shape, dtype and device, and are its gradients right?"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import Tensor

from pnp.errors import PnpError
from pnp.interfaces import Prior, signature_of
from pnp.testing.cases import Laws, Values
from pnp.testing.gradients import kept_gradient, wrong_gradient
from pnp.testing.spatial import gap, near


def check_prior(
    prior: Prior,
    level: float = 0.05,
    sizes: Sequence[tuple[int, int]] = ((12, 16), (9, 7)),
    seed: int = 0,
    device: str = "cpu",
) -> None:
    """Check the interface of a prior on small random inputs, in eval mode; AssertionError if it
    fails.

    Shape, dtype and device are kept, odd sizes included, and the input is left as it was; the same
    input gives the same result, whatever the prior was called with before, an image in a batch the
    same as alone; a level may be a number or a tensor, and a blind prior ignores it; results for
    constant images and levels of zero are finite; `state_dict` restores the prior; gradients are
    finite in float32, for constant images, too, and the derivatives of the result in float64, or,
    where the prior declares `differentiable = False`, backward is a PnpError.  Priors of kernels
    are recognised by `-> Kernel`.  What a prior declares (`channels`, `size`) is respected; a
    kernel of another size than `size` must be kept in shape too, or refused with a PnpError.  Other
    errors of the prior itself are passed on.
    """
    plain = copy.deepcopy(prior).to(device).eval()
    exact = copy.deepcopy(plain).double()
    of_image = signature_of(type(prior)).outputs[0].name == "image"
    if not of_image and prior.size is not None:
        for size in sizes:
            _PriorCase(prior, 1, size, level, seed, device).keeps_shape_and_dtype_or_refuses(plain)
        sizes = [(prior.size, prior.size)]
    for size, channels in zip(sizes, (3, 1), strict=False):
        case = _PriorCase(
            prior, (prior.channels or channels) if of_image else 1, size, level, seed, device
        )
        case.keeps_shape_and_dtype(plain)
        case.repeats_itself(exact)
        case.treats_images_separately(exact)
        case.reads_levels(exact)
        laws = Laws(prior, case.values(), device)
        laws.repeats_itself()
        laws.is_saved_whole()
        if of_image:
            case.stays_finite_for_constant_images(plain)
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
        self.names = [a.name for a in inputs]
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

    def values(self) -> Values:
        """The inputs by name; a blind prior has one."""
        inputs = (self.x,) if self.blind else (self.x, self.level)
        return dict(zip(self.names, inputs, strict=False))

    def keeps_shape_and_dtype(self, prior: Prior) -> None:
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

    def keeps_shape_and_dtype_or_refuses(self, prior: Prior) -> None:
        with suppress(PnpError):
            self.keeps_shape_and_dtype(prior)

    def repeats_itself(self, prior: Prior) -> None:
        once, again = (self.run(prior, self.x, self.level) for _ in range(2))
        self.require(once.dtype == torch.float64, f"returns {once.dtype} for torch.float64")
        self.require(
            near(once, again),
            f"gives another result the second time, by up to {gap(once, again):.1e}",
        )

    def treats_images_separately(self, prior: Prior) -> None:
        together = self.run(prior, self.x, self.level)
        alone = torch.cat(
            [self.run(prior, self.x[i : i + 1], self.level[i : i + 1]) for i in (0, 1)]
        )
        self.require(
            near(together, alone),
            f"lets the images of a batch change each other, by up to {gap(together, alone):.1e}",
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
                near(number, tensor),
                f"gives another result for a level {shape} than for the same number",
            )
        if self.blind:
            self.require(
                near(number, prior(self.x)),
                "is blind by its signature, but the level changes its result",
            )

    def stays_finite_for_constant_images(self, prior: Prior) -> None:
        for grey in (0.0, 0.5, 1.0):
            x, level = torch.full_like(self.x, grey).float(), torch.zeros_like(self.level).float()
            where = f"for images of the value {grey:g} and levels of zero"
            finite = bool(self.run(prior, x, level).isfinite().all())
            self.require(finite, f"returns values that are not finite {where}")
            if prior.differentiable:
                self.has_finite_gradients_at(prior, x, level, f" {where}")

    def has_finite_gradients(self, prior: Prior) -> None:
        self.has_finite_gradients_at(prior, self.x.float(), self.level.float())

    def has_finite_gradients_at(
        self, prior: Prior, x: Tensor, level: Tensor, where: str = ""
    ) -> None:
        x = x.clone().requires_grad_()
        result = self.run(prior, x, level)
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
            self.require(finite, f"has a gradient to {name} that is not finite{where}")

    def has_true_gradients(self, prior: Prior) -> None:
        generator = torch.Generator().manual_seed(1)
        values = (
            {"its input": self.x} if self.blind else {"its input": self.x, "the level": self.level}
        )
        for name, value in values.items():

            def run(v: Tensor, name: str = name) -> Tensor:
                x, level = (v, self.level) if name == "its input" else (self.x, v)
                return self.run(prior, x, level)

            step = 1e-6 * float(value.abs().max())
            wrong = wrong_gradient(run, value, generator, step=step, relative=1e-3, absolute=1e-5)
            self.require(not wrong, f"has a wrong gradient to {name}: {wrong}")

    def refuses_gradients(self, prior: Prior) -> None:
        result = self.run(prior, self.x.float().requires_grad_(), self.level.float())
        wrong = kept_gradient(result)
        self.require(not wrong, wrong)

    def require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise AssertionError(f"{self.what} {otherwise} (input {tuple(self.x.shape)})")
