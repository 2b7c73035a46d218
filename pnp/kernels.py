"""Blur kernels: their geometry, and Gaussians.

A kernel is a tensor (B, 1, K, L); its centre is the index (K // 2, L // 2).  Its centre of mass may
lie elsewhere.  Angles turn counter-clockwise from the horizontal, as seen on the screen.
"""

from __future__ import annotations

import warnings

import torch
from einops import einsum
from torch import Tensor
from torch.nn import functional as F

from pnp.errors import Notice, PnpError
from pnp.tensors import as_float64

UNIT_ERROR = 1e-3
"""How far the sum of a given kernel may be from one: published kernels were cropped without
normalising them again."""


def delta_kernel(size: int) -> Tensor:
    """The kernel (1, 1, size, size) that does not change an image: one at its centre."""
    return resize_kernel(torch.ones(1, 1, 1, 1), size)


def is_delta(k: Tensor) -> bool:
    """True if all taps of all kernels (B, 1, K, L) are zero but those at the centre."""
    rows, columns = k.shape[-2:]
    others = k.detach().abs()
    others[..., rows // 2, columns // 2] = 0
    return not bool(others.any())


def gaussian_kernels(
    size: int,
    std_u: Tensor,
    std_v: Tensor,
    angle: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    """Gaussians sampled at the pixels, with standard deviations `std_u` and `std_v` along two axes.

    The first axis is turned by `angle`, in radians, counter-clockwise from the horizontal as seen
    on the screen (rows point down); the second is perpendicular to it.  All three are (n,); `shift`
    (n, 2) is the offset of the centre, row and column.  The support truncates Gaussians with
    standard deviations above size / 5, so that their measured standard deviations are smaller.  If
    size is even, the first row and column are zero; their taps would move the centre of mass.
    """
    odd = size - 1 + size % 2
    position = torch.arange(odd, dtype=std_u.dtype, device=std_u.device) - odd // 2
    shift = torch.zeros(len(std_u), 2).to(std_u) if shift is None else shift
    angle = torch.zeros_like(std_u) if angle is None else angle
    up = shift[:, 0, None, None] - position[None, :, None]
    right = position[None, None, :] - shift[:, 1, None, None]
    cos, sin, u, v = (t[:, None, None] for t in (angle.cos(), angle.sin(), std_u, std_v))
    exponent = -0.5 * (((right * cos + up * sin) / u) ** 2 + ((up * cos - right * sin) / v) ** 2)
    taps = (exponent - exponent.amax((-2, -1), keepdim=True)).exp()  # no underflow between pixels
    return resize_kernel((taps / taps.sum((-2, -1), keepdim=True))[:, None], size)


def disc_kernels(size: int, radius: Tensor, shift: Tensor | None = None) -> Tensor:
    """The blur of a lens out of focus: discs of `radius` (n,) in pixels, (n, 1, size, size).

    A tap is the share of its pixel inside the circle, from 8 x 8 points.  `shift` (n, 2) is the
    offset of the centre, row and column.  If size is even, the first row and column are zero.
    """
    odd = size - 1 + size % 2
    points = 8
    place = (torch.arange(odd * points).to(radius) + 0.5) / points - odd / 2
    shift = torch.zeros(len(radius), 2).to(radius) if shift is None else shift
    rows, columns = (place - shift[:, i, None] for i in (0, 1))
    distance = (rows[:, :, None].square() + columns[:, None, :].square()).sqrt()
    inside = distance <= radius.clamp(min=1 / points)[:, None, None]
    taps = F.avg_pool2d(inside.to(radius)[:, None], points)
    return resize_kernel(taps / taps.sum((-2, -1), keepdim=True), size)


def centre_of_mass(k: Tensor) -> Tensor:
    """Row and column of each centre of mass, relative to the centre (K // 2, L // 2): (B, 2)."""
    taps = as_float64(k[:, 0])
    rows, columns = _offsets(taps)
    mass = taps.sum((-2, -1))
    return torch.stack(
        ((taps * rows).sum((-2, -1)) / mass, (taps * columns).sum((-2, -1)) / mass), -1
    ).to(k)


def second_moments(k: Tensor) -> Tensor:
    """Covariance (row, column) of each kernel about its centre of mass, in pixels^2: (B, 2, 2)."""
    taps = as_float64(k[:, 0])
    rows, columns = _offsets(taps)
    centre = centre_of_mass(as_float64(k))
    r, c = rows - centre[:, 0, None, None], columns - centre[:, 1, None, None]
    entries = [(taps * a * b).sum((-2, -1)) for a, b in ((r, r), (r, c), (c, r), (c, c))]
    return (torch.stack(entries, -1) / taps.sum((-2, -1))[:, None]).reshape(-1, 2, 2).to(k)


def width_of(k: Tensor) -> Tensor:
    """Standard deviation of each kernel along its longer axis, in pixels, (B,)."""
    return torch.linalg.eigvalsh(second_moments(as_float64(k)))[:, -1].clamp(min=0).sqrt()


def gaussian_of(k: Tensor) -> Tensor:
    """The Gaussian with the centre of mass and the covariance of each kernel, on its support."""
    taps = as_float64(k[:, 0])
    centre = centre_of_mass(taps[:, None])[:, :, None, None]
    from_centre = torch.stack(torch.broadcast_tensors(*_offsets(taps)), -3) - centre
    covariance = second_moments(taps[:, None]) + 1e-6 * torch.eye(2).to(taps)
    pull = einsum(
        from_centre, covariance.inverse(), from_centre, "b i h w, b i j, b j h w -> b h w"
    )
    gaussian = (-0.5 * pull).exp()
    return (gaussian / gaussian.sum((-2, -1), keepdim=True))[:, None].to(k)


def resize_kernel(k: Tensor, rows: int, columns: int | None = None) -> Tensor:
    """The same kernel on another support (square without `columns`), with the centres aligned.

    The kernel is padded with zeros or cropped; its sum is not normalised again.
    """
    for dim, size in ((-2, rows), (-1, rows if columns is None else columns)):
        if size < 1:
            raise PnpError(f"a kernel cannot have a side of {size}; give 1 or more")
        before = size // 2 - k.shape[dim] // 2
        after = size - k.shape[dim] - before
        k = F.pad(k, (before, after) if dim == -1 else (0, 0, before, after))
    return k


def unit_kernel(k: Tensor, where: str) -> Tensor:
    """Kernels (B, 1, K, L) that sum to one: k itself, or k divided by its sums with a `Notice`.

    Raises:
        PnpError: A sum is zero or negative; the message starts with `where`.
    """
    sums = k.sum((-2, -1), keepdim=True)
    error = max(UNIT_ERROR, torch.finfo(k.dtype).eps)
    wrong = sums.detach()[(sums.detach() - 1).abs() > error]
    if not len(wrong):
        return k
    if bool((sums <= 0).any()):
        raise PnpError(
            f"{where}: the kernel sums to {float(sums.min()):.4g}, so it cannot be divided by its "
            "sum; give a blur kernel"
        )
    warnings.warn(Notice(divided(float(wrong[0]), where)), stacklevel=2)
    return k / sums


def divided(total: float, where: str) -> str:
    """What is said of a kernel that is divided by its sum."""
    return f"{where}: the kernel sums to {total:.4g}, so it is divided by that"


def cropped_kernel(k: Tensor, height: int, width: int, loss: float = 1.0) -> Tensor:
    """The kernel on an odd support that fits into an image, its sum kept.

    A kernel that fits is unchanged, and so is one of which more than the share `loss` would be cut
    off.
    """
    rows, columns = k.shape[-2:]
    if rows <= height and columns <= width:
        return k
    sides = [
        side if side <= room else room - 1 + room % 2
        for side, room in ((rows, height), (columns, width))
    ]
    small, total = resize_kernel(k, *sides), k.sum((-2, -1), keepdim=True)
    kept = small.sum((-2, -1), keepdim=True) / total
    if bool((kept < 1 - loss).any()) or bool((kept <= 0).any()):
        return k
    return small / kept


def mirror_kernel(k: Tensor) -> Tensor:
    """The kernel turned by 180 degrees about its centre (K // 2, L // 2).

    The power spectrum does not change.  If a side is even, row or column 0 has no counterpart and
    stays where it is.
    """
    for dim in (-2, -1):
        turned = k.flip(dim)
        k = turned if k.shape[dim] % 2 else turned.roll(1, dim)
    return k


def centre_kernel(k: Tensor, steps: int = 4) -> Tensor:
    """Move the centre of mass to the centre by exponential weights, k exp(a . position).

    Taps stay non-negative.  It is meant for small offsets (a fraction of the kernel's width), and
    it neither blurs as interpolation does nor causes ringing.
    """
    taps = k[:, 0] / k[:, 0].sum((-2, -1), keepdim=True)
    rows, columns = _offsets(taps)
    for _ in range(steps):  # Newton's method: the derivative of the centre by a is the covariance
        whole = taps[:, None]
        centre, covariance = centre_of_mass(whole), second_moments(whole)
        regular = covariance + 1e-4 * torch.eye(2, dtype=k.dtype, device=k.device)
        a = torch.linalg.solve(regular, -centre)[..., None, None]
        taps = taps * (a[:, 0] * rows + a[:, 1] * columns).clamp(-4, 4).exp()
        taps = taps / taps.sum((-2, -1), keepdim=True)
    return taps[:, None]


def _offsets(taps: Tensor) -> tuple[Tensor, Tensor]:
    rows = torch.arange(taps.shape[-2], dtype=taps.dtype, device=taps.device) - taps.shape[-2] // 2
    columns = (
        torch.arange(taps.shape[-1], dtype=taps.dtype, device=taps.device) - taps.shape[-1] // 2
    )
    return rows[:, None], columns[None, :]


def projected(k: Tensor) -> Tensor:
    """The nearest kernels that are non-negative and sum to one, of each kernel of k (B, 1, K, K).

    They are max(k - c, 0) with the one number c for which the sum is one.
    """
    falling = k.flatten(1).sort(dim=1, descending=True).values
    count = torch.arange(1, falling.shape[1] + 1, dtype=k.dtype, device=k.device)
    excess = falling.cumsum(1) - 1
    positive = (falling * count > excess).sum(
        1, keepdim=True
    )  # number of taps that stay above zero
    c = excess.gather(1, positive - 1) / positive
    return (k - c[:, :, None, None]).clamp(min=0)
