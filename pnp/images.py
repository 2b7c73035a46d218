"""Image files: read to a tensor on [0, 1], and written back in the form in which they were read.

Greyscale stays one channel, 16 bits and floats keep their depth, alpha is split off and kept,
palettes are expanded, the camera's orientation is applied, CMYK becomes RGB, the colour profile is
kept.  From an animation or a file of several pages the first one is read, and `ImageFile.note` says
so.

Pillow reads images of 8 bits.  It would reduce colour images of 16 bits to 8, so `deep_png` reads
such PNGs and tifffile such TIFFs.  `.npy` holds exact floats: (H, W) or (H, W, C), channels last as
in every other image file.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor
from torch.nn import functional as F

from pnp import deep_png
from pnp.checks import FILE_VALUES
from pnp.errors import PnpError
from pnp.files import atomic

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION, _PROFILE = 0x0112, 0x8773  # numbers of EXIF and TIFF tags


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


@dataclass
class _Decoded:
    """The result of a decoder: pixels (H, W) or (H, W, C) as in the file, and header entries."""

    pixels: np.ndarray
    profile: bytes | None = None
    orientation: int = 1
    note: str = ""


def read_image(path: str | Path) -> ImageFile:
    """Read an image file; PnpError if it is missing, damaged, not an image, or not supported."""
    path = Path(path)
    if not path.is_file():
        reason = "this is a folder, not an image" if path.is_dir() else "there is no such file"
        raise PnpError(f"{path}: {reason}")
    try:
        with path.open("rb") as file:
            head = file.read(32)
        if not head:
            raise PnpError(f"{path}: the file is empty")
        if path.suffix.lower() == ".npy":
            decoded = _Decoded(np.load(path, allow_pickle=False))
        elif deep_png.is_deep(head):
            decoded = _decode_deep_png(path)
        elif head.startswith(_TIFF) and (deep := _decode_deep_tiff(path)) is not None:
            decoded = deep
        else:
            decoded = _decode_with_pillow(path)
    except PnpError:
        raise
    except Pillow.UnidentifiedImageError as e:
        raise PnpError(
            f"{path}: this is not an image of a known format (PNG, TIFF, JPEG, WebP, BMP, .npy ...)"
        ) from e
    except Pillow.DecompressionBombError as e:
        raise PnpError(
            f"{path}: the header states an implausibly large size; "
            f"if it is correct, cut the image into parts ({e})"
        ) from e
    except Exception as e:  # each decoder has its own errors; the user gets one message
        raise PnpError(
            f"{path}: the image cannot be read; is it damaged or cut off? ({first_line(e)})"
        ) from e
    return _interpret(path, decoded)


def write_image(
    path: str | Path, x: Tensor, like: ImageFile | None = None, bits: int | None = None
) -> None:
    """Write an image (1, C, H, W) or (C, H, W) on [0, 1], atomically; the suffix sets the format.

    `like` provides depth, alpha and colour profile; its alpha is enlarged to the size of x.  `bits`
    is 8, 16 or 32 (float; .tif only).  The default is the depth of `like`, or 8 where the format
    has no more.  Values are clamped, and rounded half to even; floats (32 bits, .npy) are written
    unchanged.
    """
    path = Path(path)
    image = x.detach().float().cpu()
    image = image[None] if image.dim() == 3 else image
    if image.dim() != 4 or image.shape[0] != 1 or image.shape[1] not in (1, 3):
        raise PnpError(
            f"{path}: an image to write is (1, C, H, W) with C = 1 or 3, "
            f"but its shape is {tuple(x.shape)}"
        )
    if not torch.isfinite(image).all():
        raise PnpError(f"{path}: the image holds NaN or infinite values, so it was not written")
    bits = _depth(path, like, bits)
    if like is not None and like.alpha is not None:
        if path.suffix.lower() in (".jpg", ".jpeg", ".bmp"):
            raise PnpError(
                f"{path}: the image has an alpha channel, which {path.suffix} cannot hold; "
                "write .png or .tif"
            )
        image = torch.cat((image, _enlarge(like.alpha, image.shape[2], image.shape[3])), 1)
    array = image[0].permute(1, 2, 0).double().numpy()
    if bits == 32:
        array = array.astype(np.float32)
    else:
        whole = np.rint(array.clip(0, 1) * (2**bits - 1))
        array = whole.astype(np.uint8 if bits == 8 else np.uint16)
    array = array[..., 0] if array.shape[2] == 1 else array
    _encode(path, array, bits, None if like is None else like.profile)


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


def _encode(path: Path, array: np.ndarray, bits: int, profile: bytes | None) -> None:
    """Write an array (H, W) or (H, W, C) in the format of the suffix, atomically."""
    suffix = path.suffix.lower()
    with atomic(path) as temporary:
        if suffix == ".npy":
            np.save(temporary, array)
        elif suffix in (".tif", ".tiff"):
            _write_tiff(temporary, array, profile)
        elif bits == 16:
            temporary.write_bytes(deep_png.encode(array, profile))
        else:
            jpeg = {"quality": 95, "subsampling": 0}
            options: dict[str, Any] = jpeg if suffix in (".jpg", ".jpeg") else {}
            options |= {"lossless": True} if suffix == ".webp" else {}
            try:
                Pillow.fromarray(array).save(temporary, icc_profile=profile, **options)
            except ValueError as e:
                raise PnpError(
                    f"{path}: images are not written as '{suffix}'; use .png, .tif, .jpg or .npy"
                ) from e


def first_line(error: Exception) -> str:
    """The first line of another library's error, short enough for a message."""
    return (str(error) or type(error).__name__).splitlines()[0][:100]


