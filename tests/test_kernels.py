"""Kernel files of all kinds give the same kernel or a clear refusal; moments; Gaussians."""

import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

import pnp
from pnp.errors import Notice, PnpError
from pnp.images import write_image
from pnp.kernel_files import kernel_picture, make_kernel, read_kernel, read_kernels, write_kernel
from pnp.kernels import (
    centre_kernel,
    centre_of_mass,
    resize_kernel,
    second_moments,
    unit_kernel,
)

rng = np.random.default_rng(0)


def kernel(rows=7, columns=5):
    taps = rng.random((rows, columns))
    return taps / taps.sum()


def cells(*arrays):
    out = np.empty((1, len(arrays)), object)
    out[0] = arrays
    return out


def test_every_format_gives_the_same_kernel(tmp_path):
    a, b = kernel(), kernel(9, 9)
    np.save(tmp_path / "one.npy", a)
    np.savez(tmp_path / "two.npz", first=b, second=a)
    savemat(tmp_path / "one.mat", {"kernel": a})
    savemat(tmp_path / "noted.mat", {"kernel": a, "sigma": 2.0, "name": "wide"})
    np.savez(tmp_path / "noted.npz", note="wide", kernel=a, sigma=np.float32(2))
    savemat(tmp_path / "cells.mat", {"kernels": cells(b, a)})
    savemat(tmp_path / "stack.mat", {"kernels": np.stack((a, a), -1)})
    np.save(tmp_path / "stack.npy", np.stack((a * 0 + 1, a)))
    np.save(tmp_path / "batch.npy", np.stack((a * 0 + 1, a))[:, None])
    want = torch.from_numpy(a.astype(np.float32))[None, None]
    for name in [
        "one.npy",
        "two.npz#2",
        "two.npz#second",
        "one.mat",
        "noted.mat",
        "noted.npz",
        "cells.mat#2",
        "cells.mat#kernels2",
    ]:
        assert torch.equal(read_kernel(tmp_path / name), want), name
    for name in ["stack.mat", "stack.npy", "batch.npy", "two.npz", "cells.mat"]:
        assert torch.equal(read_kernel(tmp_path / name, 2), want), name
        assert torch.equal(read_kernels(tmp_path / name)[1], want), name
    assert [tuple(k.shape) for k in read_kernels(tmp_path / "cells.mat")] == [
        (1, 1, 9, 9),
        (1, 1, 7, 5),
    ]


def test_a_written_kernel_is_read_back_exactly(tmp_path):
    k = torch.rand(3, 1, 7, 5)
    k = k / k.sum((-2, -1), keepdim=True)
    write_kernel(tmp_path / "k.npy", k)
    assert torch.equal(torch.cat(read_kernels(tmp_path / "k.npy")), k)
    write_kernel(tmp_path / "one.npy", k[1:2])
    assert torch.equal(read_kernel(tmp_path / "one.npy"), k[1:2])
    assert np.load(tmp_path / "one.npy").shape == (7, 5)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_picture_is_read_in_proportion_to_its_grey_levels(tmp_path, bits):
    levels = rng.integers(0, 2**bits, (9, 9))
    write_image(tmp_path / "k.png", torch.from_numpy(levels / (2**bits - 1))[None, None], bits=bits)
    assert np.allclose(
        read_kernel(tmp_path / "k.png")[0, 0], levels / levels.sum(), rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (255, 0, 0)])
def test_a_tap_of_a_picture_that_is_transparent_is_zero(tmp_path, hidden):
    levels = rng.integers(1, 256, (9, 9))
    seen = rng.random((9, 9)) > 0.4
    colours = np.where(seen[..., None], levels[..., None], hidden)
    Image.fromarray(np.dstack([colours, 255 * seen]).astype(np.uint8)).save(tmp_path / "k.png")
    expected = levels * seen / (levels * seen).sum()
    assert np.allclose(read_kernel(tmp_path / "k.png")[0, 0], expected, rtol=1e-5, atol=1e-9)


