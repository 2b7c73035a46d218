"""Random kernels, levels, crops and batches have the statistics that they promise, and follow their seeds."""

import math
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pnp.degradations import Degradations, ImagePool, random_levels
from pnp.errors import PnpError
from pnp.kernels import centre_of_mass, gaussian_kernels, second_moments
from pnp.observation import observe
from pnp.random_blur import (
    KINDS,
    dan_setting1_kernels,
    dan_setting2_kernels,
    disturb,
    motion_kernels,
    random_kernels,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def axes(k):
    """Standard deviations along the minor and major axis, and the angle of the major one, in [0, pi)."""
    values, vectors = torch.linalg.eigh(second_moments(k).double())
    row, column = vectors[:, 0, 1], vectors[:, 1, 1]
    return values[:, 0].clamp(min=0).sqrt(), values[:, 1].sqrt(), torch.atan2(row, column) % math.pi


def uniform_by_ks(sample, low, high):
    """True unless the Kolmogorov-Smirnov test rejects U(low, high) at the level 1e-4."""
    from scipy import stats

    return stats.kstest(np.asarray(sample), "uniform", (low, high - low)).pvalue > 1e-4


@given(
    st.sampled_from(KINDS), st.integers(1, 25), st.sampled_from([0.0, 0.25]), st.integers(0, 999)
)
def test_kernels_sum_to_one_are_not_negative_and_centred(kind, size, disturbance, seed):
    k = random_kernels(8, size, kind, disturbance=disturbance, generator=seeded(seed))
    assert k.shape == (8, 1, size, size) and k.dtype == torch.float32
    assert (k >= 0).all() and torch.allclose(k.sum((-2, -1)), torch.ones(8, 1), atol=1e-5)
    assert centre_of_mass(k).abs().max() < 2e-3


@given(st.floats(0.8, 2.0), st.floats(0.8, 2.0), st.floats(0, math.pi), st.sampled_from([25, 26]))
def test_gaussians_have_the_moments_that_were_asked_for(a, b, angle, size):
    a, b, angle = (torch.tensor([v], dtype=torch.float64) for v in (a, b, angle))
    k = gaussian_kernels(size, a, b, angle)
    across = torch.stack((-angle.sin(), angle.cos()))[:, 0]  # row and column of the first axis
    along = torch.stack((angle.cos(), angle.sin()))[:, 0]
    want = a**2 * torch.outer(across, across) + b**2 * torch.outer(along, along)
    assert torch.allclose(second_moments(k)[0], want, atol=2e-2 * float(want.max()))


def test_gaussians_are_uniform_in_width_and_angle():
    k = random_kernels(2000, 41, "isotropic", std=(0.8, 3.2), generator=seeded())
    minor, major, _ = axes(k)
    assert torch.allclose(minor, major, rtol=2e-3)
    assert uniform_by_ks(major, 0.8, 3.2)
    minor, major, angle = axes(
        random_kernels(2000, 41, "anisotropic", std=(0.8, 3.2), generator=seeded())
    )
    assert minor.min() > 0.79 and major.max() < 3.21
    assert uniform_by_ks(
        ((minor - 0.8) / 2.4) ** 2 * -1 + 2 * (minor - 0.8) / 2.4, 0, 1
    )  # the lesser of two uniforms
    assert uniform_by_ks(((major - 0.8) / 2.4) ** 2, 0, 1)  # the greater of two
    assert uniform_by_ks(angle[major > 1.3 * minor], 0, math.pi)


def test_the_default_widths_reach_from_a_delta_to_four():
    _, major, _ = axes(random_kernels(2000, 61, "isotropic", generator=seeded()))
    assert major.min() < 0.05 and 3.8 < major.max() < 4.01


def test_linear_motion_is_a_line_and_bending_grows_with_the_nonlinearity():
    thin = []
    for q in (0.0, 0.3, 1.0):
        minor, major, angle = axes(motion_kernels(800, 31, (q, q), generator=seeded()))
        thin.append(float((minor / major)[major > 4].median()))
    assert thin[0] < 0.2 < thin[2] and thin[0] < thin[1] < thin[2]
    minor, major, angle = axes(motion_kernels(2000, 31, (0, 0), generator=seeded()))
    assert (
        minor.max() < 0.95
    )  # the optics: at most 0.8, widened by the interpolation between the pixels
    assert uniform_by_ks(angle[major > 2], 0, math.pi)
    assert 9 < major.max() < 13 * math.sqrt(2 / 3) + 0.3  # a diagonal over the whole support


def test_motion_stays_within_its_support():
    k = motion_kernels(500, 21, generator=seeded())
    edge = k.sum((-2, -1)) - k[..., 1:-1, 1:-1].sum((-2, -1))
    assert edge.max() < 5e-3


@pytest.mark.parametrize("kind", KINDS)
def test_off_centre_kernels_are_spread_evenly_around_the_centre(kind):
    k = random_kernels(1500, 31, kind, std=(1.0, 2.0), off_centre=2.5, generator=seeded())
    centres = centre_of_mass(k)
    assert uniform_by_ks(centres[:, 0], -2.5, 2.5) and uniform_by_ks(centres[:, 1], -2.5, 2.5)
    assert (k >= 0).all() and torch.allclose(k.sum((-2, -1)), torch.ones(1500, 1), atol=1e-5)


def test_a_narrow_kernel_between_the_pixels_is_still_a_kernel():
    tiny = torch.tensor([0.02])
    k = gaussian_kernels(9, tiny, tiny, shift=torch.tensor([[0.5, 0.5]]))
    assert torch.isfinite(k).all() and abs(float(k.sum()) - 1) < 1e-6


def test_shares_of_kinds_are_kept():
    k = random_kernels(3000, 21, {"isotropic": 1, "anisotropic": 3}, std=(1, 3), generator=seeded())
    minor, major, _ = axes(k)
    assert abs(float((major - minor < 0.02).float().mean()) - 0.25) < 0.04


def test_the_disturbance_is_within_its_bounds():
    flat = torch.full((1000, 1, 5, 5), 0.04)
    ratio = disturb(flat, 0.25, seeded(), recentre=False)
    ratio = ratio / ratio.amin((-2, -1), keepdim=True)
    assert ratio.max() <= 1.25 + 1e-5 and ratio.max() > 1.24
    centred = disturb(flat, 0.25, seeded())
    assert (
        centre_of_mass(centred).abs().max()
        < 1e-5
        < centre_of_mass(disturb(flat, 0.25, recentre=False)).abs().max()
    )


def test_kernels_of_dan():
    k = dan_setting1_kernels()
    assert k.shape == (8, 1, 21, 21)
    minor, major, _ = axes(k)
    assert torch.allclose(
        major[:4], torch.linspace(1.8, 3.2, 8).double()[:4], rtol=1e-2
    ) and torch.allclose(minor, major)
    assert dan_setting2_kernels(5, 4, seeded()).shape == (5, 1, 31, 31)
    assert dan_setting2_kernels(5, 2, seeded()).shape == (5, 1, 11, 11)


def test_levels_are_uniform_and_a_fifth_is_clean():
    sigma = random_levels(20000, generator=seeded())
    assert sigma.shape == (20000, 1, 1, 1)
    assert abs(float((sigma == 0).float().mean()) - 0.2) < 0.012
    assert uniform_by_ks(sigma[sigma > 0], 0, 0.03)
    assert (random_levels(100, clean=1.0) == 0).all() and (random_levels(100, clean=0.0) > 0).all()


def three_images():
    """Three images in which every byte tells image, channel, row and column."""
    images = []
    for i, (height, width) in enumerate([(8, 12), (10, 9), (16, 8)]):
        r, c = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        images.append(torch.stack((torch.full_like(r, 50 * i), 1 + r, 1 + c)).to(torch.uint8))
    return images


@given(st.integers(1, 8), st.integers(0, 999))
def test_crops_are_pieces_of_the_images_turned_and_mirrored(size, seed):
    images = three_images()
    for crop in ImagePool(images).crops(6, size, seeded(seed)):
        image = images[int(crop[0, 0, 0]) // 50]
        rows, columns = crop[1].int() - 1, crop[2].int() - 1
        piece = image[:, rows.min() : rows.min() + size, columns.min() : columns.min() + size]
        turned = [
            torch.rot90(m, turns, (1, 2)) for m in (piece, piece.flip(2)) for turns in range(4)
        ]
        assert any(torch.equal(crop, t) for t in turned)


def test_crops_come_from_all_images_places_and_orientations_alike():
    crops = ImagePool(three_images()).crops(16000, 8, seeded())
    image = crops[:, 0, 0, 0].long() // 50
    assert torch.allclose(torch.bincount(image) / 16000, torch.tensor(1 / 3), atol=0.02)
    left = crops[image == 0][:, 2].flatten(1).amin(1).long() - 1
    assert torch.allclose(torch.bincount(left) / len(left), torch.tensor(1 / 5), atol=0.03)
    first = (
        crops[:, 1, 0, 0].int() < crops[:, 1, -1, -1].int(),
        crops[:, 2, 0, 0].int() < crops[:, 2, -1, -1].int(),
    )
    upright = crops[:, 2, 0, 0] != crops[:, 2, 0, -1]
    orientation = first[0].int() * 4 + first[1].int() * 2 + upright.int()
    assert torch.allclose(torch.bincount(orientation) / 16000, torch.tensor(1 / 8), atol=0.01)


@given(st.sampled_from([1, 2, 3, 4]), st.integers(0, 999))
def test_a_batch_is_the_observation_model(s, seed):
    photos = ImagePool([torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8)])
    clean = Degradations(scales=(s,), size=11, kinds=dict.fromkeys(KINDS, 1.0), noise=0.0)
    x, y, k, sigma, scale = clean.draw(photos, 4, 26, seeded(seed))
    assert scale == s and x.shape == (4, 3, 26 // s * s, 26 // s * s) and (sigma == 0).all()
    assert x.min() >= 0 and x.max() <= 1
    assert torch.allclose(y, observe(x, k, s), atol=1e-6)


def test_each_image_of_a_batch_has_its_own_noise():
    flat = ImagePool([torch.full((3, 64, 64), 128, dtype=torch.uint8)])
    batch = Degradations(scales=(1,), noise=0.1).draw(flat, 32, 64, seeded())
    assert torch.allclose(
        (batch.y - 128 / 255).std((1, 2, 3)), batch.sigma.flatten(), rtol=0.05, atol=1e-5
    )
    assert (batch.sigma == 0).any() and len(batch.sigma.unique()) > 15


def test_rounding_is_to_8_bits_for_the_share_that_was_asked_for():
    photos = ImagePool([torch.randint(0, 256, (1, 32, 32), dtype=torch.uint8)])
    y = Degradations(size=5, rounded=0.5).draw(photos, 200, 32, seeded()).y
    whole = ((y * 255 - (y * 255).round()).abs() < 1e-4).flatten(1).all(1)
    assert 0.35 < float(whole.float().mean()) < 0.65


def test_a_seed_gives_the_same_batch_and_another_seed_another():
    photos = ImagePool([torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8)])
    recipe = Degradations(
        scales=(1, 2, 3, 4), kinds=dict.fromkeys(KINDS, 1.0), disturbance=0.1, rounded=0.5
    )
    a, b, c = (recipe.draw(photos, 4, 36, seeded(seed)) for seed in (5, 5, 6))
    assert a.s == b.s and all(torch.equal(p, q) for p, q in zip(a[:4], b[:4], strict=True))
    assert not torch.equal(a.k, c.k) and not torch.equal(a.sigma, c.sigma)
    assert {recipe.draw(photos, 1, 36, seeded(seed)).s for seed in range(40)} == {1, 2, 3, 4}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_draws_the_same_from_the_same_seed():
    images = [torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8)]
    recipe = Degradations(scales=(2,), kinds=dict.fromkeys(KINDS, 1.0), disturbance=0.1)
    a, b = (
        recipe.draw(ImagePool(images, "cuda"), 8, 36, torch.Generator("cuda").manual_seed(1))
        for _ in range(2)
    )
    assert a.y.is_cuda and all(torch.equal(p, q) for p, q in zip(a[:4], b[:4], strict=True))
    with torch.autocast("cuda", torch.bfloat16):
        mixed = recipe.draw(
            ImagePool(images, "cuda"), 8, 36, torch.Generator("cuda").manual_seed(1)
        )
    assert torch.equal(mixed.k, a.k)
    on_cpu = recipe.draw(ImagePool(images), 8, 36, seeded(1))
    for p, q in zip(
        recipe.draw(ImagePool(images, "cuda"), 8, 36, seeded(1))[:4], on_cpu[:4], strict=True
    ):
        assert torch.allclose(p.cpu(), q, atol=1e-5)


