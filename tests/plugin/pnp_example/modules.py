"""One module of each kind.  The decorators name three of them; the entry point in pyproject.toml names the fourth."""

from __future__ import annotations

import torch
from torch.nn import functional

from pnp import (
    DataSolver,
    Estimator,
    Image,
    Initializer,
    Kernel,
    Level,
    Levels,
    Number,
    Prior,
    estimator,
    prior,
    solver,
)
from pnp.testing import observe_spatially


@solver("gradient-image")
class GradientImage(DataSolver):
    """The image step D by gradient descent."""

    exact = False

    def __init__(self, iterations: int = 20):
        super().__init__()
        self.iterations = iterations

    def forward(self, y: Image, x: Image, k: Kernel, weight: Level) -> Image:
        s = x.shape[-1] // y.shape[-1]
        # `pnp run` works in inference mode, which has no gradients; copies made outside of it do.
        with torch.inference_mode(False), torch.enable_grad():
            y, x, k, weight = (torch.as_tensor(value).clone() for value in (y, x, k, weight))
            z = x
            for _ in range(self.iterations):
                point = z.detach().requires_grad_()
                misfit = (y - observe_spatially(point, k, s)).square().sum() + (
                    weight * (point - x).square()
                ).sum()
                (slope,) = torch.autograd.grad(misfit, point)
                z = point.detach() - slope / (2 * (1 + weight))
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
        return 1 / torch.arange(1, n + 1, dtype=y.dtype).reshape(1, n, 1, 1)