def _decode_with_pillow(path: Path) -> _Decoded:
    with warnings.catch_warnings():
        # Ignored: large images below the size at which Pillow raises, and damaged EXIF.
        warnings.simplefilter("ignore")
        with Pillow.open(path) as file:
            # The further frames of MPO files are previews made by the camera.
            frames = getattr(file, "n_frames", 1) if file.format != "MPO" else 1
            file.load()
            orientation = file.getexif().get(_ORIENTATION, 1)
            keeps_colours = file.mode in ("RGB", "RGBA", "L", "LA", "P", "PA")
            profile = file.info.get("icc_profile") if keeps_colours else None
            image: Pillow.Image = file
            if file.mode == "1":
                image = file.convert("L")
            elif file.has_transparency_data:
                image = file.convert("LA" if file.mode in ("L", "LA", "La") else "RGBA")
            elif file.mode not in ("L", "F") and not file.mode.startswith("I"):
                image = file.convert("RGB")
            pixels = np.asarray(image)
    if pixels.dtype.kind == "i":  # Pillow before version 11 widens grey images of 16 bits to 32
        if pixels.min() < 0 or pixels.max() > 65535:
            raise PnpError(
                f"{path}: the range of 32-bit whole numbers is unknown; save the image with 16 bits"
            )
        pixels = pixels.astype(np.uint16)
    note = f"the first of {frames} frames is used" if frames > 1 else ""
    return _Decoded(pixels, profile, orientation, note)


def _decode_deep_png(path: Path) -> _Decoded:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Pillow.open(path) as image:  # reads the header and rejects implausible sizes
            profile = image.info.get("icc_profile")
            orientation = image.getexif().get(_ORIENTATION, 1)
    return _Decoded(deep_png.decode(path.read_bytes()), profile, orientation)


