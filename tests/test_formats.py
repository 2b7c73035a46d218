"""Kinds of files: interlaced and colour-keyed PNGs, premultiplied TIFFs, raw files, limits of size."""

import subprocess
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pnp.errors import PnpError
from pnp.images import read_image, write_image
from pnp.limits import MEGAPIXELS

PASSES = [
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
]
"""Of Adam7: first row and column, and the steps, as the table of the PNG specification has them."""
COLOUR_TYPES = {
    "grey": (0, 1),
    "rgb": (2, 3),
    "palette": (3, 1),
    "grey+alpha": (4, 2),
    "rgba": (6, 4),
}


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def packed_rows(part: np.ndarray, bits: int) -> bytes:
    """The rows of an array (H, W, C) of levels, unfiltered, packed to whole bytes."""
    rows = []
    for row in part.reshape(len(part), -1):
        if bits == 16:
            rows.append(b"\0" + row.astype(">u2").tobytes())
        else:
            planes = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :]
            rows.append(b"\0" + np.packbits(planes.ravel()).tobytes())
    return b"".join(rows)


def png(levels, bits, kind, *, interlaced=False, chunks=b""):
    """A PNG of levels (H, W, C) as they are stored."""
    height, width, channels = levels.shape
    colour, count = COLOUR_TYPES[kind]
    assert channels == count
    parts = [levels[y::dy, x::dx] for y, x, dy, dx in PASSES] if interlaced else [levels]
    data = b"".join(packed_rows(part, bits) for part in parts if part.size)
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    header = chunk(b"IHDR", size + bytes([bits, colour, 0, 0, int(interlaced)]))
    body = header + chunks + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def random_levels(seed, height, width, channels, bits):
    return np.random.default_rng(seed).integers(0, 2**bits, (height, width, channels))


# ---------------------------------------------------------------- PNG


@given(
    st.integers(1, 20), st.integers(1, 20), st.sampled_from(["grey", "rgb", "grey+alpha", "rgba"])
)
def test_interlaced_PNGs_of_16_bits_are_read_as_plain_ones(tmp_path_factory, height, width, kind):
    folder = tmp_path_factory.mktemp("adam7")
    levels = random_levels(height * width, height, width, COLOUR_TYPES[kind][1], 16)
    (folder / "plain.png").write_bytes(png(levels, 16, kind))
    (folder / "adam7.png").write_bytes(png(levels, 16, kind, interlaced=True))
    plain, interlaced = read_image(folder / "plain.png"), read_image(folder / "adam7.png")
    assert interlaced.bits == 16 and torch.equal(plain.pixels, interlaced.pixels)
    assert (plain.alpha is None) == (interlaced.alpha is None)
    if plain.alpha is not None and interlaced.alpha is not None:
        assert torch.equal(plain.alpha, interlaced.alpha)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("kind", "bits"), [("grey", b) for b in (1, 2, 4, 8, 16)] + [("rgb", 8), ("rgb", 16)]
)
def test_the_transparent_colour_of_a_PNG_is_transparent_and_no_other(
    tmp_path, kind, bits, interlaced
):
    channels = COLOUR_TYPES[kind][1]
    levels = random_levels(bits, 12, 9, channels, bits)
    key = levels[5, 4]
    levels[2, :4] = key
    if channels == 3:  # a colour that shares two channels with the transparent one
        levels[8, 8] = [*key[:2], key[2] ^ 1]
    transparent = chunk(b"tRNS", b"".join(int(v).to_bytes(2, "big") for v in key))
    content = png(levels, bits, kind, interlaced=interlaced, chunks=transparent)
    (tmp_path / "a.png").write_bytes(content)
    image = read_image(tmp_path / "a.png")
    assert image.bits == max(bits, 8) and image.pixels.shape[1] == channels
    expected = torch.from_numpy(levels / (2**bits - 1)).permute(2, 0, 1)[None].float()
    assert torch.allclose(image.pixels, expected, atol=1e-6)
    assert image.alpha is not None
    assert np.array_equal(image.alpha[0, 0].numpy(), 1.0 - (levels == key).all(-1))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_transparent_colours_of_a_palette(tmp_path, bits):
    colours = min(2**bits, 5)
    levels = random_levels(bits, 12, 9, 1, bits) % colours
    palette = random_levels(9, colours, 3, 1, 8).astype(np.uint8)
    alpha = bytes([0, 255, 100][: colours - 1])  # those that are not listed are opaque
    chunks = chunk(b"PLTE", palette.tobytes()) + chunk(b"tRNS", alpha)
    (tmp_path / "a.png").write_bytes(png(levels, bits, "palette", chunks=chunks))
    image = read_image(tmp_path / "a.png")
    expected = np.array([*alpha, *[255] * (colours - len(alpha))])[levels[..., 0]]
    assert image.alpha is not None
    assert np.array_equal((255 * image.alpha[0, 0]).round().numpy(), expected)
    shown = (255 * image.pixels[0].permute(1, 2, 0)).round().numpy()
    assert np.array_equal(shown, palette[levels[..., 0], :, 0])


