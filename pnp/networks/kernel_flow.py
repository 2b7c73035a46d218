"""The normalising flow of kernels FKP (Liang et al., CVPR 2021).

A flow is an invertible network between kernels and latents that are normally distributed.  Normal
vectors of d entries have norms near sqrt(d), so kernels are generated from latents on the sphere of
that radius, and a kernel is estimated by moving the latent on the sphere.  This file has only the
direction from latent to kernel; the prior `flow-kernel` moves the latent towards a kernel, the
transform `flow-kernel` against an observation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from pnp.equal_steps import equal_steps
from pnp.options import Range
from pnp.public_checkpoints import Known

FlowSize = Annotated[int, Range(at_least=2)]
SHIFT_CURE = "write a shift below half of that"


class KernelFlow(nn.Module):
    """Latent (B, size²) -> kernel (B, 1, size, size), non-negative with sum one.

        k = shifted(normalised(sigmoid(f(latent))))

    f is `blocks` pairs of affine coupling and fixed scaling.

    The public weights load: at scale s, size 4 s + 3 and width 5 (s + 1).  Their kernels are
    anisotropic Gaussians for images aligned at their centres, that is with the centre of mass
    (s - 1)/2 pixels above and left of size // 2.  `shift` moves every kernel down and right by so
    many pixels: (s - 1)/2 brings the centre of mass to size // 2, where kernels of this toolkit
    have it.
    """

    def __init__(self, size: int, width: int, shift: float, blocks: int = 5):
        super().__init__()
        self.size, self.shift = size, shift
        layers: list[nn.Module] = []
        for block in range(blocks):
            layers += [Coupling((torch.arange(size**2) + block) % 2, width), Scaling(size**2)]
        self.net = nn.ModuleList(layers)
        self.register_buffer("alpha", torch.tensor([1e-6]))
        self.alpha: Tensor

    def forward(self, latent: Tensor) -> Tensor:
        """The kernels of latents."""
        for layer in reversed(self.net):
            latent = layer(latent)
        k = (torch.sigmoid(latent) - self.alpha).clamp(
            min=1e-12
        )  # alpha kept the logit of an empty tap finite
        k = k.unflatten(1, (1, self.size, self.size))
        if self.shift:
            k = shifted(k, self.shift)
        return k / k.sum((-2, -1), keepdim=True)

    def start(self, batch: int, seed: int) -> Tensor:
        """Latents on the sphere (batch, size²), each row the same direction drawn from the seed."""
        latent = torch.randn(1, self.size**2, generator=torch.Generator().manual_seed(seed))
        return self.on_sphere(latent.repeat(batch, 1)).to(self.alpha)

    def on_sphere(self, latent: Tensor) -> Tensor:
        """The latent scaled to the norm sqrt(size²) of a typical one."""
        return latent * (self.size / torch.linalg.vector_norm(latent, dim=1, keepdim=True))

    def search(
        self,
        latent: Tensor,
        objective: Callable[..., Tensor],
        *data: Tensor,
        steps: int,
        rate: float,
    ) -> Tensor:
        """Latents on the sphere that minimise `objective(kernels, *data)`, by Adam from the given
        ones.

        The objective is a sum over the batch; Adam treats the entries independently, so images do
        not influence each other.  It also runs with gradients off and in inference mode; with
        gradients on, the result can be differentiated by the data and the flow's weights through
        all steps, which are then kept in memory.
        """
        follow = torch.is_grad_enabled() and any(
            t.requires_grad for t in (*data, *self.parameters())
        )
        with torch.inference_mode(False), torch.enable_grad():
            # Clones, because autograd refuses inference tensors; Adam by hand, because torch.optim
            # has no derivative.
            data = tuple((d if follow else d.detach()).clone().to(latent) for d in data)
            u = latent.clone().requires_grad_()
            mean = square = torch.zeros_like(u)
            for i in equal_steps(steps):
                k = self(u.view_as(u))  # torch's flop counter puts hooks on inputs, not on leaves
                (g,) = torch.autograd.grad(objective(k, *data), u, create_graph=follow)
                mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
                deviation = torch.sqrt(square / (1 - 0.999 ** (i + 1)) + 1e-16)
                step = mean / (1 - 0.9 ** (i + 1)) / deviation
                u = self.on_sphere(u - rate * step)
                if not follow:
                    u = u.detach().requires_grad_()
        return u if follow else u.detach()


class Coupling(nn.Module):
    """Affine coupling, from latent to kernel: entries under the mask stay and say how the others
    change.
    """

    def __init__(self, mask: Tensor, width: int):
        super().__init__()
        self.register_buffer("mask", mask.float())
        self.mask: Tensor
        self.s_net, self.t_net = (
            nn.Sequential(
                nn.Linear(len(mask), width),
                act(),
                nn.Linear(width, width),
                act(),
                nn.Linear(width, len(mask)),
            )
            for act in (nn.Tanh, nn.ReLU)
        )

    def forward(self, u: Tensor) -> Tensor:
        """One coupling step."""
        kept = u * self.mask
        return kept + (1 - self.mask) * (u * torch.exp(self.s_net(kept)) + self.t_net(kept))


class Scaling(nn.Module):
    """Inverse of batch normalisation in evaluation mode: a fixed affine map per entry."""

    def __init__(self, width: int):
        super().__init__()
        self.log_gamma, self.beta = (
            nn.Parameter(torch.zeros(width)),
            nn.Parameter(torch.zeros(width)),
        )
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))
        self.running_mean: Tensor
        self.running_var: Tensor

    def forward(self, u: Tensor) -> Tensor:
        """Undo the normalisation."""
        return (u - self.beta) * torch.exp(-self.log_gamma) * torch.sqrt(
            self.running_var + 1e-5
        ) + self.running_mean


def shifted(k: Tensor, by: float) -> Tensor:
    """Positive kernels moved down and right by a fraction of pixels, interpolated linearly in the
    logarithm.

    The logarithm of a Gaussian is quadratic, and linear interpolation of a quadratic is off by one
    constant only: a Gaussian stays exactly the same Gaussian once it is normalised, where
    interpolating the taps would widen it.
    """
    log = k.log()
    for axis in (-2, -1):
        places = (torch.arange(k.shape[axis], device=k.device) - by).clamp(0, k.shape[axis] - 1)
        lower = places.floor().long()
        upper = (lower + 1).clamp(max=k.shape[axis] - 1)
        part = (places - lower).to(k).unsqueeze(-1 if axis == -2 else 0)
        log = (1 - part) * log.index_select(axis, lower) + part * log.index_select(axis, upper)
    return log.exp()


def recognise_fkp(state: Mapping[str, Tensor]) -> Known | None:
    """Options of FKP's public checkpoints, whose kernels are 4 s + 3 wide at scale s."""
    if (hidden := state.get("net.0.s_net.0.weight")) is None or hidden.dim() != 2:
        return None
    size, (s, rest) = math.isqrt(hidden.shape[1]), divmod(math.isqrt(hidden.shape[1]) - 3, 4)
    options: dict[str, Any] = {"size": size, "width": hidden.shape[0]}
    if rest or s < 1:
        return Known(options)
    return Known({**options, "shift": (s - 1) / 2}, {"scales": [s]})


def from_fkp(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The public checkpoints of FKP under the names of a module that has a `flow`; any other state
    as it is.
    """
    if "net.0.s_net.0.weight" not in state:
        return state
    return {
        f"flow.{name}": value
        for name, value in state.items()
        if name.startswith("net.") or name == "alpha"
    }
