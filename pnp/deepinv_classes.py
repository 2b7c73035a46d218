"""The classes behind `pnp.interop`; this file imports deepinv."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import deepinv
import torch
from deepinv.models import Denoiser, Reconstructor
from deepinv.physics import LinearPhysics
from torch import Tensor

from pnp.boundaries import Assumption
from pnp.checks import as_option
from pnp.errors import PnpError
from pnp.interfaces import Boundary, DataSolver, Prior, as_level
from pnp.operators import Blur
from pnp.pipeline import Pipeline
from pnp.registry import solver as solvers


class PriorDenoiser(Denoiser):
    """What `as_denoiser` makes."""

    def __init__(self, prior: Prior):
        super().__init__()
        self.prior = prior

    def forward(self, x: Tensor, sigma: float | Tensor | None = None, **_: Any) -> Tensor:
        """P(x, sigma)."""
        if sigma is None:
            if not self.prior.blind:
                self.prior.refuse("it needs a noise level", "write denoiser(x, sigma)")
            result: Tensor = self.prior(x)
        else:
            result = self.prior(x, as_level(sigma, x))
        return result


class PipelineReconstructor(Reconstructor):
    """What `as_reconstructor` makes."""

    def __init__(self, pipeline: Pipeline, boundary: Assumption | None, given: dict[str, Any]):
        super().__init__()
        self.pipeline, self.given = pipeline, given
        name, self.takes = pipeline.spec.name, [g.name for g in pipeline.spec.given]
        self.boundary = as_option(name, "boundary", Assumption | None, boundary)
        unknown = [key for key in given if key not in self.takes or key == "y"]
        if unknown:
            others = ", ".join(key for key in self.takes if key != "y")
            raise PnpError(f"{name} does not take '{unknown[0]}'; it takes {others}")

    def forward(self, y: Tensor, physics: Any, **_: Any) -> Tensor:
        """The image x of the observations y (B, C, h, w)."""
        told = {**variables_of(physics, y), **self.given}
        spec = self.pipeline.spec
        if "mask" in told and "mask" not in self.takes:
            raise PnpError(f"{spec.name} takes no mask; use a pipeline such as inpaint-tv")
        needed = [g.name for g in spec.given if g.default is None and g.name not in ("y", *told)]
        if needed:
            kind = type(physics).__name__
            raise PnpError(
                f"{spec.name} needs {' and '.join(needed)}, which the physics {kind} does not "
                f"tell; write as_reconstructor(..., {needed[0]}=VALUE)"
            )
        taken = {name: value for name, value in told.items() if name in self.takes}
        if "s" not in self.takes and told.get("s", 1) != 1:
            raise PnpError(f"{spec.name} does not enlarge, but the physics reduces {told['s']}")
        circular = getattr(physics, "padding", "circular") == "circular"
        boundary = self.boundary or ("periodic" if circular else "unknown")
        x: Tensor = self.pipeline(y=y, boundary=boundary, **taken).x
        return x


def variables_of(physics: Any, y: Tensor) -> dict[str, Any]:
    """s, k, mask and sigma of a physics, as far as it has them.

    Raises:
        PnpError: Its observations are no y = mask (x * k)|s + n that a pipeline could restore.
    """
    kinds = deepinv.physics
    found: dict[str, Any] = {}
    blurs = (BlurPhysics, kinds.Downsampling, kinds.Blur, kinds.BlurFFT)
    if isinstance(physics, blurs) and not isinstance(physics, kinds.DownsamplingMatlab):
        found = {"s": int(getattr(physics, "factor", 1)), "k": torch.ones(1, 1, 1, 1).to(y)}
        if physics.filter is not None:
            found["k"] = physics.filter.to(y)
        if (found["k"] != found["k"][:, :1]).any():
            raise PnpError("the physics blurs each channel differently; pipelines take one kernel")
        found["k"] = found["k"][:, :1]
        if getattr(physics, "padding", "") == "valid":
            raise PnpError(
                "the physics leaves the borders of the image out (padding='valid'); "
                "build it with padding='circular'"
            )
        if isinstance(physics, BlurPhysics) and physics.mask is not None:
            found["mask"] = physics.mask.to(y)
    elif isinstance(physics, (kinds.Inpainting, kinds.Denoising)):
        found = {"s": 1, "k": torch.ones(1, 1, 1, 1).to(y)}
        if isinstance(physics, kinds.Inpainting):
            mask = physics.mask.to(y)
            found["mask"] = mask if mask.dim() == 4 else mask[None]
    elif isinstance(factor := getattr(physics, "factor", None), int):
        found = {"s": factor}
    noise = getattr(physics, "noise_model", None)
    if isinstance(noise, kinds.GaussianNoise):
        found["sigma"] = as_level(torch.as_tensor(noise.sigma), y)
    return found


class BlurPhysics(LinearPhysics):
    """What `as_physics` makes; `filter`, `factor` and `padding` are named as in `Downsampling`."""

    def __init__(
        self,
        k: Tensor,
        s: int,
        sigma: float | None,
        boundary: Boundary,
        mask: Tensor | None,
        solver: DataSolver | None,
    ):
        noise = {} if sigma is None else {"noise_model": deepinv.physics.GaussianNoise(sigma)}
        super().__init__(**noise)
        self.register_buffer("filter", k)
        self.register_buffer("mask", mask)
        self.factor, self.padding = s, boundary
        if solver is None:
            plain = boundary == "circular" and mask is None
            solver = (
                solvers.build("fft-image")
                if plain
                else solvers.build("cg-image", boundary=boundary)
            )
        if solver.boundary != boundary:
            raise PnpError(
                f"as_physics: the solver {solver.registered} is for the boundary "
                f"{solver.boundary}, not {boundary}; build it with that boundary"
            )
        self.D = solver

    def operator(self, size: Sequence[int], like: Tensor) -> Blur:
        """A for images x of this size."""
        mask = None if self.mask is None else self.mask.to(like)
        return Blur(self.filter.to(like), size, self.factor, self.padding, mask)

    def A(self, x: Tensor, **parameters: Any) -> Tensor:
        """mask (x * k)|s."""
        self.update_parameters(**parameters)
        return self.operator(x.shape[-2:], x)(x)

    def A_adjoint(self, y: Tensor, **parameters: Any) -> Tensor:
        """A^T y."""
        self.update_parameters(**parameters)
        size = [side * self.factor for side in y.shape[-2:]]
        return self.operator(size, y).adjoint(y)

    def prox_l2(
        self, z: Tensor | float | None, y: Tensor, gamma: float | Tensor, **_: Any
    ) -> Tensor:
        """argmin_x gamma/2 |A x - y|^2 + 1/2 |x - z|^2, which is D with the weight 1 / gamma."""
        if not isinstance(z, Tensor):
            shape = (*y.shape[:-2], *(side * self.factor for side in y.shape[-2:]))
            z = y.new_full(shape, 0.0 if z is None else float(z))
        masks = [] if self.mask is None else [self.mask.to(y)]
        weight = 1 / as_level(gamma, z)
        x: Tensor = self.D(y, z, self.filter.to(y), weight, *masks)
        return x
