"""The files of `pnp new`: NAME, REGISTERED, CLASS and KIND are filled in."""

from __future__ import annotations

PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "REGISTERED"
version = "0.1.0"
dependencies = ["pnp-imaging"]

[project.entry-points."pnp.KINDs"]
REGISTERED = "NAME.NAME:CLASS"

[project.entry-points."pnp.pipelines"]
REGISTERED = "NAME"

[tool.setuptools]
packages = ["NAME"]

[tool.setuptools.package-data]
NAME = ["*.yaml"]
"""

_SOLVER = '''\
"""The image step D by conjugate gradients: a start for a solver of your own."""

from __future__ import annotations

from typing import Annotated

from pnp import Blur, Count, DataSolver, Image, Kernel, Level, Range, solver
from pnp.interfaces import as_level
from torch import Tensor


@solver("REGISTERED")
class CLASS(DataSolver):
    """D by conjugate gradients on the normal equations, from x.

        z = argmin_z |y - (z * k)|s|^2 + weight |z - x|^2

    Args:
        iterations: The largest number of iterations.
        tolerance: The share of the first residual at which they end.

    Returns:
        z (B, C, H, W).
    """

    def __init__(
        self,
        iterations: Count = 100,
        tolerance: Annotated[float, Range(above=0, below=1)] = 1e-5,
    ):
        super().__init__()
        self.iterations, self.tolerance = iterations, tolerance

    def forward(self, y: Image, x: Image, k: Kernel, weight: Level) -> Image:
        """z (B, C, H, W)."""
        A, weight = Blur(k, x.shape[-2:], x.shape[-1] // y.shape[-1]), as_level(weight, x)
        z = x
        residual = direction = A.adjoint(y - A(x))
        power = first = _dot(residual, residual)
        for _ in range(self.iterations):
            if bool((power <= self.tolerance**2 * first).all()):
                break
            product = A.gram(direction) + weight * direction
            step = power / _dot(direction, product).clamp(min=1e-300)
            z, residual = z + step * direction, residual - step * product
            last, power = power, _dot(residual, residual)
            direction = residual + power / last.clamp(min=1e-300) * direction
        return z


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """The inner product for each image, (B, 1, 1, 1)."""
    return (a * b).sum((1, 2, 3), keepdim=True)
'''

_PRIOR = '''\
"""A local mean: a start for a prior of your own."""

from __future__ import annotations

from pnp import Image, Level, Positive, Prior, prior
from pnp.interfaces import as_level
from torch.nn import functional


@prior("REGISTERED")
class CLASS(Prior):
    """A mixture of each pixel and the mean of its 3 x 3 neighbourhood; noise moves it to the mean.

        t = (strength level)^2,   x + t / (1 + t) (mean - x)

    Args:
        strength: How fast it moves.

    Returns:
        The image (B, C, H, W).
    """

    def __init__(self, strength: Positive = 20.0):
        super().__init__()
        self.strength = strength

    def forward(self, x: Image, level: Level) -> Image:
        """The image (B, C, H, W)."""
        t = (self.strength * as_level(level, x)) ** 2
        padded = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        mean = functional.avg_pool2d(padded, 3, stride=1)
        return x + t / (1 + t) * (mean - x)
'''

_INITIALIZER = '''\
"""Every pixel as a block: a start for an initializer of your own."""

from __future__ import annotations

from pnp import Fraction, Image, Initializer, Number, initializer


@initializer("REGISTERED")
class CLASS(Initializer):
    """Repeats every pixel s x s times, and draws it towards the mean of its image.

    Args:
        contrast: 1 keeps the pixels, 0 gives the mean.

    Returns:
        The image (B, C, s h, s w).
    """

    def __init__(self, contrast: Fraction = 1.0):
        super().__init__()
        self.contrast = contrast

    def forward(self, y: Image, s: Number) -> Image:
        """The image (B, C, s h, s w)."""
        mean = y.mean((-2, -1), keepdim=True)
        x = mean + self.contrast * (y - mean)
        return x.repeat_interleave(s, -2).repeat_interleave(s, -1)
'''

_ESTIMATOR = '''\
"""The noise level from neighbouring pixels: a start for an estimator of your own."""

from __future__ import annotations

import math

from pnp import Estimator, Image, Level, Positive, estimator


@estimator("REGISTERED")
class CLASS(Estimator):
    """The noise level from differences of 2 x 2 pixels, which ramps do not change.

        sigma = factor mean |a - b - c + d| / (2 sqrt(2 / pi)),   [a b; c d] neighbours in y

    It is right for white noise on a smooth image; texture counts as noise.

    Args:
        factor: Corrects the level for a kind of image.

    Returns:
        sigma (B, 1, 1, 1).
    """

    def __init__(self, factor: Positive = 1.0):
        super().__init__()
        self.factor = factor

    def forward(self, y: Image) -> Level:
        """sigma (B, 1, 1, 1)."""
        if min(y.shape[-2:]) < 2:
            self.refuse("y has a side of one pixel", "take a larger image")
        rows = y[..., 1:, :] - y[..., :-1, :]
        d = rows[..., 1:] - rows[..., :-1]
        return self.factor * d.abs().mean((1, 2, 3), keepdim=True) / (2 * math.sqrt(2 / math.pi))

    def least_side(self, s: int) -> int:
        """Two pixels have a difference."""
        return 2
'''

_TRANSFORM = '''\
"""A tone curve: a start for a transform of your own."""

from __future__ import annotations

from pnp import Image, Positive, Transform, transform


@transform("REGISTERED")
class CLASS(Transform):
    """A power of the values on [0, 1].

        x^gamma, of max(x, 0)

    Args:
        gamma: The exponent; above 1 the image becomes darker.

    Returns:
        The image (B, C, H, W).
    """

    def __init__(self, gamma: Positive = 1.0):
        super().__init__()
        self.gamma = gamma

    def forward(self, x: Image) -> Image:
        """The image (B, C, H, W)."""
        return x.clamp(min=1e-6) ** self.gamma
'''

MODULES = {
    "solver": _SOLVER,
    "prior": _PRIOR,
    "initializer": _INITIALIZER,
    "estimator": _ESTIMATOR,
    "transform": _TRANSFORM,
}
"""The file of the module, by kind."""

_ENTRIES = {
    "solver": "  D: {solver: REGISTERED}\n",
    "prior": "  P: {prior: REGISTERED}\n",
    "initializer": "  U: {initializer: REGISTERED}\n",
    "estimator": "  E: {estimator: REGISTERED}\n",
    "transform": "  T: {transform: REGISTERED}\nafter:\n  - x = T(x)\n",
}
PIPELINES = {
    kind: f"about: hqs-tv with the {kind} REGISTERED\nextends: hqs-tv\nmodules:\n{entry}"
    for kind, entry in _ENTRIES.items()
}
"""A pipeline that uses the module, by kind."""

_TEST = '''\
"""REGISTERED keeps the contract of its kind, and computes what it says."""

import torch
from pnp.testing import check_KIND

from NAME.NAME import CLASS


def test_it_keeps_the_contract():
    check_KIND(CLASS())


'''
TESTS = {
    "solver": _TEST
    + """\
def test_a_pull_of_any_weight_keeps_an_image_that_explains_y():
    x, delta = torch.rand(1, 3, 8, 9), torch.ones(1, 1, 1, 1)
    torch.testing.assert_close(CLASS()(x, x, delta, 0.5), x)
""",
    "prior": _TEST
    + """\
def test_without_noise_the_image_is_kept():
    x = torch.rand(1, 3, 8, 9)
    torch.testing.assert_close(CLASS()(x, 0.0), x)
""",
    "initializer": _TEST
    + """\
def test_without_contrast_it_is_the_mean():
    y = torch.rand(1, 3, 8, 9)
    x = CLASS(contrast=0)(y, 2)
    torch.testing.assert_close(x, y.mean((-2, -1), keepdim=True).expand(1, 3, 16, 18))
""",
    "estimator": _TEST
    + """\
def test_it_finds_the_level_of_white_noise():
    y = 0.5 + 0.1 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(CLASS()(y).item(), 0.1, atol=0.005, rtol=0)
""",
    "transform": _TEST
    + """\
def test_the_exponent_two_squares():
    x = 0.1 + torch.rand(1, 3, 8, 9)
    torch.testing.assert_close(CLASS(gamma=2)(x), x * x)
""",
}
"""The test, by kind."""
