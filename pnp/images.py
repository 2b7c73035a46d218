"""Image files: read to a tensor on [0, 1], and written back in the form in which they were read.

Greyscale stays one channel, 16 bits and floats keep their depth, alpha is split off and kept,
palettes are expanded, the camera's orientation is applied, the colour profile is kept, CMYK is
refused.  From an animation or a file of several pages the first one is read, and `ImageFile.note`
says so.  `decoders` knows the formats.  `.npy` holds exact floats: (H, W) or (H, W, C), channels
last as in every other image file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from pnp import deep_png
from pnp.checks import FILE_VALUES
from pnp.decoders import Decoded, decode
from pnp.errors import PnpError
from pnp.files import atomic
from pnp.metadata import Metadata
from pnp.tensors import check_tensor
from pnp.transparency import enlarge, extend_colours

WRITTEN = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".webp", ".bmp", ".npy")
"""Endings of the formats that are written."""
WITHOUT_ALPHA = (".jpg", ".jpeg", ".bmp")
CENTRED = -0.5
"""Floats that reach below this, but not above 1, are on [-1, 1]."""
LONGEST = {".webp": 16383, ".jpg": 65500, ".jpeg": 65500}
"""The most pixels in a row or column, where a format or its encoder has a limit."""


@dataclass(frozen=True)
class ImageFile:
    """An image, and the properties of its file that are needed to write a similar one."""

    pixels: Tensor
    """(1, C, H, W) float32 on [0, 1], C = 1 or 3."""
    bits: int = 8
    """Depth of the file: 8, 16, or 32 for floats."""
    alpha: Tensor | None = None
    """(1, 1, H, W) float32 on [0, 1], or None."""
    profile: bytes | None = None
    """ICC colour profile, or None."""
    note: str = ""
    """A remark for the user about how the file was read, or an empty string."""
    metadata: Metadata = field(default_factory=Metadata)
    """EXIF and XMP."""
    lossy: str = ""
    """The file's format, such as JPEG, if it was compressed with losses."""

    def visible(self) -> Tensor:
        """The pixels to compute with: the colours of transparent ones come from the visible part.

        `pixels` are those of the file, where programs store any colour under transparency.
        """
        return self.pixels if self.alpha is None else extend_colours(self.pixels, self.alpha)


def read_image(path: str | Path) -> ImageFile:
    """Read an image file; PnpError if it is missing, damaged, not an image, or not supported."""
    return as_image(str(path), decode(existing_file(path)))


def existing_file(path: str | Path) -> Path:
    """The path of a file; PnpError if there is none."""
    if not str(path):
        raise PnpError("the name of the image is empty")
    if not os.path.isfile(path):
        folder = os.path.isdir(path)
        reason = "this is a folder, not an image" if folder else "there is no such file"
        raise PnpError(f"{path}: {reason}")
    return Path(path)


def write_image(
    path: str | Path, x: Tensor, like: ImageFile | None = None, bits: int | None = None
) -> None:
    """Write an image (1, C, H, W) or (C, H, W) on [0, 1], atomically; the suffix sets the format.

    `like` provides depth, alpha, colour profile, EXIF and XMP; its alpha is enlarged to the size of
    x.  `bits` is 8, 16 or 32 (float; .tif only).  The default is the depth of `like`, or 8 where
    the format has no more.  Values are clamped, and rounded half to even; floats (32 bits, .npy)
    are written unchanged.
    """
    path = Path(path)
    check_tensor(str(path), "the image", x)
    image = x.detach().float().cpu()
    image = image[None] if image.dim() == 3 else image
    if image.dim() != 4 or image.shape[0] != 1 or image.shape[1] not in (1, 3):
        raise PnpError(
            f"{path}: an image to write is (1, C, H, W) with C = 1 or 3, "
            f"but its shape is {tuple(x.shape)}"
        )
    if not torch.isfinite(image).all():
        raise PnpError(f"{path}: the image holds NaN or infinite values, so it was not written")
    if longer(path.suffix, image):
        height, width = image.shape[2:]
        most = LONGEST[path.suffix.lower()]
        raise PnpError(
            f"{path}: {path.suffix} holds at most {most} pixels in a row or column, "
            f"but the image has {height} x {width}; write .png or .tif"
        )
    bits = _depth(path, like, bits)
    if like is not None and like.alpha is not None:
        if path.suffix.lower() in WITHOUT_ALPHA:
            raise PnpError(
                f"{path}: the image has an alpha channel, which {path.suffix} cannot hold; "
                "write .png or .tif"
            )
        image = torch.cat((image, enlarge(like.alpha, image.shape[2], image.shape[3])), 1)
    stored = {8: np.uint8, 16: np.uint16, 32: np.float32}[bits]
    array = np.empty((*image.shape[2:], image.shape[1]), stored)
    for channel, values in enumerate(image[0]):  # one by one, because float64 is large
        exact = values.double().numpy()
        if bits < 32:
            exact = np.rint(exact.clip(0, 1) * (2**bits - 1))
        array[..., channel] = exact
    array = array[..., 0] if array.shape[2] == 1 else array
    beside = (None, Metadata()) if like is None else (like.profile, like.metadata)
    _encode(path, array, bits, *beside)