@given(st.floats(0.01, 1000))
def test_the_sum_is_one_whatever_the_units(tmp_path_factory, factor):
    path = tmp_path_factory.mktemp("k") / "k.npy"
    np.save(path, kernel() * factor)
    assert abs(float(read_kernel(path).sum()) - 1) <= 1.001e-3
    np.save(path, kernel() * 0.9995)
    assert abs(float(read_kernel(path).sum()) - 0.9995) < 1e-6  # as published


@pytest.mark.parametrize("total", [0.5, 0.97, 1.002, 1.5, 2.0])
@pytest.mark.parametrize("way", ["pipeline", "(K, K)", "restore", "file"])
def test_a_given_kernel_is_divided_by_its_sum_and_it_is_said(tmp_path, total, way):
    """One rule for Python and files, so that a blur neither brightens nor darkens."""
    right = torch.from_numpy(kernel(5, 5)).float()[None, None]
    k, y = total * right, torch.full((1, 3, 16, 16), 0.6)
    np.save(tmp_path / "k.npy", k[0, 0].numpy())
    with pytest.warns(Notice, match=rf"the kernel sums to {total:.4g}, so it is divided by that"):
        if way == "file":
            x = pnp.restore(y, "hqs-tv", scale=1, sigma=0.01, kernel=tmp_path / "k.npy").image
        elif way == "restore":
            restored = pnp.restore(y, "hqs-tv", scale=1, sigma=0.01, kernel=k.numpy())
            x = restored.image
            assert restored.kernel is not None and torch.allclose(restored.kernel, right, atol=1e-6)
        else:
            given_k = k[0, 0] if way == "(K, K)" else k
            x = pnp.load("hqs-tv")(y=y, k=given_k, s=1, sigma=0.01).x
    expected = pnp.load("hqs-tv")(y=y, k=right, s=1, sigma=0.01).x
    assert torch.allclose(x, expected, atol=1e-5) and abs(float(x.mean()) - 0.6) < 1e-3


@pytest.mark.parametrize("factor", [0.9995, 1.0, 1.0009])
def test_a_kernel_that_sums_to_one_is_taken_as_it_is(recwarn, factor):
    k = (factor * torch.from_numpy(kernel(5, 5))).float()[None, None]
    assert unit_kernel(k, "D") is k
    assert not [w for w in recwarn if w.category is Notice]


def test_each_kernel_of_a_batch_is_divided_by_its_own_sum():
    k = torch.from_numpy(np.stack([kernel(5, 5), 1.5 * kernel(5, 5)])).float()[:, None]
    with pytest.warns(Notice, match=r"sums to 1\.5"):
        assert unit_kernel(k, "D").sum((-2, -1)).flatten().tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("total", [0.0, -0.5])
def test_a_given_kernel_without_a_sum_is_refused(total):
    k = torch.zeros(1, 1, 3, 3)
    k[..., 1, 1], k[..., 0, 0] = 1, total - 1
    y = torch.rand(1, 3, 8, 8)
    with pytest.raises(PnpError, match="cannot be divided by its sum"):
        pnp.load("hqs-tv")(y=y, k=k, s=1, sigma=0.01)
    with pytest.raises(PnpError, match="cannot be divided by its sum"):
        pnp.restore(y, "hqs-tv", kernel=k)


def test_grey_levels_are_refused_in_python_and_divided_without_a_word_in_files(tmp_path, recwarn):
    taps = np.round(255 * kernel(5, 5) / kernel(5, 5).max()).astype(np.uint8)
    with pytest.raises(PnpError, match=r"kernel: the kernel sums to .* divide it by its sum"):
        pnp.restore(torch.rand(1, 3, 8, 8), "hqs-tv", kernel=taps)
    np.save(tmp_path / "k.npy", taps)
    write_image(tmp_path / "k.png", torch.from_numpy(taps / 255)[None, None].float())
    for name in ("k.npy", "k.png"):
        assert float(read_kernel(tmp_path / name).sum()) == pytest.approx(1, abs=1e-6)
    assert not [w for w in recwarn if w.category is Notice]


