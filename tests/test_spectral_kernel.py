"""spectral-kernel: what it promises for every size, scale and kind of image; its loss and its data."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import pnp.initializers
from pnp.degradations import Degradations
from pnp.errors import PnpError
from pnp.kernels import centre_of_mass, mirror_kernel
from pnp.observation import blur
from pnp.power_spectrum import log_power_spectrum
from pnp.random_blur import random_kernels
from pnp.training.objective import kernel_distance


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return pnp.initializers.build("spectral-kernel", size=9, width=16, depth=1)


@given(
    st.integers(8, 90),
    st.integers(8, 90),
    st.sampled_from([1, 3]),
    st.integers(1, 4),
    st.sampled_from(["noise", "constant", "edge"]),
)
def test_every_image_gives_a_kernel_of_sum_one(network, height, width, channels, s, content):
    y = torch.rand(2, channels, height, width)
    if content == "constant":
        y = torch.full_like(y, 0.3)
    if content == "edge":
        y = (torch.arange(width) > width // 2).float().expand(2, channels, height, width)
    k = network(y, s)
    assert k.shape == (2, 1, 9, 9) and (k >= 0).all()
    assert torch.allclose(k.sum((-2, -1)), torch.ones(2, 1), atol=1e-5)


def test_an_image_is_treated_alike_in_any_batch_in_any_contrast_and_as_grey_or_colour(network):
    y = torch.rand(3, 1, 70, 50)
    together = network(y, 2)
    for i in range(3):
        assert torch.allclose(network(y[i : i + 1], 2), together[i : i + 1], atol=1e-6)
    assert torch.allclose(network(y.expand(-1, 3, -1, -1), 2), together, atol=1e-5)
    assert torch.allclose(network(0.5 * y + 0.2, 2), together, atol=1e-3)


def test_it_is_differentiable_in_the_observation(network):
    y = torch.rand(1, 3, 40, 40, requires_grad=True)
    network(y, 3)[0, 0, 2, 3].backward()
    assert y.grad is not None and y.grad.isfinite().all() and y.grad.abs().max() > 0


def test_scales_and_sizes_it_is_not_made_for_are_refused(network):
    with pytest.raises(PnpError, match="the scale is 5"):
        network(torch.rand(1, 3, 40, 40), 5)
    with pytest.raises(PnpError, match="7 x 40 pixels"):
        network(torch.rand(1, 3, 7, 40), 2)


def test_the_spectrum_of_white_noise_is_flat_and_its_level_is_the_variance():
    y = 0.1 * torch.randn(1, 1, 1024, 1024, generator=torch.Generator().manual_seed(0))
    power = log_power_spectrum(y, 32, 16).exp()[0]
    away = power[3:-3, 3:]  # subtracting the mean of a window takes from the lowest frequencies
    assert torch.allclose(away, torch.full_like(away, 0.01), rtol=0.15)


def test_a_kernel_and_its_mirror_image_have_the_same_spectrum():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 1, 512, 512, generator=generator)
    k = random_kernels(1, 15, "motion", generator=generator)
    spectra = [log_power_spectrum(blur(x, kernel), 32, 16) for kernel in (k, mirror_kernel(k))]
    other = random_kernels(1, 15, "motion", generator=generator)
    different = (spectra[0] - log_power_spectrum(blur(x, other), 32, 16)).abs().mean()
    assert (spectra[0] - spectra[1]).abs().mean() < 0.1 * different


@given(st.integers(2, 9), st.integers(2, 9))
def test_the_mirror_image_keeps_the_centre_and_is_its_own_inverse(rows, columns):
    k = torch.rand(2, 1, rows, columns)
    mirrored = mirror_kernel(k)
    assert torch.equal(mirror_kernel(mirrored), k)
    assert torch.equal(mirrored[..., rows // 2, columns // 2], k[..., rows // 2, columns // 2])
    if rows % 2 and columns % 2:
        assert torch.allclose(centre_of_mass(mirrored), -centre_of_mass(k), atol=1e-5)


def test_the_distance_of_kernels_is_zero_for_the_same_and_grows_with_the_error():
    k = random_kernels(4, 25, "motion", generator=torch.Generator().manual_seed(0))
    delta = torch.zeros_like(k)
    delta[..., 12, 12] = 1
    distances = [kernel_distance((1 - a) * k + a * delta, k) for a in (0.0, 0.1, 0.5)]
    assert (distances[0] < 1e-2).all()
    assert (distances[0] < distances[1]).all() and (distances[1] < distances[2]).all()


def test_the_second_term_of_the_distance_is_an_energy_over_the_whole_plane():
    a, b = random_kernels(2, 25, "motion", generator=torch.Generator().manual_seed(1)).split(1)
    f = torch.fft.fftfreq(50)
    weights = 1 / (f[:, None] ** 2 + f[None] ** 2 + 1 / 50**2)
    error = torch.fft.fft2(a - b, s=(50, 50), norm="ortho").abs().square()
    kl = (b * ((b + 1e-8).log() - (a + 1e-8).log())).sum()
    assert torch.allclose(kernel_distance(a, b), kl + 2 * (error * weights).sum().sqrt(), rtol=1e-4)


def test_grey_images_have_the_same_noise_in_all_channels_and_the_level_that_is_asked_for():
    generator = torch.Generator().manual_seed(0)
    d = Degradations(scales=(1,), size=1, kinds="isotropic", noise=0.1, clean=0, grey=1.0)
    x, y, _, sigma, _ = d.observe(torch.rand(4, 3, 64, 64), generator)
    assert torch.allclose(y[:, 0], y[:, 1]) and torch.allclose(y[:, 0], y[:, 2])
    assert torch.allclose((y - x).std((1, 2, 3)), sigma.flatten(), rtol=0.05)


def test_correlated_noise_keeps_its_level_and_is_shared_between_channels_to_every_degree():
    generator = torch.Generator().manual_seed(0)
    d = Degradations(scales=(1,), size=1, kinds="isotropic", noise=0.1, clean=0, correlated=1.0)
    x, y, _, sigma, _ = d.observe(torch.zeros(200, 3, 32, 32), generator)
    noise = (y - x) / sigma
    assert torch.allclose(noise.std((2, 3)), torch.ones(200, 3), atol=0.15)
    correlation = (noise[:, 0] * noise[:, 1]).mean((-2, -1))
    assert 0.4 < correlation.mean() < 0.6 and correlation.min() < 0.1 and correlation.max() > 0.9
