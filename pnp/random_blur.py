"""Random blur kernels, drawn in batches on the device: Gaussians, discs, motion, mixtures, each
with disturbed taps on request.

All kernels (n, 1, size, size) are non-negative and sum to one.  Their centre of mass is at index
size // 2 unless `off_centre` is given.  The position of the centre has to be a convention, because
a blind method cannot distinguish a shifted kernel from a shifted image.  A generator on the CPU
gives the same kernels on every device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pnp.errors import PnpError, hint
from pnp.kernels import centre_kernel, disc_kernels, gaussian_kernels, resize_kernel

KINDS = ("isotropic", "anisotropic", "disc", "motion", "mixed")
Range = tuple[float, float]


def random_kernels(
    n: int,
    size: int,
    kinds: str | Mapping[str, float] = "anisotropic",
    *,
    std: Range = (0.2, 4.0),
    nonlinearity: Range = (0.0, 1.0),
    reach: Range = (0.1, 1.0),
    pauses: float = 0.0,
    logarithmic: bool = False,
    disturbance: float = 0.0,
    off_centre: float = 0.0,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """n kernels of the given kinds (a name, or shares such as {"anisotropic": 0.5, "motion": 0.5}).

    `isotropic` and `anisotropic`: Gaussians whose standard deviations, in pixels, are uniform in
    `std` (one for both axes, or one for each axis with a random angle).  `disc`: a lens out of
    focus; its radius is twice a standard deviation that is uniform in `std`.  `motion`: see
    `motion_kernels` for `nonlinearity`, `reach` and `pauses`.  `mixed`: a motion
    kernel and an anisotropic Gaussian added with random weights.  `logarithmic`: the logarithms of
    `std` and `reach` are uniform, so that narrow kernels are as frequent as wide ones.
    `disturbance`: each tap is multiplied by 1 + U(0, disturbance), as in DAN.  `off_centre`: the
    largest shift of the centre of mass in each direction, in pixels.
    """
    shares = check_kinds(kinds)
    if n < 1 or size < 1:
        raise PnpError(
            f"random kernels: number and size should be 1 or more, but are {n} and {size}"
        )
    device = device if device is not None else generator.device if generator is not None else "cpu"
    draw = _Draw(n, generator, torch.device(device), logarithmic)
    shift = draw.uniform(-off_centre, off_centre, 2)
    made: dict[str, Tensor] = {}
    if {"anisotropic", "mixed"} & shares.keys():
        std_u, std_v, clockwise = draw.extent(*std), draw.extent(*std), draw.uniform(0, math.pi)
        made["anisotropic"] = gaussian_kernels(size, std_u, std_v, -clockwise, shift)
    if "isotropic" in shares:
        width = draw.extent(*std)
        made["isotropic"] = gaussian_kernels(size, width, width, shift=shift)
    if "disc" in shares:
        made["disc"] = disc_kernels(size, 2 * draw.extent(*std), shift)
    if {"motion", "mixed"} & shares.keys():
        path: dict[str, Any] = {"reach": reach, "pauses": pauses, "logarithmic": logarithmic}
        made["motion"] = motion_kernels(n, size, nonlinearity, shift, generator, device, **path)
    if "mixed" in shares:
        weight = draw.uniform(0, 1)[:, None, None, None]
        made["mixed"] = weight * made["anisotropic"] + (1 - weight) * made["motion"]
    k = made[next(iter(shares))]
    if len(shares) > 1:
        edges = torch.tensor(list(shares.values()), dtype=torch.float64).cumsum(0)
        picked = torch.bucketize(draw.uniform(0, float(edges[-1])), edges[:-1].float().to(k.device))
        k = torch.stack([made[kind] for kind in shares])[picked, torch.arange(n, device=k.device)]
    return disturb(k, disturbance, generator, recentre=off_centre == 0) if disturbance else k


def check_kinds(kinds: str | Mapping[str, float]) -> dict[str, float]:
    """The shares of the given kinds; PnpError for unknown kinds and negative shares."""
    shares = {kinds: 1.0} if isinstance(kinds, str) else dict(kinds)
    for kind, share in shares.items():
        if kind not in KINDS:
            raise PnpError(
                f"there is no kind of kernels called '{kind}'; {hint(kind, KINDS, 'kinds')}"
            )
        if not share >= 0 or not math.isfinite(share):
            raise PnpError(
                f"random kernels: the share of '{kind}' should be 0 or more, but it is {share}"
            )
    shares = {kind: share for kind, share in shares.items() if share > 0}
    if not shares:
        raise PnpError("random kernels: all shares are 0; give one kind a share above 0")
    return shares


def motion_kernels(
    n: int,
    size: int,
    nonlinearity: Range = (0.0, 1.0),
    shift: Tensor | None = None,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
    steps: int = 256,
    *,
    reach: Range = (0.1, 1.0),
    pauses: float = 0.0,
    logarithmic: bool = False,
) -> Tensor:
    """Camera shake: the time that a random trajectory spends at each pixel.

    The direction of the trajectory drifts, curves and sometimes jumps, and its speed varies, all in
    proportion to a non-linearity drawn for each kernel; 0 is a straight line at constant speed.
    Its largest distance from the centre of mass, in rows or columns, is r (size // 2 - 2) pixels,
    with r uniform in `reach` (its logarithm, with `logarithmic`); above 1, the last two rows and
    columns are used as well.
    With `pauses` p, the speed is multiplied by exp(U(0, p) w), w a random walk of variance 0 to 1:
    the camera almost rests somewhere, and the kernel has bright spots.
    A small Gaussian (0.3 to 0.8 pixels) models the optics.
    """
    draw = _Draw(n, generator, torch.device(device), logarithmic)
    shift = torch.zeros(n, 2, device=device) if shift is None else shift
    bend = draw.uniform(*nonlinearity)[:, None]
    drift = 0.25 * bend * draw.uniform(0, 1)[:, None] * draw.normal(steps).cumsum(1)
    curve = bend * draw.normal(1) * 2 * torch.linspace(-1, 1, steps, device=device)
    jumps = ((draw.uniform(0, 1, steps) < 3 * bend / steps) * draw.normal(steps) * 1.2).cumsum(1)
    angle = draw.uniform(0, 2 * math.pi)[:, None] + drift + curve + jumps
    speed = (1 + bend * draw.normal(steps).cumsum(1) * (1.5 / math.sqrt(steps))).abs() + 0.05
    if pauses:
        walk = draw.normal(steps).cumsum(1) / math.sqrt(steps)
        speed = speed * (draw.uniform(0, pauses)[:, None] * walk).exp()
    velocity = torch.stack((speed * angle.sin(), speed * angle.cos()), -1)
    path = velocity.cumsum(1)  # (n, steps, row and column)
    path = path - path.mean(1, keepdim=True)
    odd = size - 1 + size % 2
    room = (odd // 2 - 2 - shift.abs().amax(1)).clamp(min=0)
    longest = path.abs().amax((1, 2)).clamp(min=1e-6)
    path = path * (draw.extent(*reach) * room / longest)[:, None, None] + shift[:, None]

    # The kernel is a product of two matrices, the weights of each time over rows and over columns.
    # Unlike scattered sums, a product gives the same numbers in every run on a GPU.
    position = torch.arange(odd, dtype=torch.float32, device=device) - odd // 2
    width = draw.uniform(0.3, 0.8)[:, None, None]
    optics = torch.exp(-0.5 * ((position[:, None] - position[None, :]) / width) ** 2)
    with torch.autocast(torch.device(device).type, enabled=False):
        weights = [
            (1 - (path[..., i, None] - position).abs()).clamp(min=0) @ optics for i in (0, 1)
        ]
        taps = weights[0].transpose(1, 2) @ weights[1]
    return resize_kernel((taps / taps.sum((-2, -1), keepdim=True))[:, None], size)


def disturb(
    k: Tensor, amount: float = 0.25, generator: torch.Generator | None = None, recentre: bool = True
) -> Tensor:
    """DAN's disturbance: every tap times 1 + U(0, amount), then normalised and centred again."""
    device = generator.device if generator is not None else k.device
    noise = torch.rand(k.shape, generator=generator, device=device).to(k)
    k = k * (1 + amount * noise)
    k = k / k.sum((-2, -1), keepdim=True)
    return centre_kernel(k) if recentre else k


def dan_setting1_kernels() -> Tensor:
    """DAN's setting 1: eight isotropic kernels, standard deviations 1.8 to 3.2, (8, 1, 21, 21)."""
    std = torch.linspace(1.8, 3.2, 8)
    return gaussian_kernels(21, std, std)


def dan_setting2_kernels(n: int, s: int, generator: torch.Generator | None = None) -> Tensor:
    """DAN's setting 2: std U(0.6, 5), random angle, disturbed taps; side 31 (11 for s = 2)."""
    size = 11 if s == 2 else 31
    return random_kernels(
        n, size, "anisotropic", std=(0.6, 5.0), disturbance=0.25, generator=generator
    )


class _Draw:
    """Random tensors (n, ...) on a device, drawn on the generator's device."""

    def __init__(
        self,
        n: int,
        generator: torch.Generator | None,
        device: torch.device,
        logarithmic: bool = False,
    ):
        self.n, self.generator, self.device = n, generator, device
        self.logarithmic = logarithmic
        self.source = generator.device if generator is not None else device

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        drawn = torch.rand(self.n, *shape, generator=self.generator, device=self.source)
        return low + (high - low) * drawn.to(self.device)

    def extent(self, low: float, high: float) -> Tensor:
        """A standard deviation or reach (n,)."""
        if not self.logarithmic:
            return self.uniform(low, high)
        if low <= 0:
            raise PnpError(
                "random kernels: logarithmic needs std and reach above 0, such as (0.02, 1), "
                f"but one is {(low, high)}"
            )
        return self.uniform(math.log(low), math.log(high)).exp()

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.n, *shape, generator=self.generator, device=self.source).to(
            self.device
        )