def test_bad_kernels_are_named_for_what_they_are(tmp_path):
    a = kernel()
    bad = {
        "nan": (a * np.nan, "NaN"),
        "negative": (a - a.mean(), "negative taps"),
        "zero": (a * 0, "all taps of the kernel are zero"),
        "colour": (np.dstack((a, a, a)), "one for all colours"),
        "row": (a[0], "its shape is"),
        "large": (np.ones((600, 4)), "is this an image"),
        "complex": (a + 1j, "real numbers"),
        "none": (np.zeros((0, 3)), "its shape is"),
    }
    for name, (array, message) in bad.items():
        np.save(tmp_path / f"{name}.npy", array)
        with pytest.raises(PnpError, match=message):
            read_kernel(tmp_path / f"{name}.npy")
    np.save(tmp_path / "stack.npy", np.stack((a, a, a)))
    (tmp_path / "damaged.npz").write_bytes(b"PK not a zip")
    (tmp_path / "damaged.mat").write_bytes(b"no matlab file" * 20)
    np.save(tmp_path / "objects.npy", cells(a, {}), allow_pickle=True)
    np.savez(tmp_path / "nothing.npz")
    write_image(tmp_path / "colour.png", torch.rand(1, 3, 5, 5))
    write_image(tmp_path / "picture.png", kernel_picture(torch.from_numpy(a)[None, None]))
    (tmp_path / "words.txt").write_text("0 1 0")
    for name, message in {
        "stack.npy": r"holds 3 kernels .*stack.npy#1",
        "stack.npy#4": "has no kernel '4'; choose one of its 3",
        "stack.npy#0": "by number, from 1",
        "absent.npy": "no such file",
        "damaged.npz": "cannot be read",
        "damaged.mat": "cannot be read",
        "objects.npy": "cannot be read",
        "nothing.npz": "holds no array",
        "colour.png": "must be grey",
        "picture.png": "enlarged 40 times",
        "words.txt": r"read from .npy, .npz, .mat and pictures",
    }.items():
        with pytest.raises(PnpError, match=message):
            read_kernel(tmp_path / name)
    with pytest.raises(PnpError, match=r"written as \.npy"):
        write_kernel(tmp_path / "k.png", torch.ones(1, 1, 3, 3))


def test_files_of_matlab_7_3(tmp_path, monkeypatch):
    (tmp_path / "k.mat").write_bytes(
        b"MATLAB 7.3 MAT-file".ljust(124, b" ") + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" * 50
    )
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(PnpError, match=r"MATLAB 7\.3 needs the package h5py"):
        read_kernel(tmp_path / "k.mat")


def test_files_of_matlab_7_3_agree_with_numpy(data):
    pytest.importorskip("h5py", reason="files of MATLAB 7.3 need h5py")
    pairs = zip(
        read_kernels(data / "kernels/Levin09.mat"),
        read_kernels(data / "kernels/Levin09_numpy.npz"),
        strict=True,
    )
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_public_kernels(data):
    twelve = read_kernels(data / "kernels/kernels_12.mat")
    assert [tuple(k.shape) for k in twelve] == [(1, 1, 25, 25)] * 12
    assert torch.equal(read_kernel(data / "kernels/kernels_12.mat#3"), twelve[2])
    widths = [float(second_moments(k)[0, 0, 0].sqrt()) for k in twelve[:4]]
    assert np.allclose(widths, [0.7, 1.2, 1.6, 2.0], atol=2e-3)
    assert np.allclose(centre_of_mass(twelve[9])[0], [-1.357, 2.0], atol=1e-3)
    of_paper = read_kernels(data / "kernels/ikrnet_paper_12.npy")
    assert torch.equal(
        torch.cat(of_paper)[:, 0], torch.from_numpy(np.load(data / "kernels/ikrnet_paper_12.npy"))
    )


