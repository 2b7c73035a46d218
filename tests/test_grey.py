"""Grey photographs, and colour ones whose noise is shared by the channels, with learned priors."""

import functools

import pytest
import torch
from skimage import data

import pnp
from pnp.kernel_files import make_kernel
from pnp.metrics import psnr
from pnp.observation import blur, downsample

SEPIA = torch.tensor([1.0, 0.89, 0.71])[:, None, None]
KERNEL = make_kernel("gaussian:1.6", "kernel")
BAYER = ([1, 2, 1], [2, 4, 2], [1, 2, 1]), ([0, 1, 0], [1, 4, 1], [0, 1, 0])
LOSS = {("dpir", 0.03): 1.4}
"""How far below independent noise, in dB, where it is more than 0.7 (docs/training.md)."""


@functools.cache
def photograph() -> torch.Tensor:
    """A part of a photograph, (1, 3, 192, 192)."""
    part = data.coffee()[100:292, 150:342]
    return torch.from_numpy(part).permute(2, 0, 1)[None] / 255


def demosaicked(noise: torch.Tensor) -> torch.Tensor:
    """Noise (1, 1, H, W) of a sensor with a Bayer pattern (RGGB), interpolated to three colours."""
    places = torch.zeros(3, *noise.shape[-2:])
    places[0, ::2, ::2] = places[1, ::2, 1::2] = places[1, 1::2, ::2] = places[2, 1::2, 1::2] = 1
    weights = torch.tensor([BAYER[0], BAYER[1], BAYER[0]])[:, None] / 4
    return torch.nn.functional.conv2d(noise * places, weights, padding=1, groups=3)


def kinds() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The clean image of each kind, and its noise of standard deviation 1."""
    x, g = photograph(), torch.Generator().manual_seed(0)
    shared, own = (torch.randn(1, n, *x.shape[-2:], generator=g) for n in (1, 3))
    grey = x.mean(1, keepdim=True)
    return {
        "colour": (x, own),
        "demosaicked": (x, demosaicked(shared)),
        "grey": (grey, shared),
        "grey in three channels": (grey.expand(-1, 3, -1, -1), shared.expand(-1, 3, -1, -1)),
        "sepia": (grey * SEPIA, shared * SEPIA),
        "correlated": (x, 0.7**0.5 * shared + 0.3**0.5 * own),
    }


@functools.cache
def reached(name: str, kind: str, s: int, sigma: float) -> float:
    """PSNR of a restoration, with the true kernel and noise level unless `name` is blind."""
    x, noise = kinds()[kind]
    y = downsample(blur(x, KERNEL), s) + sigma * noise[..., ::s, ::s]
    k, level = (None, None) if name == "ikrnet-small" else (KERNEL, sigma)
    y = y.clamp(0, 1)
    result = pnp.restore(y, name, kernel=k, sigma=level, scale=s, boundary="periodic")
    return float(psnr(result.image, x, border=s * s))


@pytest.mark.parametrize(("s", "sigma"), [(1, 0.01), (2, 0.01), (1, 0.03)])
@pytest.mark.parametrize("name", ["usrnet-mini", "usrnet-small", "dpir"])
@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind != "colour"])
def test_it_is_as_good_as_independent_noise_and_not_below_total_variation(kind, name, s, sigma):
    found = reached(name, kind, s, sigma)
    assert found > reached("hqs-tv", kind, s, sigma)
    assert found > reached(name, "colour", s, sigma) - LOSS.get((name, sigma), 0.7)


@pytest.mark.parametrize("kind", ["grey", "correlated", "demosaicked"])
def test_the_default_pipeline_is_as_good_as_for_independent_noise(kind):
    assert reached("ikrnet-small", kind, 1, 0.03) > reached("ikrnet-small", "colour", 1, 0.03) - 0.7


@pytest.mark.parametrize("name", ["denoise", "denoise-blind"])
@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind != "colour"])
def test_denoisers_are_not_below_total_variation(kind, name):
    x, noise = kinds()[kind]
    y, level = x + 15 / 255 * noise, torch.full((1, 1, 1, 1), 15 / 255)
    sigma = 15 / 255 if name == "denoise" else None
    reached = float(psnr(pnp.restore(y, name, sigma=sigma).image, x))
    assert reached > float(psnr(pnp.priors.build("tv")(y, level), x))
