"""The classical estimators: known and measured noise, and the schedule of half quadratic splitting."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import astronaut

import pnp.estimators
from pnp.errors import PnpError
from pnp.estimators.fixed_noise import FixedNoise


def test_fixed_noise_gives_its_level_to_every_image():
    sigma = pnp.estimators.build("fixed-noise", sigma=0.02)(
        torch.rand(3, 1, 8, 8, dtype=torch.float64)
    )
    assert sigma.shape == (3, 1, 1, 1)
    assert sigma.dtype == torch.float64
    assert (sigma == 0.02).all()


@pytest.mark.parametrize("sigma", [-0.1, 15, float("nan")])
def test_fixed_noise_refuses_other_scales(sigma):
    with pytest.raises(PnpError, match=f"fixed-noise: sigma is {sigma}"):
        FixedNoise(sigma)


@given(level=st.floats(0.005, 0.2), mean=st.floats(0.2, 0.8), seed=st.integers(0, 99))
def test_wavelet_noise_measures_white_noise(level, mean, seed):
    noise = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(seed))
    sigma = pnp.estimators.build("wavelet-noise")(mean + level * noise)
    assert float(sigma) == pytest.approx(level, rel=0.1)


def test_wavelet_noise_looks_past_the_photograph_and_at_each_image_alone():
    photo = torch.from_numpy(astronaut().astype(np.float32) / 255).permute(2, 0, 1)[
        None, :, :256, 256:
    ]
    levels = torch.tensor([0.02, 0.05, 0.1]).reshape(3, 1, 1, 1)
    noisy = photo + levels * torch.randn(
        3, *photo.shape[1:], generator=torch.Generator().manual_seed(0)
    )
    estimate = pnp.estimators.build("wavelet-noise")
    assert torch.allclose(estimate(noisy), levels, rtol=0.1)
    assert torch.equal(estimate(noisy)[1:2], estimate(noisy[1:2]))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (40, 40)])
def test_wavelet_noise_of_a_constant_is_zero(size):
    assert (pnp.estimators.build("wavelet-noise")(torch.full((2, 3, *size), 0.5)) < 1e-6).all()


@given(
    sigma=st.lists(st.floats(0, 0.15), min_size=1, max_size=3).map(
        lambda v: torch.tensor(v).reshape(-1, 1, 1, 1)
    ),
    s=st.integers(1, 4),
    n=st.integers(2, 30),
)
def test_the_schedule_is_the_stated_formula(sigma, s, n):
    alpha, beta = pnp.estimators.build("hqs-schedule")(sigma, s, n)
    assert alpha.shape == beta.shape == (len(sigma), n, 1, 1)
    for b, level in enumerate(sigma.flatten().tolist()):
        betas = np.geomspace(49 / 255, max(level, s / 255), n)
        assert np.allclose(beta[b].flatten(), betas, rtol=1e-4)
        assert np.allclose(alpha[b].flatten(), 0.23 * max(level, 0.001) ** 2 / betas**2, rtol=1e-3)


@given(sigma=st.floats(0, 1), s=st.integers(1, 400), n=st.integers(1, 9))
def test_weights_are_positive_and_levels_fall_and_end_at_the_noise(sigma, s, n):
    alpha, beta = pnp.estimators.build("hqs-schedule")(sigma, s, n)
    assert (alpha > 0).all()
    assert (beta.diff(dim=1) <= 1e-6).all()
    assert float(beta[0, -1]) == pytest.approx(max(sigma, min(s / 255, 1)), rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first": 0.001}, "first is 0.001 and last is"),
        ({"last": 0}, "last is 0"),
        ({"floor": 0}, "floor is 0"),
        ({"strength": 0}, "strength is 0"),
    ],
)
def test_bad_options_are_one_clear_error(options, message):
    with pytest.raises(PnpError, match=f"hqs-schedule: .*{message}"):
        pnp.estimators.build("hqs-schedule", **options)
