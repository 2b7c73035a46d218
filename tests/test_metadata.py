"""EXIF and XMP: from the input to the result, in every format that holds them."""

import warnings
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pnp.images import read_image, write_image
from pnp.metadata import Metadata, read_metadata

XMP = b'<x:xmpmeta><rdf tiff:Orientation="6" dc:title="a walk"/></x:xmpmeta>'
DATE, MAKER_NOTE, WIDTH, ORIENTATION = 0x9003, 0x927C, 0xA002, 274
EXIF, PLACE = 0x8769, 0x8825


def photo(path, **options):
    """A photograph of 6 x 4 pixels that a camera turned by 90 degrees."""
    exif = Image.Exif()
    exif[271], exif[272], exif[ORIENTATION], exif[33432] = "Maker", "Model", 6, "somebody"
    exif[256] = 4
    exif.get_ifd(EXIF).update({DATE: "2020:01:02 03:04:05", WIDTH: 4, MAKER_NOTE: b"offsets"})
    exif.get_ifd(PLACE)[1] = "N"
    information: dict[str, Any] = {}
    if path.suffix == ".png":
        from PIL import PngImagePlugin

        information["pnginfo"] = PngImagePlugin.PngInfo()
        information["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
    else:
        information["xmp"] = XMP
    pixels = np.random.default_rng(0).integers(0, 255, (6, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, exif=exif.tobytes(), **information, **options)
    return path


def written(path):
    with Image.open(path) as image:
        return image.getexif(), read_metadata(image)


@pytest.mark.parametrize("target", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("source", [".jpg", ".png", ".webp"])
def test_camera_date_place_and_rights_survive_and_sizes_do_not(tmp_path, source, target):
    image = read_image(photo(tmp_path / f"in{source}"))
    assert image.pixels.shape[-2:] == (4, 6)
    write_image(tmp_path / f"out{target}", torch.rand(3, 8, 12), like=image)
    exif, metadata = written(tmp_path / f"out{target}")
    assert (exif[271], exif[272], exif[33432]) == ("Maker", "Model", "somebody")
    assert exif.get_ifd(EXIF) == {DATE: "2020:01:02 03:04:05"} and exif.get_ifd(PLACE)[1] == "N"
    assert exif.get(ORIENTATION, 1) == 1 and 256 not in exif
    assert metadata.xmp == XMP.replace(b'"6"', b'"1"')
    again = read_image(tmp_path / f"out{target}")
    assert again.pixels.shape[-2:] == (8, 12)


@pytest.mark.parametrize("bits", [8, 16])
def test_png_and_tiff_of_all_depths_hold_them(tmp_path, bits):
    image = read_image(photo(tmp_path / "in.jpg"))
    for suffix in (".png", ".tif"):
        path = tmp_path / f"out{suffix}"
        write_image(path, torch.rand(3, 8, 12), like=image, bits=bits)
        exif, metadata = written(path)
        assert (exif[271], exif[33432]) == ("Maker", "somebody")
        assert b"a walk" in metadata.xmp and read_image(path).bits == bits
    if bits == 16:
        with tifffile.TiffFile(tmp_path / "out.tif") as file:
            assert file.pages.first.dtype == np.uint16


def test_images_without_metadata_get_none(tmp_path):
    write_image(tmp_path / "a.png", torch.rand(3, 5, 5))
    assert read_image(tmp_path / "a.png").metadata == Metadata()
    assert Metadata().for_png() == [] and Metadata().for_pillow(".jpg") == {}


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
@pytest.mark.parametrize("exif", [b"MM\0*\xff\xff\xff\xff", b"junk", b"MM\0*\0\0\0\x08\0\x05cut"])
def test_damaged_exif_costs_no_image(tmp_path, ending, exif):
    path = tmp_path / f"a.{ending}"
    with warnings.catch_warnings(action="ignore"):  # Pillow's, of what it is told to write
        Image.new("RGB", (5, 5)).save(path, exif=b"Exif\0\0" + exif)
    image = read_image(path)
    write_image(tmp_path / f"b.{ending}", image.pixels, like=image)
    assert read_image(tmp_path / f"b.{ending}").pixels.shape == (1, 3, 5, 5)