def longer(suffix: str, image: Tensor) -> bool:
    """Whether an image (..., H, W) has more pixels in a row or column than the format can hold."""
    return max(image.shape[-2:]) > LONGEST.get(suffix.lower(), float("inf"))


def _depth(path: Path, like: ImageFile | None, bits: int | None) -> int:
    """Bits per channel: `bits` if given, else those of `like` if the format supports them."""
    suffix = path.suffix.lower()
    formats = {".png": (8, 16), ".tif": (8, 16, 32), ".tiff": (8, 16, 32), ".npy": (32,)}
    depths = formats.get(suffix, (8,))
    if bits is None:
        bits = like.bits if like is not None and like.bits in depths else depths[0]
        bits = 16 if like is not None and like.bits == 32 and depths == (8, 16) else bits
    if bits not in depths:
        raise PnpError(
            f"{path}: {suffix or 'this format'} cannot hold {bits} bits "
            f"(it can hold {_either(depths)})"
        )
    return bits


def _encode(
    path: Path, array: np.ndarray, bits: int, profile: bytes | None, metadata: Metadata
) -> None:
    """Write an array (H, W) or (H, W, C) in the format of the suffix, atomically."""
    suffix = path.suffix.lower()
    with atomic(path) as temporary:
        if suffix == ".npy":
            np.save(temporary, array)
        elif suffix in (".tif", ".tiff"):
            _write_tiff(temporary, array, profile, metadata)
        elif bits == 16:
            temporary.write_bytes(deep_png.encode(array, profile, metadata.for_png()))
        else:
            jpeg = {"quality": 95, "subsampling": 0}
            options: dict[str, Any] = jpeg if suffix in (".jpg", ".jpeg") else {}
            options |= {"lossless": True} if suffix == ".webp" else {}
            options |= metadata.for_pillow(suffix)
            try:
                Pillow.fromarray(array).save(temporary, icc_profile=profile, **options)
            except ValueError as e:
                raise PnpError(
                    f"{path}: images are not written as '{suffix}'; use .png, .tif, .jpg or .npy"
                ) from e


def as_image(where: str, decoded: Decoded) -> ImageFile:
    """Turn decoded pixels into tensors on [0, 1], upright, with alpha separate.

    Raises:
        PnpError: They are not the pixels of an image; the message starts with `where`.
    """
    pixels = decoded.pixels[..., None] if decoded.pixels.ndim == 2 else decoded.pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        shape = decoded.pixels.shape
        raise PnpError(
            f"{where}: an image is (H, W) or (H, W, C), channels last, C at most 4, "
            f"but its shape is {shape}"
        )
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    bits = {("u", 1): 8, ("u", 2): 16}.get((pixels.dtype.kind, pixels.dtype.itemsize), 32)
    if bits == 32:
        pixels = _checked_floats(where, pixels)
    pixels = _upright(pixels, decoded.orientation)
    scaled = (pixels if bits == 32 else pixels / (2**bits - 1)).astype(np.float32)
    tensor = torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))[None]
    colours = 1 if tensor.shape[1] < 3 else 3
    alpha = tensor[:, colours:].contiguous() if colours < tensor.shape[1] else None
    beside = (decoded.profile, decoded.note, decoded.metadata, decoded.lossy)
    return ImageFile(tensor[:, :colours].contiguous(), bits, alpha, *beside)


def _checked_floats(where: str, pixels: np.ndarray) -> np.ndarray:
    """Finite floats on about [0, 1]; alpha within it, hidden colours zero."""
    if pixels.dtype.kind != "f":
        raise PnpError(
            f"{where}: the range of {pixels.dtype} numbers is unknown; use uint8, uint16 or floats"
        )
    if pixels.shape[2] in (2, 4):
        alpha = pixels[..., -1:].clip(0, 1)
        pixels = np.concatenate((np.where(alpha > 0, pixels[..., :-1], 0), alpha), -1)
    if not np.isfinite(pixels).all():
        raise PnpError(f"{where}: the image holds NaN or infinite values")
    low, high = float(pixels.min()), float(pixels.max())
    if low < FILE_VALUES[0] or high > FILE_VALUES[1]:
        raise PnpError(
            f"{where}: floats should be on [0, 1], but reach from {low:g} to {high:g}; "
            "divide by 255 or 65535"
        )
    if low < CENTRED and high <= 1:
        raise PnpError(
            f"{where}: floats should be on [0, 1], but reach from {low:g} to {high:g}; "
            "if they are on [-1, 1], take x / 2 + 0.5"
        )
    return pixels


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo the rotation of the camera (EXIF orientation 1-8)."""
    turned = np.rot90(pixels, {3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}.get(orientation, 0))
    return turned[:, ::-1] if orientation in (2, 4, 5, 7) else turned


def _write_tiff(path: Path, array: np.ndarray, profile: bytes | None, metadata: Metadata) -> None:
    import tifffile

    channels = 1 if array.ndim == 2 else array.shape[2]
    tifffile.imwrite(
        path,
        array,
        photometric="rgb" if channels >= 3 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="zlib",
        iccprofile=profile,
        metadata=None,
        extratags=metadata.for_tiff(),
    )


def _either(depths: tuple[int, ...]) -> str:
    return " or ".join(str(d) for d in depths)
