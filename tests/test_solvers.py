"""Every solver gives the minimiser of the objective in its docstring, computed here by spatial convolution."""

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import kernels, problems, tensors

from pnp.errors import PnpError
from pnp.interfaces import pipeline_run
from pnp.kernels import resize_kernel
from pnp.operators import Blur
from pnp.registry import solver as registry
from pnp.solvers.cg_image import CgImage
from pnp.solvers.fft_image import FftImage
from pnp.solvers.fft_kernel import FftKernel
from pnp.solvers.support_kernel import SupportKernel
from pnp.testing import check_solver, observe_spatially

BOUNDARIES = ("circular", "replicate", "reflect")
double = torch.float64


def dense(x, k, s, boundary="circular"):
    """The matrix (B, h w, s h s w) of z -> (z * k)|s for one channel, column by column by spatial convolution."""
    H, W = x.shape[-2:]
    basis = torch.eye(H * W, dtype=x.dtype).reshape(-1, 1, H, W)
    return torch.stack(
        [observe_spatially(basis, kernel[None], s, boundary).flatten(1).T for kernel in k]
    )


def image_by_matrix(y, x, k, weight, s, boundary="circular", mask=None):
    """D by normal equations, without any FFT."""
    A = dense(x, k, s, boundary)[:, None]
    mask = torch.ones_like(y) if mask is None else mask.expand_as(y)
    M = mask.flatten(2)[..., None]
    target, pull = y.flatten(2)[..., None], x.flatten(2)[..., None]
    normal = A.mT @ (M * M * A) + weight * torch.eye(A.shape[-1], dtype=x.dtype)
    return torch.linalg.solve(normal, A.mT @ (M * M * target) + weight * pull).reshape(x.shape)


def kernel_by_matrix(y, x, k, weight):
    """Dk on the support of k by normal equations, without any FFT."""
    s, (kh, kw) = x.shape[-1] // y.shape[-1], k.shape[-2:]
    basis = torch.eye(kh * kw, dtype=x.dtype).reshape(-1, 1, kh, kw)
    A = torch.stack([observe_spatially(x, tap[None], s).flatten(1) for tap in basis], -1)
    pull = k.expand(len(x), -1, -1, -1).flatten(1)[..., None]
    normal = A.mT @ A + weight * torch.eye(kh * kw, dtype=x.dtype)
    return torch.linalg.solve(normal, A.mT @ y.flatten(1)[..., None] + weight * pull).reshape(
        len(x), 1, kh, kw
    )


def image_objective(z, p):
    return (p.y - observe_spatially(z, p.k, p.s)).square().sum() + (
        p.weight * (z - p.x).square()
    ).sum()


def slope(objective, point):
    """The gradient of the objective at a point, as a share of that at zero."""
    at = [t.detach().requires_grad_() for t in (point, torch.zeros_like(point))]
    here, zero = (torch.autograd.grad(objective(t), t)[0].norm() for t in at)
    return float(here / zero)


def agree(a, b, tolerance):
    a, b = a.detach(), b.detach()
    assert a.shape == b.shape
    assert float((a - b).abs().max()) <= tolerance * max(1.0, float(b.abs().max()))


# --- the observation model, by counting


