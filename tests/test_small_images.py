"""Images smaller than a kernel, a margin or a network's stride are restored; supports of kernels follow."""

import inspect

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_pipelines import scale_of, small

import pnp
from pnp.cli import main
from pnp.errors import PnpError
from pnp.fourier_planes import to_kspace
from pnp.images import write_image
from pnp.inference import run_image
from pnp.interfaces import signature_of
from pnp.kernel_files import make_kernel
from pnp.kernels import cropped_kernel, second_moments
from pnp.kspace import takes_kspace
from pnp.language.reader import PIPELINES, read_spec
from pnp.observation import mirrored_to
from pnp.registry import REGISTRIES
from pnp.restoration import Restorer

SIZES = [(1, 1), (30, 1), (2, 3), (8, 8), (16, 17)]


@pytest.mark.parametrize("name", PIPELINES.names())
@pytest.mark.parametrize("s", [1, 3])
def test_every_pipeline_restores_small_images(name, s):
    s = scale_of(name, s)
    takes = {g.name: g.default is None for g in read_spec(name).given}
    restorer = Restorer(
        name,
        scale=s if "s" in takes else None,
        kernel="gaussian:1.6" if takes.get("k") else None,
        sigma=0.02 if takes.get("sigma") else None,
        mask=torch.ones(1, 1) if takes.get("mask") else None,
        random_weights=True,
        assignments=tuple(f"{key}={value}" for key, value in small(name).items()),
    )
    for height, width in SIZES:
        if "mask" in takes:
            restorer.given["mask"] = torch.ones(1, 1, height, width)
        image, channels = torch.rand(1, 3, height, width), 3
        if takes_kspace(restorer.pipeline.spec):
            image, channels = to_kspace(torch.rand(height, width) + 0j), 1
        try:
            x = restorer(image).image
        except PnpError as e:  # the kernel of DPSR blurs y, not x
            assert name == "dpsr" and "larger than the image" in str(e)
        else:
            assert x.shape == (1, channels, s * height, s * width) and bool(x.isfinite().all())


@pytest.mark.parametrize("sides", [(8, 8, 4), (16, 16, 1), (5, 40, 1), (1, 12, 2)])
def test_run_restores_a_small_image_and_records_it(tmp_path, sides):
    height, width, s = sides
    write_image(tmp_path / "a.png", torch.rand(1, 3, height, width))
    more = ["--scale", str(s), "--kernel", "gaussian:1.6", "-o", str(tmp_path / "out")]
    assert main(["run", "hqs-tv", str(tmp_path / "a.png"), *more]) == 0
    assert {f"a_x{s}.png", f"a_x{s}.json", f"a_x{s}_kernel.npy"} <= {
        path.name for path in (tmp_path / "out").iterdir()
    }


@pytest.mark.parametrize("protocol", ["exact", "usrnet", "ikrnet", "denoising"])
@pytest.mark.parametrize("words", ["gaussian:1.6", "gaussian:3,1,45", "motion:7", "delta"])
def test_degrade_fits_a_kernel_of_words_into_a_small_image(tmp_path, words, protocol):
    write_image(tmp_path / "a.png", torch.rand(1, 3, 19, 16))
    more = ["-s", "2", "-k", words, "--protocol", protocol, "-o", str(tmp_path / "out")]
    assert main(["degrade", str(tmp_path / "a.png"), *more]) == 0
    k = pnp.kernel_files.read_kernel(tmp_path / "out" / "a_x2_kernel.npy")
    assert max(k.shape) <= 17 and float(k.sum()) == pytest.approx(1, abs=1e-6)


def test_images_that_are_large_enough_are_restored_as_before():
    """Nothing is continued or cropped: what restore gives is what the pipeline gives."""
    y, k = torch.rand(1, 3, 25, 26), make_kernel("gaussian:1.6")
    assert k.shape[-2:] == (25, 25)
    direct = pnp.load("hqs-tv")(y=y, s=1, k=k, sigma=0.02, boundary="unknown")
    restored = pnp.restore(y, "hqs-tv", scale=1, kernel="gaussian:1.6", sigma=0.02)
    assert torch.equal(direct.x, restored.image)


def test_small_images_are_continued_by_their_mirror_image():
    blind = pnp.load("blind-classical", **small("blind-classical"))
    assert blind.least_side(1) == 25 and blind.least_side(2) == 13
    y = torch.rand(1, 3, 9, 20)
    whole = run_image(blind, mirrored_to(y, 25, 25), {"s": 1})
    part = run_image(blind, y, {"s": 1})
    assert part.x.shape == y.shape and torch.equal(part.x, whole.x[..., :9, :20])
    assert torch.equal(part.k, whole.k)


@pytest.mark.parametrize("name", ["ikrnet-small", "spectral-usrnet", "blind-classical"])
def test_a_pipeline_that_fails_on_a_small_image_states_a_size_that_works(name):
    pipeline = pnp.load(name, random_weights=True, **small(name))
    side = pipeline.least_side(2)
    with pytest.raises(PnpError, match=f"needs y of {side} x {side} or more at scale 2"):
        pipeline(y=torch.rand(1, 3, side - 1, side - 1), s=2)
    assert pipeline(y=torch.rand(1, 3, side, side), s=2).x.shape[-1] == 2 * side


