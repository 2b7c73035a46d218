"""Borders that are unknown: as good as a solve that is told which pixels are known."""

import pytest
import torch
from skimage import data

import pnp
from pnp.kernels import gaussian_kernels
from pnp.metrics import psnr
from pnp.observation import blur, downsample


def line(size, diagonal):
    k = torch.eye(size) if diagonal else torch.zeros(size, size)
    if not diagonal:
        k[size // 2] = 1
    return (k / k.sum())[None, None]


def disc(radius):
    at = torch.arange(-radius, radius + 1.0)
    k = (at[:, None] ** 2 + at**2 <= radius**2).float()
    return (k / k.sum())[None, None]


KERNELS = {
    "line": line(21, False),
    "diagonal": line(21, True),
    "disc": disc(7),
    "gaussian": gaussian_kernels(25, torch.tensor([3.0]), torch.tensor([3.0])),
}


def window(k, s, sigma=0.005):
    """A window of a blurred scene, whose surroundings the observation does not show."""
    photo = torch.from_numpy(data.astronaut()).float().permute(2, 0, 1)[None] / 255
    scene = photo[..., 100:316, 150:366]
    y = downsample(blur(scene, k), s)[..., 24 // s : -24 // s, 24 // s : -24 // s]
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    return y + sigma * noise, scene[..., 24:-24, 24:-24]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("s", [1, 2])
def test_wide_kernels_do_not_ring_from_the_border(kernel, s):
    k = KERNELS[kernel]
    y, truth = window(k, s)
    bicubic = pnp.initializers.build("bicubic")(y, s) if s > 1 else y
    restored = pnp.restore(y, "hqs-tv", scale=s, kernel=k, sigma=0.005, boundary="unknown")
    before, after = (float(psnr(x.clamp(0, 1), truth)) for x in (bicubic, restored.image))
    assert after > before + 0.5, (before, after)
    periodic = pnp.restore(y, "hqs-tv", scale=s, kernel=k, sigma=0.005)
    assert after > float(psnr(periodic.image, truth))
    assert restored.record["boundary"] == "unknown"


@pytest.mark.parametrize("pipeline", ["hqs-tv", "usrnet-mini"])
def test_a_flat_photograph_stays_flat(pipeline):
    y = torch.tensor([0.2, 0.6, 0.3])[None, :, None, None].expand(1, 3, 40, 56)
    x = pnp.restore(y, pipeline, scale=1, kernel="gaussian:2", sigma=0.01, boundary="unknown").image
    assert (x - y).abs().max() < 5 / 255


def test_benchmarks_stay_periodic():
    k = KERNELS["gaussian"]
    y, _ = window(k, 1)
    pipeline = pnp.load("hqs-tv")
    plain, periodic = (
        pipeline(y=y, k=k, sigma=0.01),
        pipeline(y=y, k=k, sigma=0.01, boundary="periodic"),
    )
    assert torch.equal(plain.x, periodic.x)
