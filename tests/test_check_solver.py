"""check_solver accepts right solvers and tells what is wrong with wrong ones."""

from typing import Any

import pytest
import torch

import pnp
from pnp.errors import PnpError
from pnp.gradients import without_gradient
from pnp.inference import run_image
from pnp.interfaces import DataSolver, Image, Kernel, Level, as_level
from pnp.operators import Blur
from pnp.registry import solver
from pnp.solvers.cg_image import CgImage
from pnp.solvers.fft_image import FftImage
from pnp.solvers.fft_kernel import FftKernel
from pnp.solvers.support_kernel import SupportKernel
from pnp.testing import check_solver


class Changed(DataSolver):
    """D with something done to its inputs or to its result."""

    def __init__(self, before=lambda *a: a, after=lambda z, *a: z):
        super().__init__()
        self.before, self.after, self.D = before, after, FftImage()

    def forward(self, y: Image, x: Image, k: Kernel, weight: Level) -> Image:
        return self.after(self.D(*self.before(y, x, k, weight)), y, x, k, weight)


class ChangedKernel(DataSolver):
    """Dk on the support with something done to its result."""

    def __init__(self, after=lambda w: w, gamma=1e-3, inner=1e-3, size=None):
        super().__init__()
        self.after, self.gamma, self.size, self.Dk = after, gamma, size, SupportKernel(inner)

    def forward(self, y: Image, x: Image, k: Kernel) -> Kernel:
        return self.after(self.Dk(y, x, k))


class Leaky(Changed):
    """D whose result for one image depends a little on the others of the batch."""

    def forward(self, y: Image, x: Image, k: Kernel, weight: Level) -> Image:
        z = self.D(y, x, k, weight)
        return z + (len(y) - 1) * 1e-4 * z.mean()


class CutAtWeight(Changed):
    """D that gives no gradient to the weight."""

    def forward(self, y: Image, x: Image, k: Kernel, weight: Level) -> Image:
        return self.D(y, x, k, weight.detach() if isinstance(weight, torch.Tensor) else weight)


class Undeclared(FftKernel):
    """Dk that crops its result and does not say so."""

    cropped = False


class OffCentre(FftKernel):
    """Dk that crops its result one pixel beside the centre."""

    def forward(self, y: Image, x: Image, k: Kernel) -> Kernel:
        w = super().forward(y, x, k)
        return w if self.size is None else w.roll(1, -1)


def test_solvers_of_the_registry_pass_with_any_seed():
    for seed in range(3):
        check_solver(FftImage(), seed=seed)
        check_solver(Changed(), seed=seed)
        check_solver(ChangedKernel(), seed=seed)


MINIMISER = (
    "does not return the minimiser of its objective|is far from the minimiser of its objective"
)