@pytest.mark.parametrize("side", [1, 8, 10, 25])
def test_what_is_not_measured_on_a_small_image_says_from_which_size_on_it_is(side):

    def restore(side, kernel):
        restorer = pnp.Restorer("hqs-tv", kernel=kernel, assignments=("repeat=1",))
        return restorer(torch.rand(1, 3, side, side))

    restored = restore(side, "gaussian:1.6")
    (note,) = restored.record["notes"]
    needed = int(note.split()[-1])
    larger = restore(needed, restored.kernel[0, 0])
    assert needed > side and "psnr_lr" in larger.record["quality"]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 30), st.integers(0, 30))
def test_a_mirror_image_has_no_jumps_and_keeps_what_is_there(height, width, more, wider):
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None, :]
    x = (10 * rows + columns)[None, None].float()
    wide = mirrored_to(x, height + more, width + wider)
    assert wide.shape == (1, 1, height + more, width + wider)
    assert torch.equal(wide[..., :height, :width], x)
    for dim, step in ((-2, 10), (-1, 1)):
        jumps = wide.diff(dim=dim).abs()
        assert jumps.numel() == 0 or float(jumps.max()) <= step


def test_modules_that_give_a_kernel_of_a_size_need_an_image_of_it():
    found = []
    for registry in REGISTRIES.values():
        for name in registry.names():
            cls = registry.get(name)
            gives = any(kind.name == "kernel" for kind in signature_of(cls).outputs)
            size = inspect.signature(cls).parameters.get("size")
            if gives and size is not None and isinstance(size.default, int):
                found.append(name)
                assert cls().least_side(1) >= size.default, name
                assert cls().least_side(2) >= size.default / 2, name
    assert {"kernel-encoder", "spectral-kernel", "gaussian-kernel", "crop"} <= set(found)


# ---------------------------------------------------------------- kernels of words


@given(st.floats(0.3, 24), st.floats(0.3, 24), st.integers(0, 180))
def test_the_support_of_a_Gaussian_follows_its_width(wide, narrow, degrees):
    k = make_kernel(f"gaussian:{wide:.3f},{narrow:.3f},{degrees}")
    side = k.shape[-1]
    assert k.shape == (1, 1, side, side) and side % 2 == 1 and side >= 25
    assert side == 25 or side // 2 >= 3 * max(wide, narrow) - 0.01
    assert side // 2 < 3 * max(wide, narrow) + 2 or side == 25
    if min(wide, narrow) > 0.8:
        turned = second_moments(k.double())[0]
        assert float(turned.trace()) == pytest.approx(wide**2 + narrow**2, rel=0.06)


@given(
    st.sampled_from(["gaussian:1", "gaussian:9", "gaussian:3,1,30", "motion:3", "delta"]),
    st.integers(1, 60),
    st.integers(1, 60),
)
def test_a_kernel_of_words_is_never_larger_than_the_image(words, height, width):
    k = make_kernel(words, size=(height, width))
    rows, columns = k.shape[-2:]
    assert rows <= height and columns <= width and rows % 2 == columns % 2 == 1
    assert float(k.sum()) == pytest.approx(1, abs=1e-5) and float(k.min()) >= 0
    whole = make_kernel(words)
    if whole.shape[-2] <= height and whole.shape[-1] <= width:
        assert torch.equal(k, whole)
    elif not words.startswith("motion"):
        assert rows in (whole.shape[-2], height, height - 1)  # no smaller than it has to be


def test_a_kernel_of_a_file_is_cropped_only_if_almost_nothing_is_cut_off(tmp_path):
    uniform = torch.ones(1, 1, 25, 25) / 625
    for words, kept in (("gaussian:1", 13), ("delta", 13), ("gaussian:4", 25), ("all", 25)):
        k = uniform if words == "all" else make_kernel(words)
        pnp.kernel_files.write_kernel(tmp_path / "k.npy", k)
        found = make_kernel(str(tmp_path / "k.npy"), size=(14, 13))
        assert found.shape[-2:] == (kept, kept), words
        assert float(found.sum()) == pytest.approx(1, abs=2e-3)
    taps = make_kernel("gaussian:1")[0, 0]
    for form in (taps, taps.numpy()):
        restored = pnp.restore(torch.rand(1, 3, 14, 13), "hqs-tv", scale=1, kernel=form)
        assert restored.kernel is not None and restored.kernel.shape == (1, 1, 13, 13)
    with pytest.raises(
        PnpError, match="kernel is 25 x 25, larger than the image x, which is 13 x 14"
    ):
        pnp.restore(torch.rand(1, 3, 13, 14), "hqs-tv", scale=1, kernel=uniform)


def test_what_is_cropped_keeps_its_centre_and_its_sum():
    k = torch.rand(2, 1, 9, 12) + 0.1
    small_one = cropped_kernel(k, 6, 20)
    assert small_one.shape == (2, 1, 5, 12)
    assert torch.allclose(small_one.sum((-2, -1)), k.sum((-2, -1)))
    ratio = small_one / k[..., 2:7, :]
    assert torch.allclose(ratio, ratio[..., :1, :1].expand_as(ratio))
    assert cropped_kernel(k, 6, 20, loss=0.01) is k
