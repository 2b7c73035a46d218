"""Masks of every kind say where the observation is known, or are refused."""

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import pnp
from pnp.errors import PnpError
from pnp.masks import read_mask

KNOWN = np.ones((20, 26), bool)
KNOWN[5:12, 8:15] = False
LABELS = KNOWN.astype(np.uint8)


def palette(levels, colours):
    image = Image.fromarray(levels, "P")
    image.putpalette([channel for colour in colours for channel in colour])
    return image


def stacked(*channels):
    planes = [np.broadcast_to(np.uint8(c) if np.ndim(c) == 0 else c, KNOWN.shape) for c in channels]
    return Image.fromarray(np.dstack(planes).astype(np.uint8), {2: "LA", 4: "RGBA"}[len(planes)])


photograph = np.random.default_rng(0).integers(0, 256, KNOWN.shape).astype(np.uint8)
soft = np.linspace(0, 255, 26)[None].repeat(20, 0).astype(np.uint8)

IMAGES = {
    "0 and 255": Image.fromarray(255 * LABELS),
    "0 and 1": Image.fromarray(LABELS),
    "1 and 2": Image.fromarray(LABELS + 1),
    "16 bits, 0 and 1": Image.fromarray(LABELS.astype(np.uint16)),
    "16 bits, 0 and 65535": Image.fromarray(LABELS.astype(np.uint16) * 65535),
    "one bit": Image.fromarray(KNOWN),
    "RGB": Image.fromarray(np.dstack([255 * LABELS] * 3)),
    "white and a red hole": Image.fromarray(
        np.dstack([0 * LABELS + 255, 255 * LABELS, 255 * LABELS])
    ),
    "palette of VOC": palette(LABELS, [(0, 0, 0), (128, 0, 0)]),
    "dark palette of VOC": palette(LABELS, [(0, 0, 0), (0, 64, 0)]),
    "palette, white first": palette(1 - LABELS, [(255, 255, 255), (0, 0, 0)]),
    "alpha, white": stacked(255, 255, 255, 255 * LABELS),
    "alpha, black": stacked(0, 0, 0, 255 * LABELS),
    "alpha, photograph": stacked(photograph, photograph, photograph, 255 * LABELS),
    "alpha, grey": stacked(photograph, 255 * LABELS),
    "alpha, 0 and 1": stacked(255, LABELS),
    "opaque": stacked(255 * LABELS, 255),
}

ARRAYS = {
    "bool": KNOWN,
    "uint8": LABELS,
    "uint8, 0 and 255": 255 * LABELS,
    "int64": LABELS.astype(np.int64),
    "float": LABELS.astype(np.float32),
    "float, 0 and 255": 255.0 * LABELS,
    "float16": LABELS.astype(np.float16),
    "one channel": KNOWN[..., None],
    "three channels": np.dstack([LABELS] * 3),
}


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("suffix", [".png", ".tif", "PIL"])
def test_every_kind_of_image_gives_the_same_mask(tmp_path, kind, suffix):
    image = IMAGES[kind]
    if suffix != "PIL":
        image.save(tmp_path / f"a{suffix}")
    mask = read_mask(image if suffix == "PIL" else tmp_path / f"a{suffix}")
    assert mask.shape == (1, 1, *KNOWN.shape) and mask.dtype == torch.float32
    assert np.array_equal(mask[0, 0].numpy(), KNOWN)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("top", [1, 255])
def test_labels_in_TIFFs_of_any_numbers(tmp_path, dtype, top):
    tifffile.imwrite(tmp_path / "a.tif", (top * LABELS).astype(dtype), photometric="minisblack")
    assert np.array_equal(read_mask(tmp_path / "a.tif")[0, 0].numpy(), KNOWN)


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("form", ["npy", "array", "tensor"])
def test_every_kind_of_array_gives_the_same_mask(tmp_path, kind, form):
    array = ARRAYS[kind]
    np.save(tmp_path / "a.npy", array)
    of_image = torch.from_numpy(np.moveaxis(array, -1, 0) if array.ndim == 3 else array)
    given = {"npy": tmp_path / "a.npy", "array": array, "tensor": of_image}[form]
    assert np.array_equal(read_mask(given)[0, 0].numpy(), KNOWN)
    if form == "tensor" and array.ndim == 2:
        assert np.array_equal(read_mask(of_image[None, None])[0, 0].numpy(), KNOWN)


@given(st.integers(0, 254), st.integers(1, 255))
def test_of_two_levels_the_brighter_is_known(dark, step):
    bright = min(255, dark + step)
    levels = np.where(KNOWN, bright, dark).astype(np.uint8)
    assert np.array_equal(read_mask(levels)[0, 0].numpy(), KNOWN)
    assert np.array_equal(read_mask(Image.fromarray(levels))[0, 0].numpy(), KNOWN)


def test_of_many_levels_the_upper_half_is_known(tmp_path):
    """Soft edges, and the noise of JPEG files."""
    for mask in (Image.fromarray(soft), soft, soft / 255, stacked(255, soft)):
        assert np.array_equal(read_mask(mask)[0, 0].numpy(), soft > 127)
    big = np.kron(255 * LABELS, np.ones((8, 8), np.uint8))
    Image.fromarray(big).save(tmp_path / "a.jpg", quality=60)
    assert np.array_equal(read_mask(tmp_path / "a.jpg")[0, 0].numpy(), big > 127)


def test_all_of_it_may_be_known():
    for level in (1, 100, 255):
        assert read_mask(np.full((4, 5), level, np.uint8)).eq(1).all()
    assert read_mask(np.ones((4, 5), bool)).eq(1).all()


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros((4, 5), np.uint8),
        np.zeros((4, 5), bool),
        Image.new("L", (5, 4)),
        Image.new("RGBA", (5, 4), (255, 255, 255, 0)),
        Image.fromarray(soft // 8),
    ],
    ids=["array", "bool", "black", "transparent", "dark"],
)
def test_a_mask_without_a_known_pixel_is_refused(mask):
    with pytest.raises(PnpError, match=r"^mask .*: there is no known pixel; a mask is white"):
        pnp.restore(torch.rand(1, 3, 4, 5), "inpaint-tv", mask=mask)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (palette(LABELS + (np.arange(26) > 20), [(0, 0, 0), (128, 0, 0), (0, 128, 0)]), "3 labels"),
        (LABELS + 3 * (np.arange(26) > 20), "3 labels"),
        (stacked(255 * LABELS, 255 * (np.arange(26) > 3)), "both the colours and the alpha"),
        (np.full((4, 5), np.nan), "NaN"),
        (np.zeros((4, 5, 2)), r"an array \(H, W\) of numbers or bool"),
        (np.zeros(4), r"an array \(H, W\)"),
        (LABELS.astype(complex), "complex128"),
        (torch.zeros(2, 1, 4, 4), r"\(2, 1, 4, 4\)"),
        ("nowhere.npy", "no such file"),
    ],
)
def test_masks_that_can_be_understood_in_two_ways_are_refused(mask, message):
    with pytest.raises(PnpError, match=message):
        read_mask(mask)


def test_the_hole_is_filled_whatever_the_mask_is(tmp_path):
    x = torch.full((1, 3, *KNOWN.shape), 0.6)
    y = x * torch.from_numpy(KNOWN)
    Image.fromarray(LABELS).save(tmp_path / "labels.png")
    for mask in (tmp_path / "labels.png", KNOWN, IMAGES["alpha, white"]):
        assert (pnp.restore(y, "inpaint-tv", mask=mask).image - x).abs().max() < 0.02
