"""Where the images, kernels and other files of a comparison are."""

from __future__ import annotations

import os
from pathlib import Path

from pnp.document import Node
from pnp.errors import PipelineError, Problem

FOLDERS = {"PNP_DATA": "data", "PNP_PARITY": "parity"}
"""Environment variables with which paths may start; defaults are folders beside the checkout."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".npy")
SCIKIT_IMAGE = "scikit-image"
"""As a folder: the colour photographs that come with scikit-image."""
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
CHECKOUT = Path(__file__).parents[2]


def expand(path: Node) -> Path:
    """Resolve a path of a description.

    It is in a folder of `FOLDERS`, or relative to the file that contains it, or the name of
    pretrained weights.
    """
    first, _, rest = path.value.partition("/")
    if first in FOLDERS:
        return Path(os.environ.get(first, CHECKOUT.parent / "shared" / FOLDERS[first])) / rest
    beside = (path.origin.folder or Path()) / Path(path.value).expanduser()
    return beside if beside.exists() else Path(path.value).expanduser()


def images_in(node: Node) -> list[Path]:
    """The images of a folder, sorted by name; PipelineError with the line if there are none."""
    if node.value == SCIKIT_IMAGE:
        import skimage.data

        found = [Path(skimage.data.__file__).parent / name for name in PHOTOGRAPHS]
        return [path for path in found if path.is_file()]
    folder = expand(node)
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES)
    if found:
        return found
    first = node.value.partition("/")[0]
    if first in FOLDERS:
        cure = f"set the environment variable {first}, or name a folder with --data"
    else:
        cure = f"put images there, or start the path with one of {', '.join(FOLDERS)}"
    raise PipelineError([Problem(node.origin, f"there are no images in {folder}", cure)])
