"""What a camera wrote beside the pixels, EXIF and XMP, from the input to the result.

Kept of EXIF: camera, date, author, rights, description, exposure, place.  Not kept: the size, the
orientation (pixels are upright) and the thumbnail, which would be wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from PIL import Image as Pillow
from PIL import PngImagePlugin

TEXTS = {270: "ImageDescription", 271: "Make", 272: "Model", 306: "DateTime", 315: "Artist"}
TEXTS |= {305: "Software", 33432: "Copyright"}
"""Tags of text, in EXIF and in TIFF."""
_EXPOSURE, _PLACE, _XMP_TAG = 0x8769, 0x8825, 700
_SIZES = (0xA002, 0xA003, 0xA005, 0x927C)
"""Width, height, pointer to further entries, and the maker's notes, which point into the file."""
_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>))[2-8]")
_XMP_KEY = "XML:com.adobe.xmp"


@dataclass(frozen=True)
class Metadata:
    """EXIF and XMP, as bytes of a file; empty if there is none."""

    exif: bytes = b""
    xmp: bytes = b""

    def for_pillow(self, suffix: str) -> dict[str, Any]:
        """Arguments of Pillow's `save` for a file of this suffix."""
        if suffix == ".bmp":
            return {}
        options: dict[str, Any] = {"exif": self.exif} if self.exif else {}
        if self.xmp and suffix == ".png":
            information = PngImagePlugin.PngInfo()
            information.add_itxt(_XMP_KEY, self.xmp.decode("utf-8", "replace"))
            return options | {"pnginfo": information}
        return options | ({"xmp": self.xmp} if self.xmp else {})

    def for_png(self) -> list[tuple[bytes, bytes]]:
        """Chunks of a PNG file: kind and content."""
        chunks = [(b"eXIf", self.exif.removeprefix(b"Exif\0\0"))] if self.exif else []
        text = _XMP_KEY.encode() + b"\0\0\0\0\0" + self.xmp
        return chunks + ([(b"iTXt", text)] if self.xmp else [])

    def for_tiff(self) -> list[tuple[int, str, int, Any, bool]]:
        """Further tags of a TIFF file, for tifffile: texts and XMP."""
        tags: list[tuple[int, str, int, Any, bool]] = []
        exif = Pillow.Exif()
        exif.load(self.exif)
        for code in TEXTS.keys() - {270, 305, 306}:  # tifffile writes these three itself
            if isinstance(text := exif.get(code), str) and text.isascii() and text:
                tags.append((code, "s", 0, text, True))
        if self.xmp:
            tags.append((_XMP_TAG, "B", len(self.xmp), self.xmp, True))
        return tags


def read_metadata(image: Pillow.Image) -> Metadata:
    """The metadata of an opened file; what is damaged is left out."""
    try:
        exif = _kept(image.getexif())
    except Exception:  # damaged EXIF has many errors, and none is worth losing the image
        exif = b""
    xmp = image.info.get("xmp") or image.info.get(_XMP_KEY) or b""
    if image.format == "TIFF" and not xmp:
        xmp = getattr(image, "tag_v2", {}).get(_XMP_TAG, b"")
    xmp = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
    return Metadata(exif, _ORIENTATION.sub(rb"\g<1>1", xmp))


def _kept(found: Pillow.Exif) -> bytes:
    kept = Pillow.Exif()
    for code in TEXTS:
        if isinstance(found.get(code), str):
            kept[code] = found[code]
    for group in (_EXPOSURE, _PLACE):
        entries = {c: v for c, v in found.get_ifd(group).items() if c not in _SIZES}
        if entries:
            kept.get_ifd(group).update(entries)
    return kept.tobytes() if len(kept) or kept.get_ifd(_EXPOSURE) or kept.get_ifd(_PLACE) else b""
