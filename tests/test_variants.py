"""The paper's variants as overlays of `ikrnet-small`, with the weights of the package."""

import pytest
import torch
from skimage.data import astronaut

import pnp
from pnp.errors import PnpError
from pnp.kernel_files import make_kernel
from pnp.observation import blur

VARIANTS = (
    *("ikrnet-known-noise", "ikrnet-zero-noise", "ikrnet-max-noise", "ikrnet-fixed-kernel"),
    *("ikrnet-scunet", "denoise-ikrnet", "ikrnet-denoise"),
)
LOOPS = ("ikrnet-8", "ikrnet-authors")


@pytest.mark.parametrize("variant", VARIANTS + LOOPS)
def test_it_restores_with_the_weights_of_ikrnet_small(variant):
    sigma = 0.02 if variant == "ikrnet-known-noise" else None
    image = torch.from_numpy(astronaut()[64:192, 160:288]).permute(2, 0, 1) / 255
    y = torch.nn.functional.avg_pool2d(blur(image[None], make_kernel("motion:1")), 4)
    y = y + 0.01 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    fewer = () if variant in LOOPS else ("stages.1.times=1",)
    plain = pnp.restore(y, "ikrnet-small", scale=2, assignments=fewer)
    varied = pnp.restore(
        y, "ikrnet-small", scale=2, sigma=sigma, overlays=(variant,), assignments=fewer
    )
    assert torch.isfinite(varied.image).all() and varied.image.shape == plain.image.shape
    assert not torch.equal(varied.image, plain.image)


def test_the_exact_dk_stays_as_its_pk_was_trained_for():
    plain, exact = pnp.load("ikrnet-small"), pnp.load("ikrnet-small", "ikrnet-support")
    assert exact.spec.document.plain() == plain.spec.document.plain()


def test_half_of_the_iterations():
    whole, half = pnp.load("ikrnet-small").spec, pnp.load("ikrnet-small", "ikrnet-8").spec
    assert 2 * half.iterations == whole.iterations


def test_of_the_authors_code_the_one_update_of_the_kernel():
    updates = [
        step
        for stage in pnp.load("ikrnet-small", "ikrnet-authors").spec.stages
        for step in stage.start
        if step.module == "Dk"
    ]
    assert len(updates) == 1


@pytest.mark.parametrize(
    ("name", "overlay"), [("ikrnet", "NAME"), ("denoise-ikrnet", "denoise-ikrnet")]
)
def test_without_weights_of_the_large_one_the_small_one_is_named(name, overlay):
    with pytest.raises(PnpError, match=f"pnp run ikrnet-small --with {overlay}"):
        pnp.restore(torch.rand(3, 16, 16), name, scale=2)
