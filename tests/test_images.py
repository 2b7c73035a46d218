"""Images are read without loss, written in kind, and bad files are named for what they are."""

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
from pnp.files import atomic
from pnp.images import ImageFile, read_image, write_image

rng = np.random.default_rng(0)


def picture(height=9, width=7, channels=3, bits=8):
    shape = (height, width) if channels == 1 else (height, width, channels)
    return rng.integers(0, 2**bits, shape).astype(np.uint8 if bits == 8 else np.uint16)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_what_is_read_is_written_back_unchanged(tmp_path, channels, bits, suffix):
    array = picture(channels=channels, bits=bits)
    exact = tmp_path / "exact.npy"
    np.save(exact, array)
    original = read_image(exact)
    write_image(tmp_path / f"a{suffix}", original.pixels, like=original)
    again = read_image(tmp_path / f"a{suffix}")
    assert again.bits == bits
    assert (
        again.pixels.shape == (1, 3 if channels > 2 else 1, 9, 7)
        and again.pixels.dtype == torch.float32
    )
    assert torch.equal(again.pixels, original.pixels)
    assert (again.alpha is None) == (channels in (1, 3))
    if again.alpha is not None and original.alpha is not None:
        assert torch.equal(again.alpha, original.alpha)
    stored = again.pixels if again.alpha is None else torch.cat((again.pixels, again.alpha), 1)
    assert np.array_equal(
        (stored[0].permute(1, 2, 0).double().numpy() * (2**bits - 1)).round().squeeze(), array
    )


def test_pngs_of_16_bits_agree_with_another_reader(tmp_path):
    write_image(tmp_path / "grey.png", torch.rand(1, 1, 9, 7), bits=16)
    ours = read_image(tmp_path / "grey.png").pixels[0, 0].numpy()
    with Image.open(tmp_path / "grey.png") as image:
        assert np.allclose(np.asarray(image) / 65535, ours, atol=1e-6)
    colours = torch.rand(1, 3, 9, 7)
    write_image(tmp_path / "colour.png", colours, bits=16)
    with Image.open(tmp_path / "colour.png") as image:  # Pillow keeps the upper 8 bits
        image.load()
        assert (
            np.abs(np.asarray(image) / 255 - colours[0].permute(1, 2, 0).numpy()).max() < 1.01 / 255
        )


def test_tiffs_of_16_bits_agree_with_another_writer(tmp_path):
    array = picture(channels=3, bits=16)
    variants: dict[str, dict[str, Any]] = {
        "plain": {},
        "planes": {"planarconfig": "separate"},
        "deflate": {"compression": "zlib"},
    }
    for name, options in variants.items():
        planes = array.transpose(2, 0, 1) if name == "planes" else array
        tifffile.imwrite(tmp_path / f"{name}.tif", planes, photometric="rgb", **options)
        got = read_image(tmp_path / f"{name}.tif")
        assert got.bits == 16 and np.array_equal(
            got.pixels[0].permute(1, 2, 0).numpy(), (array / 65535).astype(np.float32)
        )


@pytest.mark.parametrize("name", ["exact.npy", "exact.tif"])
def test_floats_are_exact(tmp_path, name):
    x = torch.randn(1, 3, 5, 6).mul(0.1).add(0.5)
    write_image(tmp_path / name, x, bits=32)
    again = read_image(tmp_path / name)
    assert again.bits == 32 and torch.equal(again.pixels, x)


@given(st.integers(0, 254), st.sampled_from([0.25, 0.5, 0.75]))
def test_rounding_is_half_to_even_after_the_clamp(tmp_path_factory, level, fraction):
    path = tmp_path_factory.mktemp("r") / "r.png"
    value = (level + fraction) / 255
    write_image(path, torch.tensor([value, -3.0, 7.0], dtype=torch.float32).reshape(1, 1, 1, 3))
    with Image.open(path) as image:
        assert np.asarray(image)[0].tolist() == [
            int(np.rint(np.float64(np.float32(value)) * 255)),
            0,
            255,
        ]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".deep.tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_orientation_of_the_camera_is_applied(tmp_path, orientation, suffix, channels):
    alpha = np.arange(24, dtype=np.uint8).reshape(6, 4, 1) + 100
    stored = np.concatenate((picture(6, 4), alpha), -1)[..., :channels]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    if suffix == ".deep.tif":
        extra = [(0x0112, "H", 1, orientation, True)]
        tifffile.imwrite(
            path,
            stored.squeeze().astype(np.uint16) * 257,
            photometric="minisblack" if channels == 1 else "rgb",
            extratags=extra,
            metadata=None,
        )
    else:
        Image.fromarray(stored.squeeze()).save(path, exif=exif)
    upright = {  # what the row 0 and the column 0 of the stored pixels are in the picture, as EXIF defines it
        1: stored,  # top, left
        2: stored[:, ::-1],  # top, right
        3: stored[::-1, ::-1],  # bottom, right
        4: stored[::-1],  # bottom, left
        5: stored.swapaxes(0, 1),  # left, top
        6: stored.swapaxes(0, 1)[:, ::-1],  # right, top
        7: stored[::-1, ::-1].swapaxes(0, 1),  # right, bottom
        8: stored.swapaxes(0, 1)[::-1],  # left, bottom
    }[orientation]
    image = read_image(path)
    parts = [image.pixels] if image.alpha is None else [image.pixels, image.alpha]
    read = torch.cat(parts, 1)[0].permute(1, 2, 0)
    assert np.array_equal((read * 255).round().numpy(), upright)