@pytest.mark.parametrize(("size", "s"), [((3, 3), 1), ((4, 2), 2), ((1, 5), 3)])
def test_observe_is_convolution_with_the_centre_at_half_the_size(size, s):
    x, k = tensors(1, 2, 6, 6), kernels(1, 1, *size)
    y = torch.zeros(1, 2, 6 // s, 6 // s, dtype=double)
    for i in range(6 // s):
        for j in range(6 // s):
            for m in range(size[0]):
                for n in range(size[1]):
                    y[..., i, j] += (
                        k[0, 0, m, n]
                        * x[..., (s * i - m + size[0] // 2) % 6, (s * j - n + size[1] // 2) % 6]
                    )
    agree(observe_spatially(x, k, s), y, 1e-12)


# --- D


@given(problems(weights=(1e-8, 1e8)))
def test_D_is_the_minimiser(p):
    z = FftImage()(*p.args)
    assert slope(lambda t: image_objective(t, p), z) < 1e-9
    best = image_objective(z, p)
    for size in (1e-4, 1e-1):
        for seed in range(3):
            other = z + size * tensors(*z.shape, low=-1, seed=seed)
            assert image_objective(other, p) >= best


@given(problems(weights=(1e-4, 1e4)))
def test_D_in_float32_is_the_minimiser_up_to_rounding(p):
    z = FftImage()(*p.to(torch.float32).args)
    assert z.dtype == torch.float32
    agree(z.double(), FftImage()(*p.args), 2e-6 / math.sqrt(min(1.0, float(p.weight.min()))))


@given(problems(most_pixels=8))
def test_D_has_the_gradients_of_the_minimiser_by_matrices(p):
    inputs = [t.clone().requires_grad_() for t in p.args]
    seen = tensors(*p.x.shape, low=-1)
    ours = torch.autograd.grad(FftImage()(*inputs), inputs, seen)
    y, x, k, weight = inputs
    true = torch.autograd.grad(image_by_matrix(y, x, k, weight, p.s), inputs, seen)
    for a, b in zip(ours, true, strict=True):
        agree(a, b, 1e-8)


@given(problems(weights=(1e-2, 1e2), most_pixels=6))
def test_D_passes_gradcheck(p):
    assert torch.autograd.gradcheck(
        FftImage(), [t.clone().requires_grad_() for t in p.args], fast_mode=True
    )


@given(problems(scales=(5, 7), most_pixels=21))
def test_D_takes_any_scale(p):
    assert slope(lambda t: image_objective(t, p), FftImage()(*p.args)) < 1e-9


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_D_computes_half_precision_in_float32(dtype):
    y, x, k = (
        tensors(1, 3, 8, 8).to(dtype),
        tensors(1, 3, 16, 16).to(dtype),
        kernels(0, 1, 5, 5).to(dtype),
    )
    z = FftImage()(y, x, k, 0.1)
    assert z.dtype == dtype
    assert torch.equal(z, FftImage()(y.float(), x.float(), k.float(), 0.1).to(dtype))
    assert FftImage()(y.float(), x, k.float(), 0.1).dtype == dtype


def test_D_takes_tensors_of_any_memory_layout():
    y, x, k = tensors(2, 3, 4, 6), tensors(2, 3, 8, 12), kernels(0, 1, 3, 3)
    z = FftImage()(y, x, k, 0.1)
    strided = [t.to(memory_format=torch.channels_last) for t in (y, x)]
    assert torch.equal(FftImage()(*strided, k, 0.1), z)
    assert torch.equal(FftImage()(y, x.mT.contiguous().mT, k, 0.1), z)


def test_what_depends_on_y_and_k_is_computed_once_per_run(monkeypatch):
    calls, compute = [], FftImage._spectra_of

    def counted(*inputs):
        calls.append(inputs)
        return compute(*inputs)

    monkeypatch.setattr(FftImage, "_spectra_of", counted)
    D, y, x, k = FftImage(), tensors(1, 1, 4, 4), tensors(1, 1, 8, 8), kernels(0, 1, 3, 3)
    with pipeline_run():
        first = [D(y, x, k, weight) for weight in (0.1, 0.2)]
        assert len(calls) == 1
        D(y, x, k.clone(), 0.1)
        assert len(calls) == 2
    assert all(
        torch.equal(z, D(y, x, k, weight)) for z, weight in zip(first, (0.1, 0.2), strict=True)
    )


def test_state_lasts_for_one_run_and_belongs_to_one_module():
    D, other = FftImage(), FftImage()
    with pipeline_run():
        D.run_state()["seen"] = 1
        assert D.run_state() == {"seen": 1} and other.run_state() == {}
        with pipeline_run():
            assert D.run_state() == {}
        assert D.run_state() == {"seen": 1}
    D.run_state()["seen"] = 2
    assert D.run_state() == {}


# --- Dk


@given(problems(), st.floats(-6, 0), st.sampled_from(["last", "zero"]))
def test_Dk_over_the_whole_image_is_the_minimiser(p, gamma, pull):
    Dk = FftKernel(10**gamma, pull=pull)
    w = Dk(p.y, p.x, p.k)
    H, W = p.x.shape[-2:]
    target = resize_kernel(p.k, H, W) * (pull == "last")

    def objective(t):
        return (p.y - observe_spatially(p.x, t, p.s)).square().sum() + Dk.gamma * H * W * (
            t - target
        ).square().sum()

    assert w.shape == (len(p.x), 1, H, W)
    assert slope(objective, w) < 1e-9
    for seed in range(3):
        assert objective(w + 0.01 * tensors(*w.shape, low=-1, seed=seed)) >= objective(w)


@given(problems(most_pixels=12), st.floats(-6, 0), st.sampled_from(["last", "zero"]))
def test_Dk_on_the_support_is_the_minimiser(p, gamma, pull):
    Dk = SupportKernel(10**gamma, pull=pull)
    target = p.k * (pull == "last")
    agree(Dk(p.y, p.x, p.k), kernel_by_matrix(p.y, p.x, target, Dk.gamma * p.x[0, 0].numel()), 1e-7)


@given(problems(most_pixels=12))
def test_Dk_in_float32_is_the_minimiser_up_to_rounding(p):
    for Dk in (FftKernel(1e-3), SupportKernel(1e-3)):
        w = Dk(*p.to(torch.float32).args[:3])
        assert w.dtype == torch.float32
        agree(w.double(), Dk(*p.args[:3]), 1e-4)


@given(problems(most_pixels=8), st.booleans())
def test_Dk_passes_gradcheck(p, on_support):
    Dk = SupportKernel(1e-2) if on_support else FftKernel(1e-2)
    assert torch.autograd.gradcheck(
        Dk, [t[:1, :2].clone().requires_grad_() for t in p.args[:3]], fast_mode=True
    )


@given(problems())
def test_Dk_on_a_support_as_large_as_the_image_is_Dk_over_the_whole_image(p):
    assume(p.x.shape[-1] * p.x.shape[-2] <= 150)
    whole = resize_kernel(p.k, *p.x.shape[-2:])
    agree(SupportKernel(1e-3)(p.y, p.x, whole), FftKernel(1e-3)(p.y, p.x, p.k), 1e-7)


@given(problems(weights=(1e-4, 1e2)))
def test_exchange_law_D_and_Dk_are_each_other_with_image_and_kernel_swapped(p):
    y, x, weight = p.y[:, :1], p.x[:, :1], p.weight[:1]
    H, W = x.shape[-2:]
    x = x / x.sum((-2, -1), keepdim=True)  # an image that can stand for a kernel
    k = resize_kernel(p.k, H, W).expand_as(x)  # a kernel that can stand for an image
    centre = (H // 2, W // 2)
    as_image, as_kernel = k.roll((-centre[0], -centre[1]), (2, 3)), x.roll(centre, (2, 3))
    w = FftKernel(float(weight) / (H * W))(y, x, k)
    z = FftImage()(y, as_image, as_kernel, weight)
    agree(z.roll(centre, (2, 3)), w, 1e-8)


def test_one_channel_of_Dk_is_the_solution_for_that_channel():
    y, x, k = tensors(2, 3, 5, 6), tensors(2, 3, 10, 12, seed=1), kernels(0, 2, 4, 5)
    for c in range(3):
        alone = FftKernel(1e-3)(y[:, c : c + 1], x[:, c : c + 1], k)
        assert torch.equal(FftKernel(1e-3, channel=c)(y, x, k), alone)


def test_size_of_fft_kernel_is_a_crop_after_the_solution():
    y, x, k = tensors(1, 3, 5, 6), tensors(1, 3, 10, 12, seed=1), kernels(0, 1, 7, 7)
    for size in (1, 4, 7):
        assert torch.equal(
            FftKernel(1e-3, size=size)(y, x, k), resize_kernel(FftKernel(1e-3)(y, x, k), size)
        )


@given(st.integers(1, 6), st.integers(1, 6), st.integers(6, 9), st.integers(6, 9))
def test_cropping_undoes_embedding_and_the_centre_stays_the_centre(kh, kw, H, W):
    k = kernels(0, 2, kh, kw)
    large = resize_kernel(k, H, W)
    assert torch.equal(resize_kernel(large, kh, kw), k)
    assert torch.equal(large[..., H // 2, W // 2], k[..., kh // 2, kw // 2])


def test_support_kernel_finds_the_kernel_that_blurred_the_image():
    x, k = tensors(1, 3, 48, 44), kernels(3, 1, 7, 7)
    found = SupportKernel(1e-9, size=7, pull="zero")(
        observe_spatially(x, k, 2), x, torch.full_like(k, 1 / 49)
    )
    agree(found, k, 1e-5)


# --- D by conjugate gradients


@given(problems(), st.sampled_from(BOUNDARIES))
def test_the_operator_is_spatial_convolution_and_its_adjoint_is_exact(p, boundary):
    assume(
        boundary != "reflect"
        or all(n > m // 2 for n, m in zip(p.x.shape[-2:], p.k.shape[-2:], strict=True))
    )
    A = Blur(p.k, p.x.shape[-2:], p.s, boundary)
    agree(A(p.x), observe_spatially(p.x, p.k, p.s, boundary), 1e-12)
    assert torch.allclose((A(p.x) * p.y).sum(), (p.x * A.adjoint(p.y)).sum(), rtol=1e-12)


@given(
    problems(weights=(1e-2, 1e2), most_pixels=9),
    st.sampled_from(BOUNDARIES),
    st.booleans(),
    st.data(),
)
def test_D_by_conjugate_gradients_is_the_minimiser(p, boundary, masked, data):
    assume(
        boundary != "reflect"
        or all(n > m // 2 for n, m in zip(p.x.shape[-2:], p.k.shape[-2:], strict=True))
    )
    channels = data.draw(st.sampled_from([1, p.y.shape[1]]))
    mask = tensors(1, channels, *p.y.shape[-2:], low=-0.5).clamp_min(0) if masked else None
    inputs = [t.clone().requires_grad_() for t in (*p.args, *([mask] if masked else []))]
    z = CgImage(boundary, tolerance=1e-12, iterations=1000)(*inputs)
    y, x, k, weight, *rest = inputs
    true = image_by_matrix(y, x, k, weight, p.s, boundary, *rest)
    agree(z, true, 1e-8)
    seen = tensors(*z.shape, low=-1)
    for a, b in zip(
        torch.autograd.grad(z, inputs, seen), torch.autograd.grad(true, inputs, seen), strict=True
    ):
        agree(a, b, 1e-7)


@given(problems(weights=(1e-2, 1e2), most_pixels=6), st.sampled_from(BOUNDARIES[:2]))
def test_D_by_conjugate_gradients_passes_gradcheck(p, boundary):
    D = CgImage(boundary, tolerance=1e-13, iterations=1000)
    inputs = [t.clone().requires_grad_() for t in (*p.args, tensors(*p.y.shape))]
    assert torch.autograd.gradcheck(D, inputs, fast_mode=True)


@given(problems(weights=(1e-2, 1e2)))
def test_conjugate_gradients_on_a_circle_reach_the_closed_form(p):
    agree(CgImage("circular", tolerance=1e-10, iterations=1000)(*p.args), FftImage()(*p.args), 1e-7)
    z = CgImage("circular")(*p.to(torch.float32).args)
    agree(z.double(), FftImage()(*p.args), 5e-3)


def test_conjugate_gradients_start_warm_and_report_their_residual():
    y, x, k = tensors(2, 3, 10, 12), tensors(2, 3, 20, 24, seed=1), kernels(0, 1, 5, 5)
    D = CgImage("replicate", tolerance=1e-8, iterations=500)
    assert D.report() == {}
    z = D(y, x, k, 0.01)
    figures = D.report()
    assert 0 < figures["residual"] <= 1e-8
    assert 1 < figures["iterations"] < 500
    D(observe_spatially(z, k, 2, "replicate"), z, k, 0.01)  # z is then the solution
    assert D.report()["iterations"] == 0
    short = CgImage("replicate", tolerance=1e-8, iterations=2)
    short(y, x, k, 0.01)
    assert short.report()["residual"] > 1e-8
    assert short.report()["iterations"] == 2


def test_pixels_under_a_zero_mask_do_not_count():
    y, x, k = tensors(1, 3, 8, 8), tensors(1, 3, 16, 16, seed=1), kernels(0, 1, 3, 3)
    mask = (tensors(1, 1, 8, 8, seed=2) > 0.5).double()
    D = CgImage(tolerance=1e-10)
    agree(D(y * mask + 3 * (1 - mask), x, k, 0.1, mask), D(y, x, k, 0.1, mask), 1e-8)
    agree(D(y, x, k, 0.1, 0 * mask), x, 1e-12)


def test_one_image_stops_while_another_goes_on():
    """The first image of the batch is solved already; it must not be touched."""
    y, x, k = tensors(2, 1, 8, 8), tensors(2, 1, 8, 8, seed=1), kernels(0, 1, 3, 3)
    y[:1] = observe_spatially(x[:1], k)
    z = CgImage("circular")(y, x, k, 0.1)
    assert torch.equal(z[:1], x[:1])
    agree(z[1:], FftImage()(y[1:], x[1:], k, 0.1), 1e-3)


# --- every solver


@pytest.mark.parametrize("name", registry.names())
def test_every_solver_keeps_its_interface(name):
    check_solver(registry.build(name))


@pytest.mark.parametrize(
    "solver",
    [
        FftKernel(1e-2, channel=1, pull="zero"),
        FftKernel(1e-2, size=3),
        SupportKernel(1e-3, size=8),
        SupportKernel(1e-3, size=2, pull="zero"),
        CgImage("reflect"),
        CgImage("circular"),
    ],
)
def test_every_option_keeps_the_interface(solver):
    check_solver(solver)


def bad(**changed):
    """Arguments of D or Dk with one thing wrong."""
    y, x, k, weight = tensors(1, 3, 8, 8), tensors(1, 3, 16, 16), kernels(0, 1, 5, 5), 0.1
    values = {"y": y, "x": x, "k": k, "weight": weight}
    for name, change in changed.items():
        values[name] = change(values[name]) if callable(change) else change
    return values


def with_nan(t):
    t = t.clone()
    t.flatten()[len(t.flatten()) // 2] = math.nan
    return t


MESSAGES = [
    (
        bad(y=lambda y: y[0]),
        "y has shape (3, 8, 8); it needs four dimensions, (B, C, H, W); add them with [None]",
    ),
    (
        bad(k=lambda k: k[0]),
        "k has shape (1, 5, 5); it needs four dimensions, (B, 1, K, K); add them with [None]",
    ),
    (
        bad(x=lambda x: x.numpy()),
        "x is of type ndarray; give a tensor, for example torch.from_numpy(...)",
    ),
    (
        bad(y=lambda y: (255 * y).byte()),
        "y is uint8; give floating point numbers; divide an 8-bit image by 255",
    ),
    (
        bad(y=lambda y: y.permute(0, 2, 3, 1)),
        "y has shape (1, 8, 8, 3), with the channels last; use .permute(0, 3, 1, 2) to give (B, C, H, W)",
    ),
    (
        bad(x=lambda x: x[:, :, :0]),
        "x is empty, its shape is (1, 3, 0, 16); look at where it was read or cropped",
    ),
    (
        bad(x=lambda x: x.float()),
        "y is float64 but x is float32; convert one of them, for example x.to(y.dtype)",
    ),
    (
        bad(k=lambda k: k.float()),
        "y is float64 but k is float32; convert one of them, for example k.to(y.dtype)",
    ),
    (
        bad(k=lambda k: k.to("meta")),
        "k is a meta tensor, which has no values; give one on cpu or cuda",
    ),
    (bad(y=lambda y: y[:, :1]), "y has 1 channel but x has 3; give both the same channels"),
    (
        bad(x=lambda x: x.repeat(2, 1, 1, 1)),
        "y is a batch of 1 but x is a batch of 2; give one x for each y",
    ),
    (
        bad(k=lambda k: k.repeat(2, 1, 1, 1)),
        "there are 2 kernels for 1 image; give one kernel, or one for each image",
    ),
    (
        bad(k=lambda k: k.repeat(1, 3, 1, 1)),
        "k has 3 channels; all channels share one kernel: give k the shape (B, 1, K, K)",
    ),
    (
        bad(x=lambda x: x[..., :15]),
        "x is 16 x 15 and y is 8 x 8, which is not one whole scale s in both directions; "
        "crop the images so that the size of x is s times the size of y",
    ),
    (
        bad(y=lambda y: y[..., :4]),
        "x is 16 x 16 and y is 8 x 4, which is not one whole scale s in both directions; "
        "crop the images so that the size of x is s times the size of y",
    ),
    (
        bad(k=kernels(0, 1, 17, 5)),
        "the kernel is 17 x 5, larger than the image x, which is 16 x 16; crop the kernel or take a larger image",
    ),
    (bad(y=with_nan), "y holds NaN or infinite values; look at where it was read or computed"),
    (bad(k=with_nan), "k holds NaN or infinite values; look at where it was read or computed"),
    (bad(x=with_nan), "x holds NaN or infinite values; look at the step that made x"),
    (bad(x=lambda x: x / 0), "x holds NaN or infinite values; look at the step that made x"),
    (
        bad(y=lambda y: 200 * torch.ones_like(y)),
        "y has values up to 200, but images are on [0, 1]; divide an 8-bit image by 255",
    ),
    (
        bad(k=lambda k: 255 * k),
        "the kernel sums to 255, but a blur kernel sums to one; divide it by its sum",
    ),
]
WEIGHTS = [
    (bad(weight=0), "the weight is 0; it must be a finite number above zero"),
    (bad(weight=-0.5), "the weight is -0.5; it must be a finite number above zero"),
    (bad(weight=math.nan), "the weight is nan; it must be a finite number above zero"),
    (
        bad(weight=torch.ones(2, 1, 1, 1)),
        "there are 2 weights for 1 image; give one weight, or one for each image",
    ),
]
IMAGE_SOLVERS = {"fft-image": FftImage(), "cg-image": CgImage()}
KERNEL_SOLVERS = {"fft-kernel": FftKernel(1e-3), "support-kernel": SupportKernel(1e-3)}


@pytest.mark.parametrize(
    ("values", "message"), MESSAGES + WEIGHTS, ids=[m for _, m in MESSAGES + WEIGHTS]
)
@pytest.mark.parametrize("name", IMAGE_SOLVERS)
def test_D_says_what_is_wrong_with_its_inputs(name, values, message):
    with pytest.raises(PnpError) as error:
        IMAGE_SOLVERS[name](**values)
    assert str(error.value) == f"{name}: {message}"


@pytest.mark.parametrize(("values", "message"), MESSAGES, ids=[m for _, m in MESSAGES])
@pytest.mark.parametrize("name", KERNEL_SOLVERS)
def test_Dk_says_what_is_wrong_with_its_inputs(name, values, message):
    with pytest.raises(PnpError) as error:
        KERNEL_SOLVERS[name](*list(values.values())[:3])
    assert str(error.value) == f"{name}: {message}"


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (
            torch.ones(8, 8),
            "mask has shape (8, 8); it needs four dimensions, (B, C, H, W); add them with [None]",
        ),
        (
            torch.ones(1, 1, 16, 16, dtype=double),
            "the mask has shape (1, 1, 16, 16) but y has (1, 3, 8, 8); give it the height and width of y; "
            "its batch and channels may be 1",
        ),
        (
            torch.ones(1, 1, 8, 8),
            "y is float64 but mask is float32; convert one of them, for example mask.to(y.dtype)",
        ),
        (
            torch.ones(1, 1, 8, 8, dtype=torch.bool),
            "mask is bool; give floating point numbers; divide an 8-bit image by 255",
        ),
        (
            with_nan(torch.ones(1, 1, 8, 8, dtype=double)),
            "mask holds NaN or infinite values; look at where it was read or computed",
        ),
    ],
)
def test_D_says_what_is_wrong_with_its_mask(mask, message):
    with pytest.raises(PnpError) as error:
        CgImage()(**bad(), mask=mask)
    assert str(error.value) == f"cg-image: {message}"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: FftKernel(0),
            "fft-kernel: gamma is 0, but should be a number above 0",
        ),
        (
            lambda: SupportKernel(-1.0),
            "support-kernel: gamma is -1.0, but should be a number above 0",
        ),
        (
            lambda: FftKernel(1e-3, size=0),
            "fft-kernel: size is 0, but should be a whole number of at least 1 or null",
        ),
        (
            lambda: SupportKernel(1e-3, size=2.5),  # type: ignore[arg-type]
            "support-kernel: size is 2.5, but should be a whole number of at least 1 or null",
        ),
        (
            lambda: FftKernel(1e-3, pull="first"),  # type: ignore[arg-type]
            "fft-kernel: pull is 'first', but should be one of last, zero",
        ),
        (
            lambda: FftKernel(1e-3, channel=-1),
            "fft-kernel: channel is -1, but should be a whole number of at least 0 or null",
        ),
        (
            lambda: CgImage("periodic"),  # type: ignore[arg-type]
            "cg-image: boundary is 'periodic', but should be one of circular, replicate, reflect",
        ),
        (
            lambda: CgImage(tolerance=0),
            "cg-image: tolerance is 0, but should be a number above 0 and below 1",
        ),
        (
            lambda: CgImage(iterations=0),
            "cg-image: iterations is 0, but should be a whole number of at least 1",
        ),
        (
            lambda: FftKernel(1e-3, channel=3)(*list(bad().values())[:3]),
            "fft-kernel: channel is 3, but the image has channels 0 to 2; choose one of them",
        ),
        (
            lambda: FftKernel(1e-3, size=17)(*list(bad().values())[:3]),
            "fft-kernel: size is 17, larger than the image x, which is 16 x 16; take a smaller size",
        ),
        (
            lambda: SupportKernel(1e-3, size=17)(*list(bad().values())[:3]),
            "support-kernel: size is 17, larger than the image x, which is 16 x 16; take a smaller size",
        ),
        (
            lambda: SupportKernel(1e-30)(
                **{n: v for n, v in bad(x=torch.ones_like).items() if n != "weight"}
            ),
            "support-kernel: the normal matrix of image 0 of the batch is singular: "
            "x has too little detail for a kernel of this size; take a larger gamma or a smaller size",
        ),
        (
            lambda: resize_kernel(kernels(0, 1, 5, 5), 0),
            "a kernel cannot have a side of 0; give 1 or more",
        ),
        (
            lambda: resize_kernel(kernels(0, 1, 5, 5), 6, -1),
            "a kernel cannot have a side of -1; give 1 or more",
        ),
    ],
)
def test_options_say_what_is_wrong_with_them(build, message):
    with pytest.raises(PnpError) as error:
        build()
    assert str(error.value) == message
