"""Contents of files for the table of bad inputs: images, arrays, archives, checkpoints."""

from __future__ import annotations

import io
import os
import pickle
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import tifffile
import torch
from PIL import Image
from scipy.io import savemat

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
DEEP = PIXELS.astype(np.uint16) * 257
TAPS = np.full((3, 3), 1 / 9)
POINTER = "version https://git-lfs.github.com/spec/v1\n"
PAGE = "<!DOCTYPE html><html>404</html>"


def picture(pixels: Any = PIXELS, form: str = "PNG", mode: str = "", **options: Any) -> bytes:
    """An image file of pixels, converted to a mode of Pillow."""
    image = Image.fromarray(np.asarray(pixels))
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, form, **options)
    return buffer.getvalue()


def tiff(pixels: Any, photometric: Any = "rgb", **options: Any) -> bytes:
    """A TIFF by tifffile."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric=photometric, metadata=None, **options)
    return buffer.getvalue()


def pages(*pixels: Any, **options: Any) -> bytes:
    """A TIFF of several pages."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for i, one in enumerate(pixels):
            file.write(one, photometric="rgb", metadata=None, **(options if i == 0 else {}))
    return buffer.getvalue()


def animation(form: str = "GIF") -> bytes:
    """Two frames."""
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    buffer = io.BytesIO()
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def rotated(orientation: Any = 6) -> bytes:
    """A JPEG that the camera took on its side: 20 columns and 24 rows when upright."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture(PIXELS[:20], "JPEG", exif=exif)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def png_header(width: int, height: int, bits: int = 8, colour: int = 0) -> bytes:
    """A PNG whose header states a size, with few pixels."""
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    body = chunk(b"IHDR", size + bytes([bits, colour, 0, 0, 0]))
    body += chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def bmp_header(width: int, height: int) -> bytes:
    """A BMP whose header states a size."""
    content = bytearray(picture(form="BMP"))
    content[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    return bytes(content)


def npy(array: Any, pickled: bool = False) -> bytes:
    """An array as .npy."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=pickled)
    return buffer.getvalue()


def npy_header(shape: tuple[int, ...], kind: str = "<f8") -> bytes:
    """The header of an array, and too few values."""
    buffer = io.BytesIO()
    told = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, told)
    return buffer.getvalue() + bytes(100)


def npz(**arrays: Any) -> bytes:
    """An archive of arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    """A ZIP archive of one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def zip_bomb(name: str = "k.npy") -> bytes:
    """A ZIP archive whose table of contents states 8 GB."""
    content = bytearray(zipped(name, bytes(2000)))
    at = content.index(b"PK\1\2")
    content[at + 24 : at + 28] = (2**32 - 2).to_bytes(4, "little")
    return bytes(content)


def matlab(**values: Any) -> bytes:
    """A MATLAB file."""
    buffer = io.BytesIO()
    savemat(buffer, values)
    return buffer.getvalue()


def checkpoint(value: Any) -> bytes:
    """A .pth file."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def torchscript() -> bytes:
    """A network as a program."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch will remove it
        torch.jit.save(torch.jit.trace(torch.nn.Identity(), torch.ones(1)), buffer)
    return buffer.getvalue()


def quantised() -> torch.Tensor:
    """A tensor of whole numbers that stand for real ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch will remove it
        return torch.quantize_per_tensor(torch.ones(2), 1, 0, torch.quint8)


def tensors(**values: Any) -> bytes:
    """A .safetensors file."""
    return safetensors.torch.save({k.replace("__", "."): v for k, v in values.items()})


def safetensors_header(text: bytes, size: int | None = None) -> bytes:
    """A .safetensors file with this header."""
    return struct.pack("<Q", len(text) if size is None else size) + text


class Program:
    """Its pickle creates a file when it is executed."""

    def __reduce__(self) -> Any:
        return (open, ("executed", "w"))


def program(protocol: int = 2) -> bytes:
    """A pickle that would execute code."""
    return pickle.dumps({"a": Program()}, protocol)


def folder(path: Path) -> None:
    """A folder in the place of a file."""
    path.mkdir()


def link_to(target: str) -> Any:
    """A symbolic link."""
    return lambda path: os.symlink(target, path)


def hole(content: bytes, size: int) -> Any:
    """A file of this size of which only the beginning takes space on the disk."""

    def make(path: Path) -> None:
        path.write_bytes(content)
        os.truncate(path, size)

    return make
