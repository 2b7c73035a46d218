"""The observation model by its definition, and the protocols by the lines of the published codes."""

import math
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

import pnp
from pnp.errors import PnpError
from pnp.observation import add_noise, blur, crop_to_multiple, downsample, observe
from pnp.protocols import PROTOCOLS, degrade, protocol


def by_definition(x, k, index):
    """The sum over taps of k[a, b] x[i - (a - K // 2), j - (b - L // 2)], pixels beyond the edges found by `index`."""
    height, width = x.shape[-2:]
    rows, columns = k.shape[-2:]
    total = torch.zeros_like(x)
    for a in range(rows):
        for b in range(columns):
            r = [index(i - (a - rows // 2), height) for i in range(height)]
            c = [index(j - (b - columns // 2), width) for j in range(width)]
            total += k[..., a : a + 1, b : b + 1] * x[..., r, :][..., c]
    return total


INDEX = {
    "circular": lambda i, n: i % n,
    "replicate": lambda i, n: min(max(i, 0), n - 1),
    "reflect": lambda i, n: n - 1 - abs(n - 1 - abs(i)),
}


@given(
    st.sampled_from(sorted(INDEX)),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(5, 9),
    st.integers(5, 9),
    st.integers(1, 5),
    st.integers(1, 5),
    st.booleans(),
    st.integers(0, 99),
)
def test_blur_is_convolution_by_its_definition(
    boundary, batch, channels, height, width, rows, columns, shared, seed
):
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(batch, channels, height, width, generator=g, dtype=torch.float64)
    k = torch.rand(1 if shared else batch, 1, rows, columns, generator=g, dtype=torch.float64)
    assert torch.allclose(blur(x, k, boundary), by_definition(x, k, INDEX[boundary]), atol=1e-10)


def test_the_pixel_kept_is_the_upper_left_of_each_block():
    x = torch.arange(24.0).reshape(1, 1, 4, 6)
    assert downsample(x, 2).flatten().tolist() == [0, 2, 4, 12, 14, 16]
    k = torch.zeros(1, 1, 3, 3)
    k[..., 1, 1] = 1
    assert torch.allclose(observe(x, k, 2), x[..., ::2, ::2], atol=1e-5)


def test_noise_has_its_level_in_each_image_and_follows_its_seed():
    y = torch.zeros(3, 3, 80, 80)
    sigma = torch.tensor([0.0, 0.01, 0.2]).reshape(3, 1, 1, 1)
    noisy = add_noise(y, sigma, torch.Generator().manual_seed(1))
    assert torch.allclose(noisy.std((1, 2, 3)), sigma.flatten(), rtol=0.03)
    assert torch.equal(noisy, add_noise(y, sigma, torch.Generator().manual_seed(1)))
    assert not torch.equal(noisy, add_noise(y, sigma, torch.Generator().manual_seed(2)))


def test_the_model_is_differentiable_in_image_and_kernel():
    x = torch.rand(1, 2, 6, 4, dtype=torch.float64, requires_grad=True)
    k = torch.rand(1, 1, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, k: observe(x, k, 2), (x, k))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x, k: blur(x, k.repeat(1, 1, 5, 1)),
            "kernel is 15 x 3, larger than the image x, which is 12 x 8",
        ),
        (lambda x, k: blur(x, k[0]), "k has shape .* needs four dimensions"),
        (lambda x, k: blur(x.repeat(3, 1, 1, 1), k.repeat(2, 1, 1, 1)), "2 kernels for 3 images"),
        (
            lambda x, k: blur(x, k, cast(Any, "wrap")),
            "boundary is 'wrap', but should be one of circular",
        ),
        (lambda x, k: blur((x * 255).byte(), k), "x is uint8; give floating point"),
        (lambda x, k: downsample(x, 5), "cannot be divided by 5"),
        (lambda x, k: downsample(x, cast(Any, 2.5)), "scale is 2.5, but should be a whole number"),
        (lambda x, k: downsample(x, 0), "scale is 0, but should be a whole number"),
        (lambda x, k: observe(x, k, 2, 15), "write 15/255 or 15%"),
        (lambda x, k: observe(x, k, 2, -0.1), r"noise level on \[0, 1\]"),
        (lambda x, k: crop_to_multiple(x, 9), "too small"),
        (lambda x, k: degrade(x, k, 2, name="usernet"), "did you mean 'usrnet'"),
        (lambda x, k: degrade(x, k, cast(Any, 2.5)), "scale is 2.5, but should be a whole number"),
        (lambda x, k: degrade(x, k, 2, 15), "write 15/255 or 15%"),
        (lambda x, k: degrade(x, 255 * k, 2), "kernel sums to 255, but a blur kernel sums to one"),
        (lambda x, k: degrade(x, k * torch.nan, 2), "k holds NaN"),
        (lambda x, k: observe(x, k, 2, math.nan), r"noise level on \[0, 1\]"),
        (
            lambda x, k: degrade(x, k.repeat(1, 1, 5, 1) / 5, 2, name="ikrnet"),
            "larger than the image",
        ),
        (
            lambda x, k: degrade(x.repeat(2, 1, 1, 1), k),
            "batches have the sizes 2 and 1; give one image",
        ),
    ],
)
def test_what_has_no_meaning_is_refused_in_one_sentence(call, message):
    with pytest.raises(PnpError, match=message):
        call(torch.rand(1, 3, 12, 8), torch.ones(1, 1, 3, 3) / 9)


def published(hr, k, s, sigma, multiple):
    """What the published codes do to uint8 pixels (H, W, C)."""
    m = np.lcm(s, multiple)
    hr = hr[: hr.shape[0] - hr.shape[0] % m, : hr.shape[1] - hr.shape[1] % m]
    blurred = ndimage.convolve(hr, np.expand_dims(k.astype(np.float64), 2), mode="wrap")
    lr = blurred[0::s, 0::s, ...].astype(np.float64) / 255
    np.random.seed(seed=0)
    return lr + np.random.normal(0, sigma, lr.shape), hr


@pytest.mark.parametrize("s", [1, 2, 3, 4])
@pytest.mark.parametrize(("name", "multiple"), [("usrnet", 8), ("ikrnet", 1)])
def test_protocols_do_what_the_published_codes_do(s, name, multiple):
    rng = np.random.default_rng(0)
    pixels = np.clip(
        ndimage.gaussian_filter(rng.normal(128, 300, (53, 47, 3)), (2, 2, 0)), 0, 255
    ).astype(np.uint8)
    k = rng.random((7, 7)).astype(np.float32)
    k /= k.sum()
    want, cropped = published(pixels, k, s, 0.05, multiple)
    hr = torch.from_numpy(pixels / 255).float().permute(2, 0, 1)[None]
    y, x = degrade(hr, torch.from_numpy(k)[None, None], s, 0.05, name)
    assert x.shape[-2] % math.lcm(s, multiple) == 0 and x.shape[-2:] == cropped.shape[:2]
    want = want if name == "usrnet" else want.clip(0, 1)
    assert np.abs(y[0].permute(1, 2, 0).numpy() - want).max() < 1e-6
    assert np.array_equal((x[0] * 255).round().permute(1, 2, 0).numpy(), cropped)


def test_the_noise_of_usrnet_leaves_the_range_and_that_of_ikrnet_does_not():
    hr, k = torch.ones(1, 3, 16, 16), torch.ones(1, 1, 1, 1)
    assert degrade(hr, k, 2, 0.1, "usrnet")[0].max() > 1.05
    assert degrade(hr, k, 2, 0.1, "ikrnet")[0].max() == 1
    assert degrade(hr, k, 2, 0.1, "exact")[0].max() > 1.05


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 2, 3]))
def test_the_protocols_are_the_model_up_to_the_cut_to_8_bits(rows, columns, s):
    g = torch.Generator().manual_seed(rows + 7 * columns)
    hr = torch.randint(0, 256, (1, 3, 24, 24), generator=g) / 255
    k = torch.rand(1, 1, rows, columns, generator=g)
    k = k / k.sum()
    exact, x = degrade(hr, k, s)
    assert torch.allclose(exact, observe(x, k, s), atol=1e-6)
    for name in ("usrnet", "ikrnet"):
        lost = (exact - degrade(hr, k, s, name=name)[0]) * 255
        assert lost.min() > -1e-3 and lost.max() < 1 + 1e-3  # cut, not rounded


