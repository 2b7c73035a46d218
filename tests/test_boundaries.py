"""Borders that are unknown: as good as a solve that is told which pixels are known, whatever happens to the kernel."""

from typing import Any

import pytest
import torch
from skimage import data

import pnp
from pnp.boundaries import Unknown
from pnp.conjugate_gradients import conjugate_gradients
from pnp.errors import OldSpelling
from pnp.frames import TOLERANCE, completed, frame_of
from pnp.kernel_words import kernel_of_words
from pnp.kernels import delta_kernel, gaussian_kernels
from pnp.language.reader import PIPELINES, read_spec
from pnp.metrics import psnr
from pnp.observation import blur, downsample


def line(size, diagonal):
    k = torch.eye(size) if diagonal else torch.zeros(size, size)
    if not diagonal:
        k[size // 2] = 1
    return (k / k.sum())[None, None]


KERNELS = {
    "line": line(21, False),
    "diagonal": line(21, True),
    "disc": kernel_of_words("disc:9"),
    "gaussian": gaussian_kernels(25, torch.tensor([3.0]), torch.tensor([3.0])),
}


def window(k, s, sigma=0.005, side=144):
    """A window of a blurred scene, whose surroundings the observation does not show."""
    photo = torch.from_numpy(data.astronaut()).float().permute(2, 0, 1)[None] / 255
    scene = photo[..., 100 : 148 + side, 150 : 198 + side]
    y = downsample(blur(scene, k), s)[..., 24 // s : -24 // s, 24 // s : -24 // s]
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    return y + sigma * noise, scene[..., 24:-24, 24:-24]


def random_kernel(seed):
    """Non-negative taps of any shape, many of them zero, some far from the centre."""
    g = torch.Generator().manual_seed(seed)
    rows, columns = (int(torch.randint(1, 22, (), generator=g)) for _ in range(2))
    k = torch.rand(1, 1, rows, columns, generator=g) ** 4
    k = k * (torch.rand(k.shape, generator=g) > 0.7)
    k[..., rows // 2, columns // 2] += 1e-3
    return k / k.sum()


def masked_minimiser(y, x, k, weight, frame):
    """D over the known pixels alone, by a solver that is told which these are, in float64."""
    solve = pnp.solvers.build("cg-image", boundary="circular", tolerance=1e-7, iterations=5000)
    y, x, k = (v.double() for v in (y, x, k))
    return solve(frame.padded(y), x, k, weight, frame.padded(torch.ones_like(y[:, :1])))


# ---------------------------------------------------------------- D and Dk


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("s", [1, 2])
@pytest.mark.parametrize("weight", [3e-4, 0.02, 1.0])
@pytest.mark.parametrize("large", [2**22, 1])
def test_D_is_the_minimiser_over_the_known_pixels_for_any_kernel(
    seed, s, weight, large, monkeypatch
):
    monkeypatch.setattr("pnp.fourier.LARGE", large)
    g = torch.Generator().manual_seed(seed)
    y, k = torch.rand(2, 1, 22, 31, generator=g), random_kernel(seed)
    frame = frame_of(y, k, s)
    x = torch.rand(2, 1, *(s * side for side in frame.padded(y).shape[-2:]), generator=g)
    D = pnp.solvers.build("fft-image")
    z = D(completed(y, x, k, torch.tensor(weight).reshape(1, 1, 1, 1), frame), x, k, weight)
    error = (z - masked_minimiser(y, x, k, weight, frame)).square().mean((1, 2, 3)).sqrt()
    assert (error <= TOLERANCE).all(), error


CHANGING = """\
given: [y, a: kernel, b: kernel, c: kernel, d: kernel]
modules:
  U: {initializer: bicubic}
  D: {solver: fft-image}
  K: {solver: support-kernel, gamma: 1e-3}
  P: {prior: sparse-simplex}
before:
  - x = U(y, 1)
repeat: 3
steps:
  - x = D(y, x, a, 1e-6)
  - x = D(y, x, b, 1e-4)
  - a = K(y, x, a)
  - a = P(a)
  - x = D(y, x, c, 1e-2)
  - x = D(y, x, d, 0.1)
  - d = K(y, x, d)
  - d = P(d)
return: [x, a, d]
"""


@pytest.mark.parametrize("seed", range(6))
def test_results_are_finite_however_the_kernel_changes(seed, tmp_path):
    (tmp_path / "changing.yaml").write_text(CHANGING)
    pipeline = pnp.load(tmp_path / "changing.yaml")
    kernels = [random_kernel(10 * seed + i) for i in range(3)]
    kernels.insert(seed % 4, delta_kernel(25))
    y, _ = window(KERNELS["line"], 1, 0.02)
    y = y[..., :40, :48] if seed else torch.full((1, 3, 40, 48), 0.5)
    given = dict(zip("abcd", kernels, strict=True))
    result = pipeline(y=y, boundary="unknown", **given)
    assert result.x.shape == y.shape
    assert all(torch.isfinite(result[name]).all() for name in ("x", "a", "d"))


def test_the_step_of_the_kernel_sees_only_known_pixels():
    """A kernel that explains the known pixels is a fixed point of Dk, although y is not periodic."""
    pipeline = pnp.load("blind-classical")
    step = next(s for s in pipeline.spec.stages[0].steps if s.module == "Dk")
    k = KERNELS["gaussian"]
    y = torch.zeros(1, 3, 60, 70)
    frame = frame_of(y, k, 1)
    x = torch.rand(1, 3, *frame.size_around(y), generator=torch.Generator().manual_seed(0))
    y = frame.inside(blur(x, k))
    border = Unknown()
    border.frames["x"] = frame
    w = border.run(step, pipeline.parts["Dk"], [y, x, k], lambda module, inputs: module(*inputs))
    assert torch.allclose(w, k, atol=1e-5)
    periodic = pipeline.parts["Dk"](y, frame.inside(x), k)
    assert not torch.allclose(periodic, k, atol=1e-3)


# ---------------------------------------------------------------- whole pipelines


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("s", [1, 2])
def test_wide_kernels_do_not_ring_from_the_border(kernel, s):
    k = KERNELS[kernel]
    y, truth = window(k, s)
    bicubic = pnp.initializers.build("bicubic")(y, s) if s > 1 else y
    restored = pnp.restore(y, "hqs-tv", scale=s, kernel=k, sigma=0.005)
    before, after = (float(psnr(x.clamp(0, 1), truth)) for x in (bicubic, restored.image))
    assert after > before + 0.5, (before, after)
    periodic = pnp.restore(y, "hqs-tv", scale=s, kernel=k, sigma=0.005, boundary="periodic")
    assert after > float(psnr(periodic.image, truth))
    assert restored.record["boundary"] == "unknown"


@pytest.mark.parametrize("kernel", KERNELS)
def test_it_is_within_a_decibel_of_a_solve_with_a_mask(kernel):
    k = KERNELS[kernel]
    y, truth = window(k, 1, side=64)
    after = float(psnr(pnp.restore(y, "hqs-tv", scale=1, kernel=k, sigma=0.005).image, truth))
    frame = frame_of(y, k, 1)
    changes: dict[str, Any] = {
        "modules.H": {"estimator": "hqs-schedule"},
        "modules.P.strength": 0.4,
    }
    masked = pnp.load("inpaint-tv", repeat=12, **changes)
    given = {"y": frame.padded(y), "mask": frame.padded(torch.ones_like(y[:, :1]))}
    with torch.inference_mode():
        x = frame.inside(masked(**given, k=k, s=1, sigma=0.005).x)
    assert after > float(psnr(x.clamp(0, 1), truth)) - 1


@pytest.mark.parametrize("kernel", KERNELS)
def test_networks_gain_from_it_as_well(kernel):
    k = KERNELS[kernel]
    y, truth = window(k, 1, side=96)
    restored = pnp.restore(y, "usrnet-mini", scale=1, kernel=k, sigma=0.005)
    assert float(psnr(restored.image, truth)) > float(psnr(y.clamp(0, 1), truth)) + 0.5


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sigma", [0.005, 0.02])
def test_an_estimated_kernel_does_no_harm(kernel, sigma):
    y, truth = window(KERNELS[kernel], 1, sigma, side=96)
    restored = pnp.restore(y, "blind-classical")
    after, before = (float(psnr(x.clamp(0, 1), truth)) for x in (restored.image, y))
    assert after > before - 0.1, (before, after)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_default_pipeline_gains_with_every_kernel(kernel):
    y, truth = window(KERNELS[kernel], 1)
    restored = pnp.restore(y.clamp(0, 1), "ikrnet-small", scale=1)
    after, before = (float(psnr(x.clamp(0, 1), truth)) for x in (restored.image, y))
    assert after > before + 2, (before, after)


def test_blind_restoration_of_a_window_is_as_good_as_of_a_period():
    k = gaussian_kernels(15, torch.tensor([1.2]), torch.tensor([1.2]))
    y, truth = window(k, 1)
    after = float(psnr(pnp.restore(y, "blind-classical").image, truth))
    assert after > float(psnr(y.clamp(0, 1), truth)) + 1


@pytest.mark.parametrize("pipeline", ["hqs-tv", "usrnet-mini"])
def test_a_flat_photograph_stays_flat(pipeline):
    y = torch.tensor([0.2, 0.6, 0.3])[None, :, None, None].expand(1, 3, 40, 56)
    x = pnp.restore(y, pipeline, scale=1, kernel="gaussian:2", sigma=0.01).image
    assert (x - y).abs().max() < 5 / 255


def test_without_blur_there_is_no_frame():
    """The results of classical pipelines are those of a periodic run, bit for bit."""
    y, _ = window(KERNELS["disc"], 1, side=40)
    mask = (torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(0)) > 0.3) * 1.0
    cases: dict[str, dict[str, Any]] = {
        "inpaint-tv": {"mask": mask},
        "hqs-tv": {"k": delta_kernel(25), "sigma": 0.02},
    }
    for name, given in cases.items():
        pipeline = pnp.load(name, repeat=3)
        unknown, periodic = (pipeline(y=y, **given, boundary=b).x for b in ("unknown", "periodic"))
        assert torch.equal(unknown, periodic)


# ---------------------------------------------------------------- defaults and names


def test_photographs_are_unknown_beyond_the_border_and_calls_of_pipelines_periodic():
    k = KERNELS["gaussian"]
    y, _ = window(k, 1)
    pipeline = pnp.load("hqs-tv")
    plain, periodic = (
        pipeline(y=y, k=k, sigma=0.01),
        pipeline(y=y, k=k, sigma=0.01, boundary="periodic"),
    )
    assert torch.equal(plain.x, periodic.x)
    restored = pnp.Restorer("hqs-tv", kernel=k, sigma=0.01)(y)
    assert torch.equal(restored.image, pipeline(y=y, k=k, sigma=0.01, boundary="unknown").x)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("blind-photo", "blind-classical"),
        ("hqs-tv-photo", "hqs-tv"),
        ("usrnet-photo", "usrnet-small"),
    ],
)
def test_names_of_the_release_before_are_read_with_a_warning(old, new):
    with pytest.warns(OldSpelling, match=f"{old} is {new} now, .*boundary.*; write {new}"):
        spec = read_spec(old)
    assert spec.document.plain() == read_spec(new).document.plain()
    assert old not in PIPELINES.names()


