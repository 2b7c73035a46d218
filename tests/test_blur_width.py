"""How wide the blur of an observation is: what the network sees, how it is trained, and its
weights."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import pnp
from pnp.cards import card
from pnp.checkpoints import PRETRAINED
from pnp.compression import as_jpeg, compression_error
from pnp.degradations import Degradations
from pnp.errors import PnpError
from pnp.kernels import (
    centre_of_mass,
    delta_kernel,
    disc_kernels,
    gaussian_kernels,
    second_moments,
    width_of,
)
from pnp.observation import blur
from pnp.overexposed import photograph
from pnp.power_spectrum import log_power_means, log_power_spectrum
from pnp.random_blur import random_kernels
from pnp.reduction import blur_width
from pnp.training.objective import _distance
from pnp.training.recipe import Loss


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scene(name: str) -> torch.Tensor:
    return torch.from_numpy(getattr(data, name)().copy()).permute(2, 0, 1)[None] / 255


def windows(y: torch.Tensor, m: int, hop: int) -> torch.Tensor:
    """The power of each window and colour, by the definition of `log_power_spectrum`."""
    hann = torch.hann_window(m + 2, periodic=False)[1:-1]
    hann = torch.outer(hann, hann)
    found = []
    for i in range(0, y.shape[-2] - m + 1, hop):
        for j in range(0, y.shape[-1] - m + 1, hop):
            part = y[..., i : i + m, j : j + m]
            part = part - (part * hann).sum((-2, -1), keepdim=True) / hann.sum()
            found.append(torch.fft.rfft2(part * hann / hann.norm()).abs().square())
    return torch.stack(found, 2)


@pytest.mark.parametrize("hop", [4, 8])
def test_the_means_are_those_of_the_windows(hop):
    y = torch.rand(2, 3, 21, 33, generator=seeded(0))
    power = windows(y, 8, hop).mean(1) + 1e-7
    expected = [power.log().mean(1), power.mean(1).log(), (power**4).mean(1).log() / 4]
    found = log_power_means(y, 8, hop)
    assert torch.allclose(found, torch.stack(expected, 1), atol=1e-4)
    assert torch.allclose(found[:, 1], log_power_spectrum(y, 8, hop), atol=1e-4)
    assert bool((found.diff(dim=1) >= -1e-5).all())  # a larger exponent, a larger mean


def test_windows_with_overexposed_pixels_do_not_count():
    y = 0.5 * torch.rand(1, 3, 64, 96, generator=seeded(1))
    lamp = y.clone()
    lamp[..., 4:9, 4:9] = 1
    known = (lamp < 0.99).all(1, keepdim=True)
    with_lamp = log_power_means(lamp, 16, 16, known)
    changed = lamp.clone()
    changed[..., 4:9, 4:9] = 0.7
    assert torch.allclose(with_lamp, log_power_means(changed, 16, 16, known), atol=0.02)
    assert not torch.allclose(with_lamp, log_power_means(lamp, 16, 16), atol=0.1)


@pytest.mark.parametrize("radius", [3.0, 4.5, 9.3])
def test_a_disc_has_half_its_radius_as_standard_deviation(radius):
    k = disc_kernels(25, torch.tensor([radius]))
    assert torch.allclose(k.sum(), torch.ones(()))
    assert torch.allclose(centre_of_mass(k), torch.zeros(1, 2), atol=1e-5)
    variance = radius**2 / 4 + 1 / 12  # of the circle, and of a pixel
    assert torch.allclose(second_moments(k)[0], variance * torch.eye(2), atol=0.03 * variance)


def test_the_smallest_disc_is_no_blur():
    assert torch.equal(disc_kernels(5, torch.tensor([0.01])), delta_kernel(5))


@pytest.mark.parametrize("kind", ["isotropic", "disc", "motion"])
def test_with_logarithms_narrow_kernels_are_as_frequent_as_wide_ones(kind):
    k = random_kernels(
        300,
        41,
        kind,
        std=(1.0, 9.0),
        reach=(0.1, 0.9),
        nonlinearity=(0, 0),
        logarithmic=True,
        generator=seeded(2),
    )
    widths = width_of(k).log()
    tenths = widths.quantile(torch.tensor([0.1, 0.5, 0.9], dtype=widths.dtype))
    lower, upper = tenths.diff().tolist()
    assert lower == pytest.approx(upper, rel=0.25)


def test_logarithms_need_a_reach_above_zero():
    with pytest.raises(PnpError, match="logarithmic needs a reach above 0"):
        Degradations(logarithmic=True, reach=(0.0, 1.0))


def test_the_width_of_a_kernel_is_that_of_its_longer_axis():
    k = gaussian_kernels(41, torch.tensor([5.0, 0.01]), torch.tensor([2.0, 0.01]))
    widths = pnp.estimators.build("kernel-width", least=0.5)(k)
    assert torch.allclose(widths.flatten(), torch.tensor([5.0, 0.5]), rtol=0.01)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.8])
def test_the_loss_is_least_at_the_quantile(quantile):
    targets = torch.randn(2001, generator=seeded(3)).exp()
    loss = Loss("log", "width", "truth", quantile=quantile)
    losses = torch.stack(
        [_distance(torch.full_like(targets, v), targets, loss) for v in targets.sort().values]
    )
    assert int(losses.argmin()) == pytest.approx(quantile * 2000, abs=2)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_stored_as_jpeg_is_what_the_file_holds(channels):
    x = scene("coffee")[..., :96, :128][:, :channels]
    y = as_jpeg(x, [70])
    file = io.BytesIO()
    pixels = (255 * x[0]).round().byte().permute(1, 2, 0).numpy().squeeze()
    Image.fromarray(pixels).save(file, "JPEG", quality=70)
    stored = torch.from_numpy(np.array(Image.open(file))).reshape(96, 128, channels)
    assert torch.equal((255 * y[0]).round().byte(), stored.permute(2, 0, 1))
    assert compression_error(y[0].numpy()) > 0


def test_a_share_of_the_observations_is_stored_as_jpeg():
    x = scene("coffee")[..., :96, :128].expand(40, -1, -1, -1)
    y = Degradations(scales=(1,), kinds="isotropic", clean=1, jpeg=0.5).observe(x, seeded(4)).y
    stored = sum(compression_error(image.numpy()) > 0 for image in y)
    assert 8 <= stored <= 32


def test_grey_images_have_the_width_of_three_equal_channels():
    module = pnp.estimators.build("blur-width", window=8, width=4).eval()
    grey = torch.rand(2, 1, 70, 90, generator=seeded(5))
    for one, three in zip(module(grey), module(grey.expand(-1, 3, -1, -1)), strict=True):
        assert one.shape == (2, 1, 1, 1) and torch.allclose(one, three, rtol=1e-4)


def test_a_small_image_is_refused():
    with pytest.raises(PnpError, match="y is 70 x 63 pixels, but it needs 64 x 64 or more"):
        pnp.estimators.build("blur-width")(torch.rand(1, 3, 70, 63))


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
@pytest.mark.parametrize("wide", [2.0, 4.0, 7.0, 11.0])
def test_the_width_of_a_blur_is_found(name, wide):
    """The median is at most half wrong, and the tenth percentile hardly above the truth."""
    k = gaussian_kernels(97, torch.tensor([wide]), torch.tensor([0.6 * wide]), torch.tensor([0.7]))
    y = blur(scene(name), k)
    y = y + 0.01 * torch.randn(y.shape, generator=seeded(6))
    for observed in (y.clamp(0, 1), as_jpeg(y, [85])):
        least, width = blur_width(observed)
        assert 0.66 < width / wide < 1.5 and least < 1.2 * wide


def test_the_card_says_that_there_was_jpeg():
    said = " ".join(card(PRETRAINED / "blur-width.safetensors").split())
    assert "noise up to 3 %, JPEG" in said and "noise. Overexposed pixels and blur" in said


def test_logarithms_of_kernels_need_values_above_zero():
    with pytest.raises(PnpError, match="logarithmic needs std and reach above 0"):
        random_kernels(1, 9, "isotropic", std=(0.0, 2.0), logarithmic=True)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_sharp_photographs_have_no_wide_blur(name):
    assert blur_width(scene(name))[1] < 2


def test_lamps_do_not_make_a_blur_narrow():
    """They are cut off at white, so that their edges are sharp, whatever the blur."""
    x = 0.6 * scene("astronaut")
    x[..., 40:480:80, 40:480:80] = 60
    k = disc_kernels(41, torch.tensor([16.0]))
    y = blur(x, k).clamp(0, 1)
    with photograph():
        least, width = blur_width(y)
    assert 4.5 < width < 14 and least > 4
