"""Photographs with overexposed parts: the scene was brighter than white there."""

import functools

import pytest
import torch
from skimage import data

import pnp
import pnp.frames
from pnp.boundaries import Unknown
from pnp.frames import completed, frame_of
from pnp.images import write_image
from pnp.kernel_files import make_kernel
from pnp.metrics import psnr, psnr_registered
from pnp.observation import blur, downsample
from pnp.overexposed import KNOWN, known_pixels, overexposed, past_networks, photograph
from pnp.power_spectrum import log_power_spectrum
from pnp.quality import measure
from pnp.registry import solver
from pnp.verdict import judge

GAUSSIAN, MOTION = make_kernel("gaussian:2", "kernel"), make_kernel("motion:3", "kernel")
SIGMA = 0.005


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@functools.cache
def scene(name: str, kind: str, side: int = 128) -> torch.Tensor:
    """A part of a photograph of scikit-image, (1, 3, side, side), with lamps or a longer exposure;
    values above one are brighter than white."""
    top, left = {"coffee": (136, 236), "rocket": (60, 200)}[name]
    part = getattr(data, name)()[top : top + side, left : left + side].copy()
    x = torch.from_numpy(part).permute(2, 0, 1)[None] / 255
    if kind == "longer exposure":
        return 1.8 * x
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    for row, column in ((30, 40), (80, 96), (100, 30)):
        x[..., (rows - row) ** 2 + (columns - column) ** 2 < 8] = 4.0
    return x


def taken(x: torch.Tensor, k: torch.Tensor, s: int = 1) -> torch.Tensor:
    """A photograph of a scene, in 8 bits."""
    y = downsample(blur(x, k), s)
    return (255 * (y + SIGMA * noise(*y.shape)).clamp(0, 1)).round() / 255


@pytest.mark.parametrize("kernel", [GAUSSIAN, MOTION], ids=["gaussian", "motion"])
@pytest.mark.parametrize("kind", ["lamps", "longer exposure"])
@pytest.mark.parametrize("name", ["hqs-tv", "usrnet-mini"])
def test_lamps_and_bright_skies_do_not_ring(name, kind, kernel):
    x = scene("coffee", kind)
    y, white = taken(x, kernel), x.clamp(0, 1)
    result = pnp.restore(y, name, kernel=kernel, scale=1)
    gain = psnr(result.image.clamp(0, 1), white, border=12) - psnr(y, white, border=12)
    assert float(gain) > 1.5


def test_above_scale_1_too():
    x = scene("coffee", "lamps")
    y, white = taken(x, GAUSSIAN, 2), x.clamp(0, 1)
    result = pnp.restore(y, "usrnet-mini", kernel=GAUSSIAN, scale=2)
    plain = pnp.restore(y, "bicubic", scale=2)
    assert psnr(result.image, white, border=12) > psnr(plain.image, white, border=12) + 2


@pytest.mark.parametrize("kind", ["lamps", "longer exposure"])
def test_the_kernel_is_found_beside_overexposed_parts(kind):
    x = scene("coffee", kind, side=192)
    y, white = taken(x, GAUSSIAN), x.clamp(0, 1)
    found = pnp.restore(y, "ikrnet-small", scale=1)
    told = pnp.restore(y, "usrnet-mini", kernel=GAUSSIAN, scale=1)
    loss = psnr(told.image, white, border=12) - psnr_registered(found.image, white, border=12)
    assert float(loss) < 1.2
    assert "misses the observation" not in found.record["kernel"]["verdict"]


