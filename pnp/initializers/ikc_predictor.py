"""I: the first kernel of IKC (Gu et al., CVPR 2019): a network gives its principal components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from pnp.checks import check_channels
from pnp.interfaces import Image, Initializer, Kernel
from pnp.kernels import gaussian_kernels, projected
from pnp.networks.kernel_autoencoder import ImageEncoder
from pnp.options import Count, Positive
from pnp.public_checkpoints import Known
from pnp.registry import initializer

DRAWS = 2000
"""Standard deviations at which the Gaussians' distribution is sampled."""
BRIGHT = (1, -1, 1, 1, 1, 1, 1, 1, 1, 1)
"""Signs of the middle taps of the public matrix's columns; further columns have positive ones."""


@initializer("ikc-predictor")
class IKCPredictor(Initializer):
    """First kernel from the observation by the Predictor of IKC.

        c = encoder(y),   k = nearest kernel to m + W (c - W^T m)

    c are the coordinates W^T k of the kernel in the principal components W (size² x latent) of
    isotropic Gaussians whose standard deviations are uniform between `narrowest` and `widest`; m is
    the mean of these Gaussians.  The columns of W sum to zero, so that the taps sum to one; the
    nearest kernel has no negative ones (`simplex`).  IKC itself computes no kernel: its
    super-resolution network SFTMD takes c.

    This is the first step of IKC alone.  Its Corrector, which changes c iteratively, works on
    images of SFTMD; pnp has neither of them.

    The public weights load (`checkpoints/Predictor_latest_G.pth` in IKC's repository).  They were
    trained at x4 without noise, with Gaussian blur of 0.2 to 4 pixels of x and bicubic downsampling
    by PIL.  W and m are computed; the columns of W are within 0.01 of those of the public matrix,
    which is an estimate from 30 000 random kernels.  A checkpoint that holds a matrix `pca_matrix`,
    beside the network, brings its own W.

    Args:
        size: Side of the kernel.
        channels: Channels of the observation.
        latent: Number of principal components.
        features: Features of the encoder's convolutions.
        narrowest: Least standard deviation of the Gaussians, in pixels of x.
        widest: Largest standard deviation of the Gaussians.

    Returns:
        The kernel (B, 1, size, size), non-negative with sum one.

    Raises:
        PnpError: y has another number of channels, or the Gaussians' range is empty.

    Source:
        Gu et al. (2019).
    """

    cite: ClassVar = ("gu2019ikc",)

    def __init__(
        self,
        size: Count = 21,
        channels: Count = 3,
        latent: Count = 10,
        features: Count = 64,
        narrowest: Positive = 0.2,
        widest: Positive = 4.0,
    ) -> None:
        super().__init__()
        if narrowest >= widest:
            self.refuse(f"narrowest is {narrowest}, widest {widest}", "write a larger widest")
        self.size, self.channels = size, channels
        self.encoder = ImageEncoder(channels, latent, features, activated=True)
        mean, basis = principal_components(size, latent, narrowest, widest)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("basis", basis)
        self.mean: Tensor
        self.basis: Tensor

    def forward(self, y: Image) -> Kernel:
        """The first estimate of the kernel."""
        check_channels(self.registered, "y", y, self.channels)
        return projected(self.decoded(self.encoder(y)))

    def decoded(self, code: Tensor) -> Tensor:
        """Taps (B, 1, size, size) of coordinates (B, latent): their sum is one, some may be < 0."""
        taps = self.mean + (code - self.mean @ self.basis) @ self.basis.T
        return taps.unflatten(1, (1, self.size, self.size))

    @staticmethod
    def recognise(state: Mapping[str, Tensor]) -> Known | None:
        """The public checkpoint, which is one for x4."""
        first, last = (state.get(f"ConvNet.{i}.weight") for i in (0, 10))
        if first is None or last is None:
            return None
        options = {"channels": first.shape[1], "features": first.shape[0], "latent": last.shape[0]}
        known = {} if "pca_matrix" in state else {"size": 21, "narrowest": 0.2, "widest": 4.0}
        return Known({**options, **known}, {"scales": [4], "noise": 0.0})

    @staticmethod
    def translate(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The public checkpoint under the names of this module; any other state as it is."""
        if (last := state.get("ConvNet.10.weight")) is None:
            return state
        renamed = {name.replace("ConvNet.", "encoder."): value for name, value in state.items()}
        given = renamed.pop("pca_matrix", None)
        basis = principal_components(21, last.shape[0], 0.2, 4.0)[1] if given is None else given
        return {**renamed, "basis": basis}


def principal_components(
    size: int, latent: int, narrowest: float, widest: float
) -> tuple[Tensor, Tensor]:
    """The mean (size²,) and the principal components (size², latent) of isotropic Gaussians."""
    place = (torch.arange(DRAWS, dtype=torch.float64, device="cpu") + 0.5) / DRAWS
    std = narrowest + (widest - narrowest) * place
    kernels = gaussian_kernels(size, std, std, shift=std.new_zeros(DRAWS, 2)).flatten(1)
    mean = kernels.mean(0)
    deviations = kernels - mean
    basis = torch.linalg.eigh(deviations.T @ deviations).eigenvectors.flip(1)[:, :latent]
    middle = (size // 2) * (size + 1)
    signs = basis.new_tensor((*BRIGHT, *[1] * latent)[: basis.shape[1]])
    return mean.float(), (basis * signs.copysign(signs * basis[middle])).float()