def test_modes_of_pillow(tmp_path):
    colours = Image.fromarray(picture())
    expected = {
        "1": (1, False),
        "L": (1, False),
        "LA": (1, True),
        "P": (3, False),
        "RGB": (3, False),
        "RGBA": (3, True),
    }
    for mode, (channels, alpha) in expected.items():
        colours.convert(mode).save(tmp_path / f"{mode}.png")
        got = read_image(tmp_path / f"{mode}.png")
        assert (got.pixels.shape[1], got.alpha is not None, got.bits) == (channels, alpha, 8), mode
    palette = colours.convert("P")
    palette.save(tmp_path / "clear.png", transparency=palette.getpixel((0, 0)))
    clear = read_image(tmp_path / "clear.png").alpha
    assert clear is not None and clear[0, 0, 0, 0] == 0
    for name in ("cmyk.tif", "cmyk.jpg"):
        colours.convert("CMYK").save(tmp_path / name)
        with pytest.raises(PnpError, match=rf"{name}: the colours are CMYK.*convert it to sRGB"):
            read_image(tmp_path / name)


def test_of_an_animation_the_first_frame_is_taken_and_the_note_says_so(tmp_path):
    frames = [Image.fromarray(np.full((4, 5), v, np.uint8)) for v in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    got = read_image(tmp_path / "a.gif")
    assert "first of 2 frames" in got.note and abs(float(got.pixels.mean()) * 255 - 10) < 1
    frames[0].save(tmp_path / "single.gif")
    assert read_image(tmp_path / "single.gif").note == ""


def test_alpha_is_enlarged_so_that_known_pixels_stay(tmp_path):
    alpha = torch.rand(1, 1, 4, 5)
    like = ImageFile(torch.rand(1, 3, 4, 5), 16, alpha)
    write_image(tmp_path / "a.png", torch.rand(1, 3, 12, 15), like=like)
    enlarged = read_image(tmp_path / "a.png").alpha
    assert enlarged is not None and enlarged.shape == (1, 1, 12, 15)
    assert torch.allclose(enlarged[..., ::3, ::3], alpha, atol=1e-4)
    write_image(
        tmp_path / "b.png",
        torch.rand(1, 3, 12, 15),
        like=ImageFile(like.pixels, 8, torch.ones(1, 1, 4, 5)),
    )
    opaque = read_image(tmp_path / "b.png").alpha
    assert opaque is not None and opaque.eq(1).all()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_the_colour_profile_is_kept(tmp_path, bits, suffix):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    x = torch.rand(1, 3, 4, 4)
    write_image(tmp_path / f"a{suffix}", x, like=ImageFile(x, bits, profile=profile))
    assert read_image(tmp_path / f"a{suffix}").profile == profile


def damaged(tmp_path, name, bits, cut):
    write_image(tmp_path / name, torch.rand(1, 3, 40, 40), bits=bits)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * cut)])
    return tmp_path / name


