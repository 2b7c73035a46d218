"""JPEG: its steps are read from the pixels, and deblurring allows for them."""

import functools
import io
import json
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from skimage import data

import pnp
from pnp.cli import main
from pnp.compression import jpeg_error
from pnp.kernel_files import make_kernel
from pnp.metrics import psnr
from pnp.observation import blur

KERNEL = make_kernel("gaussian:1.6", "kernel")


@functools.cache
def photograph(kind: str = "colour", side: int = 240) -> torch.Tensor:
    """A part of a photograph that was never a JPEG, (1, C, side, side)."""
    x = data.camera()[..., None] if kind == "grey" else data.coffee()
    return torch.from_numpy(x[100 : 100 + side, 150 : 150 + side]).permute(2, 0, 1)[None] / 255


@functools.cache
def observed(kind: str, blurred: bool, noise: float, side: int = 240) -> torch.Tensor:
    x = photograph(kind, side)
    y = blur(x, KERNEL) if blurred else x
    return (y + noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(
        0, 1
    )


def stored(y: torch.Tensor, quality: int) -> tuple[torch.Tensor, float]:
    """The image of the JPEG, and the level that its table of steps stands for."""
    pixels = (255 * y[0]).round().byte().permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        assert isinstance(image, JpegImageFile)
        steps = np.minimum(np.array(image.quantization[0])[1:], 26)
        found = np.atleast_3d(np.array(image))
    return (
        torch.from_numpy(found).permute(2, 0, 1)[None] / 255,
        float(np.sqrt((steps**2).mean() / 12)) / 255,
    )


@pytest.mark.parametrize("quality", [98, 95, 90, 85, 75, 50])
@pytest.mark.parametrize("noise", [0, 0.03])
@pytest.mark.parametrize("blurred", [False, True])
@pytest.mark.parametrize("kind", ["colour", "grey"])
def test_the_level_is_that_of_the_steps(kind, blurred, noise, quality):
    y, level = stored(observed(kind, blurred, noise), quality)
    assert 0.9 * level < jpeg_error(y[0].numpy()) < 1.25 * level


@pytest.mark.parametrize("turn", [lambda y: y[..., 3:, 5:], lambda y: y.rot90(1, (-2, -1))])
def test_it_does_not_matter_where_the_blocks_begin(turn):
    y, level = stored(observed("colour", True, 0.01), 85)
    assert jpeg_error(turn(y)[0].numpy()) == pytest.approx(level, rel=0.2)


def test_without_jpeg_it_is_zero():
    ramp = np.add.outer(np.arange(256), np.arange(256)) // 2
    uniform = np.random.default_rng(0).integers(0, 256, (256, 256))
    flat, tiny = np.full((64, 64), 90), uniform[:15, :200]
    page = np.kron(uniform[:30, :30] > 99, np.ones((8, 8))) * 255
    enlarged = np.kron(data.camera()[:64, :64], np.ones((8, 8)))
    coarse = data.camera() // 4 * 4
    for image in (ramp, uniform, flat, tiny, page, enlarged, coarse, data.moon()):
        assert jpeg_error(image[None] / 255) == 0
    for kind in ("colour", "grey"):
        for blurred in (False, True):
            for noise in (0, 0.03):
                y = observed(kind, blurred, noise)
                assert jpeg_error(y[0].numpy()) == 0
                assert jpeg_error((255 * y[0]).round().numpy() / 255) == 0


@functools.cache
def gain(name: str, quality: int, noise: float) -> float:
    """By how many dB the result is better than the JPEG; the level is estimated."""
    side = 144  # for speed
    x, (y, _) = photograph(side=side), stored(observed("colour", True, noise, side), quality)
    k = None if name == "ikrnet-small" else KERNEL
    restored = pnp.restore(y, name, kernel=k, scale=1, boundary="periodic").image
    return float(psnr(restored, x) - psnr(y, x))


@pytest.mark.parametrize(("quality", "noise"), [(95, 0), (75, 0.03)])
@pytest.mark.parametrize("name", ["hqs-tv", "usrnet-small", "dpir", "ikrnet-small"])
def test_a_blurred_jpeg_becomes_better(name, quality, noise):
    """Without their level, hqs-tv and dpir were 4 to 16 dB worse than the JPEG itself."""
    assert gain(name, quality, noise) > 2
    if name != "ikrnet-small":  # which is not told the kernel
        assert gain(name, quality, noise) >= gain("hqs-tv", quality, noise)


@pytest.mark.parametrize("form", ["webp", "avif", "jp2"])
def test_a_blurred_file_of_another_lossy_format_becomes_better(form, tmp_path):
    x, y = photograph(side=144), observed("colour", True, 0, 144)
    path = tmp_path / f"y.{form}"
    options: dict[str, Any] = {"quality": 85}
    if form == "jp2":
        options = {"quality_mode": "rates", "quality_layers": [15]}
    pixels = (255 * y[0]).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(path, **options)
    given = pnp.read_image(path).visible()
    restored = pnp.restore(path, "hqs-tv", kernel=KERNEL, scale=1, boundary="periodic")
    assert float(psnr(restored.image, x) - psnr(given, x)) > 2
    assert restored.record["estimates"]["sigma"][0] > 0.015


def test_a_lossless_webp_is_what_the_png_is(tmp_path):
    pixels = (255 * observed("colour", True, 0)[0]).round().byte().permute(1, 2, 0).numpy()
    levels: list[float] = []
    forms: dict[str, dict[str, Any]] = {
        "y.png": {},
        "y.webp": {"lossless": True, "exif": b"Exif\0\0"},
    }
    for name, options in forms.items():
        Image.fromarray(pixels).save(tmp_path / name, **options)
        restored = pnp.restore(tmp_path / name, "hqs-tv", kernel=KERNEL, scale=1)
        levels += restored.record["estimates"]["sigma"]
    assert levels[0] == levels[1] < 0.002


@pytest.mark.parametrize(("quality", "noise"), [(95, 0), (75, 0), (75, 0.06)])
def test_denoising_a_jpeg_does_not_harm_it(quality, noise):
    x, (y, _) = photograph(side=144), stored(observed("colour", False, noise, 144), quality)
    assert psnr(pnp.restore(y, "denoise").image, x) > psnr(y, x) + (2 if noise else 0)


def test_flat_corners_of_a_large_picture_do_not_hide_the_blocks():
    y = torch.full((1, 3, 1300, 1500), 0.4)
    y[..., 500:740, 700:940] = observed("colour", True, 0.01)
    y, level = stored(y, 85)
    for image in (y, y[..., 3:, 6:]):
        assert jpeg_error(image[0].numpy()) == pytest.approx(level, rel=0.2)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_strange_values_are_no_jpeg(value):
    y = observed("colour", False, 0.01)[0].numpy().copy()
    y[0, 5, 7] = value
    assert jpeg_error(y) == 0


def test_the_record_and_the_summary_say_what_stands_for_compression(tmp_path, capsys):
    pixels = (255 * observed("colour", True, 0, 96)[0]).round().byte().permute(1, 2, 0).numpy()
    for form in ("jpg", "png"):
        Image.fromarray(pixels).save(tmp_path / f"{form}.{form}", quality=85)
        given = ["-k", "gaussian:1.6", "-s", "1", "-o", str(tmp_path), "--set", "repeat=2"]
        assert main(["run", "hqs-tv", str(tmp_path / f"{form}.{form}"), *given]) == 0
        said = capsys.readouterr().out
        record = json.loads((tmp_path / f"{form}_x1.json").read_text())
        counted = [f for f in record["reports"].values() if "compression" in f]
        assert len(counted) == ("lossy compression counts as" in said) == (form == "jpg")
