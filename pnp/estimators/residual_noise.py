"""F: the noise level from the residual of the current estimates (equations 7, 12)."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch.nn.functional as F
from torch import nn

from pnp.checks import check_channels, check_shapes
from pnp.interfaces import Estimator, Image, Kernel, Level
from pnp.operators import Blur
from pnp.options import Count, Noise, Range
from pnp.registry import estimator


@estimator("residual-noise")
class ResidualNoise(Estimator):
    """Noise level by a network from the residual y - (x * k)|s, one for each image.

        sigma = max_sigma * softplus(sum over features of mean over pixels of net(r / max_sigma))

    r is the residual.  net: conv 3x3 to `features`, LeakyReLU 0.2, conv 1x1, LeakyReLU 0.2, which
    with `max_sigma` 3 % are the sizes of the authors' code.  Two details are ours.  The softplus
    (beta 20, close to a ReLU) keeps the standard deviation from being negative.  The division
    scales a residual of order 0.01 to the range for which layers are initialised.  s is the ratio
    of the sizes of x and y.  The paper's F also contains the fully connected part that turns sigma
    and s into alpha and beta; here that is a separate estimator, `hypanet`.

    Args:
        channels: Channels of the observation.
        features: Features of the convolutions.
        max_sigma: Unit of the noise level inside the network.

    Returns:
        The standard deviation of the noise in y, (B, 1, 1, 1).

    Raises:
        PnpError: y has another number of channels, or the shapes do not fit together.

    Source:
        Ates et al. 2023, section 3.4.
    """

    cite: ClassVar = ("ates2023ikrnet",)

    def __init__(
        self,
        channels: Count = 3,
        features: Count = 64,
        max_sigma: Annotated[Noise, Range(above=0)] = 0.03,
    ):
        super().__init__()
        self.channels, self.max_sigma = channels, max_sigma
        self.net = nn.Sequential(
            nn.Conv2d(channels, features, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(features, features, 1),
            nn.LeakyReLU(0.2),
        )

    def forward(self, y: Image, x: Image, k: Kernel) -> Level:
        """The standard deviation of the noise in y, (B, 1, 1, 1)."""
        scale = check_shapes(self.registered, y, x, k)
        check_channels(self.registered, "y", y, self.channels)
        residual = y - Blur(k, x.shape[-2:], scale)(x)
        strength = (
            self.net(residual / self.max_sigma).mean((-2, -1), keepdim=True).sum(1, keepdim=True)
        )
        return self.max_sigma * F.softplus(strength, beta=20)  # its gradient never vanishes
