"""Training images: reading folders as bytes, and separating images for validation."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from torch import Tensor

from pnp.errors import PnpError
from pnp.images import read_image
from pnp.tensors import LUMA

_log = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".npy")


def read_images(
    folders: Sequence[str | Path], channels: int, crop: int, quiet: bool = False
) -> list[Tensor]:
    """The images in folders and their subfolders as bytes (C, H, W).

    Args:
        folders: Where to look.
        channels: C.  Colour images are converted to luma for C = 1, grey ones repeated for C = 3.
        crop: Images with a shorter side are skipped, with a message on stderr.
        quiet: True skips them without the message.

    Raises:
        PnpError: A folder is missing or holds no image, or no image is large enough.
    """
    paths = [path for folder in map(Path, folders) for path in _found(folder)]
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda path: _bytes(path, channels), paths))
    large = [image for image in images if min(image.shape[1:]) >= crop]
    small = [p.name for p, i in zip(paths, images, strict=True) if min(i.shape[1:]) < crop]
    if small:
        names = ", ".join(small[:3]) + (" ..." if len(small) > 3 else "")
        problem = f"images are smaller than the crop of {crop} pixels"
        if not large:
            raise PnpError(
                f"all {len(small)} {problem}: {names}; "
                "give larger ones, or use smaller crops: --set crop=N --set validation.crop=N"
            )
        if not quiet:
            told = len(small), len(images), problem, names
            _log.warning("%d of %d %s and are skipped: %s", *told)
    return large


def split(images: Sequence[Tensor], count: int) -> tuple[list[Tensor], list[Tensor]]:
    """Images to train on, and `count` others, evenly spread, for validation (at most a quarter)."""
    if len(images) < 2:
        raise PnpError(
            "there is only one image, but one more is needed for validation; give two or more"
        )
    count = min(count, max(1, len(images) // 4))
    chosen = {i * len(images) // count for i in range(count)}
    rest = [image for i, image in enumerate(images) if i not in chosen]
    return rest, [images[i] for i in sorted(chosen)]


def _found(folder: Path) -> list[Path]:
    if not os.path.isdir(folder):
        reason = "this is a file" if os.path.isfile(folder) else "there is no such folder"
        raise PnpError(f"--data {folder}: {reason}; name a folder of images")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not found:
        raise PnpError(
            f"--data {folder}: there are no images in this folder ({', '.join(SUFFIXES)})"
        )
    return found


def _bytes(path: Path, channels: int) -> Tensor:
    pixels = read_image(path).visible()[0]
    if channels == 1 and len(pixels) == 3:
        pixels = (pixels * pixels.new_tensor(LUMA)[:, None, None]).sum(0, keepdim=True)
    return (pixels.expand(channels, -1, -1) * 255).round().byte()