@pytest.mark.parametrize(
    ("solver", "sentence"),
    [
        (Changed(lambda y, x, k, w: (y, x, k.flip(-2, -1), w)), MINIMISER),  # correlation
        (
            Changed(lambda y, x, k, w: (y, x, torch.nn.functional.pad(k, (1, 0, 0, 1)), w)),
            MINIMISER,
        ),  # centre
        (Changed(lambda y, x, k, w: (y, x, k.mT, w)), MINIMISER),  # rows and columns of the kernel
        (Changed(lambda y, x, k, w: (y, x, k, 1.001 * w)), MINIMISER),  # weight
        (Changed(lambda y, x, k, w: (y, x.roll(1, -1), k, w)), MINIMISER),  # pull to something else
        (Changed(after=lambda z, *a: z + 1e-6), MINIMISER),
        (Changed(after=lambda z, *a: z.double()), "returns torch.float64 for torch.float32"),
        (
            Changed(after=lambda z, *a: z[..., 1:]),
            r"returns the shape \(2, 1, 5, 5\) instead of \(2, 1, 5, 6\)",
        ),
        (Changed(after=lambda z, *a: z.detach()), "has a wrong gradient to y: 0 along a direction"),
        (Leaky(), "lets the images of a batch change each other"),
        (CutAtWeight(), "has a wrong gradient to weight: 0 along a direction"),
        (ChangedKernel(lambda w: w.flip(-2, -1)), MINIMISER),
        (
            ChangedKernel(lambda w: w / w.sum((-2, -1), keepdim=True)),
            MINIMISER,
        ),  # normalising is a prior's work
        (ChangedKernel(inner=2e-3), MINIMISER),
        (ChangedKernel(size=9), r"returns the shape \(2, 1, 3, 4\) instead of \(2, 1, 9, 9\)"),
        (Undeclared(1e-3, size=3), MINIMISER),  # a crop is not the minimiser on the cropped support
        (OffCentre(1e-3, size=3), "with its `size` does not return the middle"),
        (ChangedKernel(lambda w: w[..., 1:]), r"returns the shape \(2, 1, 3, 3\) instead of"),
        (CgImage(iterations=1), "is far from the minimiser of its objective"),
    ],
)
def test_wrong_solvers_are_found_out(solver, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_solver(solver)


class Declares(DataSolver):
    """A solver of images that computes with one solver and declares another boundary."""

    def __init__(self, inner, boundary):
        super().__init__()
        self.inner, self.boundary = inner, boundary

    def forward(self, y: Image, x: Image, k: Kernel, weight: Level) -> Image:
        return self.inner(y, x, k, weight)


class DeclaresKernel(DataSolver):
    """A solver of kernels that computes with one solver and declares other options."""

    def __init__(self, inner, pull="last", channel=None):
        super().__init__()
        self.inner, self.gamma, self.pull, self.channel = inner, inner.gamma, pull, channel

    def forward(self, y: Image, x: Image, k: Kernel) -> Kernel:
        return self.inner(y, x, k)


@pytest.mark.parametrize(
    ("honest", "lying"),
    [
        (lambda: Declares(FftImage(), "circular"), lambda: Declares(FftImage(), "reflect")),
        (
            lambda: DeclaresKernel(FftKernel(1e-2, pull="zero"), pull="zero"),
            lambda: DeclaresKernel(FftKernel(1e-2, pull="zero")),
        ),
        (
            lambda: DeclaresKernel(FftKernel(1e-2, channel=0), channel=0),
            lambda: DeclaresKernel(FftKernel(1e-2, channel=0)),
        ),
    ],
)
def test_a_solver_is_held_to_what_it_declares(honest, lying):
    check_solver(honest())
    with pytest.raises(AssertionError, match=MINIMISER):
        check_solver(lying())


class ByAutograd(DataSolver):
    """D and a last step along the slope, by autograd; it declares to have no gradients."""

    differentiable = False

    def __init__(self, on=torch.enable_grad, refuse=True):
        super().__init__()
        self.on, self.refuse_backward, self.D = on, refuse, FftImage()

    def forward(self, y: Image, x: Image, k: Kernel, weight: Level) -> Image:
        start = self.D(y, x, k, weight)
        with torch.inference_mode(False), self.on():
            z, x_, y_, k_ = (t.detach().clone() for t in (start, x, y, k))
            w, z = as_level(weight, x).detach().clone(), z.requires_grad_()
            misfit = y_ - Blur(k_, x.shape[-2:], x.shape[-1] // y.shape[-1])(z)
            loss = misfit.square().sum() + (w * (z - x_).square()).sum()
            z = z - torch.autograd.grad(loss, z)[0] / (2 + 2 * w)
        if not self.refuse_backward:
            return z.detach()
        return without_gradient(self.registered, z, y, x, k, weight)


def test_a_solver_without_gradients_that_uses_them_inside():
    check_solver(ByAutograd())
    with pytest.raises(AssertionError, match="drops gradients silently"):
        check_solver(ByAutograd(refuse=False))


class Plain(FftImage):
    """Declares to have no gradients, but has them."""

    differentiable = False


def test_a_declaration_without_gradients_is_checked():
    with pytest.raises(AssertionError, match="but backward through it runs"):
        check_solver(Plain())


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_such_a_solver_runs_in_a_pipeline_and_one_that_forgets_is_told_how(off, monkeypatch):
    solver.names()
    monkeypatch.setattr(solver, "_classes", dict(solver._classes))
    solver("by-autograd")(ByAutograd)
    changes: Any = {"modules.D": {"solver": "by-autograd"}}
    pipeline: Any = pnp.load("hqs-tv", repeat=2, **changes)
    y, k = torch.rand(1, 3, 12, 10), torch.ones(1, 1, 3, 3) / 9
    right = pnp.load("hqs-tv", repeat=2)(y=y, s=1, k=k, sigma=0.05).x
    with off():
        torch.testing.assert_close(pipeline(y=y, s=1, k=k, sigma=0.05).x, right)
        pipeline.D.on = torch.no_grad
        with pytest.raises(
            PnpError, match=r"with torch.inference_mode\(False\), torch.enable_grad"
        ):
            pipeline(y=y, s=1, k=k, sigma=0.05)


def test_a_run_needs_no_more_than_enable_grad(monkeypatch):
    """`pnp.restore` and `pnp run` run pipelines under `torch.no_grad`, so that the usual words are enough."""

    class Short(DataSolver):
        def forward(self, y: Image, x: Image, k: Kernel, weight: Level) -> Image:
            with torch.enable_grad():
                z = x.detach().requires_grad_()
                return x - torch.autograd.grad((z - y).square().sum(), z)[0] / 2

    solver.names()
    monkeypatch.setattr(solver, "_classes", dict(solver._classes))
    solver("short")(Short)
    y = torch.rand(1, 3, 12, 10)
    changes: Any = {"modules.D": {"solver": "short"}, "modules.P": {"prior": "identity"}}
    pipeline = pnp.load("hqs-tv", repeat=1, **changes)
    found = run_image(pipeline, y, {"s": 1, "k": torch.ones(1, 1, 1, 1), "sigma": 0.05})
    torch.testing.assert_close(found.x, y)