def _decode_deep_tiff(path: Path) -> _Decoded | None:
    """The first page of a TIFF of more than 8 bits; None for 8 bits, which Pillow reads."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # damage becomes one PnpError
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages.first
        if page.dtype is None or page.dtype.itemsize == 1:
            return None
        if page.imagewidth * page.imagelength > 2 * (Pillow.MAX_IMAGE_PIXELS or 0):
            raise PnpError(
                f"{path}: the header states an implausibly large size, "
                f"{page.imagewidth} x {page.imagelength} pixels; "
                "if it is correct, cut the image into parts"
            )
        kind, bits = tifffile.PHOTOMETRIC(page.photometric).name, page.bitspersample
        if kind not in ("RGB", "MINISBLACK") or bits != 8 * page.dtype.itemsize:
            raise PnpError(
                f"{path}: this is a TIFF of {bits} bits and kind {kind}; "
                "save it as RGB or grey, 8 or 16 bits"
            )
        try:
            pixels = page.asarray()
        except ValueError as e:
            if "imagecodecs" not in str(e):
                raise
            method = tifffile.COMPRESSION(page.compression).name
            raise PnpError(
                f"{path}: a TIFF of {bits} bits compressed with {method} "
                "needs the package imagecodecs (pip install imagecodecs); "
                "or save it uncompressed or with deflate"
            ) from e
        pixels = np.moveaxis(pixels, 0, -1) if page.axes == "SYX" else pixels
        tags = {
            code: page.tags[code].value for code in (_ORIENTATION, _PROFILE) if code in page.tags
        }
        note = f"the first of {len(file.pages)} pages is used" if len(file.pages) > 1 else ""
        return _Decoded(pixels, tags.get(_PROFILE), int(tags.get(_ORIENTATION, 1)), note)


def _interpret(path: Path, decoded: _Decoded) -> ImageFile:
    """Turn the pixels of a file into tensors on [0, 1], upright, with alpha separate."""
    pixels = decoded.pixels[..., None] if decoded.pixels.ndim == 2 else decoded.pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        shape = decoded.pixels.shape
        raise PnpError(
            f"{path}: an image is (H, W) or (H, W, C), channels last, C at most 4, "
            f"but its shape is {shape}"
        )
    bits = {("u", 1): 8, ("u", 2): 16}.get((pixels.dtype.kind, pixels.dtype.itemsize), 32)
    if bits == 32:
        _check_floats(path, pixels)
    pixels = _upright(pixels, decoded.orientation)
    scaled = (pixels if bits == 32 else pixels / (2**bits - 1)).astype(np.float32)
    tensor = torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))[None]
    colours = 1 if tensor.shape[1] < 3 else 3
    alpha = tensor[:, colours:].contiguous() if colours < tensor.shape[1] else None
    return ImageFile(tensor[:, :colours].contiguous(), bits, alpha, decoded.profile, decoded.note)


def _check_floats(path: Path, pixels: np.ndarray) -> None:
    if pixels.dtype.kind != "f":
        raise PnpError(
            f"{path}: the range of {pixels.dtype} numbers is unknown; use uint8, uint16 or floats"
        )
    if not np.isfinite(pixels).all():
        raise PnpError(f"{path}: the image holds NaN or infinite values")
    low, high = float(pixels.min()), float(pixels.max())
    if low < FILE_VALUES[0] or high > FILE_VALUES[1]:
        raise PnpError(
            f"{path}: floats should be on [0, 1], but reach from {low:g} to {high:g}; "
            "divide by 255 or 65535"
        )


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo the rotation of the camera (EXIF orientation 1-8)."""
    turned = np.rot90(pixels, {3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}.get(orientation, 0))
    return turned[:, ::-1] if orientation in (2, 4, 5, 7) else turned


def _enlarge(alpha: Tensor, height: int, width: int) -> Tensor:
    """Linear interpolation that puts pixel (i, j) at (s i, s j), as the observation model does."""
    h, w = alpha.shape[-2:]
    if (h, w) == (height, width):
        return alpha
    rows = 2 * torch.arange(height) * h / height / max(h - 1, 1) - 1
    columns = 2 * torch.arange(width) * w / width / max(w - 1, 1) - 1
    down, across = torch.meshgrid(rows, columns, indexing="ij")
    grid = torch.stack((across, down), -1)[None]
    return F.grid_sample(alpha, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _write_tiff(path: Path, array: np.ndarray, profile: bytes | None) -> None:
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
    )


def _either(depths: tuple[int, ...]) -> str:
    return " or ".join(str(d) for d in depths)
