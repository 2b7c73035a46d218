"""The initializers: where they put the pixels of y, and what the kernels look like."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import astronaut

import pnp.initializers
from pnp.errors import PnpError
from pnp.interfaces import signature_of
from pnp.registry import initializer

INTERPOLATIONS = ["nearest", "bilinear", "bicubic"]
scales = st.integers(1, 4)


def ramp(height, width):
    rows, columns = torch.meshgrid(
        torch.arange(height).double(), torch.arange(width).double(), indexing="ij"
    )
    return (0.3 * rows - 0.7 * columns)[None, None]


@pytest.mark.parametrize("name", INTERPOLATIONS)
@given(
    s=scales,
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_every_pixel_of_y_stays_where_downsampling_took_it_from(name, s, height, width, dtype):
    y = torch.rand(2, 3, height, width, dtype=dtype)
    x = pnp.initializers.build(name)(y, s)
    assert x.shape == (2, 3, s * height, s * width)
    assert x.dtype == dtype
    assert torch.allclose(x[..., ::s, ::s], y, atol=1e-6)


@pytest.mark.parametrize(("name", "reach"), [("bilinear", 1), ("bicubic", 2)])
@given(s=scales)
def test_a_ramp_is_continued_exactly_inside(name, reach, s):
    x = ramp(8 * s, 9 * s)
    interpolated = pnp.initializers.build(name)(x[..., ::s, ::s], s)
    inside = slice(reach * s, -reach * s)
    assert torch.allclose(interpolated[..., inside, inside], x[..., inside, inside], atol=1e-9)


def test_bicubic_continues_a_parabola_exactly_inside():
    x = ramp(32, 36) ** 2
    interpolated = pnp.initializers.build("bicubic")(x[..., ::4, ::4], 4)
    assert torch.allclose(interpolated[..., 8:-8, 8:-8], x[..., 8:-8, 8:-8], atol=1e-8)


@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
def test_alignment_to_the_upper_left_pixel_is_worth_a_decibel_at_x4(name):
    x = torch.from_numpy(astronaut()[:256, :256].astype(np.float32) / 255).permute(2, 0, 1)[None]
    width = pnp.initializers.build("gaussian-kernel", size=15, std=1.6)(x[:, :1])
    x = F.conv2d(x.transpose(0, 1), width).transpose(0, 1)[..., :240, :240]
    y = x[..., ::4, ::4]

    def psnr(estimate):
        return -10 * torch.log10((estimate - x)[..., 8:-8, 8:-8].square().mean())

    centred = F.interpolate(y, scale_factor=4, mode=name, align_corners=False)
    assert psnr(pnp.initializers.build(name)(y, 4)) > psnr(centred) + 1


@pytest.mark.parametrize("name", INTERPOLATIONS)
@pytest.mark.parametrize("s", [0, -1, 1.5])
def test_a_scale_that_is_no_whole_number_is_one_clear_error(name, s):
    with pytest.raises(PnpError, match=f"{name}: the scale is {s}"):
        pnp.initializers.build(name)(torch.rand(1, 1, 4, 4), s)


@given(
    size=st.integers(5, 25),
    std=st.floats(0.3, 4),
    ratio=st.floats(0.2, 1),
    angle=st.floats(-180, 180),
    batch=st.integers(1, 3),
)
def test_gaussian_kernels_sum_to_one_and_peak_at_the_centre(size, std, ratio, angle, batch):
    k = pnp.initializers.build(
        "gaussian-kernel", size=size, std=std, std2=ratio * std, angle=angle
    )(torch.rand(batch, 3, 4, 4))
    assert k.shape == (batch, 1, size, size)
    assert torch.allclose(k.sum((-2, -1)), torch.ones(batch, 1), atol=1e-5)
    assert (k[..., size // 2, size // 2] == k.amax((-2, -1))).all()


@pytest.mark.parametrize(
    ("angle", "row", "column"), [(0, 0, 1), (90, 1, 0), (45, -1, 1), (-45, 1, 1)]
)
def test_the_angle_turns_counter_clockwise_from_the_horizontal(angle, row, column):
    k = pnp.initializers.build("gaussian-kernel", size=21, std=3, std2=1, angle=angle)(
        torch.rand(1, 1, 4, 4)
    )[0, 0]
    along = k[10 + 3 * row, 10 + 3 * column]
    across = k[10 + 3 * column, 10 - 3 * row]
    assert along > 4 * across


def test_gaussian_kernel_has_the_widths_asked_for():
    k = pnp.initializers.build("gaussian-kernel", size=41, std=3, std2=2)(
        torch.rand(1, 1, 4, 4).double()
    )[0, 0]
    offset = torch.arange(41).double() - 20
    assert (k.sum(0) * offset**2).sum().sqrt() == pytest.approx(3, abs=1e-3)
    assert (k.sum(1) * offset**2).sum().sqrt() == pytest.approx(2, abs=1e-3)


@pytest.mark.parametrize("size", [1, 4, 5])
def test_delta_kernel_is_one_at_half_the_size(size):
    k = pnp.initializers.build("delta-kernel", size=size)(torch.rand(2, 3, 4, 4))
    assert k.shape == (2, 1, size, size)
    assert (k[..., size // 2, size // 2] == 1).all()
    assert k.sum() == 2


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gaussian-kernel", {"size": 0}, "size is 0"),
        ("gaussian-kernel", {"std": 0}, "std is 0"),
        ("gaussian-kernel", {"std2": -1}, "std2 is -1"),
        ("delta-kernel", {"size": 0}, "size is 0"),
    ],
)
def test_bad_options_are_one_clear_error(name, options, message):
    with pytest.raises(PnpError, match=f"{name}: {message}"):
        pnp.initializers.build(name, **options)


@pytest.mark.parametrize("name", initializer.names())
def test_every_initializer_gives_an_image_or_a_kernel(name):
    assert signature_of(initializer.get(name)).outputs[0].name in ("image", "complex", "kernel")


@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_fill_keeps_what_is_known_and_stays_within_its_range(height, width, share, seed):
    generator = torch.Generator().manual_seed(seed)
    y = torch.rand(2, 3, height, width, generator=generator)
    mask = (torch.rand(2, 1, height, width, generator=generator) < share).float()
    x = pnp.initializers.build("fill")(mask * y, mask)
    assert torch.equal(torch.where(mask > 0, x, 0), mask * y)
    for image, original, known in zip(x, y, mask.expand_as(y) > 0, strict=True):
        values = original[known] if known.any() else torch.tensor([0.5])
        assert values.min() - 1e-6 <= image.min()
        assert image.max() <= values.max() + 1e-6


def test_fill_refuses_a_mask_of_another_size():
    with pytest.raises(PnpError, match="fill: the mask has shape"):
        pnp.initializers.build("fill")(torch.rand(1, 3, 8, 8), torch.ones(1, 1, 4, 4))