@pytest.mark.parametrize("name", ["keyed.png", "keyed16.png"])
def test_a_colour_key_is_written_back_as_alpha(tmp_path, name):
    bits = 16 if "16" in name else 4
    levels = random_levels(0, 6, 5, 1, bits)
    key = chunk(b"tRNS", int(levels[0, 0, 0]).to_bytes(2, "big"))
    (tmp_path / name).write_bytes(png(levels, bits, "grey", chunks=key))
    image = read_image(tmp_path / name)
    write_image(tmp_path / "out.png", image.pixels, like=image)
    again = read_image(tmp_path / "out.png")
    assert again.alpha is not None and image.alpha is not None
    assert torch.equal(again.alpha, image.alpha) and torch.equal(again.pixels, image.pixels)


# ---------------------------------------------------------------- PPM


@pytest.mark.parametrize("top", [255, 1023, 65535])
@pytest.mark.parametrize("kind", ["P3", "P6"])
def test_a_PPM_keeps_its_bits(tmp_path, kind, top):
    stored = np.random.default_rng(0).integers(0, top + 1, (5, 7, 3))
    text = " ".join(map(str, stored.ravel())).encode()
    body = stored.astype(">u2" if top > 255 else "u1").tobytes() if kind == "P6" else text
    (tmp_path / "a.ppm").write_bytes(f"{kind}\n# a comment\n7 5\n{top}\n".encode() + body)
    pixels = np.moveaxis(read_image(tmp_path / "a.ppm").pixels[0].numpy(), 0, -1)
    assert np.abs(pixels - stored / top).max() <= 0.51 / (255 if top == 255 else 65535)


# ---------------------------------------------------------------- TIFF


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float16"])
def test_premultiplied_colours_are_read_as_straight_ones(tmp_path, channels, dtype):
    rng = np.random.default_rng(0)
    colours, alpha = rng.random((12, 9, channels)), np.tile(np.linspace(0, 1, 9), (12, 1))
    top = np.iinfo(dtype).max if dtype.startswith("u") else 1
    for name, factor in (("assocalpha", alpha[..., None]), ("unassalpha", 1)):
        stored = np.dstack([colours * factor, alpha]) * top
        stored = (stored.round() if top > 1 else stored).astype(dtype)
        kind = "rgb" if channels == 3 else "minisblack"
        options: dict[str, Any] = {
            "photometric": kind,
            "extrasamples": [name],
            "planarconfig": "contig",
        }
        tifffile.imwrite(tmp_path / f"{name}.tif", stored, **options)
    straight = read_image(tmp_path / "unassalpha.tif")
    divided = read_image(tmp_path / "assocalpha.tif")
    assert straight.bits == divided.bits and straight.alpha is not None
    assert divided.alpha is not None and torch.equal(straight.alpha, divided.alpha)
    error = (straight.pixels - divided.pixels).abs() * straight.alpha
    rounding = {"uint8": 1.6 / 255, "uint16": 1.6 / 65535, "float32": 1e-6, "float16": 2e-3}
    assert float(error.max()) <= rounding[dtype]


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_8_bits_that_are_not_called_RGB_are_read(tmp_path, channels):
    stored = np.random.default_rng(0).integers(0, 256, (12, 9, channels), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", planarconfig="contig")
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_allclose(np.moveaxis(image.pixels[0].numpy(), 0, -1), stored[..., :3] / 255)
    assert (image.alpha is None) == (channels == 3)


def test_a_TIFF_that_begins_with_a_thumbnail_is_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((4, 5, 3), np.uint8), photometric="rgb", subfiletype=1)
        file.write(np.zeros((40, 50, 3), np.uint8), photometric="rgb")
    with pytest.raises(PnpError, match=r"a.tif: the first page .* thumbnail of 5 x 4"):
        read_image(tmp_path / "a.tif")


