"""The pipelines without learned parts are worth running: they beat the plain answer on a photograph."""

import numpy as np
import pytest
import torch
from skimage.data import astronaut

import pnp
from pnp.testing import observe_spatially


@pytest.fixture(scope="module")
def photo():
    image = astronaut()[20:116, 150:246].astype(np.float32) / 255
    return torch.from_numpy(image).permute(2, 0, 1)[None]


def gaussian(photo, **options):
    return pnp.initializers.build("gaussian-kernel", **options)(photo)


def psnr(estimate, photo):
    return float(-10 * torch.log10((estimate - photo)[..., 8:-8, 8:-8].square().mean()))


def observation(photo, k, s, sigma):
    y = observe_spatially(photo, k, s)
    return y + sigma * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sigma", [0.0, 0.02])
@pytest.mark.parametrize("s", [1, 2, 3, 4])
def test_hqs_tv_beats_bicubic_at_every_scale(photo, s, sigma):
    k = gaussian(photo, size=15, std=2.2, std2=1.2, angle=30)
    y = observation(photo, k, s, sigma)
    restored = pnp.load("hqs-tv")(y=y, s=s, k=k).x
    assert psnr(restored, photo) > psnr(pnp.initializers.build("bicubic")(y, s), photo) + 0.2


@pytest.mark.parametrize(("s", "sigma"), [(1, 0.0), (1, 0.02), (2, 0.0)])
def test_blind_classical_beats_bicubic_on_a_gaussian_blur_it_does_not_know(photo, s, sigma):
    k = gaussian(photo, size=15, std=1.6)
    y = observation(photo, k, s, sigma)
    restored = pnp.load("blind-classical")(y=y, s=s).x
    assert psnr(restored, photo) > psnr(pnp.initializers.build("bicubic")(y, s), photo) + 0.1


def test_inpaint_tv_beats_its_first_guess(photo):
    mask = (torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(0)) > 0.6).float()
    mask[..., 40:46, 20:70] = 0
    y = mask * photo
    restored = pnp.load("inpaint-tv")(y=y, mask=mask).x
    assert psnr(restored, photo) > psnr(pnp.initializers.build("fill")(y, mask), photo) + 0.1
