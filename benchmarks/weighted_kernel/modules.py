"""A Dk that weights its equations, and a Pe that says how much each of them is worth.

Dk finds the kernel by least squares from an image that is only an estimate.  Where the estimate is
wrong, its equations are, too; weights lower their influence, as the selection of edges does in
classical blind deblurring.  Here a network predicts the weights together with the image.

    cd benchmarks/weighted_kernel
    pnp train recipe.yaml --plugin modules.py --data FOLDER
    pnp compare compare.yaml --plugin modules.py --only "weighted equations"

The weights beside it are those of `docs/training.md` ("How much each pixel is worth to Dk").
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from pnp import Count, DataSolver, Image, Kernel, Level, Positive, Transform, solver, transform
from pnp.kernels import resize_kernel
from pnp.priors.resunet import FourScales, UNet

GAIN = 20.0
"""Brings the output for the weights to the range of their logarithm."""
WIDEST = 7.0
"""Largest absolute logarithm of a weight."""


class _Body(UNet):
    registered = "edge-resunet"

    def __init__(self, nc: FourScales):
        super().__init__(4, 4, nc, 2)
        self.channels = 3  # of the input, without the level map

    def forward(self, x: Image, level: Level) -> Image:
        return self.restore(x, level)


@transform("edge-resunet")
class EdgeResUNet(Transform):
    """The image that Dk sees, and the weight of each of its pixels; the network is `resunet`.

    Args:
        nc: Features of the four scales, finest first.

    Returns:
        The image (B, 3, H, W), and weights (B, 1, H, W) between exp(-7) and exp(7).
    """

    def __init__(self, nc: FourScales = (16, 32, 64, 64)):
        super().__init__()
        self.net = _Body(nc)
        self.bias = nn.Parameter(torch.zeros(1, 1, 1, 1))

    def forward(self, x: Image, level: Level) -> tuple[Image, Image]:
        """The image and the weights."""
        out = self.net(x, level)
        log = GAIN * out[:, 3:] + self.bias
        return out[:, :3], log.clamp(-WIDEST, WIDEST).exp()


@solver("weighted-kernel")
class WeightedKernel(DataSolver):
    """Kernel step Dk on a K x K support, with a weight for every pixel of y, by Cholesky.

        w = argmin_w C t^2 sum over n of m(n) (y(n) - (x * w)|s(n))^2 + gamma H W |w - k|^2

    y and x are means over their C channels; n are the pixels of y in every t-th row and column, t
    the smallest number for which they are at most `equations`; m is sampled like x.  With all
    weights one, C equal channels and t = 1 it is `support-kernel`.

    Args:
        gamma: Weight of the pull for each pixel of x.
        size: Side K of the support.
        equations: Most pixels of y that are used.

    Returns:
        w (B, 1, size, size).
    """

    def __init__(self, gamma: Positive = 2e-3, size: Count = 25, equations: Count = 65536):
        super().__init__()
        self.gamma, self.size, self.equations = gamma, size, equations
        self.side = size  # an int, where `size` of a solver may be None

    def forward(self, y: Image, x: Image, k: Kernel, m: Image) -> Kernel:
        """The minimiser w."""
        with torch.autocast(y.device.type, enabled=False):
            s = x.shape[-1] // y.shape[-1]
            t = max(1, math.ceil(math.sqrt(y.shape[-2] * y.shape[-1] / self.equations)))
            start = resize_kernel(k.to(x), self.side)
            A = self._rows(x.mean(1, keepdim=True), s * t)  # (B, K^2, N)
            e = y.to(x).mean(1)[:, ::t, ::t].flatten(1)[..., None]
            e = e - A.mT @ start.flatten(1)[..., None]
            weighted = y.shape[1] * t * t * m.to(x)[:, :, :: s * t, :: s * t].flatten(2) * A
            N, b = (weighted @ A.mT).double(), (weighted @ e).double()
            pull = self.gamma * x.shape[-2] * x.shape[-1] * torch.eye(self.side**2).to(N)
            step = torch.cholesky_solve(b, torch.linalg.cholesky(N + pull))
            return (step.reshape(-1, 1, self.side, self.side) + start).to(k)

    def _rows(self, x: Tensor, stride: int) -> Tensor:
        """What each tap of the kernel meets at each pixel, circularly."""
        before, after = self.side - 1 - self.side // 2, self.side // 2
        around = functional.pad(x, (before, after, before, after), mode="circular")
        return functional.unfold(around, self.side, stride=stride).flip(1)
