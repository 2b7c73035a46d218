"""BISR-Net's kernel update: a network that corrects the kernel, in place of Dk and Pk (Yaar, Ates
and Gunturk 2021).
"""

from __future__ import annotations

from typing import ClassVar

import torch

from pnp.checks import check_channels, check_shapes
from pnp.interfaces import Image, Kernel, Transform
from pnp.networks.kernel_autoencoder import ImageEncoder, KernelAutoEncoder, fully_connected
from pnp.operators import Blur
from pnp.options import Count
from pnp.registry import transform


@transform("kernel-corrector")
class KernelCorrector(Transform):
    """Learned correction of the kernel, from the observation and the current estimates (BISR-Net).

        k' = decoder(c + correction(c, evidence)),   c = encoder(k)
        evidence = images(y, (x * k)|s)

    It replaces Dk and Pk in a pipeline and takes the inputs of Dk, but it is a network and
    minimises nothing.  From the publication: a module that corrects the estimated kernel in each
    iteration, in the latent space of an auto-encoder of kernels (`.auto`, shared with the
    initializer `kernel-encoder`).  The layers are our choice, as no code is public: the
    initializer's image encoder sees y beside the re-degraded x, at the size of y, so that any scale
    s works; three fully connected layers turn its output and c into a step in the latent space.

    Args:
        size: Side of the kernel.
        channels: Channels of the observation.
        latent: Numbers in the latent.
        features: Features of the inner layers.
        normalise: Whether the kernel is divided by its sum.

    Returns:
        The corrected kernel (B, 1, size, size), non-negative.

    Raises:
        PnpError: k is not size x size, y has another number of channels, or shapes do not fit
            together.

    Source:
        Yaar, Ates and Gunturk (2021).
    """

    cite: ClassVar = ("yaar2021bisrnet",)

    def __init__(
        self,
        size: Count = 21,
        channels: Count = 3,
        latent: Count = 10,
        features: Count = 64,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        self.size, self.channels = size, channels
        self.auto = KernelAutoEncoder(size, latent, normalise)
        self.images = ImageEncoder(2 * channels, latent, features)
        self.correction = fully_connected(2 * latent, features, features, latent)

    def forward(self, y: Image, x: Image, k: Kernel) -> Kernel:
        """The corrected kernel (B, 1, size, size), non-negative."""
        scale = check_shapes(self.registered, y, x, k)
        if k.shape[-2:] != (self.size, self.size):
            self.refuse(
                f"k is {k.shape[-2]} x {k.shape[-1]}, not {self.size} x {self.size}",
                "give I and the corrector the same size",
            )
        check_channels(self.registered, "y", y, self.channels)
        evidence = self.images(torch.cat([y, Blur(k, x.shape[-2:], scale)(x)], 1))
        code = self.auto.encoder(k).expand_as(evidence)
        return self.auto.decoder(code + self.correction(torch.cat([code, evidence], 1)))
