"""The noise level from small neighbourhoods: near the truth on photographs, whatever the blur."""

import functools
import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut, coffee

import pnp
import pnp.estimators
from pnp.compression import jpeg_error
from pnp.errors import PnpError
from pnp.interfaces import Estimator
from pnp.kernel_files import make_kernel
from pnp.observation import blur, downsample


@functools.cache
def trained() -> Estimator:
    """The estimator with its pretrained weights."""
    change: dict[str, Any] = {"modules.F": {"estimator": "local-noise", "weights": "local-noise"}}
    module = pnp.load("ikrnet-small", **change).parts["F"]
    assert isinstance(module, Estimator)
    return module


@functools.cache
def photographs() -> torch.Tensor:
    """Three, of half size, which have little noise of their own."""
    images = [astronaut()[:, :384], astronaut()[:, 128:], coffee()[:, 100:484]]
    crops = [torch.from_numpy(image[:384].copy()).permute(2, 0, 1) / 255 for image in images]
    return torch.nn.functional.avg_pool2d(torch.stack(crops), 2)


def observed(s: int, sigma: float, width: float = 1.2) -> torch.Tensor:
    y = downsample(blur(photographs(), make_kernel(f"gaussian:{width}")), s)
    return y + sigma * torch.randn(y.shape, generator=torch.Generator().manual_seed(s))


@torch.no_grad()
def level(y: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(trained()(y)).flatten()


@pytest.mark.parametrize("width", [1.0, 2.0])
@pytest.mark.parametrize("s", [1, 2, 3, 4])
@pytest.mark.parametrize("sigma", [0.005, 0.01, 0.02, 0.03])
def test_the_level_is_near_the_truth_whatever_the_scale_and_the_blur(s, sigma, width):
    found = level(observed(s, sigma, width)).median()
    assert abs(found - sigma) < 0.1 * sigma + 0.0005, found


@pytest.mark.parametrize("s", [1, 2, 3, 4])
def test_clean_images_have_less_than_three_thousandths(s):
    assert (level(observed(s, 0.0)) < 0.003).all()


def test_grey_is_the_same_as_three_equal_channels():
    y = observed(2, 0.02)[:, :1]
    torch.testing.assert_close(level(y), level(y.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_bars_do_not_count(value):
    y = observed(1, 0.03)
    barred = y.clone()
    barred[..., :48, :] = barred[..., -48:, :] = value
    torch.testing.assert_close(level(barred), level(y[..., 48:-48, :]), rtol=0.1, atol=0)


def test_of_a_large_image_patches_are_enough():
    y = photographs()[:1].repeat(1, 1, 6, 6)
    y = y + 0.02 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(level(y), torch.tensor([0.02]), rtol=0.05, atol=0)
    changed = y.clone()
    changed[..., 64:96, :] = 0.5  # between two patches: 12 of 64 rows among 1152
    assert torch.equal(level(changed), level(y))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 40)])
def test_the_smallest_images_have_a_level(size):
    found = level(torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)))
    assert torch.isfinite(found).all() and (found >= 0).all()


def test_other_channels_are_refused():
    with pytest.raises(PnpError, match="local-noise: y has 2 channels; it works on images"):
        trained()(torch.rand(1, 2, 16, 16))


def test_noise_that_jpeg_rounds_to_zero_counts():
    """The steps of JPEG (quality 85) stand for more than the noise of 1 % before it."""
    x = torch.from_numpy(coffee()[100:340, 150:390]).permute(2, 0, 1)[None] / 255
    y = (x + 0.01 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    file = io.BytesIO()
    pixels = (255 * y[0]).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=85)
    stored = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)[None] / 255
    found, error = float(level(stored)), jpeg_error(stored[0].numpy())
    assert found >= error > 0.015
