"""Decoders of image files: PNG, TIFF, JPEG, WebP, BMP, GIF, PPM, JPEG 2000, AVIF and .npy.

Pillow reads images of 8 bits.  It would reduce colour images of 16 bits to 8, so `deep_png` reads
such PNGs and tifffile such TIFFs.  No other format is tried, whatever the name of the file: Pillow
starts programs for some (EPS).  A camera's raw file is refused, since what Pillow finds in it is a
thumbnail.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from pnp import deep_png
from pnp.downloads import check_downloaded
from pnp.errors import PnpError
from pnp.limits import check_array, check_pixels
from pnp.metadata import Metadata, read_metadata
from pnp.transparency import unpremultiplied, with_colour_key

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
"""What Pillow may read; its names."""
LOSSY = ("JPEG", "MPO", "WEBP", "JPEG2000", "AVIF")
"""Those that mostly change the pixels when they are written."""
LISTED = "PNG, TIFF, JPEG, WebP, BMP, GIF, PPM, JPEG 2000, AVIF, .npy"

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_RAW_HEADS = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"\0MRM", b"FOVb")
_RAW_SUFFIXES = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc"),
    *(".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl"),
    *(".sr2", ".srf", ".srw", ".x3f"),
)
_ORIENTATION, _PROFILE = 0x0112, 0x8773  # numbers of EXIF and TIFF tags
_DNG_VERSION, _MOSAIC, _LINEAR_RAW = 50706, 32803, 34892
_SEARCHED = 4  # pages of a TIFF that are searched for the values of a sensor
_GAP = rb"(?:\s|#[^\n]*\n)+"
_PPM = re.compile(rb"(P[36])" + 3 * (_GAP + rb"(\d{1,9})") + rb"\s")
_size_check = threading.Lock()


@dataclass
class Decoded:
    """The result of a decoder: pixels (H, W) or (H, W, C) as in the file, and header entries."""

    pixels: np.ndarray
    profile: bytes | None = None
    orientation: int = 1
    note: str = ""
    metadata: Metadata = field(default_factory=Metadata)
    lossy: str = ""
    """The file's format, if it changes pixels when it is written."""


def decode(path: Path) -> Decoded:
    """The pixels of a file that exists; PnpError if it cannot be read as an image."""
    try:
        with path.open("rb") as file:
            head = file.read(32)
        if not head:
            raise PnpError(f"{path}: the file is empty")
        _refuse_raw(path, head)
        check_downloaded(path)
        if path.suffix.lower() == ".npy":
            return _decode_npy(path)
        if deep_png.is_deep(head):
            return _decode_deep_png(path)
        if head[:2] in (b"P3", b"P6") and (deep := _decode_deep_ppm(path)) is not None:
            return deep
        if head.startswith(_TIFF) and (deep := _decode_deep_tiff(path)) is not None:
            return deep
        return _decode_with_pillow(path)
    except PnpError:
        raise
    except Pillow.UnidentifiedImageError as e:
        raise PnpError(f"{path}: this is not an image of a known format ({LISTED})") from e
    except Exception as e:  # each decoder has its own errors; the user gets one message
        raise PnpError(
            f"{path}: the image cannot be read; is it damaged or cut off? ({first_line(e)})"
        ) from e


def first_line(error: BaseException) -> str:
    """The first line of another library's error, short enough for a message."""
    return (str(error) or type(error).__name__).splitlines()[0][:100]


