"""The auto-encoder of kernels as a prior: it provides the latent space and the decoder of I
(section 3.1).
"""

from __future__ import annotations

from typing import ClassVar

from pnp.interfaces import Kernel, Prior
from pnp.networks.kernel_autoencoder import KernelAutoEncoder
from pnp.options import Count
from pnp.registry import prior


@prior("kernel-auto-encoder")
class AutoEncodedKernel(Prior):
    """Kernel through a latent of few numbers and back: k = decoder(encoder(w)).

    The first stage of training I: `kernel-encoder` takes over its decoder and learns its latents.

    Args:
        size: Side of the kernels.
        latent: Numbers in the latent.
        normalise: Whether the kernel is divided by its sum.

    Returns:
        The kernel (B, 1, size, size) decoded from the latent of w.

    Raises:
        PnpError: w is not size x size.

    Source:
        Yaar et al. 2021.
    """

    cite: ClassVar = ("yaar2021bisrnet",)

    def __init__(self, size: Count = 21, latent: Count = 10, normalise: bool = True):
        super().__init__()
        auto = KernelAutoEncoder(size, latent, normalise)
        self.size, self.encoder, self.decoder = size, auto.encoder, auto.decoder

    def forward(self, w: Kernel) -> Kernel:
        """The kernel decoded from the latent of w."""
        if w.shape[-2:] != (self.size, self.size):
            self.refuse(
                f"the kernel is {w.shape[-2]} x {w.shape[-1]}, but the network was built for "
                f"{self.size} x {self.size}",
                "resize it, or set size (and train it again)",
            )
        return self.decoder(self.encoder(w))