def test_large_images_go_channel_by_channel_to_the_same_result(monkeypatch):
    """In the frame within the tolerance of the search, of D itself up to rounding."""
    y, _ = window(KERNELS["gaussian"], 2, side=96)
    k, weight = KERNELS["gaussian"], torch.full((1, 1, 1, 1), 0.01)
    frame = frame_of(y, k, 2)
    x = frame.times(2).bridged(torch.nn.functional.interpolate(y, scale_factor=2.0))
    D = pnp.solvers.build("fft-image")
    wide = frame.padded(y)
    whole = D(wide, x, k, weight), D(completed(y, x, k, weight, frame), x, k, weight)
    monkeypatch.setattr("pnp.fourier.LARGE", 1)
    parts = D(wide, x, k, weight), D(completed(y, x, k, weight, frame), x, k, weight)
    assert (whole[0] - parts[0]).abs().max() < 1e-6
    assert (whole[1] - parts[1]).square().mean().sqrt() < 2 * TOLERANCE


@pytest.mark.parametrize("weight", [1e-4, 1e-3])
def test_the_search_in_a_large_image_hardly_goes_beyond_its_borders(weight, monkeypatch):
    """On the whole image, one iteration or none is left of the up to twenty of the plain search."""
    done = []

    def noted(normal, right, *rest):
        found = conjugate_gradients(normal, right, *rest)
        done.append((right.shape[-1], found[2]))
        return found

    monkeypatch.setattr("pnp.frames.conjugate_gradients", noted)
    y, _ = window(KERNELS["gaussian"], 1, side=288)
    frame = frame_of(y, KERNELS["gaussian"], 1)
    level = torch.full((1, 1, 1, 1), weight)
    inputs = (y, frame.bridged(y), KERNELS["gaussian"], level, frame)
    plain = completed(*inputs)
    ((pixels, iterations),) = done
    monkeypatch.setattr("pnp.fourier.LARGE", 1)
    from_strips = completed(*inputs)
    left = [count for size, count in done[1:] if size == pixels]
    assert len(left) == y.shape[1] and max(left) <= 1 < 4 <= iterations
    D = pnp.solvers.build("fft-image")
    z, other = (D(wide, *inputs[1:4]) for wide in (from_strips, plain))
    assert (z - other).square().mean().sqrt() < 2 * TOLERANCE


@pytest.mark.parametrize("large", [1, 2**22])
def test_D_has_gradients_in_large_images_as_in_small_ones(large, monkeypatch):
    monkeypatch.setattr("pnp.fourier.LARGE", large)
    y, k = torch.rand(1, 3, 12, 14), KERNELS["line"][..., 5:16, 5:16]
    x = torch.rand(1, 3, 24, 28, dtype=torch.float64, requires_grad=True)
    D = pnp.solvers.build("fft-image")
    assert torch.autograd.gradcheck(
        lambda x: D(y.double(), x, k.double() / k.sum(), 0.1), (x,), fast_mode=True
    )