def from_pillow(image: Pillow.Image, where: str) -> np.ndarray:
    """The pixels of a Pillow image: grey or RGB, with alpha if it has any transparency.

    Raises:
        PnpError: The range of its numbers is unknown, or its colours depend on an output device;
            the message starts with `where`.
    """
    if image.mode in ("CMYK", "LAB"):
        raise PnpError(
            f"{where}: the colours are {image.mode}, and their conversion to RGB depends on the "
            "profile; convert it to sRGB in an editor, or: magick IN -profile sRGB.icc OUT.png"
        )
    if image.mode == "1":
        image = image.convert("L")
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("L", "LA", "La") else "RGBA")
    elif image.mode not in ("L", "F") and not image.mode.startswith("I"):
        image = image.convert("RGB")
    pixels = np.asarray(image)
    if pixels.dtype.kind == "i":  # Pillow before version 11 widens grey images of 16 bits to 32
        if pixels.min() < 0 or pixels.max() > 65535:
            raise PnpError(
                f"{where}: the range of 32-bit whole numbers is unknown; "
                "save the image with 16 bits"
            )
        pixels = pixels.astype(np.uint16)
    return pixels


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file as a Pillow image of which only the header has been read, of a plausible size.

    It is opened here and not by Pillow, which would map an uncompressed TIFF into memory, and then
    mixes up the rows of a rotated one (Pillow 13).
    """
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # damage becomes one PnpError
    with path.open("rb") as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged EXIF
        with _size_check:  # `check_pixels` takes the place of Pillow's own limit
            usual, Pillow.MAX_IMAGE_PIXELS = Pillow.MAX_IMAGE_PIXELS, None
            try:
                Pillow.init()
                image = Pillow.open(opened, formats=[f for f in FORMATS if f in Pillow.OPEN])
            finally:
                Pillow.MAX_IMAGE_PIXELS = usual
        with image:
            check_pixels(path, *image.size)
            yield image


def _orientation(image: Pillow.Image) -> int:
    """The camera's orientation, 1 to 8; 1 for damaged EXIF, which is not worth losing the image."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # Pillow and struct have many errors
        return 1


def _is_lossless_webp(path: Path) -> bool:
    """Whether the pixels of this WebP are in a chunk VP8L."""
    with path.open("rb") as file:
        is_webp = file.read(12)[8:] == b"WEBP"
        while is_webp and len(head := file.read(8)) == 8:
            if head[:4] in (b"VP8L", b"VP8 "):
                return head[:4] == b"VP8L"
            size = int.from_bytes(head[4:], "little")
            file.seek(size + size % 2, 1)
    return False


