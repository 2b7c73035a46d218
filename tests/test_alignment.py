"""Where results lie: corner on corner, or centre on centre."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

import pnp
from pnp.inference import choose_device
from pnp.resampling import moved


def waves(height, width, down=0.0, right=0.0):
    """A smooth periodic pattern, moved by a number of pixels; (1, 2, height, width)."""
    rows = torch.arange(height, dtype=torch.float64)[:, None] - down
    columns = torch.arange(width, dtype=torch.float64) - right
    one = torch.cos(2 * math.pi * rows / 32) * torch.cos(2 * math.pi * columns / 24)
    return torch.stack([one, 0.5 + one / 2])[None]


@pytest.mark.parametrize("shift", [(0.5, 0.5), (1.0, 1.0), (1.5, 1.5), (-0.25, 2.0), (0.0, 0.0)])
def test_a_moved_image_has_its_content_down_and_to_the_right(shift):
    inside = (..., slice(32, -32), slice(24, -24))
    found = moved(waves(128, 144), shift)
    assert (found - waves(128, 144, *shift))[inside].abs().max() < 1e-2


def test_whole_pixels_are_moved_exactly_and_the_border_mirrored():
    x = torch.rand(1, 1, 5, 6, dtype=torch.float64)
    found = moved(x, (1.0, 1.0))
    assert torch.allclose(found[..., 1:, 1:], x[..., :-1, :-1])
    assert torch.allclose(found[..., 0, 1:], x[..., 0, :-1])


@pytest.mark.parametrize("s", [2, 3, 4])
def test_centred_results_lie_where_other_programs_enlarge(s):
    """Pillow's enlargement is centred: ours is far from it in the corner, and near in the centre."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(40, 215, (6, 6), dtype=np.uint8))
    y = np.asarray(small.resize((48, 48), Image.Resampling.BICUBIC))
    theirs = Image.fromarray(y).resize((48 * s, 48 * s), Image.Resampling.BICUBIC)
    want = torch.from_numpy(np.asarray(theirs) / 255.0)[2 * s : -2 * s, 2 * s : -2 * s]
    errors = {}
    for align in ("corner", "centre"):
        ours = pnp.restore(y, "bicubic", scale=s, align=align).image[0, 0].double()
        errors[align] = float((ours[2 * s : -2 * s, 2 * s : -2 * s] - want).square().mean().sqrt())
    assert errors["centre"] < 0.004 and errors["corner"] > 6 * errors["centre"]


def test_the_reference_of_a_centred_result_is_centred_too():
    """A ground truth on the centred grid is met better by a centred result."""
    truth = 0.5 + 0.2 * waves(96, 96)[:, :1]
    y = truth.unfold(2, 2, 2).unfold(3, 2, 2).mean((-2, -1))  # means of blocks: centred
    found = {
        align: pnp.restore(y[0], "bicubic", scale=2, align=align, reference=truth[0]).record
        for align in ("corner", "centre")
    }
    corner, centre = (found[align]["quality"]["psnr_after"] for align in ("corner", "centre"))
    assert centre > corner + 6 and found["centre"]["align"] == "centre"
    assert found["centre"]["quality"]["psnr_before"] == pytest.approx(centre)


@pytest.mark.parametrize("kind", ["cuda", "xpu", "mps"])
def test_auto_takes_the_gpu_that_is_there(kind, monkeypatch):
    places = {"cuda": torch.cuda, "xpu": torch.xpu, "mps": torch.backends.mps}
    for name, place in places.items():
        monkeypatch.setattr(place, "is_available", lambda name=name: name == kind)
    assert choose_device("auto").type == kind


def test_auto_is_the_cpu_without_a_gpu(monkeypatch):
    for place in (torch.cuda, torch.xpu, torch.backends.mps):
        monkeypatch.setattr(place, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"


def test_kernel_steps_compute_on_the_cpu_where_float64_is_missing(monkeypatch):
    """Devices without float64: the steps ask for the CPU, and the results are the same."""
    asked: list[torch.device] = []

    def none_has(device):
        asked.append(device)
        return False

    y, x, k = torch.rand(1, 3, 12, 14), torch.rand(1, 3, 24, 28), torch.ones(1, 1, 5, 5) / 25
    for name in ("support-kernel", "fft-kernel"):
        Dk = pnp.solvers.build(name, size=5)
        want = Dk(y, x, k)
        with monkeypatch.context() as patched:
            patched.setattr("pnp.tensors.has_float64", none_has)
            found = Dk(y, x, k)
        assert torch.equal(found, want) and found.dtype == k.dtype
    assert len(asked) >= 6
