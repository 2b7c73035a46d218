"""Fingerprints of images, by which weights tell what they were trained on.

    weights.safetensors        the weights that `pnp train` writes
    weights.images.txt         beside them: two fingerprints of each image they were trained on

One is a hash of the pixels, the other the 64 signs of the differences between neighbours in a tiny
version of the image: it survives another format, another size and the loss of colours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from torch import Tensor

from pnp.checkpoints import PRETRAINED
from pnp.errors import PnpError
from pnp.files import atomic

ENDING = ".images.txt"
SHARED = PRETRAINED / "images.txt"
"""The images of the folders on which the weights that come with pnp were trained."""
CLOSE = 3
"""Perceptual hashes that differ in so many of their 64 bits are of one image."""
HEAD = "# images that these weights were trained on: hash of the pixels, perceptual hash\n"


@dataclass(frozen=True)
class Fingerprint:
    """Both hashes, as hexadecimal digits."""

    pixels: str
    """The first 12 digits of the SHA-256 of size and 8-bit pixels."""
    perceptual: str
    """16 digits: 1 where a pixel of the 9 x 8 version is brighter than its left neighbour."""

    def matches(self, other: Fingerprint) -> bool:
        """True if both are of one image, perhaps in another format, size or in grey."""
        if self.pixels == other.pixels:
            return True
        if not self.perceptual or not other.perceptual:
            return False
        differing = int(self.perceptual, 16) ^ int(other.perceptual, 16)
        return differing.bit_count() <= CLOSE


def fingerprint(pixels: Tensor) -> Fingerprint:
    """Of an image (C, H, W): bytes, or floats on [0, 1]."""
    levels = pixels if not pixels.is_floating_point() else (pixels.clamp(0, 1) * 255).round()
    array = levels.byte().cpu().numpy()
    digest = hashlib.sha256(str(array.shape).encode() + array.tobytes()).hexdigest()[:12]
    grey = array.astype(np.float32).mean(0)
    tiny = np.asarray(Pillow.fromarray(grey).resize((9, 8), Pillow.Resampling.BOX))
    signs = (tiny[:, 1:] > tiny[:, :-1]).flatten()
    return Fingerprint(digest, f"{int(''.join('01'[int(s)] for s in signs), 2):016x}")


def beside(weights: Path) -> Path:
    """The file of fingerprints of a file of weights."""
    return weights.with_name(weights.name.removesuffix(".safetensors") + ENDING)


def trained_with(weights: Path) -> list[Fingerprint]:
    """The fingerprints of the images that weights were trained on; none if they are not known.

    Weights that come with pnp and were trained before such files were written have `SHARED`, with
    the images that were held back for validation.
    """
    own = beside(weights)
    if weights.parent == PRETRAINED and not own.is_file():
        return read_fingerprints(SHARED)
    return read_fingerprints(own)


def write_fingerprints(path: Path, found: Iterable[Fingerprint]) -> None:
    """Write fingerprints, one a line."""
    lines = sorted({f"{f.pixels} {f.perceptual}\n" for f in found})
    with atomic(path) as temporary:
        temporary.write_text(HEAD + "".join(lines), encoding="utf-8")


def read_fingerprints(path: Path) -> list[Fingerprint]:
    """The fingerprints in a file; none if there is no such file."""
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split()
        if line.startswith("#") or not words:
            continue
        try:
            if len(words) != 2 or not int(words[0], 16) >= 0 <= int(words[1], 16):
                raise ValueError
        except ValueError:
            raise PnpError(
                f"{path}:{number}: not two hashes; delete the file, or train again"
            ) from None
        found.append(Fingerprint(*words))
    return found
