"""Our modules as those of deepinv: its algorithms run our priors and our exact D, its tests run our
pipelines.

    physics = pnp.interop.as_physics(k, s=2, sigma=0.02)
    model = deepinv.optim.DPIR(sigma=0.02, denoiser=pnp.interop.as_denoiser(pnp.load("dpir").P))
    x = model(y, physics)

The other way, priors named `deepinv` and `spandrel` are modules of pipelines.  deepinv is imported
when one of these functions is called; it comes with the extra `deepinv`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pnp.boundaries import Assumption
from pnp.building import load
from pnp.checks import as_kernel, as_option
from pnp.errors import PnpError
from pnp.extras import extra
from pnp.interfaces import Boundary, DataSolver, Prior, takes_image
from pnp.options import Count, read_noise
from pnp.pipeline import Pipeline

if TYPE_CHECKING:
    from deepinv.models import Denoiser, Reconstructor
    from deepinv.physics import LinearPhysics


def as_denoiser(prior: Prior) -> Denoiser:
    """A prior of images as a `deepinv.models.Denoiser`: denoiser(x, sigma) = P(x, sigma).

    sigma is a number, or a tensor with one value for each image.

    Raises:
        PnpError: It is no prior of images, or deepinv is not installed.
    """
    if not (isinstance(prior, Prior) and takes_image(prior)):
        raise PnpError(
            f"as_denoiser: {type(prior).__name__} is no prior of images; "
            "give one, for example pnp.load('dpir').P"
        )
    extra("deepinv", "as_denoiser")
    from pnp.deepinv_classes import PriorDenoiser

    return PriorDenoiser(prior)


def as_reconstructor(
    pipeline: Pipeline | str | Path, *, boundary: Assumption | None = None, **given: Any
) -> Reconstructor:
    """A pipeline as a `deepinv.models.Reconstructor`: reconstructor(y, physics) = x.

    s, k, the mask and sigma are those of the physics, as far as the pipeline takes them:
    `Downsampling`, `Blur`, `BlurFFT`, `Inpainting`, `Denoising` with Gaussian noise, and what
    `as_physics` makes.  A blind pipeline is not told the kernel.

    Args:
        pipeline: A pipeline, or what `pnp.load` takes.
        boundary: What the pipeline assumes beyond the border of y; None takes "periodic" for
            circular physics and "unknown" for any other padding.
        given: Values of the pipeline's variables that are used in place of those of the physics,
            for example sigma=0.02.

    Raises:
        PnpError: The pipeline does not exist or has no such variable; on a call, it needs something
            that the physics does not tell.
    """
    if not isinstance(pipeline, Pipeline):
        pipeline = load(pipeline)
    extra("deepinv", "as_reconstructor")
    from pnp.deepinv_classes import PipelineReconstructor

    return PipelineReconstructor(pipeline, boundary, given)


def as_physics(
    k: Tensor,
    s: int = 1,
    *,
    sigma: float | str | None = None,
    boundary: Boundary = "circular",
    mask: Tensor | None = None,
    solver: DataSolver | None = None,
) -> LinearPhysics:
    """The observation model y = mask (x * k)|s + n as a `deepinv.physics.LinearPhysics`.

    `A` and `A_adjoint` are those of `pnp.Blur`; `prox_l2(z, y, gamma)` is D with the weight
    1 / gamma, which minimises gamma/2 |A x - y|^2 + 1/2 |x - z|^2.

    Args:
        k: The kernel, (K, L) or (1 or B, 1, K, L).
        s: The scale.
        sigma: The level of the Gaussian noise that a call of the physics adds; None for no noise.
        boundary: What lies beyond the border of x.
        mask: One where y is known, zero where it is not.
        solver: D; None takes `fft-image` for circular boundaries without a mask, else `cg-image`.

    Raises:
        PnpError: A value cannot be used, or deepinv is not installed.
    """
    extra("deepinv", "as_physics")
    from pnp.deepinv_classes import BlurPhysics

    level = None if sigma is None else read_noise(sigma, "as_physics: sigma")
    return BlurPhysics(
        as_kernel("as_physics", "k", k),
        as_option("as_physics", "s", Count, s),
        level,
        as_option("as_physics", "boundary", Boundary, boundary),
        mask,
        solver,
    )
