"""Metrics agree with scikit-image and with their definitions, and the registered ones find what was shifted."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage import color, metrics

from pnp.errors import PnpError
from pnp.images import read_image
from pnp.kernel_files import read_kernels
from pnp.kernels import gaussian_kernels, resize_kernel
from pnp.metrics import (
    best_shift,
    kernel_error,
    kernel_error_registered,
    psnr,
    psnr_lr,
    psnr_registered,
    psnr_y,
    ssim,
)
from pnp.observation import observe


def images(seed, batch=2, channels=3, height=24, width=31, noise=0.1):
    g = torch.Generator().manual_seed(seed)
    ref = torch.rand(batch, channels, height, width, generator=g)
    return ref + noise * torch.randn(ref.shape, generator=g), ref


def as_bytes(image, border=0):
    levels = (image.double().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return levels[border : levels.shape[0] - border, border : levels.shape[1] - border]


@given(
    st.integers(0, 999),
    st.sampled_from([1, 3]),
    st.integers(0, 6),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_psnr_and_ssim_are_those_of_scikit_image_on_bytes(seed, channels, border, dtype):
    x, ref = (image.to(dtype) for image in images(seed, channels=channels))
    for i in range(2):
        a, b = as_bytes(x[i], border), as_bytes(ref[i], border)
        want = metrics.peak_signal_noise_ratio(b, a, data_range=255)
        assert abs(float(psnr(x, ref, border)[i]) - want) < 1e-6
        options = {
            "gaussian_weights": True,
            "sigma": 1.5,
            "use_sample_covariance": False,
            "channel_axis": 2,
        }
        want = metrics.structural_similarity(b, a, data_range=255, **options)
        assert abs(float(ssim(x, ref, border)[i]) - want) < 1e-6


def test_unrounded_psnr_is_that_of_scikit_image_on_floats():
    x, ref = images(0)
    want = metrics.peak_signal_noise_ratio(
        ref[0].double().numpy(), x[0].double().numpy(), data_range=1
    )
    assert abs(float(psnr(x, ref, rounded=False)[0]) - want) < 1e-6


@given(st.integers(0, 999), st.integers(0, 5))
def test_psnr_y_is_that_of_the_luma_of_scikit_image(seed, border):
    x, ref = images(seed)
    a, b = (color.rgb2ycbcr(as_bytes(image[0], border))[..., 0] for image in (x, ref))
    assert (
        abs(
            float(psnr_y(x, ref, border)[0]) - metrics.peak_signal_noise_ratio(b, a, data_range=255)
        )
        < 1e-2
    )
    x, ref = x[:, :1], ref[:, :1]
    assert torch.allclose(
        psnr_y(x, ref), psnr_y(x.expand(-1, 3, -1, -1), ref.expand(-1, 3, -1, -1))
    )


def test_equal_images_are_infinitely_near():
    x, _ = images(0)
    assert torch.isinf(psnr(x, x)).all() and torch.isinf(psnr_registered(x, x)).all()
    assert torch.allclose(ssim(x, x), torch.ones(2, dtype=torch.float64))


def test_what_an_8_bit_file_cannot_hold_does_not_count():
    ref = torch.randint(0, 256, (1, 3, 8, 8)) / 255
    assert torch.isinf(psnr(ref + 0.4 / 255, ref)).all()
    assert torch.isinf(psnr(torch.full_like(ref, 1.7), torch.ones_like(ref))).all()
    assert abs(float(psnr(ref + 0.4 / 255, ref, rounded=False)) - 20 * math.log10(255 / 0.4)) < 1e-3


def smooth(height=72, width=90, seed=0):
    """A periodic image of low frequencies, as a function of a shift."""
    rng = np.random.default_rng(seed)
    waves = [
        (rng.integers(-6, 7), rng.integers(-6, 7), rng.uniform(0, 6.3), rng.normal())
        for _ in range(30)
    ]
    r, c = torch.arange(height)[:, None], torch.arange(width)[None, :]

    def image(shift=(0.0, 0.0)):
        terms = [
            a
            * torch.cos(
                2 * math.pi * (u * (r - shift[0]) / height + v * (c - shift[1]) / width) + p
            )
            for u, v, p, a in waves
        ]
        return (0.5 + 0.05 * torch.stack(terms).sum(0)).float().expand(1, 3, -1, -1)

    return image


@given(st.floats(-4, 4), st.floats(-4, 4), st.integers(0, 20))
def test_a_shift_is_found_and_undone(rows, columns, seed):
    image = smooth(seed=seed)
    shifted, ref = image((rows, columns)), image()
    found = best_shift(shifted[0, 0].double(), ref[0, 0].double())
    assert abs(found[0] + rows) < 0.1 and abs(found[1] + columns) < 0.1
    assert float(psnr_registered(shifted, ref, border=8, rounded=False)) > 40


@given(st.integers(0, 999), st.integers(0, 6), st.booleans())
def test_registered_is_never_worse_than_plain(seed, border, rounded):
    x, ref = images(seed, noise=0.5)
    x = torch.roll(x, (seed % 5, seed % 3), (2, 3))
    assert (psnr_registered(x, ref, border, rounded) >= psnr(x, ref, border, rounded)).all()
    k = torch.rand(3, 1, 7, 9, generator=torch.Generator().manual_seed(seed))
    ref = torch.rand(3, 1, 5, 5, generator=torch.Generator().manual_seed(seed + 1))
    assert (kernel_error_registered(k, ref) <= kernel_error(k, ref)).all()


def test_flat_images_have_no_shift():
    flat = torch.full((1, 1, 20, 20), 0.5)
    assert float(psnr_registered(flat, flat + 0.1)) == float(psnr(flat, flat + 0.1))


@given(st.integers(0, 999))
def test_kernel_error_is_the_mean_square_of_the_taps(seed):
    k, ref = torch.rand(
        2, 3, 1, 5, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    want = [
        metrics.mean_squared_error(a[0].numpy(), b[0].numpy()) for a, b in zip(k, ref, strict=True)
    ]
    assert np.allclose(kernel_error(k, ref), want)
    assert np.allclose(
        kernel_error(k[:1], ref)[1], metrics.mean_squared_error(k[0, 0].numpy(), ref[1, 0].numpy())
    )


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 5))
def test_of_two_sizes_the_smaller_lies_in_the_larger_centre_on_centre(rows, columns, more):
    k = torch.rand(1, 1, rows, columns)
    large = resize_kernel(k, rows + more, columns + more)
    assert float(kernel_error(k, large)) == 0 == float(kernel_error(large, k))
    assert torch.allclose(
        kernel_error(large, torch.zeros(1, 1, 1, 1)), (large.double() ** 2).mean().reshape(1)
    )


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_a_shifted_kernel_is_the_same_kernel_when_registered(rows, columns):
    std = torch.tensor([1.6])
    ref = gaussian_kernels(25, std, std * 1.5, torch.tensor([0.5]))
    moved = gaussian_kernels(
        25, std, std * 1.5, torch.tensor([0.5]), torch.tensor([[rows, columns]])
    )
    assert float(kernel_error_registered(moved, ref)) < 1e-3 * float((ref**2).mean())


def test_an_exact_explanation_of_the_observation_is_infinitely_good():
    x, _ = images(0, height=24, width=32)
    k = torch.rand(1, 1, 5, 5)
    k = k / k.sum()
    y = observe(x, k, 4)
    assert float(psnr_lr(x, k, y).min()) > 60
    assert torch.allclose(
        psnr_lr(x, k, y + 0.1, rounded=False),
        torch.full((2,), 20.0, dtype=torch.float64),
        atol=1e-3,
    )


def test_the_all_zero_guess_scores_what_is_known_of_it(data):
    for k in read_kernels(data / "kernels/ikrnet_paper_12.npy")[8:]:
        assert 7e-5 < float(kernel_error(torch.zeros_like(k), k)) < 21e-5


@pytest.mark.parametrize("shift", [(1.0, -2.0), (0.5, 0.5), (-1.36, 2.0)])
def test_photographs_blurred_off_centre_are_registered(data, shift):
    hr = read_image(data / "cbsd68/0005.png").pixels[..., :200, :240]
    std = torch.tensor([1.2])
    centred = observe(hr, gaussian_kernels(15, std, std))
    moved = observe(hr, gaussian_kernels(15, std, std, shift=torch.tensor([shift])))
    assert float(psnr(moved, centred, 8)) < 38 < 45 < float(psnr_registered(moved, centred, 8))
    assert abs(float(psnr_registered(moved, hr, 8)) - float(psnr(centred, hr, 8))) < 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: psnr(x, x[..., 1:]), "have different shapes"),
        (lambda x: psnr(x, x[:1]), "have different shapes"),
        (lambda x: psnr((x * 255).byte(), x), "x is uint8; give floating point"),
        (lambda x: psnr(x[0], x[0]), "needs four dimensions"),
        (lambda x: psnr(x, x, border=10), "leaves nothing"),
        (lambda x: psnr(x, x, border=-1), "leaves nothing"),
        (lambda x: psnr_registered(x * torch.nan, x), "NaN"),
        (lambda x: psnr_y(x[:, :2], x[:, :2]), "1 or 3 channels"),
        (lambda x: ssim(x, x, border=5), "window has 11 pixels"),
        (lambda x: psnr_lr(x, x[:1, :1, :3, :3], x[..., :9, :9]), "s times as large"),
        (lambda x: kernel_error(x, x), "all channels share one kernel"),
        (
            lambda x: kernel_error(x[:, :1], x[:1, :1].repeat(3, 1, 1, 1)),
            "2 kernels cannot be compared with 3",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(call, message):
    with pytest.raises(PnpError, match=message):
        call(torch.rand(2, 3, 20, 20))
