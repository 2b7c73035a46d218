"""Forward operators: the linear map A of an inverse problem y = A x + n, and its adjoint.

    A = Blur(k, x.shape[-2:], s=4)
    A(x), A.adjoint(y), A.gram(x)

Any other linear inverse problem is a class with the same two methods; `pnp.testing.check_adjoint`
checks that they belong together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from pnp.checks import (
    as_option,
    check_count,
    check_divisible,
    check_form,
    check_kernel_fits,
    refuse,
)
from pnp.fourier import blur_down, kernel_spectra, row_spectra, up_blur
from pnp.interfaces import Boundary
from pnp.options import Count


class Operator(ABC):
    """A linear map A from images to observations.

    `A(x)` is A x and `A.adjoint(u)` is A^T u, so that <A x, u> = <x, A^T u> for all x and u, the
    inner products being sums over all entries.  Both take batches and are differentiable.
    """

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """A x, of the size of the observation."""

    @abstractmethod
    def adjoint(self, u: Tensor) -> Tensor:
        """A^T u, of the size of the image."""

    def gram(self, x: Tensor) -> Tensor:
        """A^T A x."""
        return self.adjoint(self(x))


class Blur(Operator):
    """Blur, decimation and mask: the operator of equation 1, computed by FFT.

        A x = mask (x * k)|s

    `*` is true convolution with the kernel's centre at K // 2 and `|s` keeps the upper-left pixel
    of every s x s block.  Beyond its edges the image continues from the opposite edge ("circular",
    what equations 8-11 assume), with its outermost pixel ("replicate"), or as its mirror image
    ("reflect", the outermost pixel not doubled).  For the latter two the image is extended so far
    that circular convolution is right wherever y lies.  Differentiable in x, k and mask.

    Args:
        k: kernels (B or 1, 1, K, L), of the dtype and device of the images.
        size: height and width of the image x, multiples of s.
        s: the scale.
        boundary: "circular", "replicate" or "reflect".
        mask: lies on y: one where y is known, zero where it is not; its batch and channels may
            be 1.  None: y is known everywhere.

    Raises:
        PnpError: if kernel, size, scale, boundary, mask and images do not fit together.
    """

    def __init__(
        self,
        k: Tensor,
        size: Sequence[int],
        s: int = 1,
        boundary: Boundary = "circular",
        mask: Tensor | None = None,
    ):
        check_form("blur", "k", k, "kernel")
        self.boundary = as_option("blur", "boundary", Boundary, boundary)
        height, width = size
        self.s = s = as_option("blur", "the scale", Count, s)
        check_divisible("blur", height, width, s)
        check_kernel_fits("blur", k, height, width)
        self.k, self.size, self.mask = k, (height, width), mask
        self.low = h, w = height // s, width // s
        if mask is not None and mask.shape[-2:] != self.low:
            given = tuple(mask.shape)
            refuse("blur", f"the mask has shape {given}, but y is {h} x {w}", "the mask lies on y")
        self.rows = _Margins(height, k.shape[-2], s, self.boundary, k.device)
        self.columns = _Margins(width, k.shape[-1], s, self.boundary, k.device)
        self.extended = self.rows.length // s, self.columns.length // s
        self.spectra = kernel_spectra(k, s, *self.extended)

    def __call__(self, x: Tensor) -> Tensor:
        """mask (x * k)|s, (B, C, H / s, W / s), of images (B, C, H, W)."""
        self._check(x, "the image", self.size)
        x = self.columns.add(self.rows.add(x, -2), -1)
        Y = blur_down(row_spectra(x, self.s), self.spectra)
        (top, left), (h, w) = self._corner(), self.low
        y = torch.fft.irfft2(Y, s=self.extended)[..., top : top + h, left : left + w]
        return y if self.mask is None else self.mask * y

    def adjoint(self, u: Tensor) -> Tensor:
        """A^T u, images (B, C, H, W), of observations (B, C, H / s, W / s)."""
        self._check(u, "the observation", self.low)
        u = u if self.mask is None else self.mask * u
        (top, left), (h, w), (height, width) = self._corner(), self.low, self.extended
        u = pad(u, (left, width - w - left, top, height - h - top))
        x = up_blur(torch.fft.rfft2(u), self.spectra, width)
        return self.rows.fold(self.columns.fold(x, -1), -2)

    def _corner(self) -> tuple[int, int]:
        """Where y begins in the extended y."""
        return len(self.rows.before) // self.s, len(self.columns.before) // self.s

    def _check(self, image: Tensor, what: str, size: tuple[int, int]) -> None:
        check_form("blur", what, image)
        check_count("blur", "kernel", self.k, image)
        if image.shape[-2:] != size:
            given, needed = (f"{a} x {b}" for a, b in (image.shape[-2:], size))
            refuse("blur", f"{what} is {given}, but this operator is for {needed}", "build another")


class _Margins:
    """What is beyond the two edges of an image along one axis of n pixels, as indices of pixels.

    Both margins are as wide as the kernel reaches, rounded up to a multiple of s; "circular" has
    none, because circular convolution needs none.
    """

    def __init__(self, n: int, taps: int, s: int, boundary: Boundary, device: torch.device):
        reaches = (taps - 1 - taps // 2, taps // 2)
        before, after = (0, 0) if boundary == "circular" else (-(-r // s) * s for r in reaches)
        place = torch.arange(-before, n + after, device=device)
        if boundary == "reflect" and n > 1:
            place = place.remainder(2 * n - 2)
            place = torch.minimum(place, 2 * n - 2 - place)
        place = place.clamp(0, n - 1)
        self.n, self.length = n, len(place)
        self.before, self.after = place[:before], place[before + n :]

    def add(self, x: Tensor, dim: int) -> Tensor:
        """x with both margins along an axis."""
        if self.length == self.n:
            return x
        return torch.cat(
            [x.index_select(dim, self.before), x, x.index_select(dim, self.after)], dim
        )

    def fold(self, x: Tensor, dim: int) -> Tensor:
        """The adjoint of `add`: what is in the margins is added to the pixels that it came from."""
        if self.length == self.n:
            return x
        parts = x.split([len(self.before), self.n, len(self.after)], dim)
        return parts[1].index_add(dim, self.before, parts[0]).index_add(dim, self.after, parts[2])