def test_d_takes_overexposed_pixels_for_unknown_ones(monkeypatch):
    """With A z above white there, D is the minimiser over all other pixels, of each channel."""
    monkeypatch.setattr(pnp.frames, "TOLERANCE", 1e-7)
    monkeypatch.setattr(pnp.frames, "ITERATIONS", 400)
    x = scene("coffee", "lamps", side=48).double()
    y = blur(x, GAUSSIAN.double()).clamp(0, 1)
    k, weight = GAUSSIAN.double(), torch.full((1, 1, 1, 1), 0.05, dtype=torch.float64)
    frame = frame_of(y, k, 1)
    with photograph():
        bright = overexposed(y)
    assert bright is not None and bright.any(-1).any(-1).all()
    assert len({int(each.sum()) for each in bright[0]}) > 1
    start = frame.bridged(x)
    y_e = completed(y, start, k, weight, frame, bright)
    z = solver.build("fft-image")(y_e, start, k, weight)
    assert torch.equal(frame.inside(y_e)[~bright], y[~bright])
    assert bool((frame.inside(y_e)[bright] >= y[bright]).all())
    mask = frame.padded((~bright).double())
    wide = frame.padded(y)
    for c in range(3):
        gradient = blur_adjoint(mask[:, c, None] * (blur(z, k)[:, c, None] - wide[:, c, None]), k)
        gradient = gradient + weight * (z - start)[:, c, None]
        assert float(gradient.abs().max()) < 1e-4


def blur_adjoint(u: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    return blur(u, k.flip(-1, -2))


def test_only_photographs_are_overexposed():
    y = taken(scene("coffee", "lamps"), GAUSSIAN)
    assert overexposed(y) is None and known_pixels(y) is None and Unknown(0, y).bright is None
    with photograph():
        assert overexposed(0.9 * y) is None
        assert overexposed(torch.complex(y, y)) is None
        assert Unknown(0, y).bright is not None
        with photograph(None):
            assert overexposed(y) is None


def test_single_white_pixels_are_noise():
    y = torch.full((1, 1, 9, 12), 0.9)
    y[..., 1, 1] = y[..., 4, 3:8] = 1
    with photograph():
        assert overexposed(y) is None
        y[..., 5, 4] = y[..., 5, 5] = 1
        expected = torch.zeros_like(y, dtype=torch.bool)
        expected[..., 4, 3:7] = expected[..., 5, 4:6] = True
        bright = overexposed(y)
        assert bright is not None and torch.equal(bright, expected)
        assert overexposed(torch.ones(1, 3, 1, 40)) is None


def test_networks_get_no_value_far_above_white():
    seen = []

    def network(module, inputs):
        seen.append(inputs[0])
        return 0.5 * inputs[0]

    z = torch.tensor([0.2, 1.0, 3.0])
    result = past_networks(network)(solver.build("fft-image"), [z, 0.1])
    assert float(seen[0].max()) == pytest.approx(KNOWN)
    assert torch.allclose(result, torch.tensor([0.1, 0.5, 0.5 * KNOWN + 3 - KNOWN]))


def test_the_spectrum_is_that_of_the_windows_without_overexposed_pixels():
    y = noise(1, 3, 64, 96)
    known = torch.ones(1, 1, 64, 96)
    known[..., 64:] = 0
    whole = log_power_spectrum(y, 32, 16, known)
    assert torch.allclose(whole, log_power_spectrum(y[..., :64], 32, 8), atol=1e-4)
    known[...] = 0
    assert torch.allclose(
        log_power_spectrum(y, 32, 16, known), log_power_spectrum(y, 32, 8), atol=1e-4
    )


def test_verdict_and_quality_compare_the_other_pixels():
    x = scene("rocket", "lamps", side=192)
    y = taken(x, GAUSSIAN)
    shown = x.clamp(0, 1)
    plain = judge(y, shown, GAUSSIAN, 1, SIGMA)
    with photograph():
        verdict = judge(y, shown, GAUSSIAN, 1, SIGMA)
        told = measure(shown, GAUSSIAN, y, None, 1)[0]["psnr_lr"]
    assert plain.scores["residual"] > 5 > 1.2 > verdict.scores["residual"] > 0.9
    assert told > 44 > measure(shown, GAUSSIAN, y, None, 1)[0]["psnr_lr"]


@pytest.mark.parametrize("name", ["hqs-tv", "ikrnet-small"])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_white_images_stay_white(name, share, tmp_path):
    y = taken(scene("coffee", "lamps", side=64), GAUSSIAN)
    y[..., : int(64 * share), :] = 1
    write_image(tmp_path / "y.png", y)
    kernel = None if name == "ikrnet-small" else GAUSSIAN
    result = pnp.restore(tmp_path / "y.png", name, scale=1, kernel=kernel)
    assert torch.isfinite(result.image).all()
    assert float(result.image[..., : int(64 * share) - 24, :].min()) > 0.9