# ---------------------------------------------------------------- raw files


def raw_tiff(path, tags=(), nested=True, photometric=32803):
    """As cameras write them: a small picture first, the sensor's values in a further directory."""
    mosaic = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, b"\0\1\1\2", True)]
    with tifffile.TiffWriter(path) as file:
        small = np.zeros((6, 8, 3), np.uint8)
        file.write(small, photometric="rgb", subifds=int(nested), extratags=tags, metadata=None)
        values = np.zeros((48, 64, 3) if photometric == 34892 else (48, 64), np.uint16)
        file.write(values, photometric=photometric, extratags=mosaic, metadata=None)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("photometric", [32803, 34892])
@pytest.mark.parametrize("suffix", [".dng", ".nef", ".arw", ".tif", ".png"])
def test_the_sensors_values_are_refused_and_never_their_thumbnail(
    tmp_path, suffix, photometric, nested
):
    raw_tiff(tmp_path / f"a{suffix}", nested=nested, photometric=photometric)
    with pytest.raises(PnpError, match=rf"a{suffix}: this is a camera's raw file.*develop it"):
        read_image(tmp_path / f"a{suffix}")


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.cr2", b"II*\0\x10\0\0\0CR\2\0"),
        ("renamed.tif", b"II*\0\x10\0\0\0CR\2\0"),
        ("a.cr3", b"\0\0\0\x18ftypcrx \0\0\0\1"),
        ("a.raf", b"FUJIFILMCCD-RAW 0201"),
        ("a.orf", b"IIRO\x08\0\0\0"),
        ("a.rw2", b"IIU\0\x18\0\0\0"),
        ("a.MRW", b"\0MRM\0\0\0\0"),
        ("a.NEF", b"MM\0*\0\0\0\x08"),
        ("a.x3f", b"FOVb\0\0\0\0"),
        ("renamed.jpg", b"FUJIFILMCCD-RAW 0201"),
    ],
)
def test_raw_files_are_known_by_their_beginnings_and_their_suffixes(tmp_path, name, head):
    (tmp_path / name).write_bytes(head.ljust(500, b"\0"))
    with pytest.raises(PnpError, match="camera's raw file"):
        read_image(tmp_path / name)


def test_a_DNG_of_finished_colours_is_refused_too(tmp_path):
    raw_tiff(
        tmp_path / "a.tif", tags=[(50706, "B", 4, b"\1\4\0\0", True)], photometric="minisblack"
    )
    with pytest.raises(PnpError, match="camera's raw file"):
        read_image(tmp_path / "a.tif")


# ---------------------------------------------------------------- formats that are not named


