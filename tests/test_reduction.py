"""Photographs whose blur is wider than the kernel that is estimated: restored at a smaller size."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch.nn import functional as F

import pnp
from pnp.cli import main
from pnp.commands.inputs import usual_scale
from pnp.errors import PnpError
from pnp.images import write_image
from pnp.kernels import centre_of_mass, gaussian_kernels, second_moments
from pnp.metrics import psnr
from pnp.observation import blur
from pnp.random_blur import random_kernels
from pnp.reduction import Reduction, as_reduction, reduction_for


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photograph(name: str = "coffee", times: float = 1.0) -> torch.Tensor:
    x = torch.from_numpy(getattr(data, name)().copy()).permute(2, 0, 1)[None] / 255
    size = [round(times * side) for side in x.shape[-2:]]
    return F.interpolate(x, size, mode="bicubic", antialias=True).clamp(0, 1)


def observed(x: torch.Tensor, k: torch.Tensor, sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The ground truth and the observation, cut out so that no border is periodic."""
    margin = k.shape[-1] // 2
    inside = (..., slice(margin, -margin or None), slice(margin, -margin or None))
    y = blur(x, k)[inside]
    noise = torch.randn(y.shape, generator=seeded(1))
    return x[inside], (255 * (y + sigma * noise).clamp(0, 1)).round() / 255


def wide_motion(times: float, seed: int = 0) -> torch.Tensor:
    return Reduction(times).kernel(random_kernels(1, 25, "motion", generator=seeded(seed)))


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
@pytest.mark.parametrize("std", [0.0, 1.2, 2.4])
def test_narrow_blurs_are_left_at_the_size_of_the_photograph(name, std):
    k = gaussian_kernels(25, torch.tensor([max(std, 0.01)]), torch.tensor([max(std, 0.01)]))
    assert reduction_for(observed(photograph(name), k, 0.01)[1]) == 1


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
@pytest.mark.parametrize("times", [2.5, 4.0])
def test_a_wide_blur_fits_into_the_kernel_at_the_size_that_is_chosen(name, times):
    k = wide_motion(times)
    r = reduction_for(observed(photograph(name, 1.6), k, 0.01)[1])
    width = float(torch.linalg.eigvalsh(second_moments(k)[0].reshape(2, 2))[-1]) ** 0.5
    assert 1 < r <= 2 * times and width / r < 5


@pytest.mark.parametrize("side", [256, 400])
def test_reduced_copies_have_sides_of_64_pixels(side):
    slope = (torch.arange(side) / (2 * side)).expand(1, 3, side, side)
    assert side / reduction_for(slope) >= 64


def test_a_width_that_is_no_number_reduces_nothing():
    assert reduction_for(torch.full((1, 3, 300, 300), torch.nan)) == 1


def test_small_photographs_are_not_reduced():
    assert reduction_for(observed(photograph()[..., :160, :160], wide_motion(2.5), 0.0)[1]) == 1


@pytest.mark.parametrize("factor", [1.5, 2.0, 3.7])
@pytest.mark.parametrize("side", [40, 41])
def test_the_result_is_enlarged_to_the_photograph_without_a_shift(factor, side):
    """Of a plane, nothing changes but the border, where the cubic looks beyond the image."""
    i = torch.arange(float(side))
    y = ((i[:, None] + 2 * i + 10) / 200).clamp(0, 1)[None, None]
    reduction = Reduction(factor)
    there = reduction.up(reduction.down(y), y)
    assert there.shape == y.shape
    inside = (..., slice(12, -12), slice(12, -12))
    difference = (there - y)[inside]
    assert float(difference.mean().abs()) < 5e-4 and float(difference.abs().max()) < 5e-3


@pytest.mark.parametrize("factor", [1.5, 2.0, 4.0, 6.0])
def test_the_kernel_in_pixels_of_the_photograph_is_as_much_wider(factor):
    k = gaussian_kernels(25, torch.tensor([2.0]), torch.tensor([3.0]))
    wide = Reduction(factor).kernel(k)
    assert wide.shape[-1] % 2 == 1 and bool((wide >= 0).all())
    assert torch.allclose(wide.sum(), torch.ones(()), atol=1e-5)
    expected = factor**2 * second_moments(k)
    assert torch.allclose(second_moments(wide), expected, rtol=0.05, atol=0.2 * factor)


@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0, 3.0, 8.0])
def test_the_noise_level_of_the_smaller_copy(factor):
    noise = torch.randn(1, 3, 480, 480, generator=seeded(3))
    down = Reduction(factor).down(0.5 + 0.05 * noise)
    assert Reduction(factor).level(0.05) == pytest.approx(float(down.std()), rel=0.03)


