"""Choosing between candidates for a kernel: better, mirror-kernel, nearest-mirror, and the doubt about a kernel."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import astronaut

import pnp
import pnp.estimators
import pnp.transforms
from pnp.errors import PnpError
from pnp.kernels import mirror_kernel
from pnp.observation import observe
from pnp.random_blur import random_kernels
from pnp.training.objective import kernel_distance


@pytest.fixture(scope="module")
def photograph():
    return torch.from_numpy(astronaut()[100:228, 150:278] / 255).permute(2, 0, 1)[None].float()


def test_better_keeps_the_kernel_that_made_the_image(photograph):
    """With the true kernel and its mirror image restored alike, the smaller total variation is the true one's."""
    generator = torch.Generator().manual_seed(3)
    kernels = random_kernels(8, 25, "motion", nonlinearity=(0.6, 1), generator=generator)
    lopsided = kernels[kernel_distance(mirror_kernel(kernels), kernels) > 2]
    hqs = pnp.load("hqs-tv", repeat=4)
    better = pnp.transforms.build("better")
    assert len(lopsided) > 4
    for s in (1, 2):
        for k in lopsided.split(1):
            y = observe(photograph, k, s)
            x, rival = (hqs(y=y, s=s, k=c, sigma=0.005).x for c in (k, mirror_kernel(k)))
            won, image, margin = better(k, x, mirror_kernel(k), rival)
            assert torch.equal(won, k) and torch.equal(image, x) and 0 < margin < 1
            lost, image, again = better(mirror_kernel(k), rival, k, x)
            assert torch.equal(lost, k) and torch.equal(image, x) and again == margin


def test_better_decides_for_each_image_of_a_batch_and_reports_the_first():
    smooth, rough = torch.zeros(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    k, other = torch.rand(2, 2, 1, 3, 3)
    better = pnp.transforms.build("better")
    kept, image, margin = better(k, torch.cat([smooth, rough]), other, torch.cat([rough, smooth]))
    assert torch.equal(kept, torch.stack([k[0], other[1]]))
    assert torch.equal(image, torch.zeros(2, 3, 8, 8)) and torch.allclose(
        margin, torch.ones_like(margin)
    )
    assert better.report()["total variation"] == 0 < better.report()["of the other"]


def test_a_rival_with_a_handicap_must_be_clearly_better():
    k, x = torch.rand(1, 1, 3, 3), torch.rand(1, 1, 16, 16)
    for share, wins in ((0.95, False), (0.7, True)):
        rival = share * x  # its total variation is that share of x's
        kept, _, _ = pnp.transforms.build("better", handicap=0.2)(k, x, k + 1, rival)
        assert torch.equal(kept, k + 1) == wins


def test_without_a_difference_the_first_stays_and_the_margin_is_zero():
    x, k = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 3, 3)
    kept, _, margin = pnp.transforms.build("better")(k, x, k + 1, x)
    assert torch.equal(kept, k) and margin == 0
    constant = torch.full_like(x, 0.5)
    assert pnp.transforms.build("better")(k, constant, k, constant)[2] == 0


@given(st.integers(3, 9), st.integers(0, 99))
def test_nearest_mirror_gives_the_true_side(size, seed):
    k = random_kernels(2, size, "motion", generator=torch.Generator().manual_seed(seed))
    nearest = pnp.transforms.build("nearest-mirror")
    assert torch.allclose(nearest(k, k), k)
    assert torch.allclose(nearest(pnp.transforms.build("mirror-kernel")(k), k), k)


def test_the_misfit_is_the_noise_that_the_error_of_a_kernel_leaves(photograph):
    k, guess = random_kernels(2, 15, "motion", generator=torch.Generator().manual_seed(1)).split(1)
    misfit = pnp.estimators.build("kernel-misfit")
    level = (observe(photograph, k, 2) - observe(photograph, guess, 2)).square().mean().sqrt()
    assert torch.allclose(misfit(photograph, guess, k, 2).flatten(), level)
    assert misfit(photograph, k, k, 2) == 0
    assert (
        pnp.estimators.build("kernel-misfit", mirror=True)(photograph, mirror_kernel(k), k, 2)
        < 1e-6
    )


@given(st.integers(8, 70), st.sampled_from([1, 3]), st.integers(1, 4), st.booleans())
def test_the_doubt_is_a_level_for_every_image(height, channels, s, constant):
    y = (
        torch.full((2, channels, height, 20), 0.4)
        if constant
        else torch.rand(2, channels, height, 20)
    )
    doubt = pnp.estimators.build("kernel-doubt", size=9, width=8)
    level = doubt(y, torch.rand(2, 1, 7, 7), s)
    assert level.shape == (2, 1, 1, 1) and (level >= 0).all() and (level <= 1).all()


def test_the_doubt_refuses_what_it_is_not_made_for():
    doubt, k = pnp.estimators.build("kernel-doubt", size=9, width=8), torch.rand(1, 1, 9, 9)
    with pytest.raises(PnpError, match="the scale is 5"):
        doubt(torch.rand(1, 3, 40, 40), k, 5)
    with pytest.raises(PnpError, match="40 x 7 pixels"):
        doubt(torch.rand(1, 3, 40, 7), k, 2)


def test_levels_add_as_independent_errors_do():
    assert pnp.estimators.build("quadrature")(0.03, 0.04) == pytest.approx(0.05)
