"""The priors: all that are registered keep the contract, and the classical ones compute what they say."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import astronaut
from skimage.restoration import denoise_tv_chambolle
from torch import nn

import pnp.priors
from pnp.errors import PnpError
from pnp.interfaces import Image, Kernel, Level, Prior
from pnp.testing import check_prior

SWIN = {"config": (2, 2, 2, 2, 2, 2, 2), "dim": 8, "head_dim": 2, "window": 4}
SMALL: dict[str, dict[str, Any]] = {
    "resunet": {"nc": (4, 4, 8, 8), "nb": 1},
    "resunet-blind": {"nc": (4, 4, 8, 8), "nb": 1},
    "drunet": {"nc": (4, 4, 8, 8), "nb": 1},
    "dncnn": {"depth": 4, "features": 8},
    "scunet": SWIN,
    "scunet-level": SWIN,
}
DENOISERS = ["tv", "nlm", "wavelet"]
OF_OTHERS = ["deepinv", "spandrel"]
"""Priors of other packages: test_neighbours.py."""


@pytest.fixture(scope="module")
def photo():
    image = astronaut()[20:148, 150:278].astype(np.float32) / 255
    return torch.from_numpy(image).permute(2, 0, 1)[None]


@pytest.mark.parametrize("name", [n for n in pnp.priors.names() if n not in OF_OTHERS])
def test_every_registered_prior_passes_check_prior(name):
    torch.manual_seed(0)
    check_prior(pnp.priors.build(name, **SMALL.get(name, {})))


# check_prior itself: one broken prior for each law


class Good(Prior):
    def forward(self, x: Image, level: Level) -> Image:
        return x * (1 - level)


class Blind(Prior):
    def forward(self, x: Image, level: Level | None = None) -> Image:
        return x if level is None else x * (1 - level)


class OfKernels(Prior):
    def forward(self, k: Kernel) -> Kernel:
        return k[..., 1:, 1:]


class Cut(Prior):
    """Gives kernels of 9 x 9 whatever it is given."""

    size = 9

    def forward(self, k: Kernel) -> Kernel:
        return pnp.transforms.build("crop", size=9)(k)


class Without(Good):
    differentiable = False


def cut(x, level):
    return x[..., : x.shape[-2] // 2 * 2, :]


def write(x, level):
    return x.mul_(0.9)


def float32(x, level):
    return x.float() * (1 - torch.as_tensor(level).float())


def mix(x, level):
    return x - level * x.mean()


def random(x, level):
    return x + torch.rand_like(x)


def first_level(x, level):
    return x * (1 - (level if isinstance(level, float) else level[0]))


def number_only(x, level):
    return x * (1 - 2 * level if isinstance(level, float) else 1 - level)


def silent(x, level):
    return (x * level).detach()


def infinite(x, level):
    return x + level * (x - x).abs().sqrt()


def straight_through(x, level):
    return x + (x * x * level).detach()


def infinite_at_zero(x, level):
    return x.sqrt() + 0 * level


def divided(x, level):
    return x / x.amax((1, 2, 3), keepdim=True) + 0 * level


def level_detached(x, level):
    return x * (1 - (level if isinstance(level, float) else level.detach()))


@pytest.mark.parametrize(
    ("forward", "law"),
    [
        (cut, "returns the shape"),
        (write, "writes into its input"),
        (float32, "torch.float32 for torch.float64"),
        (mix, "images of a batch change each other"),
        (random, "another result the second time"),
        (first_level, "images of a batch change each other"),
        (number_only, "than for the same number"),
        (silent, "without gradients"),
        (infinite, "a gradient to its input that is not finite"),
        (infinite_at_zero, "a gradient to its input that is not finite for images of the value 0"),
        (divided, "not finite for images of the value 0 and levels of zero"),
        (straight_through, "a wrong gradient to its input"),
        (level_detached, "a wrong gradient to the level"),
    ],
)
def test_check_prior_names_the_broken_law(forward, law, monkeypatch):
    check_prior(Good())
    monkeypatch.setattr(Good, "forward", _annotated(forward))
    with pytest.raises(AssertionError, match=f"Good .*{law}"):
        check_prior(Good())


def _annotated(function):
    def forward(self, x: Image, level: Level) -> Image:
        return function(x, level)

    return forward


def test_a_kernel_prior_of_one_size_keeps_or_refuses_other_sizes():
    with pytest.raises(
        AssertionError, match=r"Cut returns the shape \(2, 1, 9, 9\) for \(2, 1, 12, 16\)"
    ):
        check_prior(Cut())


def test_check_prior_finds_false_declarations():
    with pytest.raises(AssertionError, match="is blind by its signature"):
        check_prior(Blind())
    with pytest.raises(AssertionError, match="backward through it runs"):
        check_prior(Without())
    with pytest.raises(AssertionError, match="returns the shape"):
        check_prior(OfKernels())


def test_check_prior_respects_channels_and_finds_bad_parameters():
    class Gray(Prior):
        channels = 1

        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.zeros(1))

        def forward(self, x: Image) -> Image:
            assert x.shape[1] == 1
            return x + 0 * self.scale.sqrt()

    with pytest.raises(AssertionError, match="a gradient to scale that is not finite"):
        check_prior(Gray())


# the classical priors


@pytest.mark.parametrize("name", DENOISERS)
@pytest.mark.parametrize(("level", "gain"), [(5 / 255, 1.4), (25 / 255, 5.0)])
def test_denoisers_remove_the_noise_that_the_level_names(photo, name, level, gain):
    noisy = photo + level * torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))
    error = (pnp.priors.build(name)(noisy, level) - photo).square().mean()
    assert 10 * torch.log10(level**2 / error) > gain


@pytest.mark.parametrize("name", DENOISERS)
def test_level_zero_gives_the_input_back_and_levels_may_differ_in_a_batch(photo, name):
    P = pnp.priors.build(name)
    batch = photo.repeat(2, 1, 1, 1)
    clean = P(batch, torch.tensor([0.0, 0.1]).reshape(2, 1, 1, 1))
    assert torch.equal(clean[0], photo[0])
    assert (clean[1] - photo[0]).abs().mean() > 0.005


@pytest.mark.parametrize("level", [0.02, 0.1])
def test_tv_is_the_minimiser_that_scikit_image_finds(photo, level):
    gray = photo[..., :64, :64].mean(1, keepdim=True)
    ours = pnp.priors.build("tv", strength=1.0, iterations=400)(gray, level)
    theirs = denoise_tv_chambolle(
        gray[0, 0].double().numpy(), weight=level, eps=1e-9, max_num_iter=3000
    )
    assert (ours[0, 0] - torch.from_numpy(theirs)).square().mean().sqrt() < 2e-3


def test_tv_lowers_its_objective_further_than_any_neighbour(photo):
    from pnp.differences import gradient

    x, level = photo[..., :24, :20].double(), 0.05

    def objective(u):
        variation = torch.linalg.vector_norm(torch.stack(gradient(u)), dim=(0, 2)).sum()
        return (u - x).square().sum() / 2 + 0.6 * 3**0.5 * level * variation

    best = pnp.priors.build("tv", iterations=2000)(x, level)
    for seed in range(20):
        step = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
        assert objective(best) < objective(best + 1e-2 * step)
        assert objective(best) <= objective(best + 1e-2 * (x - best))


@pytest.mark.parametrize("shape", [(2, 3, 9, 7), (1, 1, 1, 6), (1, 3, 1, 1)])
def test_tv_is_the_same_with_and_without_gradients(shape):
    """Without gradients it is computed in place."""
    generator = torch.Generator().manual_seed(0)
    x, P = torch.rand(shape, generator=generator), pnp.priors.build("tv", iterations=12)
    level = torch.full((shape[0], 1, 1, 1), 0.1)
    kept = x.clone()
    assert torch.equal(P(x, level), P(x.clone().requires_grad_(), level)) and torch.equal(x, kept)


def test_median_takes_the_middle_of_the_window():
    x = torch.zeros(1, 1, 5, 6)
    x[0, 0, 2, 3] = 9  # a speck goes
    x[0, 0, :, :2] = 1  # an edge stays
    expected = torch.zeros(1, 1, 5, 6)
    expected[..., :2] = 1
    assert torch.equal(pnp.priors.build("median")(x), expected)


def test_scikit_image_priors_say_that_they_have_no_gradients(photo):
    x = photo.clone().requires_grad_()
    with pytest.raises(PnpError, match="nlm: it has no gradients"):
        pnp.priors.build("nlm")(x, 0.1).sum().backward()


# kernel priors


def kernels():
    side, values = st.integers(1, 7), st.floats(-2, 2, allow_subnormal=False)
    return st.tuples(side, side).flatmap(
        lambda size: st.lists(values, min_size=size[0] * size[1], max_size=size[0] * size[1]).map(
            lambda v: torch.tensor(v, dtype=torch.float64).reshape(1, 1, *size)
        )
    )


@given(kernels())
def test_simplex_is_the_nearest_point(k):
    w = pnp.priors.build("simplex")(k)
    assert (w >= 0).all()
    assert w.sum() == pytest.approx(1)
    # w is the nearest point of a convex set exactly if no vertex v of the simplex has <k - w, v -
    # w> > 0
    misfit = k - w
    assert (misfit - (misfit * w).sum()).max() <= 1e-9


@given(kernels(), st.floats(0, 0.9), st.booleans())
def test_sparse_simplex_gives_kernels_and_keeps_only_what_it_should(k, threshold, connected):
    w = pnp.priors.build("sparse-simplex", threshold=threshold, connected=connected)(k)
    assert (w >= 0).all()
    assert w.sum() == pytest.approx(1)
    if k.max() > 0:
        assert not ((w > 0) & (k <= threshold * k.max())).any()


def test_sparse_simplex_drops_weak_taps_and_lone_specks():
    k = torch.zeros(1, 1, 7, 7)
    k[0, 0, 2:5, 2:5] = 0.1  # the kernel
    k[0, 0, 2, 5] = 0.004  # weak, beside it
    k[0, 0, 6, 6] = 0.2  # strong, alone
    middle = torch.zeros(1, 1, 7, 7)
    middle[0, 0, 2:5, 2:5] = 1 / 9
    assert torch.allclose(pnp.priors.build("sparse-simplex")(k), middle)
    assert pnp.priors.build("sparse-simplex", connected=False)(k)[0, 0, 6, 6] > 0.1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tv", {"strength": 0}, "tv: strength is 0"),
        ("tv", {"iterations": 0}, "tv: iterations is 0"),
        ("nlm", {"patch": 0}, "nlm: patch is 0"),
        ("nlm", {"strength": -1}, "nlm: strength is -1"),
        (
            "wavelet",
            {"wavelet": "db99"},
            "wavelet is 'db99', but should be text that names a discrete wavelet",
        ),
        ("wavelet", {"shifts": -1}, "shifts is -1"),
        ("median", {"size": 4}, "median: size is 4"),
        ("sparse-simplex", {"threshold": 1.5}, "threshold is 1.5"),
    ],
)
def test_bad_options_are_one_clear_error(name, options, message):
    with pytest.raises(PnpError, match=message):
        pnp.priors.build(name, **options)
