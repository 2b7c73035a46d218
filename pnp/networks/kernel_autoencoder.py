"""The encoders and the decoder of IKR-Net's I: image -> latent, kernel -> latent, latent -> kernel
(section 3.1).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

HIDDEN = (25, 100, 225, 400)
"""Widths between the latent and the kernel."""


class ImageEncoder(nn.Sequential):
    """Six 5x5 convolutions, the fourth with stride 2, and the mean over all pixels: (B, C, H, W) ->
    (B, latent).

    IKC's Predictor is this network with an activation after the last convolution (`activated`).
    """

    def __init__(self, channels: int, latent: int, features: int, activated: bool = False):
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise([channels, *[features] * 5, latent])):
            layers += [
                nn.Conv2d(before, after, 5, stride=2 if i == 3 else 1, padding=2),
                nn.LeakyReLU(0.2),
            ]
        last = len(layers) if activated else -1
        super().__init__(*layers[:last], nn.AdaptiveAvgPool2d(1), nn.Flatten())


class KernelDecoder(nn.Module):
    """Fully connected, ReLU between, sigmoid at the end: (B, latent) -> (B, 1, size, size)."""

    def __init__(self, size: int, latent: int, normalise: bool):
        super().__init__()
        self.normalise = normalise
        self.layers = nn.Sequential(
            fully_connected(latent, *HIDDEN, size**2),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, size, size)),
        )

    def forward(self, code: Tensor) -> Tensor:
        """The kernel of a latent."""
        k = self.layers(code)
        return k / k.sum((-2, -1), keepdim=True) if self.normalise else k


class KernelAutoEncoder(nn.Module):
    """Kernel -> latent -> kernel: it provides the latent space and the decoder of the initializer.

    Once it is trained, `initializer.decoder.load_state_dict(auto.decoder.state_dict())` copies the
    decoder.
    """

    def __init__(self, size: int = 21, latent: int = 10, normalise: bool = True):
        super().__init__()
        self.encoder = nn.Sequential(
            PerMeanTap(), nn.Flatten(), fully_connected(size**2, *reversed(HIDDEN), latent)
        )
        self.decoder = KernelDecoder(size, latent, normalise)

    def forward(self, k: Tensor) -> Tensor:
        """The reconstruction of kernels (B, 1, size, size)."""
        return self.decoder(self.encoder(k))


class PerMeanTap(nn.Module):
    """Taps as multiples of the mean tap of a kernel with sum one: of order one, as first layers
    expect.
    """

    def forward(self, k: Tensor) -> Tensor:
        """The kernel times its number of taps."""
        return k * (k.shape[-2] * k.shape[-1])


def fully_connected(*widths: int) -> nn.Sequential:
    """Linear layers of the given widths, first to last, with a ReLU between any two."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