def test_autocast_leaves_kernels_alone():
    plain = random_kernels(8, 21, "motion", generator=seeded())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(random_kernels(8, 21, "motion", generator=seeded()), plain)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: random_kernels(2, 9, "motoin"), "did you mean 'motion'"),
        (lambda: random_kernels(2, 9, {"motion": -1}), "share of 'motion'"),
        (lambda: random_kernels(2, 9, {"motion": 0}), "give one kind a share above 0"),
        (lambda: random_kernels(0, 9), "1 or more"),
        (lambda: ImagePool([]), "at least one image"),
        (lambda: ImagePool([torch.rand(3, 8, 8)]), "should be uint8"),
        (
            lambda: ImagePool([torch.zeros(c, 8, 8, dtype=torch.uint8) for c in (3, 1)]),
            "training images: image 1 is",
        ),
        (lambda: ImagePool(three_images()).crops(2, 9), "smallest image has a side of 8"),
        (lambda: Degradations(scales=cast(Any, (2.5,))), "scales should be whole numbers"),
        (lambda: Degradations(kinds="gaussian"), "kinds: anisotropic"),
        (lambda: Degradations(noise=3), "noise should be between 0 and 1"),
        (lambda: Degradations(std=(0, 4)), "std should be a range"),
        (lambda: Degradations(off_centre=11), "off_centre between 0 and half"),
        (
            lambda: Degradations(size=21).draw(ImagePool(three_images()), 2, 8),
            "larger than the image",
        ),
    ],
)
def test_what_has_no_meaning_is_refused_in_one_sentence(call, message):
    with pytest.raises(PnpError, match=message):
        call()
