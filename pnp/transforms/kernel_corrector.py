"""BISR-Net's kernel update: a network that corrects the kernel, in place of Dk and Pk (Yaar, Ates and Gunturk 2021)."""

from __future__ import annotations

from typing import ClassVar

import torch

from pnp.checks import check_channels, check_shapes
from pnp.errors import PnpError
from pnp.initializers.kernel_encoder import ImageEncoder, KernelAutoEncoder, fully_connected
from pnp.interfaces import Image, Kernel, Transform
from pnp.operators import Blur
from pnp.registry import transform


@transform("kernel-corrector")
class KernelCorrector(Transform):
    """Learned correction of the kernel, given the observation and what the current estimates make
    of it (BISR-Net).

        k' = decoder(c + correction(c, evidence)),   c = encoder(k),   evidence = images(y, (x * k)|s)

    It stands where Dk and Pk stand and takes what Dk takes, but it is a network and minimises
    nothing.  From the publication: a module that corrects the estimated kernel in
    each iteration, in the latent space of an auto-encoder of kernels (`.auto`, the one that the
    initializer `kernel-encoder` shares).  The layers are our choice, for no code is public: the
    initializer's image encoder sees y beside the re-degraded x, at the size of y, so that any scale
    s works; three fully connected layers turn its output and c into a step in the latent space.
    PnpError if k is not size x size, y has other than `channels` channels, or shapes do not fit
    together.
    """

    cite: ClassVar = ("yaar2021bisrnet",)

    def __init__(
        self,
        size: int = 21,
        channels: int = 3,
        latent: int = 10,
        features: int = 64,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        for name, value in {
            "size": size,
            "channels": channels,
            "latent": latent,
            "features": features,
        }.items():
            if value < 1:
                raise PnpError(
                    f"kernel-corrector: {name} is {value}; write a whole number of 1 or more"
                )
        self.size, self.channels = size, channels
        self.auto = KernelAutoEncoder(size, latent, normalise)
        self.images = ImageEncoder(2 * channels, latent, features)
        self.correction = fully_connected(2 * latent, features, features, latent)

    def forward(self, y: Image, x: Image, k: Kernel) -> Kernel:
        """The corrected kernel (B, 1, size, size), non-negative."""
        scale = check_shapes(self.registered, y, x, k)
        if k.shape[-2:] != (self.size, self.size):
            raise PnpError(
                f"kernel-corrector: k is {k.shape[-2]} x {k.shape[-1]}, not {self.size} x {self.size}; "
                "give I and the corrector the same size"
            )
        check_channels(self.registered, "y", y, self.channels)
        evidence = self.images(torch.cat([y, Blur(k, x.shape[-2:], scale)(x)], 1))
        code = self.auto.encoder(k).expand_as(evidence)
        return self.auto.decoder(code + self.correction(torch.cat([code, evidence], 1)))
