"""Training pairs made on the device: crops of images held there as bytes, random kernels, ↓s,
random noise.

    bank = ImageBank(images, device="cuda")             # uint8 (C, H, W) each, of any sizes
    degradations = Degradations(scales=(2, 4), kinds={"anisotropic": 0.5, "motion": 0.5})
    x, y, k, sigma, s = degradations.draw(bank, 16, crop=96, generator=torch.Generator("cuda").manual_seed(0))

Every step is a batched tensor operation, so no data loader stands between the images and a GPU, and
a seed gives the same batch on every run.  The parts are public: `observation` (the model),
`protocols` (published test protocols), `random_kernels`, and `random_levels` here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from pnp.errors import PnpError
from pnp.interfaces import Noise
from pnp.operators import Blur
from pnp.random_kernels import Range, check_kinds, random_kernels


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
    """n noise levels (n, 1, 1, 1): a share `clean` is zero, the others are uniform between 0 and `top`."""
    device = device if device is not None else generator.device if generator is not None else "cpu"
    source = generator.device if generator is not None else device
    level, coin = torch.rand(2, n, 1, 1, 1, generator=generator, device=source).to(device)
    return top * level * (coin >= clean)


class ImageBank:
    """Images of any sizes, held as bytes in one buffer on the device, from which crops are cut in one operation."""

    def __init__(self, images: Iterable[Tensor], device: torch.device | str = "cpu"):
        held = list(images)
        for i, image in enumerate(held):
            if image.dtype != torch.uint8 or image.dim() != 3 or image.shape[0] != held[0].shape[0]:
                raise PnpError(
                    f"image {i} of the bank is {image.dtype} {tuple(image.shape)}; all should be uint8 (C, H, W) "
                    "with the same number of channels C"
                )
        if not held:
            raise PnpError("a bank of images wants at least one image")
        self.channels = held[0].shape[0]
        self.smallest = min(min(image.shape[1:]) for image in held)
        self.bytes = torch.cat([image.reshape(-1).to(device) for image in held])
        sizes = torch.tensor([image.shape[1:] for image in held], device=device)
        self.heights, self.widths = sizes[:, 0], sizes[:, 1]
        lengths = torch.tensor([image.numel() for image in held], device=device)
        self.starts = lengths.cumsum(0) - lengths

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.bytes.device

    def crops(self, n: int, size: int, generator: torch.Generator | None = None) -> Tensor:
        """n crops (n, C, size, size), uint8: of random images, at random places, turned and mirrored at random."""
        if not 1 <= size <= self.smallest:
            raise PnpError(
                f"crops of {size} pixels from a bank whose smallest image has a side of {self.smallest}"
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
    """What observations are made of, and the drawing of them; see `random_kernels` for the options of kernels."""

    scales: tuple[int, ...] = (4,)
    """One of these is drawn for each batch."""
    size: int = 21
    """Side of the kernels' support."""
    kinds: str | Mapping[str, float] = field(
        default_factory=lambda: {"anisotropic": 0.5, "motion": 0.5}
    )
    std: Range = (0.2, 4.0)
    nonlinearity: Range = (0.0, 1.0)
    disturbance: float = 0.0
    off_centre: float = 0.0
    noise: Noise = 0.03
    """Levels are uniform between 0 and this ..."""
    clean: float = 0.2
    """... except for this share, which has no noise."""
    rounded: float = 0.0
    """Share of the observations that are clamped and rounded to 8 bits, as files are."""
    grey: float = 0.0
    """Share of the images that are grey: all channels the same, their noise too."""
    correlated: float = 0.0
    """Share of the other images whose noise is correlated between channels, as JPEG and demosaicking leave it:
    (1 - c)^(1/2) n + c^(1/2) m, with m the same in all channels and c uniform between 0 and 1."""

    def __post_init__(self) -> None:
        check_kinds(self.kinds)
        if not self.scales or any(isinstance(s, bool) or int(s) != s or s < 1 for s in self.scales):
            raise PnpError(
                f"degradations: scales should be whole numbers from 1 on, but are {self.scales}"
            )
        for name in ("std", "nonlinearity"):
            low, high = getattr(self, name)
            if not (0 < low <= high if name == "std" else 0 <= low <= high <= 1):
                raise PnpError(
                    f"degradations: {name} should be a range (low, high), not negative, but is {low, high}"
                )
        for name in ("noise", "clean", "rounded", "grey", "correlated"):
            if not 0 <= getattr(self, name) <= 1:
                raise PnpError(
                    f"degradations: {name} should be between 0 and 1, but is {getattr(self, name)}"
                )
        if self.size < 1 or self.disturbance < 0 or not 0 <= self.off_centre <= self.size // 2:
            raise PnpError(
                "degradations: size should be 1 or more, disturbance 0 or more, off_centre at most half the size, "
                f"but they are {self.size}, {self.disturbance} and {self.off_centre}"
            )

    def draw(
        self,
        bank: ImageBank,
        n: int,
        crop: int,
        generator: torch.Generator | None = None,
        s: int | None = None,
    ) -> Batch:
        """A batch of n crops of `crop` pixels (cut to a multiple of the scale) and their observations."""
        s = self._scale(generator) if s is None else s
        x = bank.crops(n, crop // s * s, generator).float() / 255
        return self.observe(x, generator, s)

    def observe(
        self, x: Tensor, generator: torch.Generator | None = None, s: int | None = None
    ) -> Batch:
        """Observations of given images (B, C, H, W), each with a kernel and a noise level of its own."""
        s = self._scale(generator) if s is None else s
        k = random_kernels(
            len(x),
            self.size,
            self.kinds,
            std=self.std,
            nonlinearity=self.nonlinearity,
            disturbance=self.disturbance,
            off_centre=self.off_centre,
            generator=generator,
            device=x.device,
        )
        sigma = random_levels(len(x), self.noise, self.clean, generator, x.device)
        source = generator.device if generator is not None else x.device

        def coin(share: float) -> Tensor:
            drawn = torch.rand(len(x), 1, 1, 1, generator=generator, device=source)
            return (drawn < share).to(x.device)

        grey = (
            coin(self.grey)
            if self.grey
            else torch.zeros(len(x), 1, 1, 1, dtype=torch.bool).to(x.device)
        )
        if self.grey and x.shape[1] == 3:
            luma = (x * x.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
            x = torch.where(grey, luma, x)
        y = Blur(k, x.shape[-2:], s)(x)
        noise = torch.randn(y.shape, generator=generator, device=source).to(x.device)
        if self.grey or self.correlated:
            shared = torch.randn(y[:, :1].shape, generator=generator, device=source).to(x.device)
            c = torch.rand(len(x), 1, 1, 1, generator=generator, device=source).to(x.device)
            c = torch.where(grey, 1.0, c * coin(self.correlated))
            noise = (1 - c).sqrt() * noise + c.sqrt() * shared
        y = y + sigma * noise
        if self.rounded:
            y = torch.where(coin(self.rounded), (y.clamp(0, 1) * 255).round() / 255, y)
        return Batch(x, y, k, sigma, s)

    def _scale(self, generator: torch.Generator | None) -> int:
        if len(self.scales) == 1:
            return self.scales[0]
        device = generator.device if generator is not None else "cpu"
        return self.scales[
            int(torch.randint(len(self.scales), (), generator=generator, device=device))
        ]
