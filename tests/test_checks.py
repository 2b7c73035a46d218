"""Values that are examined: tolerances at their limits, and what is brought to another form."""

import math

import numpy as np
import pytest
import torch

from pnp.checks import as_given, as_kernel, as_noise, check_alike, check_kernel, check_observation
from pnp.errors import PnpError

like = torch.zeros(2, 3, 4, 4)


def sums(*values):
    return torch.tensor(values).reshape(-1, 1, 1, 1)


@pytest.mark.parametrize("worst", [2.1, -2.1, math.inf, math.nan])
@pytest.mark.parametrize("other", [1.0, 0.0, -1.5])
def test_one_wrong_kernel_among_right_ones_is_refused(worst, other):
    check_kernel("D", sums(other, 2.0))
    for pair in ((worst, other), (other, worst)):
        with pytest.raises(PnpError, match=r"D: (the kernel sums to|k holds NaN)"):
            check_kernel("D", sums(*pair))


@pytest.mark.parametrize("total", [1.02, 0.98, 0.0, -1.0, 300.0, math.nan])
def test_a_kernel_to_simulate_with_sums_to_one(total):
    as_kernel("degrade", "k", sums(0.995, 1.005), error=0.01)
    with pytest.raises(PnpError, match=r"degrade: (the kernel sums to|k holds NaN)"):
        as_kernel("degrade", "k", sums(1.0, total), error=0.01)


@pytest.mark.parametrize("value", [8.5, -8.5])
def test_an_image_may_overshoot_but_not_be_on_0_to_255(value):
    y = torch.zeros(1, 1, 2, 2)
    y[..., 0] = 7.9 if value > 0 else -7.9
    check_observation("D", y)
    with pytest.raises(PnpError, match=r"D: y has values up to 8\.5, but images are on"):
        check_observation("D", y + (value - y))


def test_given_values_take_the_form_of_their_kind():
    assert as_given("p", "s", "number", np.int64(2), like) == 2
    assert as_given("p", "k", "kernel", torch.ones(3, 3) / 9, like).shape == (1, 1, 3, 3)
    assert as_given("p", "sigma", "level", "2%", like).flatten().tolist() == [pytest.approx(0.02)]
    assert as_given("p", "sigma", "level", torch.tensor([0.1, 0.2]), like).shape == (2, 1, 1, 1)
    assert as_given("p", "alpha", "level", 15, like).item() == 15
    levels = torch.ones(2, 7, 1, 1)
    assert as_given("p", "beta", "levels", levels, like) is levels


@pytest.mark.parametrize(
    ("name", "kind", "value", "message"),
    [
        ("sigma", "level", torch.tensor([0.1, math.nan]), "sigma is nan, but should be a noise"),
        ("sigma", "level", torch.tensor([-0.1]), "sigma is -0.1, but should be a noise level"),
        ("alpha", "level", torch.tensor([1.0, -2.0]), "alpha is -2; it must be a finite number"),
        ("alpha", "level", math.inf, "alpha is inf, but should be a number"),
        ("alpha", "level", "much", "alpha is 'much', but should be a number"),
        ("s", "number", True, "s is True, but should be a whole number of at least 1"),
        ("beta", "levels", torch.ones(2, 7), r"beta has shape \(2, 7\); .* \(B, n, 1, 1\)"),
        ("beta", "levels", torch.full((2, 7, 1, 1), math.nan), "beta holds NaN"),
        ("mask", "image", torch.ones(1, 1, 4, 4).half(), "y is float32 but mask is float16"),
        ("mask", "image", torch.ones(1, 1, 4, 4, device="meta")[:, :0], "mask is empty"),
    ],
)
def test_given_values_that_do_not_fit_are_one_clear_message(name, kind, value, message):
    with pytest.raises(PnpError, match=rf"^p: {message}"):
        as_given("p", name, kind, value, like)


def test_a_level_without_an_image_is_refused():
    with pytest.raises(PnpError, match="p: sigma is given without an image; give y too"):
        as_given("p", "sigma", "level", 0.1, None)


def test_half_precision_counts_as_float32_where_solvers_compute():
    check_alike("D", "x", like.half(), like)
    with pytest.raises(PnpError, match=r"D: y is float32 but x is float64; .* x.to\(y.dtype\)"):
        check_alike("D", "x", like.double(), like)
    with pytest.raises(PnpError, match="D: y is on cpu but x is on meta; move one of them"):
        check_alike("D", "x", like.to("meta"), like)


def test_a_noise_level_may_be_zero_and_one():
    assert as_noise("n", "sigma", torch.tensor([0.0, 1.0]), like).flatten().tolist() == [0, 1]
