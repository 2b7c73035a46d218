"""What is compared: images, kernels, scales, noise levels, a protocol and methods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pnp.comparing.methods import Method
from pnp.comparing.places import expand, images_in
from pnp.document import Node
from pnp.options import Count, Noise

METRICS_OF_IMAGES = ("psnr", "psnr_y", "ssim", "psnr_registered")
METRICS_OF_KERNELS = ("kernel_error", "kernel_error_registered")
METRICS = (*METRICS_OF_IMAGES, *METRICS_OF_KERNELS, "psnr_lr", "sigma_estimated", "seconds")
LOWER_IS_BETTER = (*METRICS_OF_KERNELS, "seconds")
WITHOUT_BEST = ("sigma_estimated",)
"""Neither high nor low is better."""


class Case(NamedTuple):
    """One observation; a kernel is a number from 1 in the file of the kernels, or words."""

    image: Path
    scale: int
    kernel: str
    sigma: float
    name: str
    """Of the image in the rows: without its ending, unless two images differ in that alone."""


@dataclass(frozen=True)
class Images:
    """The test images: those of a folder, or every n-th of them, or the first ones; `crop` keeps
    the central part of that many pixels a side.
    """

    folder: str
    every: Count = 1
    first: Count | None = None
    crop: Count | None = None


@dataclass(frozen=True)
class Kernels:
    """The kernels in groups, which are columns of the tables: numbers in a file, or words such as
    `gaussian:1.6`.
    """

    groups: dict[str, list[Count | str]]
    file: str | None = None


@dataclass(frozen=True)
class Reference:
    """A table that somebody else published."""

    about: str
    columns: list[str]
    rows: dict[str, list[float]]
    metric: str = "psnr"


@dataclass(frozen=True)
class Comparison:
    """The content of a description; see docs/compare.md."""

    path: Path
    document: Node
    about: str
    data: Images
    scales: list[Count]
    sigmas: list[Noise]
    methods: dict[str, Method]
    protocol: str = "exact"
    metrics: list[str] = field(default_factory=lambda: ["psnr"])
    kernels: Kernels | None = None
    """None: no blur, which is a kernel of one tap."""
    baseline: str | None = None
    """The method that others are compared with; None is the first."""
    published: dict[str, list[float]] = field(default_factory=dict)
    """PSNR of other systems as published by their authors, one for each scale and noise level."""
    reference: list[Reference] = field(default_factory=list)
    """Published tables, shown beside ours."""
    cite: list[str] = field(default_factory=list)
    """Keys of the bibliography, in addition to those of the pipelines."""
    base: str | None = None
    """The pipeline that methods call `base`."""
    set: dict[str, Any] = field(default_factory=dict)
    """Changes of the base, as with `--set`."""
    name: str = ""

    @property
    def groups(self) -> dict[str, list[str]]:
        """The groups of kernels."""
        if self.kernels is None:
            return {"none": ["1"]}
        return {name: [str(k) for k in group] for name, group in self.kernels.groups.items()}

    def kernel_file(self) -> Path | None:
        """The file of the kernels, if there is one."""
        kernels = self.document.value.get("kernels")
        file = None if kernels is None else kernels.value.get("file")
        return None if file is None else expand(file)

    def images(self) -> list[Path]:
        """The test images, sorted by name."""
        return self._all_images()[:: self.data.every][: self.data.first]

    def _all_images(self) -> list[Path]:
        return images_in(self.document.value["data"].value["folder"])

    def _names(self) -> dict[Path, str]:
        """The names of all images in the rows."""
        images = self._all_images()
        count = Counter(path.stem for path in images)
        whole = {path.name for path in images if count[path.stem] > 1}
        return {p: p.name if p.name in whole or p.stem in whole else p.stem for p in images}

    def cases(self, limit: int | None = None) -> Iterator[Case]:
        """All observations, in the order of the images; of the first `limit` images, if given."""
        kernels = [k for group in self.groups.values() for k in group]
        names = self._names()
        for image in self.images()[:limit]:
            for scale in self.scales:
                for kernel in kernels:
                    for sigma in self.sigmas:
                        yield Case(image, scale, kernel, sigma, names[image])
