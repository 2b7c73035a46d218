"""The paper's variants as overlays of `ikrnet-small`, with the weights of the package."""

import pytest
import torch
from skimage.data import astronaut

import pnp
from pnp.errors import PnpError

VARIANTS = (
    *("ikrnet-known-noise", "ikrnet-zero-noise", "ikrnet-max-noise", "ikrnet-fixed-kernel"),
    *("ikrnet-scunet", "ikrnet-support", "denoise-ikrnet", "ikrnet-denoise"),
)


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_restores_with_the_weights_of_ikrnet_small(variant):
    sigma = 0.02 if variant == "ikrnet-known-noise" else None
    image = torch.from_numpy(astronaut()[64:192, 160:288]).permute(2, 0, 1) / 255
    y = torch.nn.functional.avg_pool2d(image, 4)
    fewer = ("stages.1.times=1",)
    plain = pnp.restore(y, "ikrnet-small", scale=2, assignments=fewer)
    varied = pnp.restore(
        y, "ikrnet-small", scale=2, sigma=sigma, overlays=(variant,), assignments=fewer
    )
    assert torch.isfinite(varied.image).all() and varied.image.shape == plain.image.shape
    assert not torch.equal(varied.image, plain.image)


@pytest.mark.parametrize(
    "variant, message",
    [
        ("ikrnet-8", "'repeat' is written next to 'stages'"),  # its equivalent: stages.1.times=1
        ("ikrnet-authors", "is a whole pipeline, not an overlay"),
    ],
)
def test_those_of_another_structure_are_refused(variant, message):
    with pytest.raises(PnpError, match=message):
        pnp.load("ikrnet-small", variant)


@pytest.mark.parametrize("name", ["ikrnet", "denoise-ikrnet"])
def test_without_weights_of_the_large_one_the_small_one_is_named(name):
    with pytest.raises(PnpError, match="pnp run ikrnet-small --with NAME"):
        pnp.restore(torch.rand(3, 16, 16), name, scale=2)
