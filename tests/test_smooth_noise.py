"""Noise whose neighbouring pixels are alike: sensors, resizing, film.  Finest coefficients hide it."""

import functools
from typing import Any

import pytest
import torch
from skimage import data
from test_grey import demosaicked
from torch.nn.functional import interpolate

import pnp
from pnp.kernel_files import make_kernel
from pnp.metrics import psnr
from pnp.observation import blur
from pnp.wavelet_levels import smooth_level

KERNEL = make_kernel("gaussian:1.6", "kernel")
SIDE = 320
KINDS = {
    "bayer": lambda white: demosaicked(white(1, SIDE, SIDE)),
    "larger": lambda white: interpolate(white(3, SIDE // 2, SIDE // 2), SIDE, mode="bicubic"),
    "smaller": lambda white: interpolate(
        white(3, SIDE * 3 // 2, SIDE * 3 // 2), SIDE, mode="bilinear", antialias=True
    ),
    "film": lambda white: blur(white(3, SIDE, SIDE), make_kernel("gaussian:0.6", "kernel")),
    "white": lambda white: white(3, SIDE, SIDE),
}


@functools.cache
def case(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A photograph, and noise of this kind of standard deviation 1."""
    pixels = torch.from_numpy(data.coffee()[40 : 40 + SIDE, 100 : 100 + SIDE].copy())
    generator = torch.Generator().manual_seed(0)
    noise = KINDS[kind](lambda *shape: torch.randn(1, *shape, generator=generator))
    return pixels.permute(2, 0, 1)[None] / 255, noise / noise.std()


@pytest.mark.parametrize("name", ["wavelet-noise", "local-noise"])
@pytest.mark.parametrize("sigma", [0.01, 0.03, 0.06])
@pytest.mark.parametrize("kind", KINDS)
def test_the_level_is_that_of_its_lower_frequencies(kind, sigma, name):
    """1.3 to 1.7 times its standard deviation, with which restorations are best."""
    F = pnp.estimators.build(name)
    if name == "local-noise":
        F = pnp.load("ikrnet-small").parts["F"]
    x, noise = case(kind)
    with torch.no_grad():
        found = float(F((blur(x, KERNEL) + sigma * noise).clamp(0, 1)))
    least, most = (0.9, 1.1) if kind == "white" else (1.1, 1.9)
    assert least * sigma < found < most * sigma


@pytest.mark.parametrize("picture", ["coffee", "chelsea", "rocket"])
@pytest.mark.parametrize("sigma", [0.0, 0.01, 0.03])
def test_white_noise_and_detail_are_not_taken_for_it(picture, sigma):
    x = torch.from_numpy(getattr(data, picture)().copy()).permute(2, 0, 1)[None] / 255
    noise = sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    for image in (x, blur(x, KERNEL)):
        assert smooth_level((image + noise)[0].numpy()) == 0


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 31, 400), (3, 96, 96), (1, 8, 8)])
def test_small_images_have_too_few_blocks(shape):
    assert smooth_level(torch.rand(shape).numpy()) == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("along", [1, 2])
def test_stripes_have_none(along):
    stripes = torch.linspace(0.1, 0.9, 7).repeat(64)[:400]
    image = stripes[:, None] if along == 1 else stripes
    assert smooth_level(image.expand(3, 400, 400).numpy()) == 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "white"])
@pytest.mark.parametrize(
    ("name", "sigma"),
    [
        ("hqs-tv", 0.01),
        ("hqs-tv", 0.03),
        ("usrnet-mini", 0.03),
        ("denoise", 0.06),
        pytest.param("dpir", 0.01, marks=pytest.mark.long),
    ],
)
def test_a_restoration_that_estimates_it_is_nearly_as_good_as_one_that_is_told(name, sigma, kind):
    """They fell by 3 to 15 dB, below the observation, when the estimate saw the finest scale alone."""
    x, noise = case(kind)
    given: dict[str, Any] = {} if name == "denoise" else {"kernel": KERNEL, "scale": 1}
    y = ((blur(x, KERNEL) if given else x) + sigma * noise).clamp(0, 1)
    estimated, told = (
        float(psnr(pnp.restore(y, name, sigma=s, boundary="periodic", **given).image, x, border=1))
        for s in (None, sigma)
    )
    assert estimated > told - 1
    assert estimated > float(psnr(y, x, border=1))