def filtered_png(pixels, filters):
    """A PNG of 16 bits written pixel by pixel as the standard says, each row with the filter of its own."""
    height, width, channels = pixels.shape
    size = 2 * channels
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, width * size).astype(int)
    out = bytearray()
    for r, kind in enumerate(filters):
        out.append(kind)
        for i, value in enumerate(rows[r]):
            a = rows[r, i - size] if i >= size else 0
            b = rows[r - 1, i] if r else 0
            c = rows[r - 1, i - size] if r and i >= size else 0
            paeth = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            out.append((value - (0, a, b, (a + b) // 2, paeth)[kind]) % 256)

    def chunk(kind, data):
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([16, colour, 0, 0, 0])
    packed = zlib.compress(bytes(out))
    parts = (
        chunk(b"IHDR", header)
        + chunk(b"IDAT", packed[:9])
        + chunk(b"IDAT", packed[9:])
        + chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + parts


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=9),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(0, 2**31),
)
def test_all_row_filters_of_deep_pngs_are_undone(tmp_path_factory, filters, width, channels, seed):
    draw = np.random.default_rng(seed)
    pixels = (
        draw.integers(0, 65536, (len(filters), width, channels)) >> draw.integers(0, 16)
    ).astype(np.uint16)
    path = tmp_path_factory.mktemp("f") / "f.png"
    path.write_bytes(filtered_png(pixels, filters))
    got = read_image(path)
    planes = got.pixels if got.alpha is None else torch.cat((got.pixels, got.alpha), 1)
    assert got.bits == 16 and np.array_equal(
        (planes[0].permute(1, 2, 0).double() * 65535).round().numpy(), pixels
    )
    if channels != 2:  # which Pillow gives with four
        with Image.open(path) as image:  # Pillow keeps the upper 8 bits of colours and all of grey
            theirs = np.asarray(image).reshape(pixels.shape)
        assert np.array_equal(theirs, pixels if channels == 1 else pixels >> 8)


@pytest.mark.parametrize("cut", [0.01, 0.3, 0.95])
@pytest.mark.parametrize(
    ("name", "bits"), [("a.png", 8), ("b.png", 16), ("c.tif", 8), ("d.tif", 16)]
)
def test_a_file_cut_off_is_one_clear_error(tmp_path, name, bits, cut):
    with pytest.raises(PnpError, match=name):
        read_image(damaged(tmp_path, name, bits, cut))


@given(st.data())
def test_a_file_with_damaged_bytes_is_an_image_or_one_clear_error(tmp_path_factory, data):
    name, bits = data.draw(
        st.sampled_from([("a.png", 8), ("b.png", 16), ("c.tif", 16), ("d.jpg", 8), ("e.npy", 32)])
    )
    path = tmp_path_factory.mktemp("d") / name
    write_image(path, torch.linspace(0, 1, 60).reshape(1, 3, 4, 5), bits=bits)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        image = read_image(path)
    except PnpError as e:
        assert str(path) in str(e) and "\n" not in str(e)
    else:
        assert image.pixels.dim() == 4 and torch.isfinite(image.pixels).all()


def test_bad_files_are_named_for_what_they_are(tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("hello, this is no image at all, only some text")
    np.save(tmp_path / "wide.npy", np.full((4, 4), 255.0))
    np.save(tmp_path / "nan.npy", np.full((4, 4), np.nan))
    np.save(tmp_path / "first.npy", np.zeros((3, 8, 8)))
    np.save(tmp_path / "whole.npy", np.zeros((8, 8), np.int64))
    np.save(tmp_path / "objects.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    Image.new("L", (4, 4)).save(tmp_path / "big.png")
    big = bytearray((tmp_path / "big.png").read_bytes())
    big[16:24] = (200_000).to_bytes(4, "big") * 2
    big[29:33] = zlib.crc32(bytes(big[12:29])).to_bytes(4, "big")
    (tmp_path / "big.png").write_bytes(big)
    for name, message in {
        "none.png": "there is no such file",
        "empty.png": "is empty",
        "text.png": "not an image of a known format",
        "big.png": "implausibly large size",
        "wide.npy": r"should be on \[0, 1\].*divide by 255",
        "nan.npy": "NaN",
        "first.npy": "channels last",
        "whole.npy": "range of int64 numbers is unknown",
        "objects.npy": "cannot be read",
    }.items():
        with pytest.raises(PnpError, match=message):
            read_image(tmp_path / name)
    with pytest.raises(PnpError, match="this is a folder"):
        read_image(tmp_path)


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path):
    x = torch.rand(1, 3, 4, 4)
    refused: list[tuple[str, torch.Tensor, dict[str, Any], str]] = [
        ("a.jpg", x, {"bits": 16}, "cannot hold 16 bits"),
        ("a.jpg", x, {"like": ImageFile(x, 8, torch.ones(1, 1, 4, 4))}, "alpha"),
        ("a.webp", torch.rand(1, 3, 1, 16384), {}, "at most 16383 pixels.*1 x 16384"),
        ("a.jpg", torch.rand(1, 1, 65501, 1), {}, "at most 65500 pixels.*65501 x 1"),
        ("a.xyz", x, {}, "images are not written as '.xyz'"),
        ("a.png", torch.rand(2, 3, 4, 4), {}, "shape"),
        ("a.png", x * torch.nan, {}, "NaN"),
        ("no/such/folder.png", x, {}, "cannot be written"),
    ]
    for name, tensor, options, message in refused:
        with pytest.raises(PnpError, match=message):
            write_image(tmp_path / name, tensor, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(failure), atomic(path) as temporary:
        temporary.write_text("half of the n")
        raise failure
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with atomic(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]
