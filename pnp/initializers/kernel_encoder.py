"""I: a first kernel from the observation, by an image encoder and a kernel decoder (equation 6).

Section 3.1 of the paper.  The decoder belongs to an auto-encoder of kernels.  Training has three
stages: the auto-encoder on kernels; the image encoder on the auto-encoder's latents,
|encoder(y) - auto.encoder(k)|^2; encoder and decoder together on kernels.
"""

from __future__ import annotations

from typing import ClassVar

from pnp.checks import check_channels
from pnp.interfaces import Image, Initializer, Kernel
from pnp.networks.kernel_autoencoder import ImageEncoder, KernelDecoder
from pnp.options import Count
from pnp.registry import initializer


@initializer("kernel-encoder")
class KernelEncoder(Initializer):
    """First kernel from the observation by a network: an image encoder followed by a kernel
    decoder.

        k = decoder(encoder(y)),   encoder: (B, C, H, W) -> (B, latent)

    Each part is a module (`.encoder`, `.decoder`) that can be trained, frozen and exchanged alone.
    Layer sizes are those of the authors' code.  One choice is ours: no activation follows the
    encoder's last convolution, because a latent can be negative.

    Args:
        size: Side of the kernel.
        channels: Channels of the observation.
        latent: Dimension of the latent.
        features: Features of the encoder's convolutions.
        normalise: True divides the kernel by its sum, so that it sums to one as the interface
            requires.  The authors use the sigmoid's values directly, whose sum is close
            to one only after training.

    Returns:
        The kernel (B, 1, size, size), non-negative.

    Raises:
        PnpError: y has another number of channels.

    Source:
        Ates et al. 2023, section 3.1; training on latents: Yaar et al. 2021.
    """

    cite: ClassVar = ("ates2023ikrnet", "yaar2021bisrnet")

    def __init__(
        self,
        size: Count = 21,
        channels: Count = 3,
        latent: Count = 10,
        features: Count = 64,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        self.channels, self.size = channels, size
        self.encoder = ImageEncoder(channels, latent, features)
        self.decoder = KernelDecoder(size, latent, normalise)

    def forward(self, y: Image) -> Kernel:
        """The first estimate of the kernel (B, 1, size, size), non-negative."""
        check_channels(self.registered, "y", y, self.channels)
        return self.decoder(self.encoder(y))
