"""The verdict on estimated kernels: its scores, and what it says of good and bad estimates."""

import json

import pytest
import torch

import pnp
from pnp.cli import main
from pnp.images import read_image, write_image
from pnp.kernels import delta_kernel, gaussian_kernels, resize_kernel
from pnp.observation import observe
from pnp.verdict import border_mass, judge, whiteness

SMOOTH = 9


def scene(height=96, width=96, seed=0):
    """Rectangles of random sizes and grey levels, (1, 3, height, width)."""
    g = torch.Generator().manual_seed(seed)
    x = torch.full((1, 3, height, width), 0.5)
    for _ in range(80):
        top, left = (int(torch.randint(side, (), generator=g)) for side in (height, width))
        rows, columns = (int(n) for n in torch.randint(3, 30, (2,), generator=g))
        x[..., top : top + rows, left : left + columns] = torch.rand(3, 1, 1, generator=g)
    return x


def gaussian(std, size=25):
    return gaussian_kernels(size, torch.tensor([std]), torch.tensor([std]))


def test_whiteness_of_white_noise_and_of_smooth_images():
    g = torch.Generator().manual_seed(1)
    noise = torch.randn(1, 3, 64, 64, generator=g)
    assert whiteness(noise) < 3 / 64
    blurred = torch.nn.functional.avg_pool2d(noise, SMOOTH, 1)
    assert whiteness(blurred) > 0.5
    assert whiteness(10 * noise + 3) == pytest.approx(whiteness(noise), rel=1e-5)


def test_border_mass_is_the_share_of_two_rows_and_columns():
    uniform = torch.full((1, 1, 10, 10), 0.01)
    assert border_mass(uniform) == pytest.approx(1 - 36 / 100, abs=1e-6)
    assert border_mass(delta_kernel(9)) == 0
    assert border_mass(torch.full((1, 1, 3, 3), 1 / 9)) == 0


@pytest.mark.parametrize("s", [1, 2, 4])
def test_the_true_kernel_is_reliable(s):
    x, k = scene(192, 192), gaussian(max(1.6, 0.8 * s))
    g = torch.Generator().manual_seed(2)
    verdict = judge(observe(x, k, s, 0.01, g), x, k, s, 0.01)
    assert verdict.reliable and str(verdict) == "reliable", verdict
    assert verdict.scores["residual"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda k: resize_kernel(delta_kernel(3), 25), "misses the observation"),
        (lambda k: torch.full_like(k, 1 / 625), "lies at its border"),
        (lambda k: gaussian(0.4), "the spectrum of the observation suggests"),
    ],
)
def test_wrong_kernels_are_doubtful(change, reason):
    x, k = scene(192, 192), gaussian(2.5)
    y = observe(x, k, 1, 0.005, torch.Generator().manual_seed(3))
    verdict = judge(y, x, change(k), 1, 0.005)
    assert not verdict.reliable and reason in str(verdict)


def test_jpeg_files_may_miss_the_observation_by_more_than_the_noise(tmp_path):
    """The errors of JPEG lie at edges, where the estimate of the noise level does not look."""
    x, k = scene(192, 192), gaussian(1.5)
    y = observe(x, k, 1, 0.002, torch.Generator().manual_seed(3))
    write_image(tmp_path / "y.jpg", y)
    photo = read_image(tmp_path / "y.jpg")
    assert photo.lossy
    plain, lossy = (judge(photo.pixels, x, k, 1, 0.002, lossy=told) for told in (False, True))
    assert 1.5 < plain.scores["residual"] < 3 and plain.scores == lossy.scores
    assert "misses the observation" in str(plain) and lossy.reliable
    write_image(tmp_path / "y.png", y)
    assert not read_image(tmp_path / "y.png").lossy


@pytest.mark.parametrize(
    ("y", "sigma", "reason"),
    [
        (torch.full((1, 3, 64, 64), 0.4), 0.0, "hardly any detail"),
        (0.5 + 0.1 * torch.randn(1, 3, 64, 64), 0.1, "hides the detail"),
        (scene(20, 30), 0.0, "an estimate needs 32 x 32 pixels"),
    ],
)
def test_observations_that_show_no_kernel_are_doubtful(y, sigma, reason):
    verdict = judge(y, y, delta_kernel(5), 1, sigma)
    assert not verdict.reliable and reason in str(verdict)


def test_ringing_and_margin_of_the_pipeline_count():
    x, k = scene(192, 192), gaussian(1.6)
    y = observe(x, k, 2, 0.01, torch.Generator().manual_seed(4))
    assert judge(y, x, k, 2, 0.01, margin=0.01, ringing=0.02).reliable
    verdict = judge(y, x, k, 2, 0.01, margin=0.01, ringing=0.5)
    assert "rings" in str(verdict) and verdict.scores["margin"] == 0.01


def test_no_blur_is_said():
    x = scene(192, 192)
    y = observe(x, delta_kernel(5), 1, 0.01, torch.Generator().manual_seed(5))
    verdict = judge(y, x, gaussian(0.3, 7), 1, 0.01)
    assert not verdict.blurred and str(verdict).endswith("; no blur found")


@pytest.mark.parametrize("pipeline", ["blind-classical", "ikrnet-small"])
@pytest.mark.parametrize(
    "y",
    [
        pytest.param(torch.full((1, 3, 40, 40), 0.3), id="constant"),
        pytest.param(
            torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(6)), id="noise"
        ),
        pytest.param(scene(26, 31, seed=7), id="small"),
        pytest.param(scene(40, 40, seed=8)[:, :1], id="grey"),
    ],
)
def test_difficult_observations_get_a_kernel_and_a_doubtful_verdict(pipeline, y):
    restored = pnp.restore(y, pipeline, scale=1)
    assert torch.isfinite(restored.image).all()
    assert restored.kernel is not None
    assert float(restored.kernel.sum()) == pytest.approx(1, abs=1e-3)
    kernel = restored.record["kernel"]
    assert set(kernel["scores"]) >= {"border", "width"}
    if y.shape[1] == 3:
        assert not kernel["reliable"] and kernel["verdict"].startswith("doubtful, because")


def test_the_verdict_is_printed_and_recorded_only_if_a_kernel_is_estimated(tmp_path, capsys):
    write_image(tmp_path / "y.png", scene(48, 48, seed=9))
    out = tmp_path / "out"
    run = ["run", "blind-classical", str(tmp_path / "y.png"), "-s", "1", "-o", str(out)]
    assert main([*run, "--set", "stages.0.repeat=2"]) == 0
    printed = capsys.readouterr().out
    assert "\n  kernel: " in printed and "explains the observation" not in printed
    record = json.loads((out / "y_x1.json").read_text())
    assert f"kernel: {record['kernel']['verdict']}" in printed
    assert f"(residual {record['kernel']['scores']['residual']:.1f} x noise, " in printed
    told = ["run", "hqs-tv", str(tmp_path / "y.png"), "-s", "1", "-k", "gaussian:1", "-o", str(out)]
    assert main(told) == 0
    assert "kernel: " not in capsys.readouterr().out
    assert json.loads((out / "y_x1.json").read_text())["kernel"] is None
