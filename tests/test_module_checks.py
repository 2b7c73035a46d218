"""check_initializer, check_estimator and check_transform: all that is registered passes, and each wrong module is named."""

from typing import Any

import pytest
import torch
from torch import nn

import pnp
from pnp.errors import PnpError
from pnp.interfaces import (
    Estimator,
    Image,
    Initializer,
    Kernel,
    Level,
    Levels,
    Number,
    Transform,
    as_level,
)
from pnp.options import Count
from pnp.registry import REGISTRIES
from pnp.testing import check_estimator, check_initializer, check_transform

SMALL: dict[str, dict[str, Any]] = {
    "kernel-encoder": {"size": 5, "features": 4},
    "spectral-kernel": {"size": 5, "windows": (8,), "width": 4, "depth": 1},
    "srresnet": {"scale": 2, "features": 4, "blocks": 1},
    "gaussian-kernel": {"size": 7},
    "hypanet": {"n": 3, "width": 4},
    "kernel-doubt": {"size": 5, "window": 8, "width": 4},
    "residual-noise": {"features": 4},
    "local-noise": {"width": 4, "depth": 2},
    "fixed-noise": {"sigma": 0.02},
    "crop": {"size": 3},
    "flow-kernel": {"size": 5, "width": 4, "steps": 1},
    "kernel-corrector": {"size": 5, "features": 4},
}


def built(role, name):
    torch.manual_seed(0)
    return REGISTRIES[role].build(name, **SMALL.get(name, {}))


@pytest.mark.parametrize("name", pnp.initializers.names())
def test_every_registered_initializer_passes(name):
    check_initializer(built("initializer", name))


@pytest.mark.parametrize("name", pnp.estimators.names())
def test_every_registered_estimator_passes(name):
    check_estimator(built("estimator", name))


@pytest.mark.parametrize("name", pnp.transforms.names())
def test_every_registered_transform_passes(name):
    y = torch.rand(2, 3, 12, 18)
    check_transform(built("transform", name), *{"bicubic-down": (y, 3)}.get(name, ()))


# the checks themselves: a right module of each kind, and one broken module for each law


class Double(Initializer):
    """Nearest neighbour; `after` changes what it gives."""

    def __init__(self, after=lambda x, y: x):
        super().__init__()
        self.after = after

    def forward(self, y: Image, s: Number) -> Image:
        return self.after(y.repeat_interleave(s, -2).repeat_interleave(s, -1), y)


class Flat(Initializer):
    """A kernel of equal taps; `after` changes what it gives."""

    size = 3

    def __init__(self, after=lambda k, y: k):
        super().__init__()
        self.after = after

    def forward(self, y: Image) -> Kernel:
        return self.after(y.new_full((len(y), 1, 3, 3), 1 / 9), y)


class Spread(Estimator):
    """The standard deviation of y, divided by 1, 2 ... n; `after` changes the first of them."""

    def __init__(self, after=lambda sigma, y, level: sigma):
        super().__init__()
        self.after = after

    def forward(self, y: Image, level: Level, n: Number) -> tuple[Level, Levels]:
        sigma = y.var((1, 2, 3), keepdim=True, correction=0).add(1e-6).sqrt() + as_level(level, y)
        steps = torch.arange(1, n + 1, dtype=y.dtype, device=y.device).reshape(1, n, 1, 1)
        return self.after(sigma, y, level), sigma / steps


class Remembers(Estimator):
    """Keeps the largest level of all calls."""

    def __init__(self):
        super().__init__()
        self.largest = 0.0

    def forward(self, y: Image) -> Level:
        level = y.abs().amax((1, 2, 3), keepdim=True)
        self.largest = max(self.largest, float(level.detach().max()))
        return level * self.largest


class Plain(Estimator):
    """Holds a tensor that is no buffer."""

    def __init__(self):
        super().__init__()
        self.factor = torch.tensor(2.0)

    def forward(self, y: Image) -> Level:
        return (y * self.factor).abs().mean((1, 2, 3), keepdim=True)


class Stale(Estimator):
    """Computes with the weight of its first call."""

    def __init__(self):
        super().__init__()
        self.weight, self.first = nn.Parameter(torch.ones(1)), None

    def forward(self, y: Image) -> Level:
        if self.first is None:
            self.first = float(self.weight.detach())
        return self.first * y.abs().mean((1, 2, 3), keepdim=True)


class Unsaved(Stale):
    """Has a parameter that is not in the state_dict."""

    def forward(self, y: Image) -> Level:
        return self.weight * y.abs().mean((1, 2, 3), keepdim=True)

    def state_dict(self, *args, **kwargs):
        return {}


class AnySize(Initializer):
    """A kernel of any side, even of none."""

    def __init__(self, size: int = 3):
        super().__init__()
        self.size = size

    def forward(self, y: Image) -> Kernel:
        return y.new_full((len(y), 1, self.size, self.size), 1.0) / self.size**2


class OddSize(AnySize):
    """A kernel of any side of at least one."""

    def __init__(self, size: Count = 3):
        super().__init__(size)


class Needy(Initializer):
    """Says that two pixels are enough, but wants three."""

    def least_side(self, s: int) -> int:
        return 2

    def forward(self, y: Image) -> Image:
        if min(y.shape[-2:]) < 3:
            self.refuse("y has fewer than 3 pixels a side", "take a larger image")
        return y


