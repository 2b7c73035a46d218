"""Training pairs made on the device: crops of stored images, random kernels, ↓s, random noise.

    dataset = ImagePool(images, device="cuda")            # uint8 (C, H, W) each, of any sizes
    degradations = Degradations(scales=(2, 4), kinds={"anisotropic": 0.5, "motion": 0.5})
    generator = torch.Generator("cuda").manual_seed(0)
    x, y, k, sigma, s = degradations.draw(dataset, 16, crop=96, generator=generator)

Every step is a batched tensor operation, so a GPU needs no data loader, and a seed gives the same
batch in every run.  The parts are public: `observation` (the model), `protocols` (published test
protocols), `random_kernels`, and `random_levels` in this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from pnp.compression import as_jpeg
from pnp.errors import PnpError
from pnp.interfaces import Noise
from pnp.operators import Blur
from pnp.random_blur import Range, check_kinds, random_kernels
from pnp.sensor_noise import smooth_noise
from pnp.tensors import LUMA


class Batch(NamedTuple):
    """Images and their observations: y = (x * k)↓s + n."""

    x: Tensor
    """(B, C, H, W) on [0, 1]."""
    y: Tensor
    """(B, C, H / s, W / s)."""
    k: Tensor
    """(B, 1, K, K)."""
    sigma: Tensor
    """(B, 1, 1, 1), standard deviation of the noise."""
    s: int


def random_levels(
    n: int,
    top: float = 0.03,
    clean: float = 0.2,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """n noise levels (n, 1, 1, 1), uniform between 0 and `top`, but zero for a share `clean`."""
    device = device if device is not None else generator.device if generator is not None else "cpu"
    source = generator.device if generator is not None else device
    level, coin = torch.rand(2, n, 1, 1, 1, generator=generator, device=source).to(device)
    return top * level * (coin >= clean)


class ImagePool:
    """Images of any sizes in one buffer of bytes on the device, for fast random crops."""

    def __init__(self, images: Iterable[Tensor], device: torch.device | str = "cpu"):
        images = list(images)
        for i, image in enumerate(images):
            form = (image.dtype, image.dim(), image.shape[:1])
            if form != (torch.uint8, 3, images[0].shape[:1]):
                raise PnpError(
                    f"training images: image {i} is {image.dtype} {tuple(image.shape)}; all should "
                    "be uint8 (C, H, W) with the same number of channels C"
                )
        if not images:
            raise PnpError("training images: there are none, but at least one image is needed")
        self.channels = images[0].shape[0]
        self.smallest = min(min(image.shape[1:]) for image in images)
        self.bytes = torch.cat([image.reshape(-1).to(device) for image in images])
        sizes = torch.tensor([image.shape[1:] for image in images], device=device)
        self.heights, self.widths = sizes[:, 0], sizes[:, 1]
        lengths = torch.tensor([image.numel() for image in images], device=device)
        self.starts = lengths.cumsum(0) - lengths

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def device(self) -> torch.device:
        """The device that stores the images."""
        return self.bytes.device

    def crops(self, n: int, size: int, generator: torch.Generator | None = None) -> Tensor:
        """n random crops (n, C, size, size), uint8, turned and mirrored at random."""
        if not 1 <= size <= self.smallest:
            raise PnpError(
                f"training images: crops of {size} pixels do not fit, because the smallest image "
                f"has a side of {self.smallest}; use smaller crops or larger images"
            )
        source = generator.device if generator is not None else self.device
        draws = torch.rand(6, n, generator=generator, device=source, dtype=torch.float64).to(
            self.device
        )
        image = (draws[0] * len(self)).long()
        width = self.widths[image]
        top = (draws[1] * (self.heights[image] - size + 1)).long()
        left = (draws[2] * (width - size + 1)).long()
        flip_rows, flip_columns, transpose = (draw[:, None, None] < 0.5 for draw in draws[3:])
        along = torch.arange(size, device=self.device)
        i, j = along[None, :, None], along[None, None, :]
        i, j = torch.where(transpose, j, i), torch.where(transpose, i, j)
        i, j = torch.where(flip_rows, size - 1 - i, i), torch.where(flip_columns, size - 1 - j, j)
        place = (top[:, None, None] + i) * width[:, None, None] + left[:, None, None] + j
        planes = (
            torch.arange(self.channels, device=self.device) * (self.heights[image] * width)[:, None]
        )
        first = self.starts[image][:, None] + planes
        return self.bytes[first[:, :, None, None] + place[:, None]]


@dataclass(frozen=True)
class Degradations:
    """The distribution of observations, and sampling from it.

    `random_kernels` describes `size`, `kinds`, `std`, `logarithmic`, `disturbance` and
    `off_centre`; `motion_kernels` describes `nonlinearity`, `reach` and `pauses`.
    """

    scales: tuple[int, ...] = (4,)
    """One of these is drawn for each batch."""
    size: int = 21
    """Side of the kernels' support."""
    kinds: str | Mapping[str, float] = field(
        default_factory=lambda: {"anisotropic": 0.5, "motion": 0.5}
    )
    std: Range = (0.2, 4.0)
    nonlinearity: Range = (0.0, 1.0)
    reach: Range = (0.1, 1.0)
    pauses: float = 0.0
    logarithmic: bool = False
    disturbance: float = 0.0
    off_centre: float = 0.0
    noise: Noise = 0.03
    """Noise levels are uniform between 0 and this value."""
    clean: float = 0.2
    """Share of the observations that have no noise."""
    rounded: float = 0.0
    """Share of the observations that are clamped and rounded to 8 bits, as in image files."""
    grey: float = 0.0
    """Share of the images that are grey: all channels are the same, and so is their noise."""
    correlated: float = 0.0
    """Share of the other images whose noise is correlated between channels.

    JPEG and demosaicking cause such noise.  It is (1 - c)^(1/2) n + c^(1/2) m, with m the same in
    all channels and c uniform between 0 and 1.
    """
    smooth: float = 0.0
    """Share of the observations whose noise is alike in neighbouring pixels, at the same level.

    In half of those in colour it is that of a Bayer sensor, interpolated to three colours; in the
    others it is blurred by a Gaussian of 0.3 to 1 pixels, as resizing and film do.
    """
    jpeg: float = 0.0
    """Share of the observations that are stored as JPEG, of a quality of 55 to 95."""

    def __post_init__(self) -> None:
        check_kinds(self.kinds)
        if not self.scales or any(isinstance(s, bool) or int(s) != s or s < 1 for s in self.scales):
            raise PnpError(
                f"degradations: scales should be whole numbers of at least 1, but are {self.scales}"
            )
        for name, least, most in (("std", 1e-6, 1e6), ("nonlinearity", 0, 1), ("reach", 0, 1.2)):
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                limits = "0 < low <= high" if name == "std" else f"0 <= low <= high <= {most}"
                raise PnpError(
                    f"degradations: {name} should be a range (low, high) with {limits}, "
                    f"but is {low, high}"
                )
        for name in ("noise", "clean", "rounded", "grey", "correlated", "smooth", "jpeg"):
            if not 0 <= getattr(self, name) <= 1:
                raise PnpError(
                    f"degradations: {name} should be between 0 and 1, but is {getattr(self, name)}"
                )
        if self.logarithmic and self.reach[0] <= 0:
            raise PnpError(
                "degradations: logarithmic needs a reach above 0, such as (0.02, 1), "
                f"but reach is {self.reach}"
            )
        if not 0 <= self.pauses <= 10:
            raise PnpError(f"degradations: pauses should be between 0 and 10, but is {self.pauses}")
        if self.size % 2 == 0:
            raise PnpError(
                f"degradations: size should be odd, so that kernels have a middle, "
                f"but is {self.size}; write {self.size + 1}"
            )
        if self.size < 1 or self.disturbance < 0 or not 0 <= self.off_centre <= self.size // 2:
            raise PnpError(
                "degradations: size should be 1 or more, disturbance 0 or more, "
                "and off_centre between 0 and half the size, "
                f"but they are {self.size}, {self.disturbance} and {self.off_centre}"
            )

    def draw(
        self,
        images: ImagePool,
        n: int,
        crop: int,
        generator: torch.Generator | None = None,
        s: int | None = None,
    ) -> Batch:
        """A batch of n crops and their observations; `crop` is rounded down to a multiple of s."""
        s = self._scale(generator) if s is None else s
        x = images.crops(n, crop // s * s, generator).float() / 255
        return self.observe(x, generator, s)

    def observe(
        self, x: Tensor, generator: torch.Generator | None = None, s: int | None = None
    ) -> Batch:
        """Observations of given images (B, C, H, W), each with its own kernel and noise level."""
        s = self._scale(generator) if s is None else s
        k = self.kernels(len(x), generator, x.device)
        sigma = random_levels(len(x), self.noise, self.clean, generator, x.device)
        source = generator.device if generator is not None else x.device

        def coin(share: float) -> Tensor:
            drawn = torch.rand(len(x), 1, 1, 1, generator=generator, device=source)
            return (drawn < share).to(x.device)

        none = torch.zeros(len(x), 1, 1, 1, dtype=torch.bool, device=x.device)
        grey = coin(self.grey) if self.grey else none
        if self.grey and x.shape[1] == 3:
            luma = (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
            x = torch.where(grey, luma, x)
        y = Blur(k, x.shape[-2:], s)(x)
        noise = torch.randn(y.shape, generator=generator, device=source).to(x.device)
        if self.grey or self.correlated:
            shared = torch.randn(y[:, :1].shape, generator=generator, device=source).to(x.device)
            c = torch.rand(len(x), 1, 1, 1, generator=generator, device=source).to(x.device)
            c = torch.where(grey, 1.0, c * coin(self.correlated))
            noise = (1 - c).sqrt() * noise + c.sqrt() * shared
        if self.smooth:
            std = 0.3 + 0.7 * torch.rand(len(x), generator=generator, device=source).to(x.device)
            sensor = (coin(0.5) & ~grey).flatten()
            chosen = coin(self.smooth).flatten()
            if bool(chosen.any()):
                noise[chosen] = smooth_noise(noise[chosen], sensor[chosen], std[chosen])
        y = y + sigma * noise
        if self.rounded:
            y = torch.where(coin(self.rounded), (y.clamp(0, 1) * 255).round() / 255, y)
        if self.jpeg:
            quality = torch.randint(55, 96, (len(x),), generator=generator, device=source)
            chosen = coin(self.jpeg).flatten()
            y[chosen] = as_jpeg(y[chosen], quality[chosen.cpu()].tolist())
        return Batch(x, y, k, sigma, s)

    def kernels(
        self,
        n: int,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """n kernels (n, 1, size, size), on the generator's device unless another is given."""
        return random_kernels(
            n,
            self.size,
            self.kinds,
            std=self.std,
            nonlinearity=self.nonlinearity,
            reach=self.reach,
            pauses=self.pauses,
            logarithmic=self.logarithmic,
            disturbance=self.disturbance,
            off_centre=self.off_centre,
            generator=generator,
            device=device,
        )

    def _scale(self, generator: torch.Generator | None) -> int:
        if len(self.scales) == 1:
            return self.scales[0]
        device = generator.device if generator is not None else "cpu"
        index = torch.randint(len(self.scales), (), generator=generator, device=device)
        return self.scales[int(index)]
