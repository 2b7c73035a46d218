"""One observation of a comparison: the image as it is read, the kernel, what is observed of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pnp.boundaries import Assumption
from pnp.comparing.comparison import Case, Comparison
from pnp.errors import PnpError
from pnp.fingerprints import Fingerprint, fingerprint
from pnp.images import read_image
from pnp.kernel_files import make_kernel, read_kernels
from pnp.protocols import protocol
from pnp.random_blur import dan_setting1_kernels, dan_setting2_kernels


@dataclass(frozen=True)
class Observation:
    """What a method sees (y) and what it is compared with."""

    y: Tensor
    truth: Tensor
    k: Tensor
    """The kernel of y = (x * k)|s + n, up to the rounding and the boundary of the protocol."""
    fingerprint: Fingerprint
    """Of the image before it is cropped."""
    boundary: Assumption = "periodic"
    """What a method may assume beyond the border."""
    offset: float = 0.0
    """How far y's pixels lie below and to the right of the upper-left pixels of their blocks."""


class Observer:
    """Makes the observations of a comparison; holds its kernels and the last image."""

    def __init__(self, comparison: Comparison):
        self.comparison = comparison
        self.protocol = protocol(comparison.protocol)
        self._last: tuple[Path, tuple[Tensor, Fingerprint]] | None = None
        file = comparison.kernel_file()
        if file is not None and not file.is_file():
            raise PnpError(f"{file}: there is no such file; name a file of kernels with --kernels")
        self.kernels = [] if file is None else read_kernels(file)
        for group in comparison.groups.values():
            for name in group:
                self.kernel(name, comparison.scales[0])  # any problem before the first measurement

    def kernel(self, name: str, s: int) -> Tensor:
        """The kernel (1, 1, K, L) of a number or of words."""
        if self.comparison.kernels is None:
            return torch.ones(1, 1, 1, 1)
        if not name.isdecimal():
            return named_kernel(name, s)
        if not 1 <= int(name) <= len(self.kernels):
            raise PnpError(
                f"kernels: there is no kernel {name} in {self.comparison.kernel_file()}; "
                f"it holds {len(self.kernels)}, numbered from 1"
            )
        return self.kernels[int(name) - 1]

    def __call__(self, case: Case) -> Observation:
        """The observation of a case; PnpError if the image cannot be read or is too small."""
        if not _is_utf8(case.name):
            raise PnpError(f"{case.image}: its name is not UTF-8; rename it to measure it")
        if self._last is None or self._last[0] != case.image:
            self._last = (case.image, _image(case.image, self.comparison.data.crop))
        image, found = self._last[1]
        k = self.kernel(case.kernel, case.scale)
        y, truth = self.protocol.observe(image, k, case.scale, case.sigma)
        return Observation(
            y,
            truth,
            self.protocol.effective_kernel(k, case.scale),
            found,
            "periodic" if self.protocol.boundary == "periodic" else "unknown",
            self.protocol.offset(case.scale),
        )


def named_kernel(name: str, s: int) -> Tensor:
    """The kernel (1, 1, K, L) of words or of a file."""
    word, _, number = name.partition(":")
    if word == "dan-setting1" and number in map(str, range(1, 9)):
        return dan_setting1_kernels()[int(number) - 1][None]
    if word == "dan-setting2" and number.isdecimal():
        return dan_setting2_kernels(1, s, torch.Generator().manual_seed(int(number)))
    return make_kernel(name, "kernels:")


def image_digests(cases: Iterable[Case]) -> dict[str, str]:
    """The hash of the pixels of each image that can be read, by its name in the rows."""
    found = {}
    for name, path in {case.name: case.image for case in cases}.items():
        try:
            found[name] = _image(path, None)[1].pixels
        except PnpError:  # said when it is measured
            continue
    return found


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _image(path: Path, crop: int | None) -> tuple[Tensor, Fingerprint]:
    pixels = read_image(path).visible()
    found = fingerprint(pixels[0])
    if crop is not None:
        height, width = pixels.shape[-2:]
        top, left = max(0, (height - crop) // 2), max(0, (width - crop) // 2)
        pixels = pixels[..., top : top + crop, left : left + crop]
    return pixels, found