def test_the_seed_is_the_noise():
    hr, k = torch.rand(1, 3, 16, 16), torch.ones(1, 1, 1, 1)
    a, b, c = (degrade(hr, k, 2, 0.1, seed=seed)[0] for seed in (3, 3, 4))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_borders():
    borders = {name: protocol(name).border(4) for name in PROTOCOLS}
    dan = {"dan-setting1": 4, "dan-setting2": 4, "div2krk": 4}
    assert borders == {"exact": 16, "usrnet": 16, "ikrnet": 16, "denoising": 0} | dan


def cubic(t):
    t = abs(t)
    if t <= 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0


def as_dan(row, taps, s):
    """One row of 8-bit pixels through DAN's scripts: reflected correlation, antialiased resizing
    with a symmetric boundary, the result rounded; by loops.
    """
    n, reach = len(row), len(taps) // 2

    def reflected(i):
        return row[-i if i < 0 else 2 * (n - 1) - i if i >= n else i]

    blurred = [
        sum(taps[j + reach] * reflected(i + j) for j in range(-reach, reach + 1)) for i in range(n)
    ]
    small = []
    for i in range(n // s):
        middle = s * i + (s - 1) / 2
        weights = {j: cubic((j - middle) / s) for j in range(-3 * s, n + 3 * s)}
        total = sum(weights.values())
        mirror = lambda j: -1 - j if j < 0 else 2 * n - 1 - j if j >= n else j  # noqa: E731
        small.append(sum(w * blurred[mirror(j)] for j, w in weights.items()) / total)
    return [round(min(max(v, 0), 255)) for v in small]


@pytest.mark.parametrize("s", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["dan-setting1", "dan-setting2"])
def test_the_protocols_of_dan_by_hand(name, s):
    """An image whose rows are equal stays so: what is left is one row, computed by loops."""
    row = [10, 200, 30, 90, 250, 0, 60, 70, 80, 255, 5, 120]
    taps = [0.1, 0.2, 0.3, 0.15, 0.25]
    hr = torch.tensor(row)[None, None, None, :].expand(1, 1, 12, 12) / 255
    k = torch.zeros(1, 1, 5, 5)
    k[0, 0, 2] = torch.tensor(taps)
    y, x = degrade(hr, k, s, 0.0, name)
    assert torch.equal(x, hr) and (y[0, 0] * 255).round().int()[3 // s].tolist() == as_dan(
        row, taps, s
    )


@pytest.mark.parametrize("s", [1, 2])
def test_the_protocol_of_div2krk_by_hand(s):
    """Correlation, the edge doubled in its mirror image, the upper-left pixels, 8 bits."""
    row, taps = [10, 200, 30, 90, 250, 0], [0.1, 0.2, 0.7]
    hr = torch.tensor(row)[None, None, None, :].expand(1, 1, 6, 6) / 255
    k = torch.zeros(1, 1, 3, 3)
    k[0, 0, 1] = torch.tensor(taps)
    wide = [row[0], *row, row[-1]]
    blurred = [sum(t * wide[i + j] for j, t in enumerate(taps)) for i in range(6)]
    y, _ = degrade(hr, k, s, 0.0, "div2krk")
    assert (y[0, 0, 0] * 255).round().int().tolist() == [round(v) for v in blurred[::s]]


@pytest.mark.parametrize("s", [1, 2, 3, 4])
@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_the_effective_kernel_explains_the_observation(name, s):
    """Inside, y = (x * K)|s up to the rounding: half a grey level, one where it is cut."""
    g = torch.Generator().manual_seed(1)
    k = torch.rand(1, 1, 5, 5, generator=g)
    k = k / k.sum()
    y, x = degrade(torch.rand(1, 3, 96, 96, generator=g), k, s, 0.0, name)
    difference = (y - observe(x, protocol(name).effective_kernel(k, s), s))[..., 8:-8, 8:-8]
    assert difference.abs().max() < 1.01 / 255


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_the_grey_variant_is_the_protocol_on_the_luma_in_8_bits(name):
    hr = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    luma = (hr * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    grey = (luma * 255).round() / 255
    k = torch.ones(1, 1, 3, 3) / 9
    y, x = degrade(hr, k, 2, 0.02, f"{name}-grey")
    wanted = degrade(grey, k, 2, 0.02, name)
    assert torch.equal(y, wanted[0]) and torch.equal(x, wanted[1])
    assert y.shape[1] == 1 and protocol(f"{name}-grey").digest != protocol(name).digest


def test_the_hash_of_a_protocol_is_everything_that_changes_a_number(monkeypatch):
    monkeypatch.setattr("pnp.protocols.PROTOCOLS", dict(PROTOCOLS))
    digests = [p.digest for p in PROTOCOLS.values()]
    assert len(set(digests)) == len(digests)
    plain = pnp.Protocol("one")
    assert plain.digest == pnp.Protocol("another text").digest
    for change in ({"multiple": 2}, {"rounded": True}, {"saved": True}, {"border_power": 1}):
        assert pnp.Protocol("one", **change).digest != plain.digest

    class Brighter(pnp.Protocol):
        def observe(self, hr, k, s=1, sigma=0.0, seed=0):
            y, x = super().observe(hr, k, s, sigma, seed)
            return y + 0.1, x

    mine = pnp.add_protocol("mine", Brighter("brighter"))
    assert mine.digest != plain.digest and protocol("mine") is mine
    k = torch.ones(1, 1, 1, 1)
    assert torch.allclose(degrade(torch.zeros(1, 3, 8, 8), k, name="mine")[0], torch.tensor(0.1))
    with pytest.raises(pnp.PnpError, match="protocol 'mine' already"):
        pnp.add_protocol("mine", plain)