def test_a_kernel_picture_is_large_white_at_the_peak_and_square(tmp_path):
    k = torch.rand(1, 1, 21, 15)
    picture = kernel_picture(k)
    assert picture.shape[-2] >= 200 and picture.shape[-1] >= 200
    assert picture.max() == 1 and picture.min() >= 0
    side = picture.shape[-1] // 15
    assert torch.allclose(picture[..., ::side, ::side] * k.max(), k)


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_moments_of_a_delta_and_of_two(rows, columns, data):
    r, c = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    k = torch.zeros(1, 1, rows, columns)
    k[..., r, c] = 3.0  # a factor must not matter
    assert centre_of_mass(k)[0].tolist() == [r - rows // 2, c - columns // 2]
    assert second_moments(k).abs().max() < 1e-12
    k[..., rows - 1, 0] += 3.0
    half = [(rows - 1 - r) / 2, -c / 2]
    want = torch.outer(torch.tensor(half), torch.tensor(half))
    assert torch.allclose(second_moments(k)[0], want, atol=1e-5)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 6))
def test_another_support_keeps_the_centre(rows, columns, more):
    k = torch.rand(2, 1, rows, columns)
    large = resize_kernel(k, rows + more, columns + 2)
    assert large.shape == (2, 1, rows + more, columns + 2)
    assert torch.allclose(centre_of_mass(large), centre_of_mass(k), atol=1e-5)
    assert torch.equal(resize_kernel(large, rows, columns), k)


@given(st.integers(0, 1000))
def test_centring_keeps_the_sum_and_the_sign(seed):
    k = torch.rand(4, 1, 9, 11, generator=torch.Generator().manual_seed(seed))
    centred = centre_kernel(k)
    assert centre_of_mass(k).abs().max() > 0.05
    assert centre_of_mass(centred).abs().max() < 1e-3
    assert (
        torch.allclose(centred.sum((-2, -1)), torch.ones(4, 1), atol=1e-5) and (centred >= 0).all()
    )


def test_the_angle_of_a_gaussian_turns_counter_clockwise_as_seen_on_the_screen():
    k = make_kernel("gaussian:4,1,30")
    drawn = np.zeros((25, 25))  # a line that rises to the right: rows point down
    for step in range(-10, 11):
        drawn[
            round(12 - step * math.sin(math.pi / 6)), round(12 + step * math.cos(math.pi / 6))
        ] = 1
    assert float((k[0, 0] * torch.from_numpy(drawn)).sum()) > 0.3
    assert float((k[0, 0].flip(0) * torch.from_numpy(drawn)).sum()) < 0.2
    assert float(second_moments(k)[0, 0, 1]) < -5


@given(st.floats(0.8, 3), st.floats(0.8, 3), st.integers(-180, 180))
def test_words_and_initializer_give_the_same_gaussian(std, std2, degrees):
    initial = pnp.initializers.build(
        "gaussian-kernel", size=25, std=std, std2=std2, angle=float(degrees)
    )(torch.zeros(1, 1, 1, 1))
    words = make_kernel(f"gaussian:{std:.9f},{std2:.9f},{degrees}")
    assert torch.allclose(words, initial, atol=1e-6)


@pytest.mark.parametrize(
    "text", ["gaussian:", "gaussian:0", "gaussian:2,1", "gaussian:-2,1,3", "gaussian:2,1,x"]
)
def test_words_that_are_no_gaussian_are_refused(text):
    with pytest.raises(PnpError, match=f"--kernel {text}: write gaussian:WIDTH or"):
        make_kernel(text, "--kernel")


@pytest.mark.parametrize("radius", ["3", "4.5", " 20 "])
def test_a_word_for_a_disc(radius):
    k = make_kernel(f"disc:{radius}")
    assert k.shape[-1] == max(25, 2 * math.ceil(float(radius)) + 1)
    across = float(k.sum(-1).gt(0).sum())
    assert abs(across - 2 * float(radius)) <= 2
    assert torch.equal(k, k.mT) and torch.equal(k, k.flip(-1))


@pytest.mark.parametrize("text", ["disc:", "disc:0", "disc:-2", "disc:50", "disc:1,2", "disc:x"])
def test_words_that_are_no_disc_are_refused(text):
    with pytest.raises(PnpError, match=f"--kernel {text}: write disc:RADIUS with a radius"):
        make_kernel(text, "--kernel")
