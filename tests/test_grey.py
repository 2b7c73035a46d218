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
SIGMA = 0.01


@functools.cache
def photograph() -> torch.Tensor:
    """A part of a photograph, (1, 3, 192, 192)."""
    part = data.coffee()[100:292, 150:342]
    return torch.from_numpy(part).permute(2, 0, 1)[None] / 255


def kinds() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The clean image of each kind, and its noise of standard deviation 1."""
    x, g = photograph(), torch.Generator().manual_seed(0)
    shared, own = (torch.randn(1, n, *x.shape[-2:], generator=g) for n in (1, 3))
    grey = x.mean(1, keepdim=True)
    return {
        "colour": (x, own),
        "grey": (grey, shared),
        "grey in three channels": (grey.expand(-1, 3, -1, -1), shared.expand(-1, 3, -1, -1)),
        "sepia": (grey * SEPIA, shared * SEPIA),
        "correlated": (x, 0.7**0.5 * shared + 0.3**0.5 * own),
    }


@functools.cache
def gain(name: str, kind: str, s: int) -> float:
    """PSNR of a restoration with the true kernel and noise level."""
    x, noise = kinds()[kind]
    y = downsample(blur(x, KERNEL), s) + SIGMA * noise[..., ::s, ::s]
    result = pnp.restore(
        y.clamp(0, 1), name, kernel=KERNEL, sigma=SIGMA, scale=s, boundary="periodic"
    )
    return float(psnr(result.image, x, border=s * s))


@pytest.mark.parametrize("s", [1, 2])
@pytest.mark.parametrize("name", ["usrnet-mini", "usrnet-small"])
@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind != "colour"])
def test_it_is_as_good_as_independent_noise_and_not_below_total_variation(kind, name, s):
    reached = gain(name, kind, s)
    assert reached > gain("hqs-tv", kind, s)
    assert reached > gain(name, "colour", s) - 0.7


@pytest.mark.parametrize("name", ["denoise", "denoise-blind"])
@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind != "colour"])
def test_denoisers_are_not_below_total_variation(kind, name):
    x, noise = kinds()[kind]
    y, level = x + 15 / 255 * noise, torch.full((1, 1, 1, 1), 15 / 255)
    sigma = 15 / 255 if name == "denoise" else None
    reached = float(psnr(pnp.restore(y, name, sigma=sigma).image, x))
    assert reached > float(psnr(pnp.priors.build("tv")(y, level), x))
