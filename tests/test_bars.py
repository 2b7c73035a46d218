"""Bars beside a photograph: letterboxes, slides, scans, screens."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import pnp
from pnp.bars import NONE, bars_of
from pnp.commands.inputs import usual_scale
from pnp.frames import Frame
from pnp.kernel_files import make_kernel
from pnp.observation import blur

KERNEL = make_kernel("gaussian:1.6", "kernel")
COLOURS = {"black": (0, 0, 0), "white": (1, 1, 1), "grey": (0.5, 0.5, 0.5), "red": (0.8, 0.1, 0.1)}


def observed(name: str = "coffee", blurred: bool = True) -> torch.Tensor:
    """A part of a photograph, (1, 3, 96, 128), in 8 bits."""
    pixels = torch.from_numpy(getattr(data, name)()[60:196, 60:228].copy())
    x = pixels.permute(2, 0, 1)[None] / 255
    y = blur(x, KERNEL) if blurred else x
    return (255 * y[..., 20:-20, 20:-20]).round() / 255


def framed(y: torch.Tensor, frame: Frame, colour: str) -> torch.Tensor:
    wide = torch.tensor(COLOURS[colour])[:, None, None].expand(1, 3, *frame.size_around(y))
    return frame.around(y, (255 * wide).round() / 255)


def as_jpeg(y: torch.Tensor, quality: int) -> torch.Tensor:
    file = io.BytesIO()
    pixels = (255 * y[0]).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("frame", [Frame(20, 31, 0, 0), Frame(0, 0, 1, 40), Frame(9, 8, 7, 6)])
def test_bars_are_found_to_the_pixel(frame, colour):
    assert bars_of(framed(observed(), frame, colour)) == frame


@pytest.mark.parametrize("quality", [75, 90, 97])
@pytest.mark.parametrize("colour", ["black", "white"])
def test_bars_in_jpeg_are_found_with_a_row_or_two_that_it_mixed(colour, quality):
    frame = Frame(33, 32, 0, 0)
    found = bars_of(as_jpeg(framed(observed(), frame, colour), quality))
    assert 0 <= found.top - frame.top <= 2 and 0 <= found.bottom - frame.bottom <= 2
    assert found.left == found.right == 0


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
@pytest.mark.parametrize("blurred", [True, False])
def test_photographs_have_none(name, blurred):
    assert bars_of(observed(name, blurred)) == NONE


def test_a_blurred_scene_on_a_flat_ground_has_none():
    x = torch.zeros(1, 3, 96, 96)
    x[..., 30:70, 20:80] = 0.8
    assert bars_of(blur(x, KERNEL)) == NONE
    assert bars_of(torch.full((1, 3, 96, 96), 0.5)) == NONE
    assert bars_of(torch.rand(1, 1, 1, 1)) == NONE


@pytest.mark.parametrize("name", ["hqs-tv", "usrnet-mini", "ikrnet-small"])
@pytest.mark.parametrize("s", [1, 2])
def test_the_photograph_is_restored_as_without_them(name, s):
    y, frame = observed(), Frame(20, 12, 0, 0)
    kernel = None if name == "ikrnet-small" else KERNEL
    plain = pnp.restore(y, name, scale=s, kernel=kernel)
    result = pnp.restore(framed(y, frame, "white"), name, scale=s, kernel=kernel)
    assert result.image.shape[-2:] == (s * 128, s * 128)
    assert torch.equal(frame.times(s).inside(result.image), plain.image)
    assert bool((result.image[..., : s * 20, :] == 1).all())
    assert bool((result.image[..., -s * 12 :, :] == 1).all())
    assert result.record["quality"]["psnr_lr"] == plain.record["quality"]["psnr_lr"]
    said = "no part of the photograph, but bars: 20 pixels above, 12 pixels below"
    assert said in result.record["notes"] and result.record["size"] == [s * 128, s * 128]


def test_with_a_reference_and_as_grey():
    y, frame = observed(), Frame(20, 20, 0, 0)
    truth = framed(observed(blurred=False), frame, "black").mean(1, keepdim=True)
    wide = framed(y, frame, "black").mean(1, keepdim=True)
    result = pnp.restore(wide, "hqs-tv", scale=1, kernel=KERNEL, reference=truth, align="centre")
    assert result.image.shape == truth.shape
    quality = result.record["quality"]
    assert quality["psnr_after"] > quality["psnr_before"] + 2


def test_a_simulation_has_none():
    wide = framed(observed(), Frame(20, 20, 0, 0), "black")
    periodic = pnp.restore(wide, "hqs-tv", scale=1, kernel=KERNEL, boundary="periodic")
    assert not any("bars" in note for note in periodic.record["notes"])
    direct = pnp.load("hqs-tv")(y=wide, s=1, k=KERNEL)
    assert torch.allclose(periodic.image, direct.x, atol=1e-5)


@pytest.mark.parametrize("std", ["2", "2.8"])
def test_the_usual_scale_is_that_of_the_photograph(std):
    x = torch.from_numpy(data.chelsea()[20:276, 60:396].copy()).permute(2, 0, 1)[None] / 255
    y = (255 * blur(x, make_kernel(f"gaussian:{std}", "kernel"))[..., 24:-24, 24:-24]).round() / 255
    assert usual_scale(framed(y, Frame(60, 60, 0, 0), "white")) == usual_scale(y)