def _decode_with_pillow(path: Path) -> Decoded:
    with _opened(path) as file:
        # The further frames of MPO files are previews made by the camera.
        frames = getattr(file, "n_frames", 1) if file.format != "MPO" else 1
        file.load()
        orientation = _orientation(file)
        metadata = read_metadata(file)
        keeps_colours = file.mode in ("RGB", "RGBA", "RGBa", "L", "LA", "La", "P", "PA")
        profile = file.info.get("icc_profile") if keeps_colours else None
        key = file.info.get("transparency")
        if file.format == "PNG" and file.mode in ("1", "L") and isinstance(key, int):
            # Pillow scales grey levels of 1, 2 and 4 bits to 8, but not the transparent one.
            top = 2 ** deep_png.depth(path.read_bytes()) - 1
            pixels = np.asarray(file.convert("L") if file.mode == "1" else file)[..., None]
            pixels = with_colour_key(pixels, ((key & top) * (255 // top),))
        else:
            pixels = from_pillow(file, str(path))
        lossy = file.format if file.format in LOSSY and not _is_lossless_webp(path) else ""
    note = f"the first of {frames} frames is used" if frames > 1 else ""
    return Decoded(pixels, profile, orientation, note, metadata, lossy)


def _decode_npy(path: Path) -> Decoded:
    with path.open("rb") as file:
        shape = check_array(path, file, path.stat().st_size)
    if len(shape) > 1:
        check_pixels(path, shape[1], shape[0])
    return Decoded(np.load(path, allow_pickle=False))


def _decode_deep_png(path: Path) -> Decoded:
    with _opened(path) as image:
        profile = image.info.get("icc_profile")
        orientation, metadata = _orientation(image), read_metadata(image)
    pixels = deep_png.decode(path.read_bytes())
    return Decoded(pixels, profile, orientation, metadata=metadata)


def _decode_deep_ppm(path: Path) -> Decoded | None:
    """The pixels of a PPM of more than 8 bits; None for 8 bits, which Pillow reads."""
    data = path.read_bytes()
    header = _PPM.match(data)
    if header is None or not 255 < (top := int(header[4])) < 65536:
        return None
    width, height = int(header[2]), int(header[3])
    check_pixels(path, width, height)
    count, start = 3 * width * height, header.end()
    if header[1] == b"P6":
        pixels = np.frombuffer(data, ">u2", count, start)
    else:
        pixels = np.array(data[start:].split()[:count], dtype=np.int64)
    if pixels.max() > top:
        raise PnpError(f"{path}: a value of the PPM is above its largest, {top}")
    scaled = np.round(pixels * (65535 / top)).astype(np.uint16)
    return Decoded(scaled.reshape(height, width, 3))


def _decode_deep_tiff(path: Path) -> Decoded | None:
    """The first page of a TIFF of more than 8 bits; None for 8 bits, which Pillow reads.

    8 bits are read here where Pillow does not: grey with associated alpha (before version 13), and
    colours without a sign that they are RGB.
    """
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # damage becomes one PnpError
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages.first
        _refuse_mosaic(path, file, page)
        if page.samplesperpixel > 4:
            raise PnpError(
                f"{path}: this TIFF has {page.samplesperpixel} channels; "
                "save it as RGB or grey, with or without transparency"
            )
        associated = tifffile.EXTRASAMPLE.ASSOCALPHA in page.extrasamples[:1]
        grey = page.photometric == tifffile.PHOTOMETRIC.MINISBLACK
        samples = page.samplesperpixel
        if page.dtype is None or (
            page.dtype.itemsize == 1 and not (grey and (associated or samples > 2))
        ):
            return None
        check_pixels(path, page.imagewidth, page.imagelength)
        kind, bits = tifffile.PHOTOMETRIC(page.photometric).name, page.bitspersample
        if kind not in ("RGB", "MINISBLACK") or bits != 8 * page.dtype.itemsize:
            raise PnpError(
                f"{path}: this is a TIFF of {bits} bits and kind {kind}; "
                "save it as RGB or grey, 8 or 16 bits"
            )
        pixels = _pixels_of_page(path, page)
        if associated:
            pixels = unpremultiplied(pixels)
        tags = {
            code: page.tags[code].value for code in (_ORIENTATION, _PROFILE) if code in page.tags
        }
        note = f"the first of {len(file.pages)} pages is used" if len(file.pages) > 1 else ""
        profile, orientation = tags.get(_PROFILE), int(tags.get(_ORIENTATION, 1))
        return Decoded(pixels, profile, orientation, note, _metadata_of_tiff(path))


def _metadata_of_tiff(path: Path) -> Metadata:
    try:
        with _opened(path) as image:
            return read_metadata(image)
    except Pillow.UnidentifiedImageError:  # Pillow does not know all kinds of pixels
        return Metadata()


def _pixels_of_page(path: Path, page: Any) -> np.ndarray:
    import tifffile

    try:
        pixels = page.asarray()
    except ValueError as e:
        if "imagecodecs" not in str(e):
            raise
        method = tifffile.COMPRESSION(page.compression).name
        raise PnpError(
            f"{path}: a TIFF of {page.bitspersample} bits compressed with {method} "
            "needs the package imagecodecs (pip install imagecodecs); "
            "or save it uncompressed or with deflate"
        ) from e
    return np.moveaxis(pixels, 0, -1) if page.axes == "SYX" else pixels


def _refuse_raw(path: Path, head: bytes) -> None:
    """Refuse the raw files of cameras, by their first bytes and their suffixes."""
    by_head = head.startswith(_RAW_HEADS) or head[8:10] == b"CR" or head[4:12] == b"ftypcrx "
    if by_head or path.suffix.lower() in _RAW_SUFFIXES:
        raise _raw(path)


def _refuse_mosaic(path: Path, file: Any, page: Any) -> None:
    """Refuse a TIFF that holds a sensor's values, or whose first page is a thumbnail."""
    pages = [page, *(page.pages or ()), *file.pages[1:_SEARCHED]]
    kinds = {int(p.photometric) for p in pages}
    if _DNG_VERSION in page.tags or kinds & {_MOSAIC, _LINEAR_RAW}:
        raise _raw(path)
    if page.is_reduced:
        raise PnpError(
            f"{path}: the first page of this TIFF is a thumbnail of {page.imagewidth} x "
            f"{page.imagelength} pixels; save the picture alone"
        )


def _raw(path: Path) -> PnpError:
    return PnpError(
        f"{path}: this is a camera's raw file, which holds the sensor's values and a thumbnail; "
        "develop it (darktable, RawTherapee) and save a PNG or TIFF of 16 bits"
    )
