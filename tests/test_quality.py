"""What is measured of a result, and what is said when it cannot be."""

import json
from pathlib import Path

import pytest
import torch

import pnp
from pnp.cli import main
from pnp.images import write_image
from pnp.metrics import psnr
from pnp.quality import measure

K = torch.ones(1, 1, 3, 3) / 9
CONVERSIONS = {"grey": 1, "colour": 3}


def images(seed, channels, height=24, width=28):
    grey = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(seed))
    return grey.expand(-1, channels, -1, -1)


@pytest.mark.parametrize("of_y", CONVERSIONS)
@pytest.mark.parametrize("of_reference", CONVERSIONS)
def test_grey_and_colour_are_compared_as_grey(tmp_path, of_y, of_reference):
    y, ref = images(0, CONVERSIONS[of_y]), images(1, CONVERSIONS[of_reference])
    write_image(tmp_path / "y.png", y)
    write_image(tmp_path / "ref.png", ref)
    options = ["--kernel", "delta", "--set", "repeat=1", "-o", str(tmp_path / "out")]
    more = ["--reference", str(tmp_path / "ref.png"), "--scale", "1"]
    assert main(["run", "hqs-tv", str(tmp_path / "y.png"), *more, *options]) == 0
    record = json.loads(Path(tmp_path / "out" / "y_x1.json").read_text())
    restored = pnp.read_image(tmp_path / "out" / "y_x1.png").pixels.mean(1, keepdim=True)
    ref = pnp.read_image(tmp_path / "ref.png").pixels.mean(1, keepdim=True)
    after = float(psnr(restored, ref, border=1))
    assert record["quality"]["psnr_after"] == pytest.approx(after, abs=0.05)
    compared = ["the reference is compared as grey"] if of_y != of_reference else []
    assert record["notes"] == compared


def test_a_colour_result_is_not_compared_with_one_of_its_channels():
    x, grey = torch.rand(1, 3, 24, 28), torch.rand(1, 1, 24, 28)
    quality, notes = measure(x, None, x, grey, 1)
    expected = psnr(x.mean(1, keepdim=True), grey, border=1)
    assert quality["psnr_after"] == pytest.approx(float(expected)) and len(notes) == 1


@pytest.mark.parametrize("s", [1, 2, 3, 4])
@pytest.mark.parametrize("side", [1, 2, 3, 5, 8, 9, 40])
def test_images_that_are_too_small_for_their_border_are_not_measured_and_it_is_said(s, side):
    y = torch.rand(1, 3, side, 40)
    x = torch.rand(1, 3, s * side, s * 40)
    quality, notes = measure(x, K, y, torch.rand_like(x), s)
    fits = {"psnr_lr": 2 * s < side and s * side >= 3, "psnr_after": 2 * s * s < s * side}
    assert {name: name in quality for name in fits} == fits
    told = " ".join(notes)
    assert ("psnr_lr is not measured" in told) == (not fits["psnr_lr"])
    assert ("the reference is not compared" in told) == (not fits["psnr_after"])
