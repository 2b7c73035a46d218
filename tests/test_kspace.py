"""MRI: the exact data step against explicit matrices, k-space files, and the command."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import pnp
from pnp.cli import main
from pnp.fourier_planes import as_complex, as_parts, to_image, to_kspace
from pnp.images import write_image
from pnp.kspace import as_kspace, magnitude
from pnp.testing import check_solver
from pnp.testing.spatial import kspace_by_matrices


def complex_image(*size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 2, *size, generator=generator, dtype=torch.float64) / 4


def test_the_solvers_minimise_what_they_state():
    check_solver(pnp.solvers.build("mri-image"))
    check_solver(pnp.solvers.build("mask-image"))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.floats(1e-3, 10), st.integers(0, 2**20))
def test_the_data_step_solves_the_normal_equations_of_the_explicit_matrix(h, w, weight, seed):
    generator = np.random.default_rng(seed)
    mask = torch.from_numpy(generator.integers(0, 2, (1, 1, h, w)).astype(float))
    y, x = complex_image(h, w, seed=seed), complex_image(h, w, seed=seed + 1)
    points = torch.eye(h * w, dtype=torch.float64).reshape(-1, 1, h, w)
    basis = torch.cat((points, torch.zeros_like(points)), 1)
    A = mask.flatten()[:, None] * kspace_by_matrices(basis).flatten(1).mT
    measured = mask.flatten() * kspace_by_matrices(y).flatten()
    right = A.mH @ measured + weight * as_complex(x).flatten()
    matrix = A.mH @ A + weight * torch.eye(h * w)
    expected = torch.linalg.solve(matrix, right).reshape(1, 1, h, w)
    z = pnp.solvers.build("mri-image")(y, x, mask, weight)
    torch.testing.assert_close(as_complex(z), expected)


def test_the_transform_is_the_one_of_the_matrices_and_is_undone():
    for size in ((4, 5), (3, 6)):
        x = complex_image(*size)
        kspace = to_kspace(as_complex(x))
        torch.testing.assert_close(kspace, kspace_by_matrices(x))
        torch.testing.assert_close(as_parts(to_image(kspace)), x)


def test_with_everything_known_and_a_small_weight_the_data_decide():
    y, x, ones = complex_image(5, 6), complex_image(5, 6, seed=1), torch.ones(1, 1, 5, 6)
    z = pnp.solvers.build("mri-image")(y, x, ones.double(), 1e-12)
    torch.testing.assert_close(z, y)
    z = pnp.solvers.build("mri-image")(y, x, 0 * ones.double(), 1e-12)
    torch.testing.assert_close(z, x)


def test_inpainting_leaves_what_is_unknown_and_agrees_with_cg():
    generator = torch.Generator().manual_seed(0)
    y, x = torch.rand(2, 2, 3, 9, 8, generator=generator, dtype=torch.float64)
    mask = (torch.rand(2, 1, 9, 8, generator=generator) > 0.5).double()
    z = pnp.solvers.build("mask-image")(y, x, mask, 0.3)
    assert torch.equal(z * (1 - mask), x * (1 - mask))
    cg = pnp.solvers.build("cg-image", tolerance=1e-12, iterations=1000)
    delta = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(z, cg(y, x, delta, 0.3, mask))


def test_transforms_of_complex_images_are_undone():
    z = complex_image(6, 5)
    for channels in (1, 3):
        m = pnp.transforms.build("magnitude", channels=channels)(z)
        assert m.shape == (1, channels, 6, 5)
        torch.testing.assert_close(pnp.transforms.build("with-phase")(m, z), z)
        a, b, level = pnp.transforms.build("complex-parts", channels=channels)(z, 0.2)
        torch.testing.assert_close(pnp.transforms.build("from-parts")(a, b), z)
        assert float(level) == 0.1
    torch.testing.assert_close(magnitude(z), m[:, :1])


# ---------------------------------------------------------------- k-space


def scan(side=(24, 22), lines=10, seed=0):
    """A phantom of two discs with a smooth phase, its k-space, and a mask of columns."""
    rows, columns = np.mgrid[-1 : 1 : side[0] * 1j, -1 : 1 : side[1] * 1j]
    x = 0.9 * (rows**2 + columns**2 < 0.6) - 0.5 * ((rows - 0.2) ** 2 + columns**2 < 0.1)
    image = torch.from_numpy(x * np.exp(1j * (rows + 0.5 * columns)))
    generator = np.random.default_rng(seed)
    mask = np.zeros(side[1])
    mask[side[1] // 2 - 2 : side[1] // 2 + 2] = 1
    mask[generator.choice(side[1], lines, replace=False)] = 1
    return x, to_kspace(image).numpy(), mask


def test_all_of_k_space_gives_the_image_back_in_its_units():
    x, kspace, _ = scan()
    y = as_kspace(100 * kspace)
    assert float(y.pixels.max()) == pytest.approx(1)
    np.testing.assert_allclose(np.abs(y.reconstructed(y.y).numpy()), 100 * x, atol=1e-4)
    assert float(y.mask.min()) == 1


@pytest.mark.parametrize("form", ["line", "row", "plane"])
def test_a_mask_of_lines_is_one_of_all_rows(form):
    _, kspace, mask = scan()
    plane = np.broadcast_to(mask, kspace.shape)
    given = {"line": mask, "row": mask[None], "plane": plane.astype(bool)}[form]
    y = as_kspace(kspace, given)
    assert np.array_equal(y.mask[0, 0].numpy(), plane)
    without = as_kspace(kspace * plane)
    assert torch.equal(without.y, y.y) and torch.equal(without.mask, y.mask)


K = scan()[1]
EMPTY = np.zeros(22)


@pytest.mark.parametrize(
    ("kspace", "mask", "message"),
    [
        (K, np.ones((24, 21)), r"the mask has the shape \(24, 21\), but k-space \(24, 22\)"),
        (K, EMPTY, "the mask is zero everywhere: no line of k-space was measured"),
        (np.where(K[3, 4] == K, np.nan, K), None, "k-space holds NaN or infinite values"),
        (K.real, None, "k-space is complex, but this is float64"),
        (np.stack((K, K)), None, r"k-space has the shape \(2, 24, 22\); one coil"),
        (K, 2 * np.ones(22), "the mask holds other values than 0 and 1"),
        (np.fft.ifftshift(K), None, "the largest value of k-space is in the corner"),
        (0 * K, np.ones(22), "k-space is zero wherever the mask says"),
    ],
)
def test_bad_k_space_is_one_message(kspace, mask, message, tmp_path, monkeypatch, capsys):
    with pytest.raises(pnp.PnpError, match=message) as caught:
        as_kspace(kspace, mask)
    assert "\n" not in str(caught.value)
    monkeypatch.chdir(tmp_path)
    np.savez("scan.npz", y=kspace, **({} if mask is None else {"mask": mask}))
    assert main(["run", "mri-tv", "scan.npz"]) == 1
    told = capsys.readouterr().err
    assert "scan.npz: " in told and "Traceback" not in told


def test_bad_files_are_one_message(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("other.npz", data=K)
    write_image("photo.png", torch.rand(1, 1, 8, 8))
    (tmp_path / "broken.npz").write_bytes(b"PK no zip")
    for name, message in (
        ("other.npz", "it holds data, but no y"),
        ("photo.png", "this pipeline takes k-space, no picture"),
        ("broken.npz", "cannot be read"),
        ("absent.npz", "there is no such file"),
    ):
        with pytest.raises(pnp.PnpError, match=message):
            pnp.restore(name, "mri-tv")


# ---------------------------------------------------------------- pipelines and the command


def quality(values, x):
    return -10 * np.log10(np.mean((np.abs(values.numpy()) - x) ** 2))


def test_total_variation_is_better_than_zero_filled():
    x, kspace, mask = scan((64, 64), 18)
    y = as_kspace(kspace, mask)
    restored = pnp.restore(y, "mri-tv")
    assert restored.values is not None
    assert restored.values.shape == (64, 64) and restored.image.shape == (1, 1, 64, 64)
    before, after = quality(y.reconstructed(y.y), x), quality(restored.values, x)
    assert after > before + 6


def test_the_command_writes_magnitude_array_and_record(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    x, kspace, mask = scan((32, 30), 8)
    np.savez("scan.npz", y=7 * kspace, mask=mask)
    write_image(
        "truth.png", torch.from_numpy(x / np.abs(as_kspace(kspace, mask).factor)).float()[None]
    )
    more = ["--compare", "--trace", "--reference", "truth.png"]
    assert main(["run", "mri-tv", "scan.npz", "-o", "out", *more]) == 0
    assert "dB (zero-filled) -> " in capsys.readouterr().out
    made = {p.name for p in (tmp_path / "out").iterdir()}
    assert made == {
        *("scan_x1.png", "scan_x1_complex.npy", "scan_x1.json", "scan_x1_compare.png"),
        *("scan_x1_trace.npz", "scan_x1_trace.png"),
    }
    values = np.load("out/scan_x1_complex.npy")
    assert values.dtype == np.complex64 and values.shape == (32, 30)
    with Image.open("out/scan_x1.png") as picture:
        shown = np.asarray(picture)
    factor = 7 * as_kspace(kspace, mask).factor
    np.testing.assert_allclose(shown / 65535, (np.abs(values) / factor).clip(0, 1), atol=1e-4)
    record = json.loads((tmp_path / "out/scan_x1.json").read_text())
    assert record["kernel"] is None and record["size"] == [32, 30]
    assert main(["run", "mri-tv", "scan.npz", "-o", "out", *more]) == 0
    assert "restored already" in capsys.readouterr().out
    assert main(["run", "--again", "out/scan_x1.json"]) == 0
    assert "byte for byte the same" in capsys.readouterr().out


def test_a_mask_may_be_a_picture_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, kspace, mask = scan()
    plane = np.broadcast_to(mask, kspace.shape)
    np.savez("both.npz", y=kspace, mask=mask)
    np.save("scan.npy", kspace)
    write_image("mask.png", torch.from_numpy(plane.copy()).float()[None])
    together = pnp.restore("both.npz", "mri-tv")
    apart = pnp.restore("scan.npy", "mri-tv", mask="mask.png")
    assert apart.values is not None and together.values is not None
    assert torch.equal(apart.values, together.values)


def test_a_denoiser_reads_real_and_imaginary_part():
    x, kspace, mask = scan((48, 48), 10)
    y = as_kspace(kspace, mask)
    pipeline = pnp.load("mri-drunet", repeat=2).eval()
    with torch.no_grad():
        result = pipeline(y=y.y, mask=y.mask)
    assert result.x.shape == (1, 2, 48, 48)
    assert quality(y.reconstructed(result.x), x) > quality(y.reconstructed(y.y), x)


def test_a_picture_pipeline_does_not_take_complex_images(tmp_path):
    (tmp_path / "wrong.yaml").write_text(
        "given: [{y: complex}, mask]\nmodules:\n  P: {prior: tv}\nafter:\n  - x = P(y, 0.1)\nreturn: x\n"
    )
    with pytest.raises(pnp.PipelineError, match="P needs image as 'x', but y is complex"):
        pnp.load(tmp_path / "wrong.yaml")
