"""The width of the blur in an observation, by a small network."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pnp.interfaces import Estimator, Image, Level
from pnp.networks.residual_mlp import ResidualBlock
from pnp.options import Count, Range
from pnp.overexposed import known_pixels
from pnp.power_spectrum import LEAST, log_power_means, standardised
from pnp.registry import estimator

COPIES = (1, 2, 4, 8)
"""By how much the copies are reduced whose spectra the network sees."""


@estimator("blur-width")
class BlurWidth(Estimator):
    """Standard deviation of the blur kernel along its longer axis, in pixels of y, from power
    spectra of y and of smaller copies of it.

        y_r   = y, averaged over its colours and reduced by r,   r = 1, 2, 4, 8
        P_r,w = |FFT(hann * (window w of y_r - its mean))|^2
        M_r,p = (mean over w of P_r,w^p)^(1/p),   p = 1, 4, and exp(mean of log P_r,w) for p = 0
        width = exp(network(log (M_r,p (f^2 + 1/m^2))))

    The spectra of scenes fall as 1/f^2, f in cycles per pixel; m is the side of the windows.  A
    large exponent p shows the windows that have most detail, so an object in focus tells a sharp
    photograph from a blurred one, however soft its background is.
    The network gives quantiles of what the width may be, which also say how far it is to be
    believed: of all blurs that look alike, nine in ten are wider than `least`.

    Args:
        window: Side of the windows, in pixels of each copy.
        width: Width of the network's hidden layers.
        depth: Number of its residual blocks.

    Returns:
        least: The tenth percentile of the width, (B, 1, 1, 1).
        width: Its median, (B, 1, 1, 1).

    Raises:
        PnpError: y has a side below 64 pixels.

    Source:
        pnp's own; Welch (1967) for the averaged spectrum, Koenker and Bassett (1978) for the loss.
    """

    cite: ClassVar = ("welch1967", "koenker1978quantiles")

    def __init__(
        self,
        window: Annotated[int, Range(at_least=LEAST)] = 32,
        width: Count = 256,
        depth: Annotated[int, Range(at_least=0)] = 2,
    ) -> None:
        super().__init__()
        self.window = window
        inputs = len(COPIES) * 3 * window * (window // 2 + 1)
        self.norm = nn.LayerNorm(inputs)
        self.first = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(depth))
        self.last = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, 2))

    def least_side(self, s: int) -> int:
        """A window of the smallest copy."""
        return max(COPIES[-1] * LEAST, super().least_side(s))

    def forward(self, y: Image) -> tuple[Level, Level]:
        """`least` and `width` of each observation."""
        size, side = "{} x {}".format(*y.shape[-2:]), COPIES[-1] * LEAST
        if min(y.shape[-2:]) < side:
            problem = f"y is {size} pixels, but it needs {side} x {side} or more"
            self.refuse(problem, "take a larger image")
        with torch.autocast(y.device.type, enabled=False):
            image, _ = standardised(self, y, self.first.weight.dtype)
            image, known = image.mean(1, keepdim=True), known_pixels(y)
            means = [self._means(image, known, r).flatten(1) for r in COPIES]
            hidden = self.first(self.norm(torch.cat(means, 1)))
            for block in self.blocks:
                hidden = block(hidden)
            least, width = self.last(hidden).clamp(-3, 6).exp().to(y.dtype).unbind(1)
        return least[:, None, None, None], width[:, None, None, None]

    def _means(self, image: Tensor, known: Tensor | None, r: int) -> Tensor:
        """What the network sees of the copy reduced by r."""
        if r > 1:
            size = [round(side / r) for side in image.shape[-2:]]
            image = F.interpolate(image, size, mode="bicubic", antialias=True)
            if known is not None:
                known = (F.interpolate(known, size, mode="area") > 0.999).to(known)
        shortest = min(image.shape[-2:]) / self.window  # the fewer windows, the more they overlap
        hop = self.window // (1 if shortest >= 8 else 2 if shortest >= 2 else 4)
        means = log_power_means(image, self.window, max(1, hop), known)
        rows, columns = (
            frequencies(self.window, device=image.device).square()
            for frequencies in (torch.fft.fftfreq, torch.fft.rfftfreq)
        )
        return means + (rows[:, None] + columns + 1 / self.window**2).log()