@pytest.mark.parametrize("shape", [(24, 24), (5, 14)])
def test_a_kernel_with_even_sides_keeps_its_centre(shape):
    k = torch.rand(1, 1, *shape, generator=seeded(2))
    k = k / k.sum()
    wide = Reduction(2.0).kernel(k)
    assert wide.shape[-2:] == (2 * (max(shape) // 2) * 2 + 3,) * 2
    assert torch.allclose(centre_of_mass(wide), 2 * centre_of_mass(k), atol=0.3)


def test_lamps_have_no_dark_rings():
    """Where white is a least value, x has lamps far above it."""
    x = torch.full((1, 3, 20, 20), 0.3)
    x[..., 10, 10] = 8.0
    up = Reduction(2.0).up(x, torch.zeros(1, 3, 40, 40))
    assert float(up.min()) > 0.15


def test_a_wide_blur_is_never_enlarged_by_a_plain_run():
    y = observed(photograph("astronaut", 1.6), wide_motion(4.0), 0.01)[1]
    assert reduction_for(y) > 1 and usual_scale(y) == 1


def test_a_photograph_that_is_not_reduced_is_the_same():
    y = torch.rand(1, 3, 20, 30, generator=seeded(1))
    whole = Reduction(1.0)
    assert whole.down(y) is y and whole.up(y, y) is y and whole.kernel(y) is y
    assert whole.told() == []


def test_wide_motion_blur_is_removed():
    pair = observed(photograph("astronaut", 1.4), wide_motion(2.5), 0.01)
    x, y = (image[..., 166:486, 166:486] for image in pair)
    restored = pnp.restore(y, "ikrnet-small", scale=1, reference=x)
    assert restored.record["reduction"] > 1
    assert restored.image.shape == x.shape
    assert restored.kernel is not None and restored.kernel.shape[-1] > 25
    assert any("enlarged again" in note for note in restored.record["notes"])
    gain = restored.record["quality"]["psnr_after_registered"] - float(psnr(y, x, border=1))
    assert gain > 4


def small() -> torch.Tensor:
    return observed(photograph()[..., 100:196, 100:212], wide_motion(1.0), 0.0)[1]


def test_the_factor_can_be_asked_for_and_stands_in_the_record(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_image("photo.png", small())
    assert main(["run", "blind-classical", "photo.png", "-s", "1", "--reduce", "2"]) == 0
    assert "restored at 50 % of its size and enlarged again" in capsys.readouterr().out
    record = json.loads(Path("restored/photo_x1.json").read_text())
    assert record["reduction"] == 2 and record["reduce"] == 2
    assert Image.open("restored/photo_x1.png").size == tuple(small().shape[:1:-1])
    assert np.load("restored/photo_x1_kernel.npy").shape[0] > 25
    assert main(["run", "--again", "restored/photo_x1.json"]) == 0
    assert "byte for byte the same" in capsys.readouterr().out


def test_a_plain_run_that_names_a_factor_has_scale_1(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_image("photo.png", small())
    assert main(["run", "photo.png", "--reduce", "2"]) == 0
    assert json.loads(Path("restored/photo_x1.json").read_text())["reduction"] == 2


@pytest.mark.parametrize(
    ("value", "possible", "said"),
    [
        ("half", True, "--reduce half: give auto, or a factor from 1 to 16"),
        ("0.5", True, "--reduce 0.5: give auto, or a factor from 1 to 16"),
        ("nan", True, "--reduce nan: give auto"),
        ("99", True, "--reduce 99: give auto"),
        ("2", False, "--reduce 2: only photographs whose kernel is estimated are reduced"),
    ],
)
def test_what_cannot_be_asked_for(value, possible, said):
    with pytest.raises(PnpError, match=said):
        as_reduction(value, "--reduce", possible)


def test_bars_stay_as_they_are_around_a_photograph_that_is_reduced():
    bar = torch.zeros(1, 3, 20, small().shape[-1])
    y = torch.cat([bar, small(), bar], -2)
    with_bars = pnp.restore(y, "blind-classical", scale=1, reduce=2)
    without = pnp.restore(small(), "blind-classical", scale=1, reduce=2)
    assert torch.equal(with_bars.image[..., 20:-20, :], without.image)
    assert torch.equal(with_bars.image[..., :20, :], bar)


def test_a_given_noise_level_is_that_of_the_photograph():
    whole = pnp.restore(small(), "blind-classical", scale=1, reduce=2, sigma=0.02)
    level = Reduction(2.0).level(0.02)
    copy = Reduction(2.0).down(small())
    same = pnp.restore(copy, "blind-classical", scale=1, sigma=level)
    assert torch.allclose(whole.image, Reduction(2.0).up(same.image, small()))


@pytest.mark.parametrize("options", [{"scale": 2}, {"boundary": "periodic"}])
def test_only_photographs_at_scale_1_are_reduced(options):
    with pytest.raises(PnpError, match="reduce 2: only photographs"):
        pnp.restore(small(), "blind-classical", **{"scale": 1, "reduce": 2, **options})


def test_a_pipeline_that_gets_the_kernel_reduces_nothing():
    restored = pnp.restore(small(), "hqs-tv", scale=1, kernel="gaussian:1.6")
    assert restored.record["reduction"] == 1
    with pytest.raises(PnpError, match="reduce 2: only photographs"):
        pnp.restore(small(), "hqs-tv", scale=1, kernel="gaussian:1.6", reduce=2)
