"""The experiment of benchmarks/weighted_kernel: is its Dk the minimiser that it states?"""

from pathlib import Path

import pytest
import torch
import yaml

import pnp
from pnp.checkpoints import load_weights
from pnp.registry import REGISTRIES
from pnp.testing.spatial import observe_spatially
from pnp.training import load_recipe

FOLDER = Path(__file__).parent.parent / "benchmarks" / "weighted_kernel"


@pytest.fixture(autouse=True)
def _its_modules(monkeypatch):
    """They are registered, for one test."""
    for registry in REGISTRIES.values():
        registry.names()  # all that belong to the package
        monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    pnp.load_plugin(FOLDER / "modules.py")


@pytest.mark.parametrize("equations", [10_000, 100])
@pytest.mark.parametrize("s", [1, 2])
def test_it_is_the_minimiser_of_its_weighted_objective(s, equations):
    generator = torch.Generator().manual_seed(0)
    x, y, k, m = (
        torch.rand(2, *shape, generator=generator, dtype=torch.float64)
        for shape in ((3, 36, 36), (3, 36 // s, 36 // s), (1, 5, 5), (1, 36, 36))
    )
    solver = pnp.solvers.build("weighted-kernel", size=5, gamma=2e-3, equations=equations)
    w = solver(y, x, k, m).requires_grad_()
    t = next(t for t in range(1, 9) if (36 // s) ** 2 <= equations * t * t)
    misfit = y.mean(1, keepdim=True) - observe_spatially(x.mean(1, keepdim=True), w, s)
    data = (m[..., :: s * t, :: s * t] * misfit[..., ::t, ::t].square()).sum()
    objective = 3 * t * t * data + 2e-3 * 36 * 36 * (w - k).square().sum()
    assert torch.autograd.grad(objective, w)[0].abs().max() < 1e-9


@pytest.mark.parametrize("s", [1, 3])
def test_with_weights_of_one_and_grey_images_it_is_support_kernel(s):
    x = torch.rand(1, 1, 36, 36).expand(-1, 3, -1, -1)
    y = torch.rand(1, 1, 36 // s, 36 // s).expand(-1, 3, -1, -1)
    k = torch.full((1, 1, 5, 5), 1 / 25)
    options = {"gamma": 2e-3, "size": 5}
    found = pnp.solvers.build("weighted-kernel", **options)(y, x, k, torch.ones(1, 1, 36, 36))
    expected = pnp.solvers.build("support-kernel", **options)(y, x, k)
    assert torch.allclose(found, expected, atol=1e-5)


def test_its_recipe_and_its_comparison_fit_their_parents(monkeypatch):
    monkeypatch.chdir(FOLDER)
    assert load_recipe("recipe.yaml").train == ("Pe", "Pk")
    changes = yaml.safe_load((FOLDER / "compare.yaml").read_text())["methods"]
    pipeline = pnp.load("ikrnet-small", **changes["weighted equations"]["set"])
    x = pipeline(y=torch.rand(1, 3, 32, 32), s=1).x
    assert x.shape == (1, 3, 32, 32) and x.isfinite().all()


def test_its_weights_tell_pixels_apart():
    Pe = pnp.transforms.build("edge-resunet")
    load_weights(Pe, str(FOLDER / "weights.safetensors"), symbol="Pe")
    image, weights = Pe(torch.rand(1, 3, 20, 17), 0.02)
    assert image.shape == (1, 3, 20, 17) and weights.shape == (1, 1, 20, 17)
    assert weights.min() > 0 and weights.max() / weights.min() > 2
