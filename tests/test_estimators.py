"""The classical estimators: known and measured noise, and the schedule of half quadratic splitting."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.data import astronaut

import pnp
import pnp.estimators
from pnp.errors import Notice, PnpError
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


def noisy_photo(level, seed=0):
    photo = torch.from_numpy(astronaut().astype(np.float32) / 255).permute(2, 0, 1)[None]
    g = torch.Generator().manual_seed(seed)
    y = photo + level * torch.randn(photo.shape, generator=g)
    return (y.clamp(0, 1) * 255).round() / 255


@settings(max_examples=15)
@given(
    level=st.sampled_from([0.03, 0.06, 0.1]),
    share=st.floats(0.1, 0.9),
    side=st.sampled_from(["above", "below", "left", "right", "both"]),
    colour=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)
def test_bars_on_any_side_do_not_hide_the_noise(level, share, side, colour):
    estimate = pnp.estimators.build("wavelet-noise")
    y = noisy_photo(level)
    seen = float(estimate(y))
    bar = round(512 * share)
    part = {
        "above": np.s_[..., :bar, :],
        "below": np.s_[..., 512 - bar :, :],
        "left": np.s_[..., :bar],
        "right": np.s_[..., 512 - bar :],
    }
    for name in ("above", "below") if side == "both" else (side,):
        half = bar // 2 if side == "both" else bar
        place = {"above": np.s_[..., :half, :], "below": np.s_[..., 512 - half :, :]}
        y[(place if side == "both" else part)[name]] = colour
    assert float(estimate(y)) == pytest.approx(seen, rel=0.4)


@pytest.mark.parametrize("level", [0.03, 0.06])
@pytest.mark.parametrize("gain", [1.5, 2.0, 0.5])
def test_overexposed_and_underexposed_areas_do_not_hide_the_noise(level, gain):
    photo = torch.from_numpy(astronaut().astype(np.float32) / 255).permute(2, 0, 1)[None]
    noise = torch.randn(photo.shape, generator=torch.Generator().manual_seed(1))
    bright = photo * gain - (0.2 if gain < 1 else 0)
    y = ((bright + level * noise).clamp(0, 1) * 255).round() / 255
    assert float(pnp.estimators.build("wavelet-noise")(y)) == pytest.approx(level, rel=0.3)


@pytest.mark.parametrize("levels", [2, 3, 6])
def test_drawings_of_few_grey_levels_have_no_noise(levels):
    g = torch.Generator().manual_seed(2)
    y = torch.ones(1, 1, 200, 200)
    rows, columns = torch.meshgrid(torch.arange(200.0), torch.arange(200.0), indexing="ij")
    for _ in range(12):
        top, left, radius = (float(v) for v in 200 * torch.rand(3, generator=g))
        disc = (rows - top) ** 2 + (columns - left) ** 2 < (radius / 3) ** 2
        y[0, 0][disc] = float(torch.randint(levels, (), generator=g)) / (levels - 1)
    assert float(pnp.estimators.build("wavelet-noise")(y)) < 0.004


def test_a_photograph_on_white_is_no_noise():
    y = torch.ones(1, 3, 512, 512)
    y[..., 100:300, 150:350] = noisy_photo(0.0)[..., 100:300, 150:350]
    assert float(pnp.estimators.build("wavelet-noise")(y)) < 0.012


def test_too_few_varying_pixels_are_said():
    y = torch.full((1, 1, 64, 64), 0.5)
    y[..., 30:36, 30:36] += 0.1 * torch.randn(6, 6, generator=torch.Generator().manual_seed(3))
    with pytest.warns(Notice, match="few pixels vary"):
        assert float(pnp.estimators.build("wavelet-noise")(y)) < 0.01


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
