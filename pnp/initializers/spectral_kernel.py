"""I: a first kernel from the power spectrum of the observation, by a small network."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from torch import nn

from pnp.interfaces import Image, Initializer, Kernel, Number
from pnp.networks.residual_mlp import ResidualBlock
from pnp.options import Count, Range, Rule
from pnp.overexposed import known_pixels
from pnp.power_spectrum import LEAST, SCALES, check_scale, log_power_spectrum, standardised
from pnp.registry import initializer

Windows = Annotated[
    tuple[Annotated[int, Range(at_least=LEAST)], ...], Rule("and at least one of them", len)
]


@initializer("spectral-kernel")
class SpectralKernel(Initializer):
    """Blur kernel from the power spectrum of y, which is that of x times |K|^2, aliased, plus
    noise.

        S_m = mean over windows and colours of |FFT(hann * (window - its mean))|^2,   m in `windows`
        k   = softmax(network(log S_m, s))

    The network is a residual MLP that receives s.  y is first divided by its standard deviation.
    Windows of m x m pixels lie `hop` m pixels apart.  Along a side of y that is shorter than m they
    are as long as that side, but the FFT still has m points, so every size of 8 x 8 or more gives
    the same number of inputs.  All colours share one kernel, so grey and colour images are treated
    alike.  The softmax makes the taps non-negative and their sum one.

    A power spectrum has no phase: k and its mirror image (turned by 180 degrees) have the same
    spectrum.  For kernels that are not symmetric the network gives one of the two.

    Args:
        size: Side of the kernel.
        windows: Sides of the windows, in pixels of y.
        hop: Distance between windows, as a share of their side.
        width: Width of the network's hidden layers.
        depth: Number of its residual blocks.

    Returns:
        The kernel (B, 1, size, size).

    Raises:
        PnpError: y has a side below 8 pixels, or s is above 4.

    Source:
        pnp's own; Welch (1967) for the averaged spectrum.
    """

    cite: ClassVar = ("welch1967",)

    def __init__(
        self,
        size: Count = 25,
        windows: Windows = (32, 64),
        hop: Annotated[float, Range(above=0, at_most=1)] = 0.5,
        width: Count = 768,
        depth: Annotated[int, Range(at_least=0)] = 2,
    ) -> None:
        super().__init__()
        self.size, self.windows, self.hop = size, windows, hop
        self.norms = nn.ModuleList(nn.LayerNorm(m * (m // 2 + 1)) for m in windows)
        self.first = nn.Linear(sum(m * (m // 2 + 1) for m in windows), width)
        self.scale = nn.Embedding(SCALES, width)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(depth))
        self.last = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, size**2))
        nn.init.zeros_(self.scale.weight)

    def least_side(self, s: int) -> int:
        """One window of the spectrum."""
        return max(LEAST, super().least_side(s))

    def forward(self, y: Image, s: Number) -> Kernel:
        """The kernel of each observation, at the resolution of x, s times that of y."""
        check_scale(self, s)
        cure = "give the kernel (-k), or take a larger image"
        with torch.autocast(y.device.type, enabled=False):
            image, _ = standardised(self, y, self.first.weight.dtype, cure)
            known = known_pixels(y)
            inputs = [
                norm(log_power_spectrum(image, m, max(1, round(m * self.hop)), known).flatten(1))
                for m, norm in zip(self.windows, self.norms, strict=True)
            ]
            scale = torch.full((1,), s - 1, device=y.device)
            hidden = self.first(torch.cat(inputs, 1)) + self.scale(scale)
            for block in self.blocks:
                hidden = block(hidden)
            taps = self.last(hidden).softmax(-1)
        return taps.reshape(-1, 1, self.size, self.size).to(y.dtype)
