"""One module of each kind.  Decorators name four of them; an entry point in pyproject.toml names the fifth."""

from __future__ import annotations

import torch
from torch.nn import functional

from pnp import (
    Blur,
    Count,
    DataSolver,
    Estimator,
    Image,
    Initializer,
    Kernel,
    Level,
    Levels,
    Number,
    Positive,
    Prior,
    Transform,
    estimator,
    prior,
    solver,
    transform,
)
from pnp.interfaces import as_level


@solver("gradient-image")
class GradientImage(DataSolver):
    """The image step D by Nesterov's accelerated gradient descent.

        z = argmin_z |y - (z * k)|s|^2 + weight |z - x|^2

    Args:
        iterations: The largest number of steps.
        tolerance: Share of the first slope below which the search ends.
    """

    def __init__(self, iterations: Count = 1000, tolerance: Positive = 1e-4):
        super().__init__()
        self.iterations, self.tolerance = iterations, tolerance

    def forward(self, y: Image, x: Image, k: Kernel, weight: Level) -> Image:
        A = Blur(k, x.shape[-2:], x.shape[-1] // y.shape[-1])
        weight, z, ahead, first = as_level(weight, x), x, x, 0.0
        root = (weight / (1 + weight)).sqrt()
        for _ in range(self.iterations):
            slope = A.adjoint(A(ahead) - y) + weight * (ahead - x)
            last, z = z, ahead - slope / (1 + weight)
            ahead = z + (1 - root) / (1 + root) * (z - last)
            length = float(slope.detach().norm())
            first = max(first, length)
            if length <= self.tolerance * first:
                break
        return z


@prior("box")
class Box(Prior):
    """The mean of a 3 x 3 neighbourhood."""

    def forward(self, x: Image, level: Level | None = None) -> Image:
        padded = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        return functional.avg_pool2d(padded, 3, stride=1)


class Grey(Initializer):
    """The mean colour of the observation."""

    def forward(self, y: Image, s: Number) -> Image:
        return y.mean((-2, -1), keepdim=True).expand(-1, -1, s * y.shape[-2], s * y.shape[-1])


@estimator("falling")
class Falling(Estimator):
    """Weights 1, 1/2, 1/3 ..."""

    def forward(self, y: Image, n: Number) -> Levels:
        steps = torch.arange(1, n + 1, dtype=y.dtype, device=y.device)
        return (1 / steps).reshape(1, n, 1, 1).repeat(len(y), 1, 1, 1)


@transform("negative")
class Negative(Transform):
    """The negative of an image: a step that is no solver, prior, initializer or estimator."""

    def forward(self, x: Image) -> Image:
        return 1 - x
