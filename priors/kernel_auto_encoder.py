"""The auto-encoder of kernels as a prior: what gives I its latent space and its decoder (section 3.1)."""

from __future__ import annotations

from typing import ClassVar

from pnp.errors import PnpError
from pnp.initializers.kernel_encoder import KernelAutoEncoder
from pnp.interfaces import Kernel, Prior
from pnp.registry import prior


@prior("kernel-auto-encoder")
class AutoEncodedKernel(Prior, KernelAutoEncoder):
    """Kernel through a latent of few numbers and back: k = decoder(encoder(w)).

    The first stage of training I; `kernel-encoder` takes over its decoder and learns its latents.
    Kernels are (B, 1, size, size).  PnpError for another size.
    """

    cite: ClassVar = ("yaar2021bisrnet",)

    def __init__(self, size: int = 21, latent: int = 10, normalise: bool = True):
        if size < 1 or latent < 1:
            raise PnpError(
                f"kernel-auto-encoder: size is {size} and latent {latent}; give 1 or more"
            )
        KernelAutoEncoder.__init__(self, size, latent, normalise)
        self.size = size

    def forward(self, w: Kernel) -> Kernel:
        """The kernel that the latent of w stands for."""
        if w.shape[-2:] != (self.size, self.size):
            raise PnpError(
                f"kernel-auto-encoder: the kernel is {w.shape[-2]} x {w.shape[-1]}, but the network was built for "
                f"{self.size} x {self.size}; resize it, or set size (and train it again)"
            )
        return self.decoder(self.encoder(w))