class Mirrored(Initializer):
    """Mirrors three pixels at the border, whatever the size."""

    def forward(self, y: Image) -> Image:
        return nn.functional.pad(y, (3, 3, 3, 3), mode="reflect")[..., 3:-3, 3:-3]


class Inside(Initializer):
    """Uses gradients to find its result; `on` turns them on."""

    differentiable = False

    def __init__(self, on=torch.enable_grad):
        super().__init__()
        self.on = on

    def forward(self, y: Image) -> Image:
        with self.on():
            x = y.detach().clone().requires_grad_()
            (slope,) = torch.autograd.grad((x * x).sum(), x)
        return slope


class Shift(Transform):
    """Adds something of the batch."""

    def __init__(self, add=lambda x: 0 * x):
        super().__init__()
        self.add = add

    def forward(self, x: Image) -> Image:
        return x + self.add(x)


class Detached(Shift):
    """Declares to have no gradients, but has some."""

    differentiable = False


def write(x, y):
    y.mul_(0.5)
    return x


def test_right_modules_pass():
    check_initializer(Double())
    check_initializer(Flat())
    check_initializer(OddSize())
    check_initializer(Inside())
    check_estimator(Spread())
    check_transform(Shift())
    check_transform(Shift(), torch.rand(2, 1, 4, 5))


@pytest.mark.parametrize(
    ("module", "law"),
    [
        (Double(lambda x, y: x[..., 1:]), r"returns the shape \(2, 3, 5, 7\) instead of"),
        (Double(lambda x, y: x[:, :1]), r"returns the shape \(2, 1, 5, 8\) instead of"),
        (Double(lambda x, y: x.double()), "returns torch.float64 for torch.float32"),
        (Double(lambda x, y: x.float()), "returns torch.float32 for torch.float64"),
        (Double(write), "writes into its input y"),
        (Double(lambda x, y: x - y.mean()), "for an image alone than in a batch"),
        (Double(lambda x, y: x + torch.rand_like(x)), "gives another result the second time"),
        (Double(lambda x, y: x.detach()), "has a wrong gradient to y: 0 along"),
        (Double(lambda x, y: x / y.amax((1, 2, 3), keepdim=True)), "values that are not finite"),
        (
            Double(lambda x, y: x + (y * y).mean((1, 2, 3), keepdim=True).sqrt()),
            "to its input y that is not finite",
        ),
        (Flat(lambda k, y: k * 9), "returns a kernel whose sum is 9, not one"),
        (Flat(lambda k, y: k + torch.linspace(-1, 1, 9).reshape(3, 3).to(k)), "the value -0.889"),
        (Flat(lambda k, y: k[:1]), r"instead of \(2, 1, 3, 3\)"),
        (Flat(lambda k, y: k[..., 1:]), r"returns the shape \(2, 1, 3, 2\) instead of"),
        (AnySize(), "accepts size = 0, but then"),
        (Needy(), "declares a `least_side` of 2, but refuses it: Needy: y has fewer"),
        (Mirrored(), "has a `least_side` of 1, but fails with RuntimeError: .*[Pp]adding"),
        (Inside(torch.no_grad), "does not require grad"),
    ],
)
def test_check_initializer_names_the_broken_law(module, law):
    with pytest.raises((AssertionError, RuntimeError), match=law):
        check_initializer(module)


@pytest.mark.parametrize(
    ("module", "law"),
    [
        (Spread(lambda sigma, y, level: sigma - 0.3), "returns the level -0.* below zero"),
        (
            Spread(lambda sigma, y, level: sigma.flatten()),
            r"shape \(2,\) instead of \(2, 1, 1, 1\)",
        ),
        (Spread(lambda sigma, y, level: 1 / (sigma - as_level(level, y) - 1e-3)), "not finite"),
        (Spread(lambda sigma, y, level: sigma.mean() + 0 * sigma), "an image alone"),
        (
            Spread(lambda sigma, y, level: sigma if isinstance(level, float) else 2 * sigma),
            "another result for level as a number than as a tensor",
        ),
        (Spread(lambda sigma, y, level: sigma.detach()), "has a wrong gradient to y"),
        (Remembers(), "after a call with other inputs"),
        (Plain(), "holds the tensor 'factor' as a plain attribute"),
        (Stale(), "gives another result after its state_dict was loaded"),
        (Unsaved(), r"leaves weight out of its state_dict\(\)"),
    ],
)
def test_check_estimator_names_the_broken_law(module, law):
    with pytest.raises(AssertionError, match=law):
        check_estimator(module)


@pytest.mark.parametrize(
    ("module", "law"),
    [
        (Shift(lambda x: x.mean()), "an image alone"),
        (Shift(lambda x: torch.rand(1)), "the second time"),
        (Shift(lambda x: x.sqrt().double()), "returns torch.float64"),
        (Shift(lambda x: (x * x).detach()), "has a wrong gradient to x"),
        (Detached(), "declares `differentiable = False`, but its result has gradients"),
    ],
)
def test_check_transform_names_the_broken_law(module, law):
    with pytest.raises(AssertionError, match=law):
        check_transform(module)


def test_what_a_module_refuses_is_passed_on():
    with pytest.raises(PnpError, match="crop: the kernel is 3 x 3, smaller than size 5"):
        check_transform(pnp.transforms.build("crop", size=5), torch.rand(2, 1, 3, 3))