@pytest.mark.parametrize("name", ["a.eps", "a.png", "a.tif", "a.jpg"])
def test_no_program_is_started_for_an_image(tmp_path, monkeypatch, name):
    """EPS is a program for Ghostscript, whatever the file is called."""
    lines = [b"%!PS-Adobe-3.0 EPSF-3.0", b"%%BoundingBox: 0 0 9 9", b"%%EndComments", b"showpage"]
    (tmp_path / name).write_bytes(b"\n".join(lines))

    def start(*arguments, **options):
        raise AssertionError("a program was started")

    for function in ("Popen", "run", "call", "check_call", "check_output"):
        monkeypatch.setattr(subprocess, function, start)
    with pytest.raises(PnpError, match="not an image of a known format"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("kind", ["TGA", "PCX", "ICO", "SGI", "IM", "PDF", "DDS", "XBM"])
def test_formats_that_are_not_named_are_not_read(tmp_path, kind):
    image = Image.new("1" if kind == "XBM" else "RGB", (16, 16))
    image.save(tmp_path / "a.png", kind)
    with pytest.raises(PnpError, match=r"not an image of a known format \(PNG, TIFF, JPEG"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP", "BMP", "GIF", "PPM", "JPEG2000"])
def test_formats_that_are_named_are_read_whatever_the_suffix(tmp_path, kind):
    Image.new("RGB", (16, 12), (200, 100, 50)).save(tmp_path / "a.xyz", kind)
    assert read_image(tmp_path / "a.xyz").pixels.shape == (1, 3, 12, 16)


# ---------------------------------------------------------------- sizes


def bombs(folder):
    """Small files whose headers state 200 megapixels."""
    side = (20_000).to_bytes(4, "big") + (10_000).to_bytes(4, "big")
    for bits in (1, 8, 16):
        header = chunk(b"IHDR", side + bytes([bits, 0, 0, 0, 0]))
        body = header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
        (folder / f"{bits}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    for dtype in ("uint8", "uint16", "float32"):
        path = folder / f"{dtype}.tif"
        tifffile.imwrite(path, np.zeros((16, 16), dtype), photometric="minisblack", metadata=None)
        with tifffile.TiffFile(path, mode="r+") as file:
            tags = file.pages.first.tags
            tags["ImageWidth"].overwrite(20_000)
            tags["ImageLength"].overwrite(10_000)
    Image.new("L", (4, 4)).save(folder / "a.bmp")
    content = bytearray((folder / "a.bmp").read_bytes())
    content[18:26] = (20_000).to_bytes(4, "little") + (10_000).to_bytes(4, "little")
    (folder / "a.bmp").write_bytes(content)
    with (folder / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (10_000, 20_000)}
        )
        file.truncate(file.tell() + 200_000_000)  # a hole, which takes no space on the disk
    return sorted(folder.iterdir())


def test_sizes_beyond_the_limit_are_refused_by_the_header(tmp_path, monkeypatch):
    from PIL import ImageFile as PillowFile

    def load(*arguments):
        raise AssertionError("pixels were read")

    monkeypatch.setattr(PillowFile.ImageFile, "load", load)
    monkeypatch.setattr(np, "load", load)
    monkeypatch.setattr("tifffile.TiffPage.asarray", load)
    monkeypatch.setattr("pnp.deep_png.decode", load)
    found = bombs(tmp_path)
    assert len(found) == 8
    for path in found:
        with pytest.raises(PnpError, match=r"20000 x 10000 pixels.*limit is 100 megapixels") as e:
            read_image(path)
        assert f"{MEGAPIXELS}=200" in str(e.value)


def test_the_limit_of_size_can_be_raised_and_lowered(tmp_path, monkeypatch):
    """Pillow's own limit of 179 megapixels does not count."""
    pixels = np.zeros((50, 40), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read_image(tmp_path / "a.png").pixels.shape == (1, 1, 50, 40)
    assert Image.MAX_IMAGE_PIXELS == 10
    monkeypatch.setenv(MEGAPIXELS, "0.0019")
    with pytest.raises(PnpError, match=r"40 x 50 pixels, but the limit is 0\.0019 megapixels"):
        read_image(tmp_path / "a.png")
    for text in ("many", "-1", "0", "nan"):
        monkeypatch.setenv(MEGAPIXELS, text)
        with pytest.raises(PnpError, match=f"{MEGAPIXELS} is '{text}', but should be a number"):
            read_image(tmp_path / "a.png")
