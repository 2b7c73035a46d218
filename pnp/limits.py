"""Limits of size, compared with what files state in their headers before memory is taken.

A small file can hold a large amount of zeros: compressed images, NumPy archives and checkpoints
unpack to a thousand times their size.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from pnp.errors import PnpError

MEGAPIXELS = "PNP_MAX_MEGAPIXELS"
"""Environment variable: the largest image that is read, in millions of pixels."""
USUAL_MEGAPIXELS = 100.0
LARGEST_UNPACKED = 2**28
"""Bytes that an archive may unpack to, if that is more than four times its own size."""
LARGEST_TEXT = 100_000
"""Bytes of a pipeline or recipe; those of the package have less than 3000."""


def check_pixels(path: str | Path, width: int, height: int) -> None:
    """Refuse an image of more pixels than the limit."""
    limit = _megapixels()
    if width * height > 1e6 * limit:
        raise PnpError(
            f"{path}: the header states an implausibly large size, {width} x {height} pixels, but "
            f"the limit is {limit:g} megapixels; if it is correct, cut the image into parts or set "
            f"{MEGAPIXELS}={math.ceil(width * height / 1e6)}"
        )


def _megapixels() -> float:
    text = os.environ.get(MEGAPIXELS, "")
    try:
        limit = float(text) if text else USUAL_MEGAPIXELS
    except ValueError:
        limit = math.nan
    if not limit > 0:
        raise PnpError(f"{MEGAPIXELS} is '{text}', but should be a number of megapixels above 0")
    return limit


def check_unpacked(path: Path, sizes: Iterable[int]) -> None:
    """Refuse an archive whose parts, of these sizes in bytes, unpack to more than the limit."""
    total, own = 0, path.stat().st_size
    for size in sizes:
        total += size
        if total > max(LARGEST_UNPACKED, 4 * own):
            raise PnpError(
                f"{path}: the file of {own / 1e6:.3g} MB unpacks to {total / 1e6:.3g} MB or more, "
                f"but the limit is {LARGEST_UNPACKED / 1e6:.0f} MB; is it damaged?"
            )


def check_zip(path: Path) -> None:
    """Refuse a ZIP archive (.npz, .pth) that unpacks to too much, by its table of contents."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        check_unpacked(path, (member.file_size for member in members))
        for member in members:
            if member.filename.endswith(".npy"):
                with archive.open(member) as file:
                    check_array(path, file, member.file_size)


def check_array(path: Path, file: IO[bytes], size: int) -> tuple[int, ...]:
    """The shape in the header of a .npy file; refuses one that needs more than its `size` bytes."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    stated = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and stated > size:
        raise PnpError(
            f"{path}: the header states {stated / 1e6:.3g} MB, but there are {size / 1e6:.3g} MB; "
            "is the file damaged or cut off?"
        )
    return shape
